//! kill -9 at random moments while many clients push, move tags, delete and upload in chunks; after each
//! restart every acknowledged write must be there byte for byte, every acknowledged delete must have
//! happened, and `storage fsck` must find nothing.
//!
//! `SLIPWAY_KILLS` is the number of rounds, `SLIPWAY_SEED` repeats a run's random choices (the moments of
//! the kills are still up to the machine). `scripts/kill-test N` runs it alone.

mod ledger;
mod writer;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger::Ledger;
use tests::{Api, Lab, OrFail, Server, Settings, fail, kills, layout};

const WRITERS: u64 = 8;

/// Rounds on one data folder before a fresh one, so that checking all of it stays quick.
const ROUNDS_PER_FOLDER: u64 = 25;

#[test]
fn no_acknowledged_write_is_lost_when_the_server_is_killed_at_random_moments() {
    let rounds = kills::rounds(20);
    let mut random = kills::random(rounds);
    let folders: Vec<_> = (0..rounds.div_ceil(ROUNDS_PER_FOLDER))
        .map(|folder| {
            let left = rounds - folder * ROUNDS_PER_FOLDER;
            (left.min(ROUNDS_PER_FOLDER), random.fork())
        })
        .collect();
    // A server and its writers keep two cores at work.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = Mutex::new(folders.into_iter());
    let told: Vec<Told> = std::thread::scope(|scope| {
        let work = || {
            let take = || next.lock().or_fail("the next folder").next();
            let told = std::iter::from_fn(|| take().map(|(rounds, random)| kill(rounds, random)));
            told.collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..(cores / 2).max(1)).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended
            .flat_map(|told| told.unwrap_or_else(|why| std::panic::resume_unwind(why)))
            .collect()
    });
    let mut restarts: Vec<_> = told.iter().flat_map(|told| told.restarts.clone()).collect();
    restarts.sort_unstable();
    let at = |percent: usize| {
        restarts
            .get(restarts.len() * percent / 101)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "restart until ready: median {:?}, 99 % {:?}, slowest {:?}",
        at(50),
        at(99),
        at(100)
    );
    assert_eq!(restarts.len() as u64, rounds);
    let acknowledged: u64 = told.iter().map(|told| told.acknowledged).sum();
    assert!(
        acknowledged > rounds,
        "the clients did write: {acknowledged} writes in {rounds} rounds"
    );
}

/// What was seen on one data folder.
struct Told {
    restarts: Vec<Duration>,
    acknowledged: u64,
}

/// So many kills on one data folder.
fn kill(rounds: u64, mut random: fastrand::Rng) -> Told {
    let lab = Lab::new("kill");
    let mut server = Server::start(&lab, &settings());
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(Ledger::new).collect();
    let mut restarts = Vec::new();
    for round in 1..=rounds {
        kill_while_writing(&mut server, &mut ledgers, &mut random);
        restarts.push(server.start_again());
        let lost = check(&server, &mut ledgers);
        if !lost.is_empty() {
            fail(format!("round {round}:\n{}", lost.join("\n")));
        }
        // Every byte is read by the check above, and by the deep one when the folder is done with.
        server.command(&lab, &["storage", "fsck"]).ok();
    }
    server.stop();
    server.fsck_is_clean(&lab);
    let acknowledged = ledgers.iter().map(|ledger| ledger.acknowledged).sum();
    println!("{rounds} kills, {acknowledged} acknowledged writes, 0 lost");
    Told {
        restarts,
        acknowledged,
    }
}

#[test]
fn the_check_notices_a_blob_a_tag_and_a_delete_that_were_lost() {
    let lab = Lab::new("kill-check");
    let mut server = Server::start(&lab, &settings());
    let mut ledgers = vec![Ledger::new(0)];
    let mut random = fastrand::Rng::with_seed(1);
    let [image, tag, gone] = loop {
        kill_while_writing(&mut server, &mut ledgers, &mut random);
        server.start_again();
        assert_eq!(check(&server, &mut ledgers), [""; 0]);
        if let Some(samples) = ledgers[0].samples() {
            break samples;
        }
    };
    let api = Api::new(server.endpoint());

    let _ = api
        .delete(&format!("/v2/{}/manifests/{}", tag.0, tag.1))
        .or_fail("lose a tag");
    let _ = api
        .push_manifest(&gone.0, &gone.1, &gone.2)
        .or_fail("undo a delete");
    let layer = ledger::layer_digest(&image.2);
    let file = layout::blob_file(&server.data().join("objects"), &layer);
    // Not under a running server: it may hold the file open, and rightly serve it still.
    server.kill();
    std::fs::remove_file(file).or_fail("lose a blob");
    server.start_again();
    let lost = check(&server, &mut ledgers).join("\n");
    for name in [format!("{}:{}", tag.0, tag.1), gone.1, layer] {
        assert!(
            lost.contains(&name),
            "{name} is not among the losses:\n{lost}"
        );
    }
}

/// Images must be whole, so that `fsck` takes one that lacks a blob for an error.
fn settings() -> Settings {
    Settings {
        more: "manifests: {sparse: false}\n".to_owned(),
        ..Settings::default()
    }
}

/// Lets every writer work, kills the server after a random while, waits for the writers.
fn kill_while_writing(server: &mut Server, ledgers: &mut [Ledger], random: &mut fastrand::Rng) {
    let api = Api::new(server.endpoint());
    let killed = AtomicBool::new(false);
    let pause = Duration::from_micros(random.u64(2_000..400_000));
    std::thread::scope(|scope| {
        for ledger in ledgers {
            let own = fastrand::Rng::with_seed(random.u64(..));
            let (api, killed) = (&api, &killed);
            scope.spawn(move || writer::write_until_killed(api, ledger, own, killed));
        }
        std::thread::sleep(pause);
        killed.store(true, Ordering::SeqCst);
        server.kill();
    });
}

/// Holds every ledger against what the server serves, the writers' ledgers side by side.
fn check(server: &Server, ledgers: &mut [Ledger]) -> Vec<String> {
    let api = Api::new(server.endpoint());
    std::thread::scope(|scope| {
        let checks: Vec<_> = ledgers
            .iter_mut()
            .map(|ledger| scope.spawn(|| ledger.settle_and_check(&api)))
            .collect();
        checks
            .into_iter()
            .flat_map(|check| {
                check
                    .join()
                    .unwrap_or_else(|_| vec!["a check panicked".to_owned()])
            })
            .collect()
    })
}
