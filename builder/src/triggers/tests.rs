use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use serde_json::json;

use super::lab::{Lab, NAMESPACE, at, owner};
use super::moves::Moved;
use super::{Moves, next_in_chain};
use crate::builds::{Asked, BuildsError};
use crate::ledger::{Key, Kind, Ledger as _, Write};
use crate::records::{Cause, Run};

const DAY: u64 = 86_400;
/// 2026-11-20 00:00:00 UTC.
const BEGIN: u64 = 1_795_132_800;

fn asked() -> Asked {
    let by = "ann".to_owned();
    Asked::new(owner(), Cause::Asked { by })
}

async fn start(lab: &Lab, build: &str, now: u64) {
    let started = lab.builds.start(NAMESPACE, build, asked(), at(now));
    started.await.unwrap();
}

#[tokio::test]
async fn a_schedule_starts_one_run_for_each_time_that_it_is_due() {
    let lab = Lab::new();
    let more = json!({"triggers": {"schedule": "30 3 * * *"}});
    lab.build("app", &more, at(BEGIN)).await;
    let (one, other) = (lab.triggers(), lab.triggers());
    one.schedules(at(BEGIN + 3 * 3600)).await.unwrap();
    assert!(lab.runs().await.is_empty());
    let due = at(BEGIN + 3 * 3600 + 1800);
    // Two servers at once.
    let (a, b) = tokio::join!(one.schedules(due), other.schedules(due));
    a.unwrap();
    b.unwrap();
    one.schedules(due).await.unwrap();
    let runs = lab.runs().await;
    assert_eq!(runs.keys().collect::<Vec<_>>(), ["app-1"]);
    assert_eq!(runs["app-1"].cause, Cause::Schedule);
    assert_eq!(runs["app-1"].actor, owner());
    // Nobody looked for three days.
    one.schedules(at(BEGIN + 3 * DAY + 4 * 3600)).await.unwrap();
    one.schedules(at(BEGIN + 3 * DAY + 5 * 3600)).await.unwrap();
    assert_eq!(lab.runs().await.len(), 2, "what was missed runs once");
}

#[tokio::test]
async fn a_schedule_counts_from_when_it_is_saved_not_from_the_first_look() {
    let lab = Lab::new();
    let hourly = json!({"triggers": {"schedule": "0 * * * *"}});
    lab.build("app", &hourly, at(BEGIN + 3599)).await;
    lab.triggers().schedules(at(BEGIN + 3611)).await.unwrap();
    assert_eq!(lab.runs().await.len(), 1, "due a second after it was made");
    let spec = super::lab::spec("app", &json!({"triggers": {"schedule": "30 * * * *"}}));
    let saved = at(BEGIN + 3600 + 1799);
    let changed = lab
        .builds
        .replace(NAMESPACE, "app", spec, owner(), None, saved);
    changed.await.unwrap();
    let look = at(BEGIN + 3600 + 1811);
    lab.triggers().schedules(look).await.unwrap();
    assert_eq!(lab.runs().await.len(), 2, "due a second after it changed");
    // What was due before it was saved is not.
    let spec = super::lab::spec("app", &json!({"triggers": {"schedule": "29 * * * *"}}));
    let changed = lab
        .builds
        .replace(NAMESPACE, "app", spec, owner(), None, saved);
    changed.await.unwrap();
    lab.triggers().schedules(look).await.unwrap();
    assert_eq!(lab.runs().await.len(), 2);
}

#[tokio::test]
async fn a_changed_schedule_begins_anew_and_an_owner_without_rights_starts_nothing() {
    let lab = Lab::new();
    let more = json!({"triggers": {"schedule": "0 0 1 1 *"}});
    lab.build("app", &more, at(BEGIN)).await;
    let triggers = lab.triggers();
    triggers.schedules(at(BEGIN)).await.unwrap();
    let spec = super::lab::spec("app", &json!({"triggers": {"schedule": "0 3 * * *"}}));
    let changed = lab
        .builds
        .replace(NAMESPACE, "app", spec, owner(), None, at(BEGIN + 4 * 3600));
    changed.await.unwrap();
    triggers.schedules(at(BEGIN + 5 * 3600)).await.unwrap();
    assert!(lab.runs().await.is_empty(), "it was no schedule at three");
    lab.owners.gone.store(true, Ordering::SeqCst);
    triggers
        .schedules(at(BEGIN + DAY + 5 * 3600))
        .await
        .unwrap();
    assert!(lab.runs().await.is_empty());
    // It is seen at the build, and written once.
    let build = async || lab.builds.build(NAMESPACE, "app").await.unwrap();
    let noted = build().await;
    let missed = noted.value.status.missed.unwrap();
    assert_eq!(missed.since, BEGIN + DAY + 5 * 3600);
    assert_eq!(missed.why, "the build's owner cannot build: ann is gone");
    let later = at(BEGIN + DAY + 6 * 3600);
    triggers.schedules(later).await.unwrap();
    assert_eq!(build().await.revision, noted.revision);
    lab.owners.gone.store(false, Ordering::SeqCst);
    triggers.schedules(later).await.unwrap();
    assert_eq!(lab.runs().await.len(), 1);
    assert_eq!(build().await.value.status.missed, None);
}

