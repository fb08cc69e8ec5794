//! Which addresses a build's sources may come from.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::{Fault, FaultClass};
use crate::addresses::{AddressRules, is_own};

#[cfg(test)]
mod tests;

/// The addresses that may be connected to on a stranger's word: public ones, and what the configuration adds.
///
/// A name is resolved once and the connection goes to what was checked, so that a name which changes its mind in between
/// (DNS rebinding) gains nothing.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    rules: AddressRules,
}

impl Reach {
    /// Public addresses, and those of `allowed`: private networks that builds may use, loopback on a machine of one's own.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self {
            rules: AddressRules::allowing(allowed),
        }
    }

    /// Whether an address may be connected to. The machine's own count as private, like those of programs: what listens there
    /// may answer a neighbour as it answers no stranger.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.rules.permit(address, is_own(address))
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
            "{host} is no public address, or is the server's own machine, and sources may only come from public addresses of \
             others: an administrator allows more in the server's configuration (builder.network.allow)"
        ),
    )
}

/// How long a name's resolution may take.
pub(super) const LOOKUP: Duration = Duration::from_secs(10);
