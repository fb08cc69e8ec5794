//! Traces for an OpenTelemetry collector, by OTLP over HTTP: one span a request.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use registry::http::{Finished, Sink};

use crate::commands::VERSION;
use crate::config::Telemetry;

/// Traces on their way to the collector.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

/// Starts the exporter, if a collector is configured. A collector that does not answer costs spans,
/// never requests: they are sent in batches by a thread of their own.
pub(crate) fn start(telemetry: &Telemetry) -> anyhow::Result<Option<Traces>> {
    let Some(endpoint) = &telemetry.otlp_endpoint else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .with_context(|| format!("telemetry.otlpEndpoint: {endpoint}"))?;
    let resource = Resource::builder()
        .with_service_name("slipway")
        .with_attribute(KeyValue::new("service.version", VERSION))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    Ok(Some(Traces { provider }))
}

impl Traces {
    /// What makes a span of each finished request.
    pub(crate) fn sink(&self) -> Sink {
        let tracer = Arc::new(self.provider.tracer("slipway"));
        let propagator = TraceContextPropagator::new();
        Sink::new(move |finished| record(&tracer, &propagator, finished))
    }

    /// Sends what is left.
    pub(crate) fn stop(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Attributes are named by OpenTelemetry's semantic conventions for HTTP servers.
fn record(tracer: &SdkTracer, propagator: &TraceContextPropagator, finished: &Finished<'_>) {
    let mut carrier = HashMap::new();
    if let Some(traceparent) = finished.traceparent {
        carrier.insert("traceparent".to_owned(), traceparent.to_owned());
    }
    let parent = propagator.extract(&carrier);
    let builder = tracer
        .span_builder(finished.operation)
        .with_kind(SpanKind::Server)
        .with_start_time(finished.started)
        .with_attributes([
            KeyValue::new("http.request.method", finished.method.to_owned()),
            KeyValue::new("url.path", finished.path.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(finished.status)),
            KeyValue::new(
                "http.response.body.size",
                i64::try_from(finished.sent).unwrap_or(i64::MAX),
            ),
            KeyValue::new("request.id", finished.request_id.clone()),
        ]);
    let mut span = tracer.build_with_context(builder, &parent);
    if finished.status >= 500 {
        span.set_status(Status::error(""));
    }
    span.end_with_timestamp(finished.started + finished.took);
}