#[tokio::test]
async fn who_changes_a_build_is_whose_rights_its_runs_have() {
    let lab = Lab::new();
    lab.build("app", &json!({}), at(BEGIN)).await;
    // Looked at before it was changed.
    let earlier = Asked::new(owner(), Cause::Schedule);
    let eve = crate::records::Actor {
        name: "eve".to_owned(),
        ..owner()
    };
    let spec = super::lab::spec("app", &json!({"network": "full"}));
    let changed = lab
        .builds
        .replace(NAMESPACE, "app", spec, eve.clone(), None, at(BEGIN));
    assert_eq!(changed.await.unwrap().value.owner, eve);
    let started = lab.builds.start(NAMESPACE, "app", earlier, at(BEGIN)).await;
    assert!(
        matches!(started, Err(BuildsError::Changed { .. })),
        "{started:?}"
    );
    assert!(lab.runs().await.is_empty());
    let now = Asked::new(eve.clone(), Cause::Schedule);
    let started = lab.builds.start(NAMESPACE, "app", now, at(BEGIN)).await;
    assert_eq!(started.unwrap().value.actor, eve);
    // A person asks with their own rights.
    start(&lab, "app", BEGIN).await;
    assert_eq!(lab.runs().await["app-2"].actor, owner());
}

/// A build whose newest success stands on `team/builder:1` as it is.
async fn built(lab: &Lab, name: &str, more: &serde_json::Value) {
    lab.build(name, more, at(BEGIN)).await;
    start(lab, name, BEGIN).await;
    lab.finish(at(BEGIN), |_, stands_on| stands_on.to_owned())
        .await;
}

/// A build of another version, and one whose builder image's entry is of one.
#[tokio::test]
async fn what_cannot_be_read_keeps_no_other_build_from_its_image_and_its_time() {
    let lab = Lab::new();
    let image = lab.push("team/builder:1", "1").await;
    let triggers = json!({"triggers": {"image": true, "schedule": "30 3 * * *"}});
    built(&lab, "app", &triggers).await;
    let named = json!({"builder": "entry", "triggers": {"image": true}});
    lab.build("aaa", &named, at(BEGIN)).await;
    let bad = [(Kind::Build, "a"), (Kind::BuilderImage, "entry")].map(|(kind, name)| Write::Put {
        key: Key {
            kind,
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
        },
        revision: None,
        open: true,
        brief: None,
        body: b"{}".to_vec(),
    });
    lab.ledger.write(bad.to_vec()).await.unwrap();

    let tag = oci::Tag::parse("1").unwrap();
    let moved = Moved::Tags(BTreeSet::from([(image.repo().clone(), tag)]));
    lab.push("team/builder:1", "2").await;
    let one = lab.triggers();
    let started = one.images(&moved, &mut BTreeSet::new(), at(BEGIN)).await;
    assert_eq!(started.unwrap(), ["app-2"]);
    one.schedules(at(BEGIN)).await.unwrap();
    one.schedules(at(BEGIN + 4 * 3600)).await.unwrap();
    assert_eq!(lab.runs().await["app-3"].cause, Cause::Schedule);
}

