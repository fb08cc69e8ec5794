//! What is left of a run: nothing, however it ended.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use builder::sandbox::{Egress, Host, Mount, SecretFile, Settings, Source};
use tests::remains::{
    control_groups, entries, forget_control_groups, mounts, processes, until_none,
};
use tokio_util::sync::CancellationToken;

use super::lab::{Lab, make_root, script};

const STATE: &str = "SANDBOX_TEST_STATE";

/// Every process of every run, mounts of theirs, and tables of rules, that can be seen from the host.
fn leftovers(parent: &str, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for cgroup in control_groups(parent) {
        let processes =
            fs::read_to_string(Path::new(&cgroup).join("cgroup.procs")).unwrap_or_default();
        found.extend(processes.lines().map(|pid| format!("{cgroup} {pid}")));
    }
    found.extend(mounts(folder));
    let rules = Command::new("nft")
        .args(["list", "tables"])
        .output()
        .unwrap();
    let rules = String::from_utf8(rules.stdout).unwrap();
    found.extend(
        rules
            .lines()
            .filter(|line| line.contains("slipway"))
            .map(str::to_owned),
    );
    found
}

#[tokio::test]
async fn what_a_process_starts_ends_with_it() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let mark = format!("{}", 100_000 + std::process::id());
    let text = format!(
        "sleep {mark} & setsid sleep {mark} & (setsid sh -c 'trap \"\" HUP TERM; sleep {mark} & sleep {mark}' &) ; sleep 0.3; exit 3"
    );
    let said = lab.run(&root, &script(&text)).await.unwrap();
    assert_eq!(said.outcome.exit, Some(3));
    assert_eq!(processes(&format!("sleep {mark}")), Vec::<String>::new());
    assert_eq!(
        fs::read_dir(lab.folder.path().join("state/runs"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_dropped_run_leaves_no_process() {
    let lab = Lab::new().await;
    let root = lab.root("root");
    let mark = format!("{}", 200_000 + std::process::id());
    let process = script(&format!("sleep {mark}"));
    let run = lab.run(&root, &process);
    assert!(
        tokio::time::timeout(Duration::from_secs(1), run)
            .await
            .is_err()
    );
    until_none(|| processes(&format!("sleep {mark}")));
    let runs = lab.folder.path().join("state/runs");
    until_none(|| entries(&runs));
}

/// A run of a server that was killed, whose processes somehow live on.
#[tokio::test]
async fn what_is_left_is_found_and_killed() {
    let folder = tempfile::tempdir().unwrap();
    let parent = format!("slipway-left-{}", std::process::id());
    let state = folder.path().join("state");
    let record = state.join("runs/left");
    fs::create_dir_all(&record).unwrap();
    let trees = [
        "/sys/fs/cgroup/pids",
        "/sys/fs/cgroup/freezer",
        "/sys/fs/cgroup",
    ]
    .map(Path::new);
    let trees = trees
        .into_iter()
        .filter(|tree| tree.join("cgroup.procs").exists());
    let groups: Vec<_> = trees.map(|tree| tree.join(&parent).join("left")).collect();
    let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut names = String::new();
    for group in &groups {
        fs::create_dir_all(group).unwrap();
        fs::write(group.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
        names += group.to_str().unwrap();
        names.push('\0');
    }
    // Cut short, as by a kill; and no run's, whatever it says.
    names += "/sys/fs/cgroup/pids";
    fs::write(record.join("cgroups"), names).unwrap();
    let (_, recovered) = Host::open(settings(&state, &parent)).await.unwrap();
    assert_eq!((recovered.runs, recovered.processes), (1, 1));
    assert!(!sleeper.wait().unwrap().success());
    for group in groups {
        assert!(!group.exists());
    }
    assert!(!record.exists());
    forget_control_groups(&parent);
}

/// Kills the programs that make a run up, one after the other: each takes the run with it.
#[tokio::test]
async fn a_killed_part_leaves_nothing() {
    let parent = format!("slipway-part-{}", std::process::id());
    let lab = Lab::with(|settings| settings.cgroup = Path::new("/").join(&parent)).await;
    let root = lab.root("root");
    let process = script("sleep 1000 & sleep 1000");
    for number in 0..24 {
        let kill = async {
            // Any of them, at any time from the first on.
            tokio::time::sleep(Duration::from_millis(number * 12)).await;
            let mut pids = BTreeSet::new();
            while pids.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
                pids = pids_of(&parent);
            }
            let pid = pids
                .iter()
                .cycle()
                .nth(usize::try_from(number).unwrap())
                .unwrap();
            let pid = rustix::process::Pid::from_raw(*pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            // A sleeper that was killed does not end the run, so the rest is told to end.
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let cancel = CancellationToken::new();
        let cancelled = async {
            kill.await;
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(lab.run_with(&root, &process, 1000, &cancel), cancelled);
        if let Ok(said) = ended {
            assert!(
                !said.outcome.succeeded(),
                "kill {number}: {:?}",
                said.outcome
            );
        }
        assert_eq!(
            control_groups(&parent),
            Vec::<String>::new(),
            "kill {number}"
        );
        let runs = lab.folder.path().join("state/runs");
        assert_eq!(fs::read_dir(runs).unwrap().count(), 0, "kill {number}");
        assert!(
            !root.join("proc").exists(),
            "kill {number}: mount points are gone"
        );
    }
    forget_control_groups(&parent);
}

fn pids_of(parent: &str) -> BTreeSet<i32> {
    let read = |group: String| fs::read_to_string(Path::new(&group).join("cgroup.procs"));
    let texts = control_groups(parent)
        .into_iter()
        .filter_map(|group| read(group).ok());
    texts
        .flat_map(|text| {
            text.lines()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Kills the server while it sets a run up, runs it, and takes it down; everything but cgroups is gone by itself, and the
/// next start removes those.
#[tokio::test]
async fn a_killed_server_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let parent = format!("slipway-test-{}", std::process::id());
    let state = folder.path().join("state");
    let root = folder.path().join("root");
    make_root(&root);
    let owner = (1 << 30).to_string();
    let given = Command::new("chown")
        .args(["-hR", &owner])
        .arg(&root)
        .status();
    assert!(given.unwrap().success());
    let mut seen_running = 0;
    let kills = std::env::var("SLIPWAY_KILLS").map_or(40, |kills| kills.parse().unwrap());
    for number in 0..kills {
        let victim = Command::new(std::env::current_exe().unwrap())
            .args(["cleanup::victim", "--exact", "--ignored", "--nocapture"])
            .env(STATE, folder.path())
            .env("SANDBOX_TEST_CGROUP", &parent)
            .env(
                "SANDBOX_TEST_SECONDS",
                if number % 2 == 0 { "0.1" } else { "1000" },
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut victim = victim.unwrap();
        if number % 2 == 0 {
            // Somewhere between its start and its second run.
            std::thread::sleep(Duration::from_millis(number * 17 % 700));
        } else {
            // While a run is under way, for certain.
            while processes("sleep 31.4159").is_empty() && victim.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(number % 50));
            seen_running += 1;
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        until_none(|| leftovers(&parent, folder.path()));
        let settings = settings(&state, &parent);
        let (host, _) = Host::open(settings).await.unwrap();
        drop(host);
        assert_eq!(
            control_groups(&parent),
            Vec::<String>::new(),
            "kill {number}"
        );
        assert_eq!(
            fs::read_dir(state.join("runs")).map_or(0, Iterator::count),
            0,
            "kill {number}"
        );
        let secret = Command::new("grep")
            .args(["-rl", "sandbox-victim-secret"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(secret.stdout).unwrap(), "");
    }
    assert_eq!(seen_running, kills / 2);
    forget_control_groups(&parent);
}

/// Not a test of its own: what the test above kills.
#[tokio::test]
#[ignore = "started by a_killed_server_leaves_nothing"]
async fn victim() {
    let folder = std::env::var_os(STATE).unwrap();
    let folder = Path::new(&folder);
    let parent = std::env::var("SANDBOX_TEST_CGROUP").unwrap();
    let (host, _) = Host::open(settings(&folder.join("state"), &parent))
        .await
        .unwrap();
    let lab = Lab {
        host,
        folder: tempfile::tempdir_in(folder).unwrap(),
    };
    let root = folder.join("root");
    let seconds = std::env::var("SANDBOX_TEST_SECONDS").unwrap();
    loop {
        let mut process = script(&format!("(setsid sleep 31.4159 &); sleep {seconds}"));
        process.egress = Egress::Registries {
            hosts: Vec::new(),
            addresses: builder::sandbox::AddressRules::default(),
        };
        let secret = Source::Secret(SecretFile::new(b"sandbox-victim-secret".to_vec()));
        process
            .mount(Mount::new("/run/secret", secret).unwrap())
            .unwrap();
        lab.run(&root, &process).await.unwrap();
    }
}

fn settings(state: &Path, parent: &str) -> Settings {
    tests::toolbox::needs_sandbox();
    let mut settings = Settings::root(state).unwrap();
    settings.cgroup = Path::new("/").join(parent);
    settings
}
