//! Asking a web server on a stranger's word.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, ClientBuilder};

use super::{Fault, SourceNetwork};

/// A client for one server over https, bound to its checked addresses. It follows nothing.
pub(crate) async fn client(
    host: &str,
    port: u16,
    network: &SourceNetwork,
) -> Result<Client, Fault> {
    let addresses = network.addresses(host, port).await?;
    let builder = bound(host, port, &addresses, network)?.https_only(true);
    builder.build().map_err(|error| failed(&error))
}

/// A client for one server, bound to its checked addresses; to the proxy on the way there if there are none.
pub(crate) fn bound(
    host: &str,
    port: u16,
    addresses: &[IpAddr],
    network: &SourceNetwork,
) -> Result<ClientBuilder, Fault> {
    let sockets = addresses.iter().map(|ip| SocketAddr::new(*ip, port));
    let sockets: Vec<SocketAddr> = sockets.collect();
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(Duration::from_secs(60));
    builder = match network.proxy_for(host, port) {
        Some(proxy) => {
            let proxy = reqwest::Proxy::all(proxy).map_err(|error| failed(&error))?;
            builder.proxy(proxy)
        }
        None => builder.no_proxy().resolve_to_addrs(host, &sockets),
    };
    if let Some(pem) = network.trusted(host, port) {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        let certificates = certificates.map_err(|error| failed(&error))?;
        builder = builder.tls_certs_merge(certificates);
    }
    Ok(builder)
}

fn failed(error: &reqwest::Error) -> Fault {
    Fault::machine(
        "a client for the web",
        &std::io::Error::other(error.to_string()),
    )
}
