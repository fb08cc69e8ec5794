//! The memory that bodies have, and what one client and one build have of it.
//!
//! Calls to builds that are not there are counted as others are, lest it show which are. So nobody may fill the room with made-up
//! names: where it is full, those give way that arrive from the client that has most of it, as long as it has more than
//! whoever asks.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::rate::network;

/// Bytes that a room has.
#[derive(Clone, Copy)]
pub(super) struct Most {
    /// For all bodies that are in memory at a time.
    pub(super) all: usize,
    /// Of them for those of one client.
    pub(super) of_a_client: usize,
    /// And for those to one build.
    pub(super) of_a_build: usize,
}

/// Bytes for bodies.
pub(super) struct Room {
    held: Mutex<Held>,
    most: Most,
    hasher: RandomState,
}

#[derive(Default)]
struct Held {
    all: usize,
    clients: HashMap<u128, usize>,
    builds: HashMap<u64, usize>,
    arriving: HashMap<u64, Arriving>,
    /// The next one's.
    number: u64,
}

/// A body that is not whole yet.
struct Arriving {
    client: u128,
    build: u64,
    bytes: usize,
    cut: CancellationToken,
}

/// What one body has of a room; dropping it gives that back.
pub(super) struct Share {
    room: Arc<Room>,
    number: u64,
    client: u128,
    build: u64,
    bytes: usize,
    cut: CancellationToken,
}

impl Room {
    pub(super) fn new(most: Most) -> Self {
        Self {
            held: Mutex::default(),
            most,
            hasher: RandomState::new(),
        }
    }

    /// A share of a client's for a call to a build, which has nothing yet.
    pub(super) fn share(self: &Arc<Self>, client: IpAddr, build: (&str, &str)) -> Share {
        let (client, build) = (network(client), self.hasher.hash_one(build));
        let cut = CancellationToken::new();
        let mut held = self.held();
        held.number += 1;
        let number = held.number;
        let arriving = Arriving {
            client,
            build,
            bytes: 0,
            cut: cut.clone(),
        };
        held.arriving.insert(number, arriving);
        drop(held);
        Share {
            room: Arc::clone(self),
            number,
            client,
            build,
            bytes: 0,
            cut,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more bytes; false: there are none left for it.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let (client, build, most) = (self.client, self.build, self.room.most);
        let mut held = self.room.held();
        if self.cut.is_cancelled() || held.of_client(client) + bytes > most.of_a_client {
            return false;
        }
        loop {
            let within = if held.of_build(build) + bytes > most.of_a_build {
                Some(build)
            } else if held.all + bytes > most.all {
                None
            } else {
                break;
            };
            if !held.make_way(within, client, bytes) {
                return false;
            }
        }
        held.count(client, build, bytes);
        if let Some(own) = held.arriving.get_mut(&self.number) {
            own.bytes += bytes;
        }
        self.bytes += bytes;
        true
    }

    /// Comes when it had to give way.
    pub(super) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// The body is whole: it gives way to nobody any more. False: it had to before.
    pub(super) fn arrived(&self) -> bool {
        self.room.held().arriving.remove(&self.number);
        !self.cut.is_cancelled()
    }
}

impl Held {
    fn of_client(&self, client: u128) -> usize {
        self.clients.get(&client).copied().unwrap_or_default()
    }

    fn of_build(&self, build: u64) -> usize {
        self.builds.get(&build).copied().unwrap_or_default()
    }

    fn count(&mut self, client: u128, build: u64, bytes: usize) {
        self.all += bytes;
        *self.clients.entry(client).or_default() += bytes;
        *self.builds.entry(build).or_default() += bytes;
    }

    fn discount(&mut self, client: u128, build: u64, bytes: usize) {
        self.all -= bytes;
        if let Some(of_client) = self.clients.get_mut(&client) {
            *of_client -= bytes;
            if *of_client == 0 {
                self.clients.remove(&client);
            }
        }
        if let Some(of_build) = self.builds.get_mut(&build) {
            *of_build -= bytes;
            if *of_build == 0 {
                self.builds.remove(&build);
            }
        }
    }

