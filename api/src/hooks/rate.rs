//! How many calls come from where.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use quick_cache::unsync::Cache;

/// Of one client to one build: a forge sends one for a push.
const BUILD: Limit = Limit {
    burst: 60.0,
    per_second: 1.0,
};

/// Of one client: behind one address a forge serves many builds.
const CLIENT: Limit = Limit {
    burst: 600.0,
    per_second: 20.0,
};

/// Counters kept; those that are asked for least go first.
const COUNTERS: usize = 16 * 1024;

#[derive(Clone, Copy)]
struct Limit {
    burst: f64,
    per_second: f64,
}

#[derive(Clone, Copy)]
struct Bucket {
    level: f64,
    at: SystemTime,
}

/// Leaky buckets, bounded in number.
pub(super) struct Rate {
    buckets: Mutex<Cache<u64, Bucket>>,
    /// Nobody can choose two places that share a counter.
    hasher: RandomState,
}

impl Rate {
    pub(super) fn new() -> Self {
        Self {
            buckets: Mutex::new(Cache::new(COUNTERS)),
            hasher: RandomState::new(),
        }
    }

    /// Counts a call, or says how long to wait.
    pub(super) fn turn(
        &self,
        client: IpAddr,
        place: &[&str; 2],
        now: SystemTime,
    ) -> Result<(), Duration> {
        let client = network(client);
        let counted = [
            (self.hasher.hash_one((client, place)), BUILD),
            (self.hasher.hash_one(client), CLIENT),
        ];
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let levels = counted.map(|(key, limit)| limit.leaked(buckets.get(&key).copied(), now));
        for (level, (_, limit)) in levels.iter().zip(counted) {
            let above = level + 1.0 - limit.burst;
            if above > 0.0 {
                return Err(Duration::from_secs_f64((above / limit.per_second).ceil()));
            }
        }
        for (level, (key, _)) in levels.iter().zip(counted) {
            let level = level + 1.0;
            buckets.insert(key, Bucket { level, at: now });
        }
        Ok(())
    }
}

/// Whom an address is of: of IPv6 a client has a whole network (RFC 4291: /64).
pub(super) fn network(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

impl Limit {
    fn leaked(self, bucket: Option<Bucket>, now: SystemTime) -> f64 {
        bucket.map_or(0.0, |bucket| {
            // A clock that is set back leaks nothing.
            let passed = now.duration_since(bucket.at).unwrap_or_default();
            (bucket.level - passed.as_secs_f64() * self.per_second).max(0.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{BUILD, CLIENT, Rate};

    const BURST: u32 = 60;

    #[test]
    fn a_burst_is_taken_and_then_one_a_second() {
        let rate = Rate::new();
        let client = "192.0.2.1".parse().unwrap();
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert!((BUILD.burst - f64::from(BURST)).abs() < 0.1);
        for _ in 0..BURST {
            rate.turn(client, &["team", "app"], begin).unwrap();
        }
        let wait = rate.turn(client, &["team", "app"], begin).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        // Another build and another client have their own.
        rate.turn(client, &["team", "other"], begin).unwrap();
        let other = "192.0.2.2".parse().unwrap();
        rate.turn(other, &["team", "app"], begin).unwrap();
        let later = begin + wait;
        rate.turn(client, &["team", "app"], later).unwrap();
        rate.turn(client, &["team", "app"], later).unwrap_err();
    }

    #[test]
    fn over_many_builds_one_client_is_bounded_and_a_network_of_ipv6_is_one_client() {
        let rate = Rate::new();
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let mut taken = 0.0;
        for number in 0..2000_u32 {
            let client = format!("2001:db8::{number:x}").parse().unwrap();
            let name = number.to_string();
            if rate.turn(client, &["team", &name], begin).is_ok() {
                taken += 1.0;
            }
        }
        assert!((CLIENT.burst - taken).abs() < 0.1, "{taken}");
    }
}
