//! Ports that tests running at the same time, in any process, do not share.

use std::fs::File;
use std::ops::RangeInclusive;
use std::sync::Mutex;

use crate::{OrFail, fail};

/// Where ports are taken from, as far as outgoing connections leave it alone.
const WANTED: RangeInclusive<u16> = 21_000..=32_000;

/// Reserves a port until the process ends: a lock on a file named after it, and nobody on it.
///
/// Nothing is bound to find that out: a program that another thread starts at that moment would inherit the
/// socket and hold the port until its `exec`, which on a busy machine is after the server's own start.
pub fn reserve() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let dir = std::env::temp_dir().join("slipway-lab-ports");
    std::fs::create_dir_all(&dir).or_fail("make the folder of port locks");
    let range = range(&read("/proc/sys/net/ipv4/ip_local_port_range"));
    for _ in 0..10_000 {
        let port = fastrand::u16(range.clone());
        let lock = File::create(dir.join(port.to_string())).or_fail("open a port's lock");
        if lock.try_lock().is_ok() && !in_use(port) {
            HELD.lock().or_fail("note the port").push(lock);
            return port;
        }
    }
    fail(format!("no free port in {range:?}"))
}

/// The part of [`WANTED`] out of which the kernel takes no port for a connection going out
/// (`ip_local_port_range`), or what lies above the kernel's when that is nearly nothing.
fn range(ephemeral: &str) -> RangeInclusive<u16> {
    const ENOUGH: u16 = 1_000;
    let bounds: Vec<u16> = ephemeral
        .split_whitespace()
        .filter_map(|bound| bound.parse().ok())
        .collect();
    let &[low, high] = bounds.as_slice() else {
        fail(format!("ip_local_port_range reads {ephemeral:?}"));
    };
    if high < *WANTED.start() || low > *WANTED.end() {
        WANTED
    } else if low.saturating_sub(ENOUGH) >= *WANTED.start() {
        *WANTED.start()..=low - 1
    } else if high <= u16::MAX - ENOUGH {
        high + 1..=u16::MAX
    } else {
        fail(format!(
            "connections going out may take any port ({low} to {high}): narrow it with \
             `sysctl net.ipv4.ip_local_port_range='32768 60999'`"
        ))
    }
}

/// Whether a socket of this machine has the port as its own, in any state (`proc_pid_net(5)`).
fn in_use(port: u16) -> bool {
    let own = format!(":{port:04X}");
    // The second is not there on a kernel without IPv6.
    [
        read("/proc/net/tcp"),
        std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default(),
    ]
    .iter()
    .flat_map(|table| table.lines().skip(1))
    .filter_map(|line| line.split_whitespace().nth(1))
    .any(|local| local.ends_with(&own))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).or_fail(format!("read {path}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn ports_lie_where_no_outgoing_connection_takes_them() {
        assert_eq!(range("32768\t60999\n"), WANTED);
        assert_eq!(range("1024 20000"), WANTED);
        assert_eq!(range("30000 65535"), 21_000..=29_999);
        assert_eq!(range("16000 60999"), 61_000..=u16::MAX);
    }

    #[test]
    fn a_port_with_a_listener_is_in_use_and_a_reserved_one_is_not() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        assert!(in_use(listener.local_addr().expect("an address").port()));
        assert!(!in_use(reserve()));
    }
}
