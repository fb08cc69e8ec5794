//! Runs that wait, are cancelled, take too long, and outlive the server.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use builder::builds::{BuildsError, Recorded, RunsOf, Settings, Wait};
use builder::images::ImageName;
use builder::ledger::{Kind, Ledger as _, Write};
use builder::records::{Run, RunPolicy, SourceSpec, State};
use builder::source::SourceNetwork;

use crate::lab::{Lab, actor, all, asked, eventually, now, reason, said, spec};
use crate::logs::Disk;

/// A lab whose build waits for the gate.
async fn waiting(policy: RunPolicy) -> Lab {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "wait");
    wanted.policy = policy;
    lab.build(wanted).await;
    lab
}

async fn state(lab: &Lab, run: &Run) -> State {
    lab.builds
        .run("shop", &run.metadata.name)
        .await
        .unwrap()
        .value
        .state
}

#[tokio::test]
async fn runs_of_a_build_have_their_turns_and_can_be_cancelled_in_any_state() {
    let lab = waiting(RunPolicy::Serial).await;
    let first = lab.start().await;
    let second = lab.start().await;
    let third = lab.start().await;
    lab.says(&first, "working with wait").await;
    assert_eq!(state(&lab, &second).await, State::Queued);
    let earlier = Wait::EarlierRun(first.metadata.name.clone());
    assert_eq!(lab.builds.wait_of(&second), Some(earlier));
    assert_eq!(lab.builds.wait_of(&first), None);

    let cancel = |run: &Run| {
        let (builds, name) = (lab.builds.clone(), run.metadata.name.clone());
        async move {
            builds
                .cancel("shop", &name, "bob", now())
                .await
                .unwrap()
                .value
        }
    };
    let by = "bob".to_owned();
    assert_eq!(
        cancel(&second).await.state,
        State::Cancelled { by: by.clone() }
    );
    assert!(lab.ended(&second).await.1.is_empty());
    cancel(&first).await;
    let (first, lines) = lab.ended(&first).await;
    assert_eq!(first.state, State::Cancelled { by });
    assert!(said(&lines).ends_with("cancelled by bob"));
    lab.open_gate();
    let third = lab.ended(&third).await.0;
    assert_eq!(third.state, State::Succeeded);
    // It is over: nothing changes.
    assert_eq!(cancel(&third).await.state, State::Succeeded);
}

#[tokio::test]
async fn of_runs_that_wait_only_the_latest_runs() {
    let lab = waiting(RunPolicy::SerialLatestOnly).await;
    let first = lab.start().await;
    lab.says(&first, "working with wait").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(lab.start().await);
    }
    let by = "the newer run app-4".to_owned();
    for needless in &others[..2] {
        let ended = lab.ended(needless).await.0;
        // The one between may have been made needless by the third.
        match ended.state {
            State::Cancelled { by: said } => assert!(said == by || said.ends_with("app-3")),
            other => assert_eq!(other, State::Queued),
        }
    }
    lab.open_gate();
    assert_eq!(lab.ended(&others[2]).await.0.state, State::Succeeded);
}

#[tokio::test]
async fn a_folder_that_is_sent_makes_no_run_needless_nor_is_it() {
    let lab = waiting(RunPolicy::SerialLatestOnly).await;
    let first = lab.start().await;
    lab.says(&first, "working with wait").await;
    let own = lab.start().await;
    let mut folder = asked();
    let reference = lab.source(&[("app.py", "print(3)")]).await;
    folder.source = Some(SourceSpec::Image { reference });
    let folder = lab.builds.start("shop", "app", folder, now());
    let folder = folder.await.unwrap().value;
    let newest = lab.start().await;
    let by = "the newer run app-4".to_owned();
    assert_eq!(lab.ended(&own).await.0.state, State::Cancelled { by });
    lab.open_gate();
    for run in [folder, newest] {
        assert_eq!(lab.ended(&run).await.0.state, State::Succeeded);
    }
}

#[tokio::test]
async fn runs_side_by_side() {
    let lab = waiting(RunPolicy::Parallel).await;
    let (first, second) = (lab.start().await, lab.start().await);
    lab.says(&first, "working with wait").await;
    lab.says(&second, "working with wait").await;
    assert_eq!(lab.builds.load().working, 2);
    lab.open_gate();
    assert_eq!(lab.ended(&first).await.0.state, State::Succeeded);
    assert_eq!(lab.ended(&second).await.0.state, State::Succeeded);
    let status = lab.builds.build("shop", "app").await.unwrap().value.status;
    assert_eq!(status.succeeded.as_deref(), Some("app-2"));
}

