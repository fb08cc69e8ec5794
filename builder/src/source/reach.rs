//! Which addresses a build's sources may come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::{Fault, FaultClass};

#[cfg(test)]
mod tests;

/// The addresses that may be connected to on a stranger's word: public ones, and what the configuration adds.
///
/// A name is resolved once and the connection goes to what was checked, so that a name which changes its mind in between
/// (DNS rebinding) gains nothing. Never, whatever is configured: the services where clouds hand out a machine's identity, and
/// what does not leave a link.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    allowed: Vec<IpNet>,
}

impl Reach {
    /// Public addresses, and those of `allowed`: private networks that builds may use, loopback on a machine of one's own.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether an address may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = embedded(address);
        if is_never(address) {
            return false;
        }
        is_public(address) || self.allowed.iter().any(|net| net.contains(&address))
    }

    /// The addresses of a host that may be connected to, at least one.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, Fault> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let lookup = tokio::net::lookup_host((bare, port));
        let found = tokio::time::timeout(LOOKUP, lookup).await;
        let unreachable = |why: &str| {
            Fault::new(
                FaultClass::GitRemoteUnreachable,
                format!("the address of {host} is not to be had: {why}"),
            )
        };
        let found: Vec<IpAddr> = match found {
            Err(_) => return Err(unreachable("no answer in time")),
            Ok(Err(error)) => return Err(unreachable(&error.to_string())),
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        };
        let allowed: Vec<IpAddr> = found.into_iter().filter(|ip| self.allows(*ip)).collect();
        if allowed.is_empty() {
            return Err(forbidden(host));
        }
        Ok(allowed)
    }

    /// Refuses a host that is written as an address which may not be reached. For hosts that a proxy resolves.
    pub(crate) fn check_literal(&self, host: &str) -> Result<(), Fault> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(address) if !self.allows(address) => Err(forbidden(host)),
            _ => Ok(()),
        }
    }
}

fn forbidden(host: &str) -> Fault {
    // Which address it was is not said: the answer would map the inner network.
    Fault::new(
        FaultClass::AddressForbidden,
        format!(
            "{host} is no public address, and builds may only reach those: an administrator can allow others"
        ),
    )
}

/// How long a name's resolution may take.
const LOOKUP: Duration = Duration::from_secs(10);

/// The IPv4 address that an IPv6 address leads to by translation or tunnel, else the address itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        // IPv4-mapped (RFC 4291), IPv4-translated (RFC 7915), NAT64 (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // IPv4-compatible (RFC 4291, deprecated).
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        _ => address,
    }
}

/// What nobody may configure away.
fn is_never(address: IpAddr) -> bool {
    // Alibaba Cloud, Oracle Cloud, Azure. The others' 169.254.169.254 is link-local.
    const METADATA_V4: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    // Amazon, Google.
    const METADATA_V6: [Ipv6Addr; 2] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    match address {
        IpAddr::V4(v4) => {
            let nowhere = v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast();
            nowhere || v4.is_link_local() || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            let nowhere = v6.is_unspecified() || v6.is_multicast();
            nowhere || v6.is_unicast_link_local() || METADATA_V6.contains(&v6)
        }
    }
}

/// Whether the IANA registries of special-purpose addresses call it globally reachable (RFC 6890 and later).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is given out at all; within it, what is for protocols and documentation.
    match address.segments() {
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}
