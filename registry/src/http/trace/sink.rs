//! Where finished requests go besides the log, such as a collector of traces.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A request whose reply has left, or whose client has.
#[derive(Debug)]
pub struct Finished<'a> {
    /// Its operation, of few values.
    pub operation: &'static str,
    /// HTTP method.
    pub method: &'a str,
    /// Path as it was sent.
    pub path: &'a str,
    /// HTTP status.
    pub status: u16,
    /// When its head was read.
    pub started: SystemTime,
    /// From then to the end of the reply's body.
    pub took: Duration,
    /// Bytes of the reply's body.
    pub sent: u64,
    /// The id that the client was told.
    pub request_id: String,
    /// The caller's place in a trace (W3C Trace Context), as it was sent.
    pub traceparent: Option<&'a str>,
}

/// Takes finished requests. It is called on the way of requests, so it must not wait.
pub struct Sink(Box<dyn Fn(&Finished<'_>) + Send + Sync>);

impl Sink {
    /// A sink that calls `take`.
    pub fn new(take: impl Fn(&Finished<'_>) + Send + Sync + 'static) -> Self {
        Self(Box::new(take))
    }

    pub(super) fn take(&self, finished: &Finished<'_>) {
        (self.0)(finished);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}
