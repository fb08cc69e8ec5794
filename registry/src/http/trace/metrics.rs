//! Counters by Prometheus' conventions: base units, `_total`, labels of few values.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Names;

use super::process::Process;
use super::watched::{Kind, Watched};

/// Seconds: from a manifest out of memory to a layer over a slow line.
const BUCKETS: [f64; 12] = [
    0.000_1, 0.000_5, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    operation: &'static str,
}

/// The HTTP metrics, and the list of all metrics of the program.
#[derive(Debug)]
pub struct Metrics {
    all: Names,
    requests: Family<Answered, Counter>,
    duration: Family<Asked, Histogram, fn() -> Histogram>,
    sent: Family<Asked, Counter>,
    pub(super) in_flight: Gauge,
}

impl Metrics {
    /// The metrics of a program called `slipway`, at version `version`.
    pub fn new(version: &'static str) -> Self {
        let mut all = Names::default();
        let process = all.sub_registry_with_prefix("process");
        process.register_collector(Box::new(Process));
        let names = all.sub_registry_with_prefix("slipway");
        let requests = Family::<Answered, Counter>::default();
        let duration: Family<Asked, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let sent = Family::<Asked, Counter>::default();
        let in_flight = Gauge::default();
        names.register(
            "http_requests",
            "Requests answered, by operation and status",
            requests.clone(),
        );
        names.register(
            "http_request_duration_seconds",
            "From the request's head to the last byte of the reply's body",
            duration.clone(),
        );
        names.register("http_response_bytes", "Bytes of reply bodies", sent.clone());
        names.register(
            "http_requests_in_flight",
            "Requests not answered to the end",
            in_flight.clone(),
        );
        let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
        build.get_or_create(&vec![("version", version)]).set(1);
        names.register("build_info", "The running version", build);
        Self {
            all,
            requests,
            duration,
            sent,
            in_flight,
        }
    }

    /// Shows `slipway_<name>`, read whenever the metrics are asked for.
    pub fn watch(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.register(Kind::Gauge, name, help, Box::new(read));
    }

    /// Shows `slipway_<name>_total`, a count since the start, read whenever the metrics are asked for.
    pub fn watch_total(
        &mut self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        let read = move || read() as f64;
        self.register(Kind::Counter, name, help, Box::new(read));
    }

    /// Where what others count is entered; its name gets `slipway_` before it.
    pub fn names(&mut self) -> &mut Names {
        self.all.sub_registry_with_prefix("slipway")
    }

    fn register(
        &mut self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        read: Box<dyn Fn() -> f64 + Send + Sync>,
    ) {
        self.names().register_collector(Box::new(Watched {
            kind,
            name,
            help,
            read,
        }));
    }

    pub(super) fn observe(&self, operation: &'static str, code: u16, took: Duration, sent: u64) {
        let asked = Asked { operation };
        self.requests
            .get_or_create(&Answered { operation, code })
            .inc();
        self.duration
            .get_or_create(&asked)
            .observe(took.as_secs_f64());
        if sent > 0 {
            self.sent.get_or_create(&asked).inc_by(sent);
        }
    }

    /// The text of all metrics, as Prometheus reads it.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.all)?;
        Ok(text)
    }
}
