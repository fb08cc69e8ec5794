//! What a build changed, as one layer.

mod changes;
mod compress;
mod content;
mod error;
mod export;
mod id_map;
mod node;

pub use changes::Changes;
pub use error::ExportError;
pub use export::{Layer, Options, export};
pub use id_map::{IdMap, InvalidIdMap, Range};
pub(crate) use node::Node;
