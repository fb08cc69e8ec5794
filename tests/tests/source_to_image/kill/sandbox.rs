//! A process of a run is killed: the runtime, what made its namespaces, the script, or what that has started.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use tests::remains::control_groups;
use tests::{Lab, OrFail, eventually, fail, kills, until};

use super::scene::{Scene, sandboxes};
use super::{correct, rounds};

const ASSEMBLE: &str = "
(trap '' TERM HUP; exec busybox setsid busybox sleep MARK) > /dev/null 2>&1 &
for part in 1 2 3 4 5 6 7 8; do
  echo \"part $part\"
  busybox sleep 0.1
done
busybox cp -r /tmp/src/. /opt/app/
";

/// What a run can say that lost a process. Nothing else is true: it was not cancelled, and no limit was reached.
const REASONS: &[&str] = &[
    "AssembleFailed",
    "FileSystemOperationFailed",
    "SandboxUnavailable",
    "TestFailed",
];

#[test]
fn a_kill_within_the_sandbox_ends_its_run_and_nothing_else() {
    let lab = Lab::new("sandbox-kill");
    let more = ["--network=none", "--test=busybox sleep 0.3"];
    let mut scene = Scene::new(&lab, ASSEMBLE, &more);
    let first = scene.site.run("");
    // Not up to its end, so that few kills come too late.
    let lasts = Cell::new(first.lasted_at("assemble"));
    let mut random = kills::random(rounds());
    let (mut ends, mut failed) = (BTreeMap::new(), 0);
    for round in 1..=rounds() {
        let name = scene.start();
        until("it runs a program", || !processes(&scene).is_empty());
        std::thread::sleep(lasts.get().mul_f64(random.f64()));
        let before = scene.log(&name);
        let seen = sandboxes(&scene.folder);
        let victim = eventually("a process is killed, or all have ended", || {
            kill_one(&scene, &mut random).or_else(|| {
                let has_ended = scene.site.the_run(&name).has_ended();
                has_ended.then(|| "nothing".to_owned())
            })
        });

        let (run, followed) = scene.followed(&name);
        correct(&lasts, &run, |run| run.lasted_at("assemble"));
        let log = scene.log(&name);
        assert!(
            log.starts_with(&before),
            "{name} said\n{before}\nand has now said\n{log}"
        );
        let end = match &*run.state() {
            "failed" => {
                failed += 1;
                assert!(!followed.status.success(), "{}", followed.report);
                assert_eq!(scene.tagged(&name), None, "{name} has failed");
                run.reason()
            }
            // It had done its part already, or is one that only a killed server needs.
            "succeeded" => {
                let published = scene.tagged(&name).or_fail("the tag");
                scene.is_whole(Some(&published));
                "succeeded".to_owned()
            }
            other => fail(format!("{name} is {other}: {}", followed.report)),
        };
        let is_known = end == "succeeded" || REASONS.contains(&&*end);
        assert!(is_known, "round {round}: {victim} killed, {name} {end}");
        *ends.entry((victim, end)).or_insert(0_u64) += 1;
        scene.nothing_is_left(&seen);
        // What a killed process held nobody holds: the next run has all that it needs.
        let next = scene.start();
        let (run, followed) = scene.followed(&next);
        assert_eq!(run.state(), "succeeded", "{}", followed.report);
    }
    for ((victim, end), times) in &ends {
        println!("{times:4} × {victim} killed: {end}");
    }
    assert!(failed * 4 > rounds(), "{failed} runs have failed");
    assert!(scene.site.server.daemon().runs(), "the server has ended");
    scene.ends_clean();
}

/// Kills a process of a run: first a kind is chosen, then one of it. The kind; `None` if there is no process.
fn kill_one(scene: &Scene<'_>, random: &mut fastrand::Rng) -> Option<String> {
    let found = processes(scene);
    let kinds: BTreeSet<_> = found.values().collect();
    let kind = random.choice(kinds)?.clone();
    let of_kind = found.iter().filter(|(_, other)| **other == kind);
    let (pid, _) = random.choice(of_kind.collect::<Vec<_>>())?;
    // It may have ended in between; then so has what it did.
    kill_process(Pid::from_raw(*pid)?, Signal::KILL).ok()?;
    Some(kind)
}

/// The living processes in the control groups of runs, with what they are: all but the one that nobody would miss.
fn processes(scene: &Scene<'_>) -> BTreeMap<i32, String> {
    let names = sandboxes(&scene.folder);
    let groups = control_groups("slipway").into_iter();
    let groups = groups.filter(|group| names.iter().any(|name| group.contains(name)));
    let pids: BTreeSet<i32> = groups
        .filter_map(|group| fs::read_to_string(Path::new(&group).join("cgroup.procs")).ok())
        .flat_map(|pids| {
            pids.lines()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    let kind = |pid: i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        // A zombie has no command line.
        if line.is_empty() || line.contains(&scene.mark) {
            return None;
        }
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some((pid, name.trim().to_owned()))
    };
    pids.into_iter().filter_map(kind).collect()
}
