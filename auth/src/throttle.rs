//! Slowing down whoever guesses passwords.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use quick_cache::unsync::Cache;

use crate::keyed::{Fingerprint, Keyed};

#[cfg(test)]
mod tests;

/// What one address may fail at one account: ten at once, then one in six seconds.
const ACCOUNT: Limit = Limit {
    burst: 10.0,
    per_second: 1.0 / 6.0,
};
/// What one address may fail over all accounts. Higher, since a whole office may stand behind one address.
const ADDRESS: Limit = Limit {
    burst: 100.0,
    per_second: 1.0,
};
/// Counters kept. To push a counter out takes about as many failures, and [`ADDRESS`] limits those.
const COUNTERS: usize = 16 * 1024;

#[derive(Clone, Copy)]
struct Limit {
    burst: f64,
    per_second: f64,
}

/// Counts failures per (account, address) and per address in leaky buckets, bounded in number.
pub(crate) struct Throttle {
    buckets: Mutex<Cache<Fingerprint, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    level: f64,
    at: SystemTime,
}

/// An attempt that is counted as failed until [forgiven](Throttle::forgive).
#[derive(Clone)]
pub(crate) struct Attempt {
    account: Fingerprint,
    address: Fingerprint,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            buckets: Mutex::new(Cache::new(COUNTERS)),
        }
    }

    /// Counts an attempt before its outcome is known, so that many at once do not slip through together; or says how
    /// long to wait.
    pub(crate) fn attempt(
        &self,
        keyed: &Keyed,
        account: &str,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Attempt, Duration> {
        let network = network(from);
        let attempt = Attempt {
            account: keyed.of(&[b"account", account.as_bytes(), &network]),
            address: keyed.of(&[b"address", &network]),
        };
        let mut buckets = self.lock();
        let account = ACCOUNT.leaked(buckets.get(&attempt.account), now);
        let address = ADDRESS.leaked(buckets.get(&attempt.address), now);
        let wait = ACCOUNT.wait(account).max(ADDRESS.wait(address));
        if wait > 0.0 {
            return Err(Duration::from_secs_f64(wait.ceil()));
        }
        buckets.insert(
            attempt.account,
            Bucket {
                level: account + 1.0,
                at: now,
            },
        );
        buckets.insert(
            attempt.address,
            Bucket {
                level: address + 1.0,
                at: now,
            },
        );
        Ok(attempt)
    }

    /// The attempt was none to count: the password was right, or was not looked at.
    pub(crate) fn forgive(&self, attempt: &Attempt) {
        let mut buckets = self.lock();
        for key in [attempt.account, attempt.address] {
            if let Some(mut bucket) = buckets.get_mut(&key) {
                bucket.level = (bucket.level - 1.0).max(0.0);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache<Fingerprint, Bucket>> {
        // Every change is one insert: a panic in between leaves nothing half done.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Limit {
    fn leaked(self, bucket: Option<&Bucket>, now: SystemTime) -> f64 {
        bucket.map_or(0.0, |bucket| {
            // A clock set back leaks nothing.
            let passed = now.duration_since(bucket.at).unwrap_or_default();
            (bucket.level - passed.as_secs_f64() * self.per_second).max(0.0)
        })
    }

    fn wait(self, level: f64) -> f64 {
        (level + 1.0 - self.burst) / self.per_second
    }
}

/// Whoever has one IPv6 address has its /64.
pub(crate) fn network(from: Option<IpAddr>) -> Vec<u8> {
    match from.map(|address| address.to_canonical()) {
        None => Vec::new(),
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
    }
}
