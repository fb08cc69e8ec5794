use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use crate::body::FileBody;
use crate::lane::Lane;

/// A connection's way out for files, cheap to clone; belongs into each request's extensions.
///
/// The default outlet belongs to no connection: its bodies read the file.
#[derive(Debug, Clone, Default)]
pub struct Outlet {
    lane: Option<Arc<Lane>>,
}

impl Outlet {
    pub(crate) fn onto(lane: Arc<Lane>) -> Self {
        Self { lane: Some(lane) }
    }

    /// A body of the bytes `range` of `file`, for a response on this connection.
    ///
    /// The range must lie within the file: a body that meets the end of the file before the end
    /// of the range fails, and the connection is aborted. The file's cursor is neither used nor
    /// moved, so one handle may serve any number of bodies.
    pub fn file(&self, file: Arc<File>, range: Range<u64>) -> FileBody {
        FileBody::new(self.lane.clone(), file, range)
    }

    /// File bytes that `sendfile` has sent on this connection.
    pub fn sendfile_bytes(&self) -> u64 {
        self.lane.as_ref().map_or(0, |lane| lane.sent())
    }
}
