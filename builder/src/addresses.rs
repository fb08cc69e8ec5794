//! Which addresses the server connects to on a build's behalf: for its sources ([`crate::source`]) and for its programs
//! ([`crate::sandbox`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use ipnet::IpNet;

#[cfg(test)]
mod tests;

/// Public addresses, and those private ones that the configuration names.
///
/// The server's own addresses only if they are named: from within the machine they may answer what its firewall keeps from others.
/// Never, whatever is configured: the clouds' metadata services, link-local and multicast addresses. Source: IANA's
/// special-purpose address registries (RFC 6890) and the clouds' documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    allowed: Vec<IpNet>,
}

impl AddressRules {
    /// Allows these ranges besides what is public.
    pub fn allowing(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether a connection may be made; `own` says whether the address is the machine's. An IPv6 address that stands for an
    /// IPv4 address is judged as that.
    pub fn permit(&self, address: IpAddr, own: bool) -> bool {
        let address = plain(address);
        if is_never(address) {
            return false;
        }
        let named = || self.allowed.iter().any(|range| range.contains(&address));
        (is_public(address) && !own) || named()
    }
}

/// Whether an address is this machine's: only then can a socket have it.
pub(crate) fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((plain(address), 0)).is_ok()
}

/// The IPv4 address inside a mapped, translated (NAT64) or 6to4 address; otherwise the address.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let v4 = |high: u16, low: u16| {
        let bits = (u32::from(high) << 16) | u32::from(low);
        IpAddr::V4(Ipv4Addr::from_bits(bits))
    };
    match v6.segments() {
        // `::` and `::1`, which are in ::/96 but stand for themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        // ::/96, ::ffff:0:0/96, ::ffff:0:0:0/96, 64:ff9b::/96, 2002::/16.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

/// What nobody may configure away: services that hand out a machine's identity, and what never leaves a link.
fn is_never(address: IpAddr) -> bool {
    const METADATA_V4: [Ipv4Addr; 3] = [
        // Alibaba Cloud, Oracle Cloud, Azure's wire server; 169.254.169.254 is link-local.
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    // Amazon's and Google's.
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
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let local = a == 0 || v4.is_loopback() || v4.is_private() || v4.is_documentation();
            // Shared by carriers (RFC 6598), protocol assignments, benchmarks (RFC 2544), 6to4 relays, reserved.
            let carrier = a == 100 && (64..128).contains(&b);
            let assigned = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
            let benchmark = a == 198 && (b == 18 || b == 19);
            !(local || carrier || assigned || benchmark || a >= 240)
        }
        // Only 2000::/3 is given out at all; within it, what is for protocols (Teredo hides an IPv4 address) and documentation.
        IpAddr::V6(v6) => match v6.segments() {
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}
