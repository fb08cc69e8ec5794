//! Ports that tests running at the same time, in any process, do not share.

use std::fs::File;
use std::net::TcpListener;
use std::sync::Mutex;

use crate::{OrFail, fail};

/// Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes one meanwhile.
const FIRST: u16 = 21_000;
const LAST: u16 = 32_000;

/// Reserves a port until the process ends: a lock on a file named after it, and a successful bind.
pub fn reserve() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let dir = std::env::temp_dir().join("slipway-lab-ports");
    std::fs::create_dir_all(&dir).or_fail("make the folder of port locks");
    for _ in 0..10_000 {
        let port = fastrand::u16(FIRST..LAST);
        let lock = File::create(dir.join(port.to_string())).or_fail("open a port's lock");
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().or_fail("note the port").push(lock);
            return port;
        }
    }
    fail(format!("no free port between {FIRST} and {LAST}"))
}
