//! What a build changed, as one layer.

mod changes;
mod compress;
mod content;
mod error;
mod export;
mod node;

pub use changes::Changes;
pub use error::ExportError;
pub use export::{Layer, Options, export};
pub(crate) use export::{Packing, pack};
pub(crate) use node::Node;