async fn sweep(lab: &Lab, now: u64) -> Vec<String> {
    let started = lab.triggers();
    let mut later = BTreeSet::new();
    started
        .images(&Moved::Any, &mut later, at(now))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_moved_builder_image_starts_one_run_that_says_why() {
    let lab = Lab::new();
    let from = lab.push("team/builder:1", "1").await;
    let more = json!({"triggers": {"image": true}});
    built(&lab, "app", &more).await;
    assert!(sweep(&lab, BEGIN + 1000).await.is_empty());
    let to = lab.push("team/builder:1", "2").await;
    let (one, other) = (lab.triggers(), lab.triggers());
    let (mut a, mut b) = (BTreeSet::new(), BTreeSet::new());
    let now = at(BEGIN + 1000);
    let both = tokio::join!(
        one.images(&Moved::Any, &mut a, now),
        other.images(&Moved::Any, &mut b, now)
    );
    let mut started = both.0.unwrap();
    started.extend(both.1.unwrap());
    assert_eq!(started, ["app-2"]);
    let cause = Cause::ImageMoved {
        image: "team/builder:1".to_owned(),
        from: from.to_string(),
        to: to.to_string(),
        chain: Vec::new(),
    };
    assert_eq!(lab.runs().await["app-2"].cause, cause);
    lab.finish(at(BEGIN + 1001), |_, on| on.to_owned()).await;
    assert!(sweep(&lab, BEGIN + 5000).await.is_empty());
    // Back again: that is a move, too.
    lab.push("team/builder:1", "1").await;
    assert_eq!(sweep(&lab, BEGIN + 1002).await, [""; 0], "too soon");
    assert_eq!(sweep(&lab, BEGIN + 5000).await, ["app-3"]);
}

#[tokio::test]
async fn a_moved_image_whose_owner_may_not_build_is_noted_once() {
    let lab = Lab::new();
    lab.push("team/builder:1", "one").await;
    built(&lab, "app", &json!({"triggers": {"image": true}})).await;
    lab.push("team/builder:1", "two").await;
    lab.owners.gone.store(true, Ordering::SeqCst);
    assert!(sweep(&lab, BEGIN + 1000).await.is_empty());
    let build = async || lab.builds.build(NAMESPACE, "app").await.unwrap();
    let noted = build().await;
    let missed = noted.value.status.missed.unwrap();
    assert_eq!(missed.since, BEGIN + 1000);
    assert_eq!(missed.why, "the build's owner cannot build: ann is gone");
    assert!(sweep(&lab, BEGIN + 1300).await.is_empty());
    assert_eq!(build().await.revision, noted.revision, "written once");
    lab.owners.gone.store(false, Ordering::SeqCst);
    assert_eq!(sweep(&lab, BEGIN + 1600).await, ["app-2"]);
    assert_eq!(build().await.value.status.missed, None);
}

#[tokio::test]
async fn only_builds_that_stand_on_what_was_moved_are_looked_at() {
    let lab = Lab::new();
    lab.push("team/builder:1", "1").await;
    built(&lab, "app", &json!({"triggers": {"image": true}})).await;
    lab.push("team/builder:1", "2").await;
    let moves = Moves::default();
    moves.note("team/other".parse_repo(), "1".parse_tag());
    let (triggers, mut later) = (lab.triggers(), BTreeSet::new());
    let now = at(BEGIN + 1000);
    let started = triggers
        .images(&moves.take(), &mut later, now)
        .await
        .unwrap();
    assert!(started.is_empty());
    moves.note("team/builder".parse_repo(), "1".parse_tag());
    let started = triggers
        .images(&moves.take(), &mut later, now)
        .await
        .unwrap();
    assert_eq!(started, ["app-2"]);
    assert_eq!(moves.take(), Moved::default());
    for number in 0..2000 {
        moves.note(
            "team/builder".parse_repo(),
            format!("t{number}").parse_tag(),
        );
    }
    assert_eq!(moves.take(), Moved::Any);
}

#[tokio::test]
async fn nothing_is_started_by_what_has_not_moved() {
    let lab = Lab::new();
    let first = lab.push("team/builder:1", "1").await;
    lab.push("team/runtime:1", "1").await;
    let on = json!({"image": true});
    built(&lab, "off", &json!({})).await;
    built(
        &lab,
        "pinned",
        &json!({"triggers": on, "builder": first.to_string()}),
    )
    .await;
    built(&lab, "respecified", &json!({"triggers": on})).await;
    lab.build("never", &json!({"triggers": on}), at(BEGIN))
        .await;
    built(&lab, "runtime", &json!({"triggers": on, "builder": first.to_string(), "runtime": {"image": "team/runtime:1"}})).await;
    lab.push("team/builder:2", "2").await;
    // Another name is a change of the build, and no move.
    let spec = super::lab::spec(
        "respecified",
        &json!({"triggers": on, "builder": "team/builder:2"}),
    );
    let changed = lab
        .builds
        .replace(NAMESPACE, "respecified", spec, owner(), None, at(BEGIN));
    changed.await.unwrap();
    lab.push("team/builder:1", "2").await;
    assert!(sweep(&lab, BEGIN + 1000).await.is_empty());
    lab.push("team/runtime:1", "2").await;
    assert_eq!(sweep(&lab, BEGIN + 1000).await, ["runtime-2"]);
}

/// What waits is looked for among all builds at each look: what is gone would make that last for ever.
#[tokio::test]
async fn a_build_that_is_gone_waits_no_more() {
    let lab = Lab::new();
    lab.push("team/builder:1", "1").await;
    built(&lab, "app", &json!({"triggers": {"image": true}})).await;
    lab.push("team/builder:1", "2").await;
    start(&lab, "app", BEGIN).await;
    let (triggers, mut later) = (lab.triggers(), BTreeSet::new());
    let look = at(BEGIN + 1000);
    triggers
        .images(&Moved::Any, &mut later, look)
        .await
        .unwrap();
    assert_eq!(later.len(), 1, "a run of it has not ended");
    let cancelled = lab.builds.cancel(NAMESPACE, "app-2", "ann", look);
    cancelled.await.unwrap();
    lab.builds.remove(NAMESPACE, "app").await.unwrap();
    let nothing = Moved::default();
    triggers.images(&nothing, &mut later, look).await.unwrap();
    assert!(later.is_empty(), "{later:?}");
}

#[tokio::test]
async fn a_run_that_failed_is_not_tried_again_for_the_same_image() {
    let lab = Lab::new();
    lab.push("team/builder:1", "1").await;
    built(&lab, "app", &json!({"triggers": {"image": true}})).await;
    lab.push("team/builder:1", "2").await;
    assert_eq!(sweep(&lab, BEGIN + 1000).await, ["app-2"]);
    let cancelled = lab
        .builds
        .cancel(NAMESPACE, "app-2", "ann", at(BEGIN + 1001));
    cancelled.await.unwrap();
    assert!(sweep(&lab, BEGIN + 9000).await.is_empty());
    lab.push("team/builder:1", "3").await;
    assert_eq!(sweep(&lab, BEGIN + 9000).await, ["app-3"]);
}

#[tokio::test]
async fn what_asks_whether_an_image_comes_out_again_has_not_made_it() {
    let lab = Lab::new();
    lab.push("team/builder:1", "1").await;
    built(&lab, "app", &json!({})).await;
    let made = lab.runs().await["app-1"].result.clone().unwrap();
    let again = lab
        .builds
        .again(NAMESPACE, "app-1", true, owner(), at(BEGIN));
    assert_eq!(again.await.unwrap().value.metadata.name, "app-2");
    lab.finish(at(BEGIN + 1), |_, on| on.to_owned()).await;
    assert_eq!(lab.runs().await["app-2"].result, Some(made.clone()));
    let made = crate::images::ImageName::parse(&made.image, &[]).unwrap();
    let by = lab.builds.run_that_made(&made).await.unwrap();
    assert_eq!(by.unwrap().metadata.name, "app-1");
}

/// Cancels a run, which stands for one that failed.
async fn fail(lab: &Lab, run: &str) {
    let cancelled = lab.builds.cancel(NAMESPACE, run, "ann", at(BEGIN));
    cancelled.await.unwrap();
}

#[tokio::test]
async fn an_image_that_moves_again_is_tried_again_wherever_it_was_before() {
    let lab = Lab::new();
    lab.push("team/builder:1", "1").await;
    built(&lab, "app", &json!({"triggers": {"image": true}})).await;
    lab.push("team/builder:1", "2").await;
    assert_eq!(sweep(&lab, BEGIN + 1000).await, ["app-2"]);
    fail(&lab, "app-2").await;
    // Back to what there is a success with, and here again.
    lab.push("team/builder:1", "1").await;
    assert_eq!(sweep(&lab, BEGIN + 2000).await, [""; 0]);
    lab.push("team/builder:1", "2").await;
    assert_eq!(sweep(&lab, BEGIN + 3000).await, ["app-3"]);
    fail(&lab, "app-3").await;
    assert_eq!(sweep(&lab, BEGIN + 4000).await, [""; 0], "it has not moved");
    lab.push("team/builder:1", "3").await;
    assert_eq!(sweep(&lab, BEGIN + 5000).await, ["app-4"]);
    fail(&lab, "app-4").await;
    lab.push("team/builder:1", "2").await;
    assert_eq!(sweep(&lab, BEGIN + 6000).await, ["app-5"]);
}

#[tokio::test]
async fn each_image_of_a_build_is_tried_by_itself_and_once() {
    let lab = Lab::new();
    lab.push("team/builder:1", "1").await;
    let runtime = lab.push("team/runtime:1", "1").await;
    let more = json!({"triggers": {"image": true}, "runtime": {"image": "team/runtime:1"}});
    built(&lab, "app", &more).await;
    lab.push("team/builder:1", "2").await;
    assert_eq!(sweep(&lab, BEGIN + 1000).await, ["app-2"]);
    fail(&lab, "app-2").await;
    lab.push("team/runtime:1", "2").await;
    assert_eq!(sweep(&lab, BEGIN + 2000).await, ["app-3"]);
    let cause = lab.runs().await["app-3"].cause.clone();
    assert!(
        matches!(&cause, Cause::ImageMoved { image, .. } if image == "team/runtime:1"),
        "{cause:?}"
    );
    fail(&lab, "app-3").await;
    assert_eq!(sweep(&lab, BEGIN + 3000).await, [""; 0]);
    // What is not to be had for a while has not moved.
    let folder = lab.images.folder(runtime.repo());
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).unwrap();
    assert_eq!(sweep(&lab, BEGIN + 4000).await, [""; 0]);
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(sweep(&lab, BEGIN + 5000).await, [""; 0]);
}

