//! The memory that bodies have, and what one client has of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rate::network;

/// Bytes for all bodies that are in memory at a time.
pub(super) struct Room {
    held: Mutex<Held>,
    most: usize,
    of_a_client: usize,
}

#[derive(Default)]
struct Held {
    all: usize,
    clients: HashMap<u128, usize>,
}

/// What one body has of a room; dropping it gives that back.
pub(super) struct Share {
    room: Arc<Room>,
    client: u128,
    bytes: usize,
}

impl Room {
    /// At most so many bytes, and of one client so many.
    pub(super) fn new(most: usize, of_a_client: usize) -> Self {
        Self {
            held: Mutex::default(),
            most,
            of_a_client,
        }
    }

    /// A share of a client's, which has nothing yet.
    pub(super) fn share(self: &Arc<Self>, client: IpAddr) -> Share {
        Share {
            room: Arc::clone(self),
            client: network(client),
            bytes: 0,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more bytes; false: there are none left, for anybody or for the client.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let mut held = self.room.held();
        let of_client = held.clients.get(&self.client).copied().unwrap_or_default();
        let (all, of_client) = (held.all + bytes, of_client + bytes);
        if all > self.room.most || of_client > self.room.of_a_client {
            return false;
        }
        held.all = all;
        held.clients.insert(self.client, of_client);
        self.bytes += bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.room.held();
        held.all -= self.bytes;
        if let Some(of_client) = held.clients.get_mut(&self.client) {
            *of_client -= self.bytes;
            if *of_client == 0 {
                held.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_leaves_room_for_others_and_gives_its_own_back() {
        let room = Arc::new(Room::new(100, 30));
        let client = |text: &str| room.share(text.parse().unwrap());
        let (mut one, mut two) = (client("2001:db8::1"), client("2001:db8::2"));
        assert!(one.grow(20));
        assert!(!two.grow(20), "a network of IPv6 is one client");
        assert!(two.grow(10));
        let mut others = Vec::new();
        for number in 0..3 {
            let mut other = client(&format!("192.0.2.{number}"));
            assert_eq!(other.grow(30), number < 2, "{number}");
            others.push(other);
        }
        drop((one, two, others));
        let held = room.held();
        assert_eq!((held.all, held.clients.len()), (0, 0));
    }
}