    /// Cuts the longest body of the client that has most here, or of those to one build; false if none has more than `client`
    /// would have with so many bytes more.
    fn make_way(&mut self, within: Option<u64>, client: u128, bytes: usize) -> bool {
        let mut clients = HashMap::<u128, usize>::new();
        let here = |arriving: &Arriving| within.is_none_or(|build| arriving.build == build);
        for arriving in self.arriving.values().filter(|arriving| here(arriving)) {
            *clients.entry(arriving.client).or_default() += arriving.bytes;
        }
        let own = clients.get(&client).copied().unwrap_or_default() + bytes;
        let largest = clients.into_iter().max_by_key(|(_, bytes)| *bytes);
        let Some((largest, _)) = largest.filter(|(_, bytes)| *bytes > own) else {
            return false;
        };
        let theirs = self.arriving.iter();
        let theirs = theirs.filter(|(_, arriving)| here(arriving) && arriving.client == largest);
        let longest = theirs.max_by_key(|(_, arriving)| arriving.bytes);
        let longest = longest.map(|(number, _)| *number);
        let Some(cut) = longest.and_then(|number| self.arriving.remove(&number)) else {
            return false;
        };
        self.discount(cut.client, cut.build, cut.bytes);
        cut.cut.cancel();
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.room.held();
        held.arriving.remove(&self.number);
        // Who had to give way has nothing any more.
        if !self.cut.is_cancelled() {
            held.discount(self.client, self.build, self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Arc<Room> {
        Arc::new(Room::new(Most {
            all: 100,
            of_a_client: 30,
            of_a_build: 60,
        }))
    }

    fn share(room: &Arc<Room>, client: &str, build: &str) -> Share {
        room.share(client.parse().unwrap(), ("team", build))
    }

    #[test]
    fn one_client_leaves_room_for_others_and_gives_its_own_back() {
        let room = room();
        let mut one = share(&room, "2001:db8::1", "app");
        let mut two = share(&room, "2001:db8::2", "other");
        assert!(one.grow(20));
        assert!(!two.grow(20), "a network of IPv6 is one client");
        assert!(two.grow(10));
        let mut others = Vec::new();
        for number in 0..3 {
            let mut other = share(&room, &format!("192.0.2.{number}"), "third");
            assert_eq!(other.grow(30), number < 2, "{number}");
            others.push(other);
        }
        drop((one, two, others));
        let held = room.held();
        assert_eq!(
            (
                held.all,
                held.clients.len(),
                held.builds.len(),
                held.arriving.len()
            ),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn who_holds_most_gives_way_to_who_needs_little() {
        let room = room();
        let full = |builds: &[&str]| -> Vec<Share> {
            let held = builds.iter().zip(0..).map(|(build, number)| {
                let mut held = share(&room, &format!("192.0.2.{number}"), build);
                assert!(held.grow(25), "{number}");
                held
            });
            held.collect()
        };
        let cut = |held: &[Share]| held.iter().filter(|held| held.cut.is_cancelled()).count();
        let client = "198.51.100.1";
        let mut held = full(&["a", "b", "c", "d"]);
        // What is whole stays, and so does what has no more than who asks.
        assert!(held[0].arrived() && held[1].arrived() && held[2].arrived());
        assert!(!share(&room, client, "app").grow(26));
        let mut little = share(&room, client, "app");
        assert!(little.grow(10));
        assert!(held[3].cut.is_cancelled() && !held[3].arrived());
        assert!(!held[3].grow(1), "it was told to end");
        drop((little, held));
        assert_eq!(room.held().all, 0);
        // One build has a part of the room, in which it is the same.
        let held = full(&["app", "app"]);
        let mut little = share(&room, client, "app");
        assert!(little.grow(10) && cut(&held) == 0);
        assert!(little.grow(10) && cut(&held) == 1);
        assert!(!share(&room, "203.0.113.1", "app").grow(30));
        assert!(share(&room, "203.0.113.1", "other").grow(30));
        assert_eq!(cut(&held), 1);
        drop((little, held));
        assert_eq!(room.held().all, 0);
    }
}
