//! A wire that breaks: a proxy of bytes that ends connections in the middle.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::OrFail;

/// A proxy before some server on loopback. It serves until the test's process ends.
#[derive(Clone, Debug)]
pub struct Wire {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    after: u64,
    left: AtomicU32,
    carried: AtomicU64,
}

impl Wire {
    /// Before `upstream`: the first `times` connections that carry `after` bytes in one direction are cut there.
    pub fn start(upstream: &str, after: u64, times: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").or_fail("listen");
        let wire = Self {
            address: listener.local_addr().or_fail("an address"),
            state: Arc::new(State {
                after,
                left: AtomicU32::new(times),
                carried: AtomicU64::new(0),
            }),
        };
        let (state, upstream) = (Arc::clone(&wire.state), upstream.to_owned());
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&upstream) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let ends = from
                        .try_clone()
                        .and_then(|from| Ok((from, to.try_clone()?)));
                    let (from, to) = ends.or_fail("clone a socket");
                    let state = Arc::clone(&state);
                    std::thread::spawn(move || state.carry(from, to));
                }
            }
        });
        wire
    }

    /// Where it answers: `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How many more connections it will cut.
    pub fn cuts_left(&self) -> u32 {
        self.state.left.load(Ordering::Relaxed)
    }

    /// Bytes in both directions so far.
    pub fn carried(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }
}

impl State {
    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        let mut carried = 0;
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            carried += read as u64;
            self.carried.fetch_add(read as u64, Ordering::Relaxed);
            let is_due = carried >= self.after
                && self
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok();
            if is_due || to.write_all(&buffer[..read]).is_err() {
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    }
}
