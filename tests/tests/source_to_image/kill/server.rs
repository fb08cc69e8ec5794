//! The server is killed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use tests::{Lab, OrFail, eventually, fail, kills};

use super::scene::{Scene, sandboxes};
use super::{correct, rounds};
use crate::site::Run;

/// Says enough for its log to be more than one frame, leaves a process that does not listen to it, and takes its time.
const SLOW: &str = "
(trap '' TERM HUP; exec busybox setsid busybox sleep MARK) > /dev/null 2>&1 &
for part in 1 2 3 4 5 6 7 8; do
  echo \"part $part\"
  busybox sleep 0.1
done
busybox dd if=/dev/zero of=/opt/app/large bs=1M count=8 2> /dev/null
busybox cp -r /tmp/src/. /opt/app/
echo \"$(busybox date +%s)\" > /opt/app/.cache/when
";

/// Takes no time and leaves much to publish, which is different each time.
const LARGE: &str = "busybox dd if=/dev/urandom of=/opt/app/large bs=1M count=64 2> /dev/null\n";

#[test]
fn a_run_outlives_kills_of_the_server() {
    let lab = Lab::new("build-kill");
    let mut scene = Scene::new(&lab, SLOW, &["--network=none"]);
    // From before it begins until after it has ended.
    let whole = |run: &Run| run.lasted() + Duration::from_millis(200);
    let lasts = Cell::new(whole(&scene.site.run("")));
    let reached = killed(&mut scene, |scene, name, random| {
        std::thread::sleep(lasts.get().mul_f64(random.f64()));
        correct(&lasts, &scene.site.the_run(name), whole);
    });
    let after = reached.get("succeeded").copied().unwrap_or_default();
    assert!(
        reached.len() > 2 && after * 4 < rounds() * 3,
        "most kills came when it was over"
    );
}

#[test]
fn a_run_outlives_kills_of_the_server_while_it_publishes() {
    let lab = Lab::new("build-publish");
    let mut scene = Scene::new(&lab, LARGE, &["--network=none"]);
    let publishing = |run: &Run| run.lasted_at("publish");
    let lasts = Cell::new(publishing(&scene.site.run("")));
    let reached = killed(&mut scene, |scene, name, random| {
        // Publishing is brief: it is looked for without a rest.
        let publishes = || {
            let step = scene.site.the_run(name).step();
            std::thread::sleep(Duration::from_millis(2));
            matches!(&*step, "publish" | "succeeded").then_some(())
        };
        eventually("it publishes", || (0..20).find_map(|_| publishes()));
        std::thread::sleep(lasts.get().mul_f64(random.f64()));
        correct(&lasts, &scene.site.the_run(name), publishing);
    });
    let meant = reached.get("publish").copied().unwrap_or_default();
    assert!(meant * 4 > rounds(), "few kills came while it published");
}

/// Kills the server again and again when `wait` has waited for the moment, starts it again, and looks. At which steps runs
/// were.
fn killed(
    scene: &mut Scene<'_>,
    wait: impl Fn(&Scene<'_>, &str, &mut fastrand::Rng),
) -> BTreeMap<String, u64> {
    let mut random = kills::random(rounds());
    let (mut reached, mut anew) = (BTreeMap::new(), 0);
    for round in 1..=rounds() {
        let name = scene.start();
        wait(scene, &name, &mut random);
        let step = scene.site.the_run(&name).step();
        *reached.entry(step).or_insert(0_u64) += 1;
        let before = scene.log(&name);
        let sandboxes = sandboxes(&scene.folder);
        let tagged = scene.tagged(&name);
        // What git may read while it is spoken to a server: as if this kill were always just then.
        fs::create_dir_all(scene.folder.join("mirrors/sessions/left"))
            .or_fail("a session's folder");
        scene.site.server.kill();
        scene.site.server.start_again();

        let now = scene.tagged(&name);
        assert!(tagged.is_none() || tagged == now, "a tag is lost: {name}");
        scene.is_whole(now.as_deref());
        let (run, followed) = scene.followed(&name);
        if !followed.status.success() || run.state() != "succeeded" {
            let (state, report) = (run.state(), followed.report);
            fail(format!("round {round}: {name} {state}\n{report}"));
        }
        let log = scene.log(&name);
        anew += u64::from(log.contains("it begins anew"));
        assert!(
            log.starts_with(&before),
            "{name} said\n{before}\nand has now said\n{log}"
        );
        assert!(log.contains("assembled"), "{log}");
        let published = scene.tagged(&name).or_fail("the tag");
        assert_eq!(run.image(), format!("team/app@{published}"));
        assert!(
            now.is_none_or(|now| now == published),
            "another image was published for {name}"
        );
        scene.is_whole(Some(&published));
        scene.nothing_is_left(&sandboxes);
    }
    println!("killed in {reached:?}; {anew} began anew");
    scene.ends_clean();
    reached
}
