use std::time::UNIX_EPOCH;

use super::*;

struct Lab {
    throttle: Throttle,
    keyed: Keyed,
}

fn lab() -> Lab {
    Lab {
        throttle: Throttle::new(),
        keyed: Keyed::new().unwrap(),
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

impl Lab {
    fn attempt(&self, account: &str, from: &str, seconds: u64) -> Result<Attempt, Duration> {
        let from = Some(from.parse().unwrap());
        self.throttle
            .attempt(&self.keyed, account, from, at(seconds))
    }

    /// Fails until refused; how often that went.
    fn exhaust(&self, account: &str, from: &str, seconds: u64) -> usize {
        (0..1000)
            .take_while(|_| self.attempt(account, from, seconds).is_ok())
            .count()
    }
}

#[test]
fn ten_failures_then_one_in_six_seconds() {
    let lab = lab();
    assert_eq!(lab.exhaust("alice", "10.0.0.1", 0), 10);
    assert_eq!(
        lab.attempt("alice", "10.0.0.1", 0).err(),
        Some(Duration::from_secs(6))
    );
    assert_eq!(
        lab.attempt("alice", "10.0.0.1", 5).err(),
        Some(Duration::from_secs(1))
    );
    assert!(lab.attempt("alice", "10.0.0.1", 6).is_ok());
    assert!(lab.attempt("alice", "10.0.0.1", 6).is_err());
    assert_eq!(lab.exhaust("alice", "10.0.0.1", 10_000), 10);
}

#[test]
fn one_account_does_not_lock_another_nor_itself_elsewhere() {
    let lab = lab();
    lab.exhaust("alice", "10.0.0.1", 0);
    assert!(lab.attempt("bob", "10.0.0.1", 0).is_ok());
    assert!(lab.attempt("alice", "10.0.0.2", 0).is_ok());
}

#[test]
fn many_accounts_from_one_address_are_one_guesser() {
    let lab = lab();
    let passed = (0..1000)
        .filter(|n| lab.attempt(&n.to_string(), "10.0.0.1", 0).is_ok())
        .count();
    assert_eq!(passed, 100);
    assert!(lab.attempt("alice", "10.0.0.1", 0).is_err());
    assert!(lab.attempt("alice", "10.0.0.2", 0).is_ok());
}

#[test]
fn an_ipv6_network_is_one_address_and_a_mapped_ipv4_is_that_ipv4() {
    let lab = lab();
    lab.exhaust("alice", "2001:db8:1:2::1", 0);
    assert!(lab.attempt("alice", "2001:db8:1:2:ffff::9", 0).is_err());
    assert!(lab.attempt("alice", "2001:db8:1:3::1", 0).is_ok());
    lab.exhaust("alice", "10.0.0.1", 0);
    assert!(lab.attempt("alice", "::ffff:10.0.0.1", 0).is_err());
}

#[test]
fn what_is_forgiven_does_not_count() {
    let lab = lab();
    for _ in 0..1000 {
        let attempt = lab.attempt("alice", "10.0.0.1", 0).unwrap();
        lab.throttle.forgive(&attempt);
    }
    assert_eq!(lab.exhaust("alice", "10.0.0.1", 0), 10);
}

#[test]
fn a_clock_set_back_forgives_nothing() {
    let lab = lab();
    lab.exhaust("alice", "10.0.0.1", 1000);
    assert!(lab.attempt("alice", "10.0.0.1", 0).is_err());
}

#[test]
fn the_number_of_counters_is_bounded() {
    let lab = lab();
    for n in 0..u32::try_from(COUNTERS * 2).unwrap() {
        let _ = lab.attempt("alice", &std::net::Ipv4Addr::from(n).to_string(), 0);
    }
    assert!(lab.throttle.lock().len() <= COUNTERS);
}
