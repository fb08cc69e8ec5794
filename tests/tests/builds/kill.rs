//! kill -9 at random moments of a run: the run ends well once the server is there again, its log has what it had before, its
//! tag is there whole or not at all, and nothing of it is left on the machine.
//!
//! `SLIPWAY_KILLS` is the number of kills, a tenth of them for this test, but 20 at least; `SLIPWAY_SEED` repeats the pauses.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::{Lab, OrFail, api, fail, until};

use crate::busybox;
use crate::git::Repository;
use crate::site::{Run, Site};

/// Says enough for its log to be more than one frame, leaves a process that does not listen to it, and takes its time.
const ASSEMBLE: &str = "#!/bin/busybox sh
set -e
(trap '' TERM HUP; exec busybox setsid busybox sleep 86425) > /dev/null 2>&1 &
for part in 1 2 3 4 5 6 7 8; do
  echo \"part $part\"
  busybox sleep 0.1
done
busybox dd if=/dev/zero of=/opt/app/large bs=1M count=8 2> /dev/null
busybox cp -r /tmp/src/. /opt/app/
echo \"$(busybox date +%s)\" > /opt/app/.cache/when
echo assembled
";

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().or_fail(format!("{variable} is a number")),
        Err(_) => default,
    }
}

#[test]
fn a_run_outlives_kills_of_the_server() {
    let kills = (number("SLIPWAY_KILLS", 200) / 10).max(20);
    let seed = number("SLIPWAY_SEED", fastrand::u64(..1_000_000_000));
    println!("{kills} kills, SLIPWAY_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let lab = Lab::new("build-kill");
    let mut site = Site::start(&lab);
    busybox::push_builder(&lab, &site, "builders/slow", ASSEMBLE);
    lab.write("source/round", "0");
    let repository = Repository::serve(&lab, lab.path("source"));
    let tag = ["--tag={run}", "--network=none"].map(str::to_owned);
    site.create(&repository.url, "builders/slow:1", &tag);
    let lasts = site.run("").lasted() + Duration::from_millis(200);
    let folder = site.server.data().join("builds");
    let mut reached = BTreeMap::new();
    for round in 1..=kills {
        lab.write("source/round", round.to_string());
        repository.commit();
        let name = site.slipway("build start app -n team --detach").ok();
        let name = name.trim();
        // From before it begins until after it has ended.
        std::thread::sleep(lasts.mul_f64(random.f64()));
        let step = Run::of(&site.look(&format!("buildruns/{name}"))).step();
        *reached.entry(step).or_insert(0_u64) += 1;
        let before = site.look(&format!("buildruns/{name}/log"));
        let sandboxes = names(&folder.join("sandbox/runs"));
        let tagged = tagged(&site, name);
        site.server.kill();
        site.server.start_again();

        let now = self::tagged(&site, name);
        assert!(tagged.is_none() || tagged == now, "a tag is lost: {name}");
        is_whole(&site, now.as_deref());
        let followed = site.slipway(&format!("build logs {name} -n team --follow"));
        let followed = followed.run();
        let run = Run::of(&site.look(&format!("buildruns/{name}")));
        if !followed.status.success() || run.state() != "succeeded" {
            fail(format!(
                "round {round}: {name} {}\n{}",
                run.state(),
                followed.report
            ));
        }
        let log = site.look(&format!("buildruns/{name}/log"));
        assert!(
            log.starts_with(&before),
            "{name} said\n{before}\nand has now said\n{log}"
        );
        assert!(log.contains("assembled"), "{log}");
        let published = self::tagged(&site, name).or_fail("the tag");
        assert_eq!(run.image(), format!("team/app@{published}"));
        assert!(
            now.is_none_or(|now| now == published),
            "another image was published for {name}"
        );
        is_whole(&site, Some(&published));
        nothing_is_left(&folder, &sandboxes);
    }
    println!("killed in {reached:?}");
    let after = reached.get("succeeded").copied().unwrap_or_default();
    assert!(
        reached.len() > 2 && after * 2 < kills,
        "most kills came at the same step"
    );
    site.server.stop();
    site.server.fsck_is_clean(&lab);
    nothing_is_left(&folder, &[]);
}

/// The digest of the run's own tag.
fn tagged(site: &Site<'_>, name: &str) -> Option<String> {
    let reply = site.api().manifest("team/app", name).or_fail("ask for it");
    if reply.status == 404 {
        return None;
    }
    let reply = reply.expect(200);
    Some(reply.header("docker-content-digest").to_owned())
}

/// Every blob of a published image is there, byte for byte.
fn is_whole(site: &Site<'_>, digest: Option<&str>) {
    let Some(digest) = digest else { return };
    let api = site.api();
    let manifest = api.manifest("team/app", digest).or_fail("the manifest");
    let manifest: Value =
        serde_json::from_str(&manifest.expect(200).text()).or_fail("the manifest");
    let layers = manifest["layers"].as_array().or_fail("layers");
    for blob in layers.iter().chain([&manifest["config"]]) {
        let name = blob["digest"].as_str().or_fail("a digest");
        let held = api.get(&format!("/v2/team/app/blobs/{name}"));
        let held = held.or_fail("a blob").expect(200);
        assert_eq!(api::digest_of(&held.body), name);
    }
}

/// Waits until there is no mount, folder, control group or process of a run.
fn nothing_is_left(folder: &Path, sandboxes: &[String]) {
    let look = || {
        let mut left = mounts(folder);
        left.extend(names(&folder.join("sandbox/runs")));
        left.extend(names(&folder.join("runs/scratch")));
        for name in sandboxes {
            left.extend(groups(name));
        }
        left.extend(processes());
        left
    };
    let mut left = Vec::new();
    until("nothing is left of a run", || {
        left = look();
        if !left.is_empty() {
            eprintln!("left: {left:?}");
        }
        left.is_empty()
    });
}

fn mounts(folder: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").or_fail("mounts");
    let folder = folder.display().to_string();
    let of_runs = mounts.lines().filter(|line| line.contains(&folder));
    of_runs.map(str::to_owned).collect()
}

/// Control groups of a run, in any tree.
fn groups(name: &str) -> Vec<String> {
    let trees = fs::read_dir("/sys/fs/cgroup").or_fail("control groups");
    let trees = trees.map(|entry| entry.or_fail("a tree").path());
    let trees = trees.chain([PathBuf::from("/sys/fs/cgroup")]);
    let places = trees.map(|tree| tree.join("slipway").join(name));
    let found = places.filter(|place| place.exists());
    found.map(|place| place.display().to_string()).collect()
}

/// Processes that the build has left behind.
fn processes() -> Vec<String> {
    let lines = names(Path::new("/proc")).into_iter().filter_map(|id| {
        let line = fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        line.ends_with("sleep\x0086425\0")
            .then(|| format!("process {id}"))
    });
    lines.collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
