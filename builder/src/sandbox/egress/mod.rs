//! Where a build may connect to, and how it gets there.
//!
//! The run's network namespace has a loopback and nothing else. Rules inside it, which nobody inside may change, turn every TCP
//! connection and DNS question to sockets that we opened there; everything else is dropped. We see where the connection was meant to go
//! ([`relay`]), judge it, and connect ourselves. So there is no bridge, no address that could be taken twice, no forwarding
//! and no firewall rule on the host, and the same judge for every protocol: a name is looked up once, by us, and the
//! address that was judged is the one connected to.
//!
//! What this leaves out: UDP other than DNS (tools fall back from QUIC to TCP), ping, and connections into the run.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::error::SandboxError;
use super::host::Host;
use super::namespaces::Namespaces;
use super::tool;

mod dns;
mod hosts;
mod listen;
mod relay;
pub(crate) mod single;
mod upstream;

pub use crate::addresses::AddressRules;
pub use hosts::{HostRule, InvalidHostRule};
pub use upstream::{InvalidUpstream, Upstream};

use dns::Names;

/// Where a run may connect to.
#[derive(Clone, Debug, Default)]
pub enum Egress {
    /// Nowhere; its own loopback works.
    #[default]
    None,
    /// To these hosts, by name, if their addresses are allowed too.
    Registries {
        /// The hosts.
        hosts: Vec<HostRule>,
        /// Where the names may point to.
        addresses: AddressRules,
    },
    /// To any TCP port of the allowed addresses; DNS questions go to the host's own servers, or, where a proxy
    /// ([`Upstream`]) leads out, are answered as under `Registries`.
    Full {
        /// The allowed addresses.
        addresses: AddressRules,
    },
}

/// The name server that is written into the run's `resolv.conf`: nobody's, so that questions to it leave by the rules.
pub(super) const NAME_SERVER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(198, 19, 255, 53);
/// The run's own address, so that its connections have one to come from.
const OWN: &str = "198.19.255.1";
/// Ports of ours inside; below the range that the kernel gives out, above what servers under test use.
const TCP_PORT: u16 = 29_171;
const DNS_PORT: u16 = 29_172;

/// A run's way out, which closes when it is dropped.
pub(super) struct Gateway {
    tasks: JoinSet<()>,
    refused: Refused,
}

/// What was asked for and refused, for the log; so many at most.
#[derive(Clone, Debug, Default)]
struct Refused(Arc<Mutex<Vec<String>>>);

const MAX_REFUSED: usize = 20;

impl Refused {
    fn add(&self, what: String) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() < MAX_REFUSED && !list.contains(&what) {
            list.push(what);
        }
    }
}

impl Gateway {
    /// Sets the namespace's network up.
    pub(super) async fn open(
        namespaces: &Namespaces,
        host: &Host,
        egress: &Egress,
    ) -> Result<Self, SandboxError> {
        let mut ip = namespaces.command("ip");
        ip.args(["-batch", "-"]);
        let closed = matches!(egress, Egress::None);
        let batch = if closed {
            LOOPBACK.to_owned()
        } else {
            addresses()
        };
        tool::run(ip, "ip", batch.as_bytes()).await?;
        let mut gateway = Self {
            tasks: JoinSet::new(),
            refused: Refused::default(),
        };
        if closed {
            return Ok(gateway);
        }
        let mut nft = namespaces.command("nft");
        nft.args(["-f", "-"]);
        tool::run(nft, "nft", rules().as_bytes()).await?;
        let sockets = listen::inside(namespaces).await?;
        let names = Arc::new(Mutex::new(Names::default()));
        let judge = relay::Judge::new(
            egress.clone(),
            host.settings.upstream.clone(),
            names,
            gateway.refused.clone(),
        )?;
        gateway
            .tasks
            .spawn(relay::connections(sockets.tcp, judge.clone()));
        gateway.tasks.spawn(relay::questions(sockets.dns, judge));
        Ok(gateway)
    }

    /// What was refused, each once.
    pub(super) fn refused(&self) -> Vec<String> {
        let list = self
            .refused
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        list.clone()
    }
}

const LOOPBACK: &str = "link set lo up\n";

/// Everything is routed into the loopback, where the rules catch it.
fn addresses() -> String {
    format!("{LOOPBACK}address add {OWN}/32 dev lo\nroute add default dev lo src {OWN}\n")
}

/// What goes to the loopback itself stays; TCP and DNS come to us; the rest goes nowhere. There is no IPv6 route.
pub(super) fn rules() -> String {
    format!(
        "table inet slipway {{
            chain turn {{
                type nat hook output priority -100; policy accept;
                ip daddr {{ 127.0.0.0/8, {OWN} }} return
                ip protocol tcp redirect to :{TCP_PORT}
                udp dport 53 redirect to :{DNS_PORT}
            }}
            chain stop {{
                type filter hook output priority 0; policy drop;
                ip daddr {{ 127.0.0.0/8, {OWN} }} accept
                ip6 daddr ::1 accept
                ct state established,related accept
            }}
        }}
        "
    )
}
