//! How this machine reaches servers of sources.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use super::reach::LOOKUP;
use super::{Fault, FaultClass, Reach};

/// What the configuration says about connections of sources.
#[derive(Clone, Debug, Default)]
pub struct SourceNetwork {
    /// Where they may go.
    pub reach: Reach,
    /// PEM certificates of authorities that are trusted for all hosts, beside the system's; empty if there are none.
    pub certificates: String,
    /// Those that are trusted for one server more, by its host as URLs have it, or `host:port` for that port alone.
    pub authorities: BTreeMap<String, String>,
    /// Lines of `known_hosts` for ssh servers.
    pub known_hosts: String,
    /// Whether an ssh server that is in no `known_hosts` is taken at its word the first time, and held to it after that
    /// within the namespace.
    pub accept_new_hosts: bool,
    /// The proxy for https and ssh, `http://[user:password@]host:port`. Who runs it decides where it connects to.
    pub proxy: Option<String>,
    /// Hosts that are reached without it, `name` or `name:port`; one that begins with `.` stands for all names that end so.
    pub no_proxy: Vec<String>,
    /// A command that calls [`tunnel`](super::git::tunnel) with its last argument: how ssh goes through the proxy. Without it, ssh goes past
    /// the proxy.
    pub tunnel: Vec<OsString>,
}

impl SourceNetwork {
    /// The same, with PEM certificates that are trusted for one server more.
    pub(crate) fn trusting(&self, host: &str, port: u16, pem: &str) -> Self {
        let mut network = self.clone();
        let known = network.authorities.entry(format!("{host}:{port}"));
        let known = known.or_default();
        known.push('\n');
        known.push_str(pem);
        network
    }

    /// PEM certificates that are trusted for a server beside the system's; `None` if there are none.
    pub(crate) fn trusted(&self, host: &str, port: u16) -> Option<String> {
        let of = |server: &str| self.authorities.get(server).map_or("", String::as_str);
        let own = format!("{}\n{}", of(host), of(&format!("{host}:{port}")));
        let all = format!("{}\n{own}", self.certificates);
        (!all.trim().is_empty()).then_some(all)
    }

    /// The proxy on the way to a port of a host.
    pub(crate) fn proxy_for(&self, host: &str, port: u16) -> Option<&str> {
        let excepted = self.no_proxy.iter().any(|rule| {
            let (name, opens) = match rule.rsplit_once(':') {
                Some((name, own)) => (name, own == port.to_string()),
                None => (rule.as_str(), true),
            };
            let domain = name.strip_prefix('.');
            let within = |domain: &str| host == domain || host.ends_with(name);
            opens && (name == host || domain.is_some_and(within))
        });
        self.proxy.as_deref().filter(|_| !excepted)
    }

    /// The proxy on the way to a port of a host over ssh.
    pub(crate) fn proxy_for_ssh(&self, host: &str, port: u16) -> Option<&str> {
        let proxy = self.proxy_for(host, port);
        proxy.filter(|_| !self.tunnel.is_empty())
    }

    /// Where connections to this machine's own servers may go, past any proxy.
    pub(crate) async fn loopback(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, Fault> {
        let mut found = self.reach.resolve(host, port).await?;
        found.retain(IpAddr::is_loopback);
        if found.is_empty() {
            return Err(Fault::new(
                FaultClass::AddressForbidden,
                format!("{host} is not this machine: over http only that is spoken to"),
            ));
        }
        Ok(found)
    }

    /// Where connections over https to a host may go; empty if a proxy decides it.
    pub(crate) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, Fault> {
        self.found(host, port, self.proxy_for(host, port)).await
    }

    /// The same over ssh.
    pub(crate) async fn ssh_addresses(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, Fault> {
        self.found(host, port, self.proxy_for_ssh(host, port)).await
    }

    /// Where connections to a proxy of the configuration go, wherever that is.
    pub(crate) async fn proxy_at(server: (&str, u16)) -> Result<Vec<SocketAddr>, Fault> {
        match tokio::time::timeout(LOOKUP, tokio::net::lookup_host(server)).await {
            Ok(Ok(found)) => Ok(found.collect()),
            Ok(Err(_)) | Err(_) => Err(Fault::new(
                FaultClass::GitRemoteUnreachable,
                "the address of the proxy is not to be had",
            )),
        }
    }

    async fn found(
        &self,
        host: &str,
        port: u16,
        proxy: Option<&str>,
    ) -> Result<Vec<IpAddr>, Fault> {
        if proxy.is_some() {
            self.reach.check_literal(host)?;
            return Ok(Vec::new());
        }
        self.reach.resolve(host, port).await
    }
}
