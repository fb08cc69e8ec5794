//! A proxy that the server itself needs to get out.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::hosts::{HostRule, canonical};

#[cfg(test)]
mod tests;

/// More header than any proxy answers with.
const MAX_HEAD: usize = 8192;

/// An HTTP proxy that takes `CONNECT` (RFC 9110 §9.3.6), for all connections of a run but those to `direct` hosts.
///
/// It resolves names, so of a host that it leads to only the name is judged; under [`Egress::Full`](super::Egress), the addresses
/// too if this machine knows any. Many let through port 443 alone.
/// Nothing inside a run knows of it, nor its password.
#[derive(Clone)]
pub struct Upstream {
    host: String,
    port: u16,
    /// `Basic …`.
    authorization: Option<Zeroizing<String>>,
    direct: Vec<HostRule>,
}

/// A text that is no proxy's address. It does not repeat it, for there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is written http://host:port or http://user:password@host:port")]
pub struct InvalidUpstream;

impl Upstream {
    /// Reads `http://[user:password@]host[:port]`, percent-encoded as in any URL. `direct` hosts are connected to without it.
    pub fn parse(text: &str, direct: Vec<HostRule>) -> Result<Self, InvalidUpstream> {
        let url = url::Url::parse(text).map_err(|_| InvalidUpstream)?;
        let plain = url.scheme() == "http" && url.path() == "/" && url.query().is_none();
        let host = url.host_str().filter(|_| plain).ok_or(InvalidUpstream)?;
        let decode =
            |text: &str| Zeroizing::new(percent_decode_str(text).decode_utf8_lossy().into_owned());
        let authorization = (!url.username().is_empty()).then(|| {
            let user = decode(url.username());
            let password = decode(url.password().unwrap_or(""));
            let pair = Zeroizing::new(format!("{}:{}", *user, *password));
            Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        });
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            authorization,
            direct,
        })
    }

    /// Whether a host is connected to without it.
    pub(super) fn spares(&self, host: &str, port: u16) -> bool {
        let Some(host) = canonical(host) else {
            return false;
        };
        self.direct
            .iter()
            .any(|rule| rule.names(&host) && rule.opens(port))
    }

    /// Its name or address, and its port.
    pub(crate) fn server(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// A connection to `host`, a name or an address, through the proxy.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let mut request = Zeroizing::new(format!(
            "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        ));
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let head = read_head(&mut stream).await?;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&head).map_err(std::io::Error::other)?;
        match response.code {
            Some(200..=299) if parsed.is_complete() => Ok(stream),
            code => Err(std::io::Error::other(format!(
                "the proxy answered {code:?}"
            ))),
        }
    }
}

/// Up to the empty line and not a byte further: what follows is the host's.
async fn read_head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(std::io::Error::other("the proxy's answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({}:{})", self.host, self.port)
    }
}