#[test]
fn no_build_is_in_a_chain_twice() {
    let chain = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(next_in_chain("t/a", &[]), Some(Vec::new()));
    assert_eq!(
        next_in_chain("t/b", &chain(&["t/a"])),
        Some(chain(&["t/a"]))
    );
    assert_eq!(next_in_chain("t/a", &chain(&["t/a"])), None);
    assert_eq!(next_in_chain("t/a", &chain(&["t/a", "t/b"])), None);
    let long: Vec<_> = (0..32).map(|number| format!("t/{number}")).collect();
    assert_eq!(next_in_chain("t/a", &long), None);
}

/// Whatever stands on whatever: after each build was started by hand, runs that moved images cause come to an end.
async fn every_chain_ends(stands_on: &[(usize, usize)], always_new: bool) {
    let lab = Lab::new();
    let image = |index: usize| format!("team/app-{index}:latest");
    for index in 0..stands_on.len() {
        lab.push(&image(index), &format!("before {index}")).await;
    }
    for (index, (builder, runtime)) in stands_on.iter().enumerate() {
        let more = json!({
            "builder": image(builder % stands_on.len()),
            "runtime": {"image": image(runtime % stands_on.len())},
            "triggers": {"image": true},
        });
        lab.build(&format!("app-{index}"), &more, at(BEGIN)).await;
    }
    let mut made = 0;
    let mut content = |run: &Run, stands_on: &str| {
        made += 1;
        let build = run.build.as_ref().unwrap();
        let fresh = if always_new { made } else { 0 };
        format!("{build} {stands_on} {fresh}")
    };
    let mut now = BEGIN;
    for index in 0..stands_on.len() {
        start(&lab, &format!("app-{index}"), now).await;
        lab.finish(at(now), &mut content).await;
        // Depth is bounded by chains, and of each depth there is an end.
        let mut rounds = 0;
        loop {
            now += 100;
            let started = sweep(&lab, now).await;
            if started.is_empty() {
                break;
            }
            lab.finish(at(now), &mut content).await;
            rounds += 1;
            assert!(rounds < 64, "{stands_on:?} does not end");
        }
    }
    for run in lab.runs().await.into_values() {
        if let Cause::ImageMoved { chain, .. } = run.cause {
            let own = format!("{NAMESPACE}/{}", run.build.unwrap());
            let each: BTreeSet<_> = chain.iter().chain([&own]).collect();
            assert_eq!(
                each.len(),
                chain.len() + 1,
                "{own} is in its own chain {chain:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_build_that_stands_on_itself_and_a_ring_end() {
    every_chain_ends(&[(0, 0)], true).await;
    every_chain_ends(&[(1, 1), (0, 0)], true).await;
    every_chain_ends(&[(1, 1), (2, 2), (0, 0)], true).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_chain_of_any_graph_ends(
        stands_on in proptest::collection::vec((0_usize..4, 0_usize..4), 1..5),
        always_new: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(every_chain_ends(&stands_on, always_new));
    }
}

trait Names {
    fn parse_repo(&self) -> oci::RepoName;
    fn parse_tag(&self) -> oci::Tag;
}

impl Names for str {
    fn parse_repo(&self) -> oci::RepoName {
        oci::RepoName::parse(self).unwrap()
    }

    fn parse_tag(&self) -> oci::Tag {
        oci::Tag::parse(self).unwrap()
    }
}
