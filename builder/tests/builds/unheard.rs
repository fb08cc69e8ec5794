//! A ledger that has written what it was asked to, and whose answer nobody hears.

use std::sync::atomic::Ordering;

use builder::builds::BuildsError;
use builder::builds::log::{Entry, LogLine};
use builder::ledger::{Key, Kind, Ledger as _, Write};
use builder::records::{Run, RunPolicy, State, StateKind};
use builder::source::SourceNetwork;

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

/// A run that was made, at its end.
async fn has_ended(lab: &Lab, name: &str) -> Run {
    let run = lab.builds.run("shop", name).await.unwrap().value;
    lab.ended(&run).await.0
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
    let events = lab.builds.events("shop", 0, None, 10).await.unwrap().items;
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

/// Whoever asked has gone before the ledger had written.
#[tokio::test]
async fn a_run_that_nobody_waits_for_any_more_has_its_turn() {
    let lab = losing("hello", StateKind::Queued).await;
    lab.ledger.hangs.store(true, Ordering::SeqCst);
    tokio::select! {
        _ = lab.builds.start("shop", "app", asked(), now()) => unreachable!("there is no answer"),
        _ = first(&lab, |_| true) => {}
    }
    lab.ledger.hangs.store(false, Ordering::SeqCst);
    has_ended_once(&lab, StateKind::Succeeded).await;
}

/// Whether any of those was made is not known, so each has its place until it was looked for.
#[tokio::test]
async fn no_more_are_asked_for_than_may_wait_while_nothing_is_heard() {
    let mut lab = Lab::with(
        |settings| settings.namespace_waiting = 2,
        SourceNetwork::default(),
    )
    .await;
    // Nobody looks yet.
    lab.end().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "hello")).await;
    let builds = lab.builds.clone();
    let start = || Box::pin(builds.start("shop", "app", asked(), now()));
    *lab.ledger.loses.lock().unwrap() = Some(StateKind::Queued);
    assert!(matches!(start().await, Err(BuildsError::Unavailable(_))));
    lab.ledger.is_broken.store(true, Ordering::SeqCst);
    assert!(matches!(start().await, Err(BuildsError::Unavailable(_))));
    assert!(matches!(
        start().await,
        Err(BuildsError::QueueFull { waiting: 2, .. })
    ));
    lab.ledger.is_broken.store(false, Ordering::SeqCst);
    lab.begin();
    let run = eventually("there is room again", async || start().await.ok()).await;
    assert_eq!(run.value.metadata.name, "app-2");
    lab.ended(&run.value).await;
    has_ended(&lab, "app-1").await;
}

/// Somebody looks for what was not heard of: what others are at stays theirs.
#[tokio::test]
async fn a_run_at_work_is_left_at_work() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "wait");
    wanted.policy = RunPolicy::Parallel;
    lab.build(wanted).await;
    let working = lab.start().await;
    lab.says(&working, "working with wait").await;
    *lab.ledger.loses.lock().unwrap() = Some(StateKind::Queued);
    let unheard = lab.builds.start("shop", "app", asked(), now()).await;
    assert!(matches!(unheard, Err(BuildsError::Unavailable(_))));
    let unheard = lab.builds.run("shop", "app-2").await.unwrap().value;
    lab.says(&unheard, "working with wait").await;
    let run = first(&lab, |_| true).await;
    assert_eq!((run.state, run.attempts), (State::Running, 1));
    lab.open_gate();
    for name in ["app-1", "app-2"] {
        let run = has_ended(&lab, name).await;
        assert_eq!((run.state, run.attempts), (State::Succeeded, 1));
    }
    assert_eq!(lab.driver.runs.load(Ordering::SeqCst), 2);
}

/// Nothing of it is published, whoever has ended it.
#[tokio::test]
async fn a_run_that_the_ledger_says_has_ended_publishes_nothing() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "wait")).await;
    let run = lab.start().await;
    lab.says(&run, "working with wait").await;
    let mut ended = lab.builds.run("shop", "app-1").await.unwrap();
    let by = "bob".to_owned();
    ended.value.state = State::Cancelled { by };
    let write = Write::Put {
        key: Key {
            kind: Kind::Run,
            namespace: "shop".to_owned(),
            name: "app-1".to_owned(),
        },
        revision: Some(ended.revision),
        open: false,
        brief: None,
        body: serde_json::to_vec(&ended.value).unwrap(),
    };
    lab.ledger.write(vec![write]).await.unwrap();
    lab.open_gate();
    eventually("nobody is at it", async || {
        (lab.builds.load().working == 0).then_some(())
    })
    .await;
    let (run, said) = lab.ended(&run).await;
    assert_eq!(run, ended.value);
    assert!(lab.tag("shop/app:v1").await.is_none());
    assert!(lab.events().await.is_empty());
    let is_published =
        |line: &LogLine| matches!(&line.entry, Entry::Note(text) if text.starts_with("published"));
    assert!(!said.iter().any(is_published), "{said:#?}");
    // The next has its turn.
    assert_eq!(lab.run().await.state, State::Succeeded);
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
    let working = lab.start().await;
    lab.says(&working, "working with wait").await;
    let mut build = lab.builds.build("shop", "app").await.unwrap().value;
    build.spec.timeouts.queue = Some(1);
    let by = crate::lab::actor();
    let replaced = lab
        .builds
        .replace("shop", "app", build.spec, by, None, now());
    replaced.await.unwrap();
    let late = lab.start().await;
    let (late, _) = lab.ended(&late).await;
    assert_eq!(reason(&late), "QueueTimeout");
    lab.open_gate();
    lab.ended(&working).await;
    assert_eq!(*lab.ledger.loses.lock().unwrap(), None, "nothing was lost");
    let events = lab.builds.events("shop", 0, None, 10).await.unwrap().items;
    let told = events.iter().map(|(at, event)| (*at, event.run.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [(1, "app-2"), (2, "app-1")]);
}
