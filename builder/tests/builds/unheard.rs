//! A ledger that has written what it was asked to, and whose answer nobody hears.

use std::sync::atomic::Ordering;

use builder::builds::BuildsError;
use builder::records::{Run, State, StateKind};

use crate::lab::{Lab, asked, eventually, now, reason, spec};

/// A build whose next run loses the answer of the write by which it comes to stand so.
async fn losing(words: &str, state: StateKind) -> Lab {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, words)).await;
    *lab.ledger.loses.lock().unwrap() = Some(state);
    lab
}

/// The first run, when it is so.
async fn first(lab: &Lab, is_so: impl Fn(&Run) -> bool) -> Run {
    eventually("it is so", async || {
        let run = lab.builds.run("shop", "app-1").await;
        run.ok().map(|run| run.value).filter(&is_so)
    })
    .await
}

/// It was begun once, and is told of once.
async fn has_ended_once(lab: &Lab, kind: StateKind) {
    let run = first(lab, |run| run.state.has_ended()).await;
    assert_eq!(run.state.kind(), kind, "{run:#?}");
    assert_eq!(run.attempts, 1);
    assert_eq!(lab.driver.runs.load(Ordering::SeqCst), 1);
    assert_eq!(*lab.ledger.loses.lock().unwrap(), None, "nothing was lost");
    // Who waits for it is not left waiting, and the next has its turn.
    lab.ended(&run).await;
    assert_eq!(lab.run().await.state.kind(), kind);
    let events = lab.builds.events("shop", 0, 10).await.unwrap().items;
    let told = events.iter().map(|(at, event)| (*at, event.run.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [(1, "app-1"), (2, "app-2")]);
    assert_eq!(events[0].1.id, run.uid);
}

#[tokio::test]
async fn a_run_that_was_asked_for_has_its_turn() {
    let lab = losing("hello", StateKind::Queued).await;
    let asked = lab.builds.start("shop", "app", asked(), now()).await;
    assert!(matches!(asked, Err(BuildsError::Unavailable(_))));
    has_ended_once(&lab, StateKind::Succeeded).await;
}

#[tokio::test]
async fn a_run_that_has_begun_begins() {
    let lab = losing("hello", StateKind::Running).await;
    lab.start().await;
    has_ended_once(&lab, StateKind::Succeeded).await;
}

#[tokio::test]
async fn a_run_that_has_begun_and_is_not_wanted_any_more_ends() {
    let lab = losing("hello", StateKind::Running).await;
    lab.start().await;
    first(&lab, |run| run.state == State::Running).await;
    let cancelled = lab.builds.cancel("shop", "app-1", "bob", now()).await;
    assert_eq!(cancelled.unwrap().value.state, State::Running);
    let run = first(&lab, |run| run.state.has_ended()).await;
    let by = "bob".to_owned();
    assert_eq!(run.state, State::Cancelled { by });
    assert_eq!(lab.driver.runs.load(Ordering::SeqCst), 0);
    lab.ended(&run).await;
    assert_eq!(lab.run().await.state, State::Succeeded);
}

#[tokio::test]
async fn a_success_is_recorded_once() {
    let lab = losing("hello", StateKind::Succeeded).await;
    lab.start().await;
    has_ended_once(&lab, StateKind::Succeeded).await;
}

#[tokio::test]
async fn a_failure_is_recorded_once() {
    let lab = losing("fail", StateKind::Failed).await;
    lab.start().await;
    let run = first(&lab, |run| run.state.has_ended()).await;
    assert_eq!(reason(&run), "AssembleFailed");
    lab.ended(&run).await;
    assert_eq!(*lab.ledger.loses.lock().unwrap(), None, "nothing was lost");
    lab.run().await;
    let told = lab.failures().await;
    let told = told.iter().map(|event| event.run.as_str());
    assert_eq!(told.collect::<Vec<_>>(), ["app-1", "app-2"]);
}

/// One that waits too long while another of its build is at work.
#[tokio::test]
async fn the_end_of_a_run_that_waited_is_recorded_once() {
    let lab = losing("wait", StateKind::Failed).await;
    let mut build = lab.builds.build("shop", "app").await.unwrap().value;
    build.spec.timeouts.queue = Some(1);
    let by = crate::lab::actor();
    let replaced = lab
        .builds
        .replace("shop", "app", build.spec, by, None, now());
    replaced.await.unwrap();
    let working = lab.start().await;
    lab.says(&working, "working with wait").await;
    let late = lab.start().await;
    let (late, _) = lab.ended(&late).await;
    assert_eq!(reason(&late), "QueueTimeout");
    lab.open_gate();
    lab.ended(&working).await;
    assert_eq!(*lab.ledger.loses.lock().unwrap(), None, "nothing was lost");
    let events = lab.builds.events("shop", 0, 10).await.unwrap().items;
    let told = events.iter().map(|(at, event)| (*at, event.run.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [(1, "app-2"), (2, "app-1")]);
}
