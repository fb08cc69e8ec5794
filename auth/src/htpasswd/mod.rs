//! Users in an htpasswd file, bcrypt only.

mod authenticator;
mod file;
mod users;

pub use authenticator::Htpasswd;
pub use file::{EditError, File};
