//! One record a request: a line in the access log and a mark in the metrics.

mod access_log;
mod metrics;
mod process;
mod sink;
mod watched;

pub use access_log::{AccessLog, Format};
pub use metrics::Metrics;
pub use sink::{Finished, Sink};

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::{HeaderValue, Method, StatusCode, Uri};

use super::audit::Recorder;
use super::{RequestId, told};

/// Where records go.
#[derive(Debug)]
pub struct Observer {
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// Where the lines go.
    pub log: AccessLog,
    /// Who else wants to know.
    pub sink: Option<Sink>,
    /// Where rows of the audit record go.
    pub audit: Arc<Recorder>,
}

/// What is known of a request, filled in on its way. Dropping it writes it down, so that a
/// request is recorded however it ends: also when its client goes away in the middle of a blob.
#[derive(Debug)]
pub(super) struct Record {
    observer: Arc<Observer>,
    started: Instant,
    pub(super) at: SystemTime,
    pub(super) id: RequestId,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) operation: &'static str,
    pub(super) client: IpAddr,
    pub(super) user: Option<auth::Identity>,
    pub(super) status: StatusCode,
    /// Bytes of the reply's body that were handed to the connection.
    pub(super) sent: u64,
    /// OCI error code and hidden cause of a failure.
    pub(super) error: Option<(&'static str, Option<String>)>,
    /// What the room that was asked says that the request was about, for the audit record.
    pub(super) reference: String,
    /// The caller's place in a trace; kept only for a sink.
    pub(super) traceparent: Option<HeaderValue>,
}

impl Record {
    pub(super) fn start(
        observer: &Arc<Observer>,
        id: RequestId,
        method: Method,
        uri: Uri,
        client: IpAddr,
        at: SystemTime,
    ) -> Self {
        observer.metrics.in_flight.inc();
        Self {
            observer: Arc::clone(observer),
            started: Instant::now(),
            at,
            id,
            method,
            uri,
            operation: "other",
            client,
            user: None,
            status: StatusCode::OK,
            sent: 0,
            error: None,
            reference: String::new(),
            traceparent: None,
        }
    }
}

impl Record {
    pub(super) fn recorder(&self) -> &Recorder {
        &self.observer.audit
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let metrics = &self.observer.metrics;
        metrics.in_flight.dec();
        metrics.observe(self.operation, self.status.as_u16(), took, self.sent);
        self.observer.log.write(self, took);
        if let Some(sink) = &self.observer.sink {
            let traceparent = self.traceparent.as_ref();
            sink.take(&Finished {
                operation: self.operation,
                method: self.method.as_str(),
                path: &told::address(self.uri.path()),
                status: self.status.as_u16(),
                started: self.at,
                took,
                sent: self.sent,
                request_id: self.id.to_string(),
                traceparent: traceparent.and_then(|value| value.to_str().ok()),
            });
        }
    }
}