/// Lets the time of runs pass, and none of this test's.
async fn passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn whoever_takes_or_waits_too_long_has_failed() {
    let lab = waiting(RunPolicy::Serial).await;
    let build = lab.builds.build("shop", "app").await.unwrap().value;
    let mut wanted = build.spec;
    wanted.timeouts.run = Some(600);
    let replaced = lab.builds.replace(
        "shop",
        "app",
        wanted.clone(),
        actor(),
        None,
        SystemTime::now(),
    );
    replaced.await.unwrap();
    let first = lab.start().await;
    lab.says(&first, "working with wait").await;
    wanted.timeouts.queue = Some(1);
    wanted.timeouts.run = None;
    let replaced = lab
        .builds
        .replace("shop", "app", wanted, actor(), None, SystemTime::now());
    replaced.await.unwrap();
    // It was asked for long ago.
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    let second = lab
        .builds
        .start("shop", "app", asked(), long_ago)
        .await
        .unwrap()
        .value;
    assert_eq!(reason(&lab.ended(&second).await.0), "QueueTimeout");
    passes(Duration::from_secs(601)).await;
    assert_eq!(reason(&lab.ended(&first).await.0), "RunTimeout");
    let told = lab.failures().await;
    let told = told
        .iter()
        .map(|event| (event.run.as_str(), event.reason.as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [("app-2", "QueueTimeout"), ("app-1", "RunTimeout")]
    );
}

#[tokio::test]
async fn why_a_run_did_not_end_in_time_is_said() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "fork");
    wanted.timeouts.run = Some(600);
    lab.build(wanted).await;
    let run = lab.start().await;
    lab.says(&run, "working with fork").await;
    passes(Duration::from_secs(601)).await;
    let ended = lab.ended(&run).await.0;
    assert_eq!(reason(&ended), "TooManyProcesses");
    let State::Failed { message, .. } = &ended.state else {
        panic!("{ended:?}");
    };
    for word in [
        "it was refused processes",
        "the 600 seconds of spec.timeouts.run",
    ] {
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn a_namespace_may_not_wait_without_end() {
    let lab = Lab::with(
        |settings| settings.namespace_waiting = 1,
        SourceNetwork::default(),
    )
    .await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "wait")).await;
    let first = lab.start().await;
    lab.says(&first, "working with wait").await;
    lab.start().await;
    let refused = lab.builds.start("shop", "app", asked(), now()).await;
    assert!(matches!(
        refused,
        Err(BuildsError::QueueFull { waiting: 1, .. })
    ));
    lab.open_gate();
}

#[tokio::test]
async fn a_server_that_ends_takes_its_runs_up_again() {
    let mut lab = waiting(RunPolicy::Serial).await;
    let first = lab.start().await;
    let second = lab.start().await;
    lab.says(&first, "working with wait").await;
    lab.end().await;
    assert_eq!(state(&lab, &first).await, State::Queued);
    assert_eq!(state(&lab, &second).await, State::Queued);
    lab.open_gate();
    lab.restart().await;
    let (first, lines) = lab.ended(&first).await;
    assert_eq!(first.state, State::Succeeded);
    // It was asked to end: that is not held against the run.
    assert_eq!(first.attempts, 1);
    assert!(said(&lines).contains("this run will begin anew"));
    assert_eq!(lab.ended(&second).await.0.state, State::Succeeded);
}

/// A source whose bytes do not come: nobody can end the thread that reads them, and a server that ends does not wait for it.
#[tokio::test]
async fn a_server_ends_though_a_read_hangs() {
    let mut lab = waiting(RunPolicy::Serial).await;
    let source = lab.source(&[("hangs", "")]).await;
    let name = ImageName::parse(&source, &[]).unwrap();
    let layer = lab.tag(&source).await.unwrap().layers()[0].digest;
    let blobs = lab.images.folder(name.repo()).join("blobs/sha256");
    let blob = blobs.join(layer.hex());
    std::fs::remove_file(&blob).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&blob).status();
    assert!(made.unwrap().success());
    let mut options = std::fs::File::options();
    let mut silent = options.read(true).write(true).open(&blob).unwrap();
    silent.write_all(b"x").unwrap();
    let mut build = lab.builds.build("shop", "app").await.unwrap().value;
    build.spec.source = SourceSpec::Image { reference: source };
    let replaced = lab
        .builds
        .replace("shop", "app", build.spec, actor(), None, now());
    replaced.await.unwrap();
    let run = lab.start().await;
    // The thread has read that, and wants more.
    let unread = || rustix::io::ioctl_fionread(&silent).unwrap();
    eventually("it reads", async || (unread() == 0).then_some(())).await;
    lab.end().await;
    assert_eq!(state(&lab, &run).await, State::Queued);
    // Or this test would wait for it.
    drop(silent);
}

