//! Sources that someone sends: a folder of theirs, or an archive.

mod archive;
mod directory;

pub use archive::archive;
pub(crate) use archive::archive_for;
pub use directory::directory;
