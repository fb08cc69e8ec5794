//! What bounds requests.

use std::time::Duration;

use super::{Admissions, Hosts, TrustedProxies};

/// What bounds a request, and what the front must know of its surroundings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests under way at once, by class.
    pub admissions: Admissions,
    /// Silence after which a request's body is given up.
    pub body_stall: Duration,
    /// Proxies whose forwarded headers count.
    pub trusted_proxies: TrustedProxies,
    /// Names that clients reach the registry by.
    pub hosts: Hosts,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admissions: Admissions::default(),
            body_stall: Duration::from_secs(60),
            trusted_proxies: TrustedProxies::default(),
            hosts: Hosts::default(),
        }
    }
}