/// The wish is recorded, and the server ends before it has come to the run.
#[tokio::test]
async fn who_cancels_a_run_while_the_server_ends_has_cancelled_it() {
    let mut lab = waiting(RunPolicy::Serial).await;
    let run = lab.start().await;
    lab.says(&run, "working with wait").await;
    let mut record = lab.builds.run("shop", "app-1").await.unwrap();
    record.value.cancel = Some("bob".to_owned());
    write(&lab, record).await;
    lab.end().await;
    let by = "bob".to_owned();
    assert_eq!(state(&lab, &run).await, State::Cancelled { by });
    let mut log = lab.builds.log("shop", "app-1").await.unwrap();
    assert!(said(&all(&mut log)).ends_with("cancelled by bob"));

    // As a server has left it that let it wait all the same.
    let mut record = lab.builds.run("shop", "app-1").await.unwrap();
    record.value.state = State::Queued;
    record.value.ended = None;
    write(&lab, record).await;
    lab.open_gate();
    lab.restart().await;
    let (run, _) = lab.ended(&run).await;
    let by = "bob".to_owned();
    assert_eq!(run.state, State::Cancelled { by });
    assert!(run.ended.is_some());
    assert_eq!(
        lab.driver.runs.load(Ordering::SeqCst),
        1,
        "never built again"
    );
    assert_eq!(lab.run().await.state, State::Succeeded);
}

#[tokio::test]
async fn a_run_bears_that_nothing_can_be_recorded_for_a_while() {
    let lab = waiting(RunPolicy::Serial).await;
    let run = lab.start().await;
    lab.says(&run, "working with wait").await;
    lab.ledger.is_broken.store(true, Ordering::SeqCst);
    let refused = lab.builds.start("shop", "app", asked(), now()).await;
    assert!(matches!(refused, Err(BuildsError::Unavailable(_))));
    lab.open_gate();
    lab.says(&run, "Publish").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        lab.tag("shop/app:v1").await.is_none(),
        "not before it is in the ledger"
    );
    lab.ledger.is_broken.store(false, Ordering::SeqCst);
    let (run, lines) = lab.ended(&run).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
}

#[tokio::test]
async fn a_run_that_is_interrupted_again_and_again_has_failed() {
    let mut lab = waiting(RunPolicy::Serial).await;
    lab.open_gate();
    lab.end().await;
    let run = lab.start().await;
    let mut record = lab.builds.run("shop", "app-1").await.unwrap();
    record.value.state = State::Running;
    record.value.attempts = 2;
    write(&lab, record).await;
    lab.restart().await;
    assert_eq!(reason(&lab.ended(&run).await.0), "Interrupted");
    assert_eq!(lab.failures().await[0].reason, "Interrupted");
}

#[tokio::test]
async fn a_run_that_was_cancelled_when_the_server_was_killed_says_by_whom() {
    let mut lab = waiting(RunPolicy::Serial).await;
    lab.end().await;
    let run = lab.start().await;
    let mut record = lab.builds.run("shop", "app-1").await.unwrap();
    record.value.state = State::Running;
    write(&lab, record).await;
    let cancelled = lab.builds.cancel("shop", "app-1", "bob", now()).await;
    assert_eq!(cancelled.unwrap().value.cancel.as_deref(), Some("bob"));
    let again = lab.builds.cancel("shop", "app-1", "eve", now()).await;
    assert_eq!(again.unwrap().value.cancel.as_deref(), Some("bob"));
    lab.restart().await;
    let by = "bob".to_owned();
    assert_eq!(lab.ended(&run).await.0.state, State::Cancelled { by });
    assert!(lab.failures().await.is_empty());
}

