//! Users in an htpasswd file (Apache's format: one `user:hash` per line, `#` comments), bcrypt only.
//!
//! Other hashes of that format are refused: crypt, MD5 and SHA-1 are guessed by the billion per second.

mod authenticator;
mod file;
mod hash;
mod users;

pub use authenticator::Htpasswd;
pub use file::{EditError, File};
