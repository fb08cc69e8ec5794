//! The connection to the API server.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryFutureExt as _};
use http::{Request, Response, Uri};
use http_body_util::Limited;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::ServiceBuilder;

/// A client that connects within `connect_within` and reads no answer beyond `max_answer` bytes.
pub(super) fn client(
    mut config: Config,
    connect_within: Duration,
    max_answer: usize,
) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(connect_within);
    // A question that is asked again is a new question: whoever wants it asks.
    config.default_retry = false;
    config.reset_reader_on_write = true;
    if is_excepted(&config) {
        config.proxy_url = None;
    }
    if config.proxy_url.is_some() {
        let bounded = tower::layer::layer_fn(move |inner| Bounded { inner, max_answer });
        let client = ClientBuilder::try_from(config)?.with_layer(&bounded);
        return Ok(client.build());
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp())?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: legacy::Client<_, Body> =
        legacy::Client::builder(TokioExecutor::new()).build(connector);
    let inner = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(tower::BoxError::from)
        .service(http);
    Ok(Client::new(
        Bounded { inner, max_answer },
        config.default_namespace,
    ))
}

/// Whether the proxy is that of the environment and `NO_PROXY` excepts the API server from it. The library looks there for
/// the proxy itself.
fn is_excepted(config: &Config) -> bool {
    let is_of_environment = ["HTTPS_PROXY", "https_proxy"]
        .iter()
        .filter_map(|name| std::env::var(name).ok()?.parse::<Uri>().ok())
        .any(|proxy| Some(proxy) == config.proxy_url);
    is_of_environment && Matcher::from_env().intercept(&config.cluster_url).is_none()
}

/// A connection whose writes leave at once. With Nagle's algorithm (RFC 896), as the library connects, the first question
/// after a handshake waits for the acknowledgement of its last message, which peers delay by some 40 ms (RFC 1122 §4.2.3.2).
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

/// Reads no more of an answer than it may have.
#[derive(Clone)]
struct Bounded<S> {
    inner: S,
    max_answer: usize,
}

impl<S, B> tower::Service<Request<Body>> for Bounded<S>
where
    S: tower::Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<Limited<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let max = self.max_answer;
        let limited = move |response: Response<B>| response.map(|body| Limited::new(body, max));
        self.inner.call(request).map_ok(limited).boxed()
    }
}