#[tokio::test]
async fn old_runs_go_with_their_logs() {
    let lab = Lab::with(
        |settings| {
            settings.retention.succeeded = Some(2);
            settings.kept_at_least = Duration::ZERO;
        },
        SourceNetwork::default(),
    )
    .await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    for _ in 0..4 {
        lab.run().await;
    }
    lab.builds.tidy(now()).await.unwrap();
    let kept = lab
        .builds
        .runs("shop", &RunsOf::default())
        .await
        .unwrap()
        .items;
    let kept: Vec<_> = kept
        .iter()
        .map(|run| run.value.metadata.name.as_str())
        .collect();
    assert_eq!(kept, ["app-4", "app-3"]);
    let logs = std::fs::read_dir(lab.folder.path().join("logs/shop")).unwrap();
    assert_eq!(logs.count(), 2);
    // A log whose run is gone.
    let orphan = lab.folder.path().join("logs/shop/app-4");
    std::fs::create_dir_all(&orphan).unwrap();
    lab.builds.tidy(now()).await.unwrap();
    assert!(
        !orphan.exists(),
        "it is no run's, though a run has the name"
    );
    let logs = std::fs::read_dir(lab.folder.path().join("logs/shop")).unwrap();
    assert_eq!(logs.count(), 2);
}

#[tokio::test]
async fn a_run_for_which_there_is_no_room_fetches_nothing() {
    let lab = waiting(RunPolicy::Serial).await;
    std::fs::write(&lab.driver.full, "").unwrap();
    let run = lab.run().await;
    assert_eq!(reason(&run), "DiskPressure");
    assert_eq!(run.resolved.source, None);
    std::fs::remove_file(&lab.driver.full).unwrap();
    lab.open_gate();
    assert_eq!(lab.run().await.state, State::Succeeded);
}

#[tokio::test]
async fn a_disk_that_is_full_before_anything_runs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    let Some(_disk) = Disk::new(&small, c"size=1m") else {
        return;
    };
    let scratch = |settings: &mut Settings| settings.scratch.clone_from(&small);
    let lab = Lab::with(scratch, SourceNetwork::default()).await;
    let large = "x".repeat(2 << 20);
    let source = lab.source(&[("app.py", &large)]).await;
    lab.build(spec(&source, "hello")).await;
    assert_eq!(reason(&lab.run().await), "DiskPressure");
}

/// Many pipelines run in one namespace: what one of them does takes nothing of another.
#[tokio::test]
async fn runs_of_no_build_go_for_newer_ones_of_their_repository_and_not_at_once() {
    let few = |at_least: Duration| {
        move |settings: &mut Settings| {
            settings.retention.succeeded = Some(1);
            settings.kept_at_least = at_least;
        }
    };
    for (at_least, expected) in [
        (Duration::ZERO, &["a-2", "b-1"][..]),
        (Duration::from_secs(3600), &["a-1", "a-2", "b-1"]),
    ] {
        let lab = Lab::with(few(at_least), SourceNetwork::default()).await;
        let source = lab.source(&[("app.py", "print()")]).await;
        for (name, image) in [
            ("b-1", "shop/b:v1"),
            ("a-1", "shop/a:v1"),
            ("a-2", "shop/a:v2"),
        ] {
            let mut wanted = spec(&source, "x");
            wanted.output.image = image.to_owned();
            let made = lab
                .builds
                .run_once("shop", Some(name), wanted, asked(), now());
            lab.ended(&made.await.unwrap().value).await;
        }
        lab.builds.tidy(now()).await.unwrap();
        let kept = lab.builds.runs("shop", &RunsOf::default()).await;
        let kept = kept.unwrap().items;
        let mut kept: Vec<_> = kept
            .iter()
            .map(|run| run.value.metadata.name.as_str())
            .collect();
        kept.sort_unstable();
        assert_eq!(kept, expected);
    }
}

async fn write(lab: &Lab, run: Recorded<Run>) {
    let key = builder::ledger::Key {
        kind: Kind::Run,
        namespace: "shop".to_owned(),
        name: run.value.metadata.name.clone(),
    };
    let write = Write::Put {
        key,
        revision: Some(run.revision),
        open: true,
        brief: None,
        body: serde_json::to_vec(&run.value).unwrap(),
    };
    lab.ledger.write(vec![write]).await.unwrap();
}
