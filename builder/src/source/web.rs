//! Asking a web server on a stranger's word.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;

use super::{Fault, SourceNetwork};

/// A client for one server over https, bound to its checked addresses. It follows nothing.
pub(crate) async fn client(
    host: &str,
    port: u16,
    network: &SourceNetwork,
) -> Result<Client, Fault> {
    let failed = |error: reqwest::Error| {
        Fault::machine("a client for the web", &std::io::Error::other(error))
    };
    let addresses = network.addresses(host, port).await?;
    let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
    let sockets: Vec<SocketAddr> = sockets.collect();
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .https_only(true)
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(Duration::from_secs(60));
    builder = match network.proxy_for(host, port) {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(failed)?),
        None => builder.no_proxy().resolve_to_addrs(host, &sockets),
    };
    if let Some(pem) = network.trusted(host, port) {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(failed)?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(failed)
}
