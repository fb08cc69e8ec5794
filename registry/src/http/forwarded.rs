//! Headers that a reverse proxy adds. They are believed from configured proxies only: from
//! anybody else they are the words of a stranger (CVE-2026-33433 and its family).

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::Connection;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies whose word counts.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The client's address: the last entry of `X-Forwarded-For` that no trusted proxy wrote.
    /// Entries before it may be anything the client liked to send.
    pub(super) fn client(&self, connection: &Connection, headers: &HeaderMap) -> IpAddr {
        let mut client = connection.peer.ip().to_canonical();
        for header in headers.get_all(&X_FORWARDED_FOR).iter().rev() {
            for entry in header.to_str().unwrap_or_default().rsplit(',') {
                if !self.trusts(client) {
                    return client;
                }
                let Ok(before) = entry.trim().parse::<IpAddr>() else {
                    return client;
                };
                client = before.to_canonical();
            }
        }
        client
    }

    /// Whether the client speaks TLS, to us or to a trusted proxy.
    pub(super) fn is_secure(&self, connection: &Connection, headers: &HeaderMap) -> bool {
        connection.secure
            || (self.trusts(connection.peer.ip().to_canonical())
                && headers
                    .get(&X_FORWARDED_PROTO)
                    .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https")))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::TrustedProxies;
    use crate::http::Connection;
    use http::HeaderMap;

    fn connection(peer: &str) -> Connection {
        Connection {
            peer: format!("{peer}:1234").parse().unwrap(),
            secure: false,
            outlet: sendfile::Outlet::default(),
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn cve_2026_33433_forwarded_headers_of_strangers_count_for_nothing() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let forged = headers(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
        ]);
        let stranger = connection("192.0.2.1");
        assert_eq!(proxies.client(&stranger, &forged).to_string(), "192.0.2.1");
        assert!(!proxies.is_secure(&stranger, &forged));
        let proxy = connection("10.1.1.1");
        assert_eq!(proxies.client(&proxy, &forged).to_string(), "1.2.3.4");
        assert!(proxies.is_secure(&proxy, &forged));
    }

    #[test]
    fn only_what_trusted_proxies_appended_is_believed() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let chain = headers(&[("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.0.0.2")]);
        let client = proxies.client(&connection("10.0.0.1"), &chain);
        assert_eq!(client.to_string(), "203.0.113.9");
        let nonsense = headers(&[("x-forwarded-for", "unknown")]);
        let client = proxies.client(&connection("10.0.0.1"), &nonsense);
        assert_eq!(client.to_string(), "10.0.0.1");
    }

    #[test]
    fn alias_spellings_are_other_headers() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let alias = headers(&[("x_forwarded_for", "1.2.3.4"), ("x-remote-user", "root")]);
        let client = proxies.client(&connection("10.0.0.1"), &alias);
        assert_eq!(client.to_string(), "10.0.0.1");
    }
}
