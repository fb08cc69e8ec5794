//! Git repositories as sources.
//!
//! # The way of a fetch
//!
//! 1. [`GitUrl`], [`Revision`] and [`ContextDir`] are parsed: nothing in them can be an option, a second line or
//!    another protocol.
//! 2. `job.rs` takes the namespace's [`Mirrors`] entry for the URL, a bare repository under a lock.
//! 3. `remote.rs` resolves the host under the rules of [`crate::source::Reach`] and prepares a `Session`: all that `git`
//!    will read, in one private folder. The server is asked which commit is meant (`ls_refs.rs`, or `git ls-remote`), then git
//!    fetches that commit alone, without history; with a context directory also without content, and then the content below it.
//! 4. `objects.rs` lists the commit's tree and reads its files out of the mirror: one `git cat-file` (`reader.rs`) gives objects as they
//!    are stored, and we parse them (`commit.rs`, `trees.rs`). There is no working copy.
//! 5. Submodules (`submodules.rs`), if asked for, are fetched the same way and hung into the tree; files of Git LFS
//!    (`lfs.rs`) take their pointers' places.
//! 6. The tree becomes a [`crate::source::Snapshot`].

mod blocking;
mod commit;
mod complaint;
mod config;
mod confinement;
mod context;
mod credential;
mod doctor;
mod fetcher;
mod gather;
mod growth;
mod host;
mod job;
mod launch;
mod lfs;
mod listing;
mod ls_refs;
mod mirror;
mod objects;
mod process;
mod reader;
mod references;
mod remote;
mod resolved;
mod revision;
mod session;
mod sessions;
mod ssh;
mod submodules;
mod trees;
mod tunnel;
mod url;
mod version;

pub use context::{ContextDir, InvalidContextDir};
pub use credential::Credential;
pub use doctor::examine;
pub use fetcher::{GitFetcher, GitSource};
pub use host::server;
pub use job::Found;
pub use mirror::Mirrors;
pub use references::References;
pub use revision::{InvalidRevision, ObjectId, RefName, Revision};
pub use tunnel::tunnel;
pub use url::{GitUrl, InvalidGitUrl, Scheme};
