//! How much a namespace may have, whoever asks at the same time.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use builder::builds::{
    Age, BuildEvent, BuildsError, Occurrence, PageOf, RunsOf, SecretContent, Settings, What,
};
use builder::ledger::{Key, Kind, Ledger as _, Write};
use builder::records::{BuilderImage, OwnReason, RunPolicy, SecretUse, State, StateKind};
use builder::source::SourceNetwork;

use crate::lab::{Lab, actor, asked, eventually, now, secret_files, spec, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_has_no_more_of_anything_than_it_may() {
    let lab = Lab::with(
        |settings| {
            settings.quota.builds = 3;
            settings.quota.secrets = 3;
            settings.quota.builder_images = 3;
        },
        SourceNetwork::default(),
    )
    .await;
    let source = lab.source(&[("app.py", "print()")]).await;
    for what in [What::Build, What::Secret, What::BuilderImage] {
        let make = |number: usize| {
            let (builds, spec) = (lab.builds.clone(), spec(&source, "x"));
            let name = format!("one-{number}");
            tokio::spawn(async move {
                match what {
                    What::Build => {
                        let made = builds.create("shop", &name, spec, actor(), now());
                        made.await.map(drop)
                    }
                    What::Secret => {
                        let content = SecretContent {
                            used_for: SecretUse::Build,
                            files: secret_files(&[("token", "abc")]),
                        };
                        let put = builds.put_secret("shop", &name, &content, now());
                        put.await.map(drop)
                    }
                    _ => {
                        let image: BuilderImage = serde_json::from_value(serde_json::json!({
                            "metadata": {"namespace": "shop", "name": name, "created": 0},
                            "image": "shop/builder:1",
                        }))
                        .unwrap();
                        let actor = actor();
                        let put = builds.put_builder_image(image, &actor, now());
                        put.await.map(drop)
                    }
                }
            })
        };
        let all: Vec<_> = (0..12).map(make).collect();
        let mut count = 0;
        for one in all {
            match one.await.unwrap() {
                Ok(()) => count += 1,
                Err(error) => {
                    assert!(
                        matches!(&error, BuildsError::TooMany { what: of, most: 3, .. } if *of == what),
                        "{error}"
                    );
                    assert!(error.to_string().contains("(builder.namespace"), "{error}");
                }
            }
        }
        assert_eq!(count, 3, "{what}");
    }
    // What is there is changed as before, and what is removed makes room.
    let builds = lab.builds.builds("shop", &PageOf::default()).await.unwrap();
    let name = builds.items[0].value.metadata.name.clone();
    let replaced = lab
        .builds
        .replace("shop", &name, spec(&source, "y"), actor(), None, now());
    replaced.await.unwrap();
    lab.builds.remove("shop", &name).await.unwrap();
    lab.build(spec(&source, "x")).await;
    // Another namespace has its own.
    let mut elsewhere = spec(&source, "x");
    elsewhere.output.image = "other/app:v1".to_owned();
    let made = lab.builds.create("other", "app", elsewhere, actor(), now());
    made.await.unwrap();
}

#[tokio::test]
async fn the_newest_runs_come_first_whatever_they_are_called() {
    let mut lab = Lab::new().await;
    // Nothing begins.
    lab.end().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    for (later, name) in ["m", "z", "a", "k"].into_iter().enumerate() {
        let at = now() + Duration::from_secs(later as u64);
        let spec = spec(&source, "x");
        let run = lab.builds.run_once("shop", Some(name), spec, asked(), at);
        run.await.unwrap();
    }
    let cancelled = lab.builds.cancel("shop", "z", "ann", now());
    cancelled.await.unwrap();
    let listed = |which: RunsOf| {
        let builds = lab.builds.clone();
        async move {
            let page = builds.runs("shop", &which).await.unwrap();
            let names = page.items.iter().map(|run| run.value.metadata.name.clone());
            let last = page.items.last().map(|run| Age::of(&run.value));
            (names.collect::<Vec<_>>().concat(), page.more, last)
        }
    };
    let mut which = RunsOf {
        limit: 2,
        ..RunsOf::default()
    };
    let (names, more, last) = listed(which.clone()).await;
    assert_eq!((&*names, more), ("ka", true));
    which.before = last.map(|last| last.to_string().parse().unwrap());
    let (names, more, _) = listed(which).await;
    assert_eq!((&*names, more), ("zm", false), "the last page says so");
    let which = RunsOf {
        state: Some(StateKind::Queued),
        ..RunsOf::default()
    };
    assert_eq!(listed(which).await.0, "kam");
    for text in ["", "x", "-1.a"] {
        assert!(text.parse::<Age>().is_err(), "{text}");
    }
}

/// Of all others only what is said of them is read; of those that an older program wrote, until somebody has tidied up, too.
#[tokio::test]
async fn no_more_runs_are_read_where_there_are_many() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    let first = lab.run().await;
    let reads = || lab.ledger.runs_read.swap(0, Ordering::SeqCst);
    reads();
    assert!(lab.run().await.result.unwrap().reused);
    let few = reads();

    let others = (0..100).map(|number| {
        let mut run = first.clone();
        run.metadata.name = format!("app-{}", 1000 + number);
        run.uid = format!("{number:032x}");
        run.asked = 1000 + number;
        run.resolved.plan = None;
        Write::Put {
            key: Key {
                kind: Kind::Run,
                namespace: "shop".to_owned(),
                name: run.metadata.name.clone(),
            },
            revision: None,
            open: false,
            brief: None,
            body: serde_json::to_vec(&run).unwrap(),
        }
    });
    lab.ledger.write(others.collect()).await.unwrap();
    let names = async |limit| {
        let which = RunsOf {
            build: Some("app".to_owned()),
            limit,
            ..RunsOf::default()
        };
        let page = lab.builds.runs("shop", &which).await.unwrap();
        let names = page.items.iter().map(|run| run.value.metadata.name.clone());
        names.collect::<Vec<_>>()
    };
    let all = names(500).await;
    assert_eq!(all.len(), 102);
    assert_eq!(all[..3], ["app-2", "app-1", "app-1099"]);
    lab.builds.tidy(now()).await.unwrap();
    assert_eq!(names(500).await, all);
    reads();
    assert_eq!(names(1).await, ["app-2"]);
    assert_eq!(reads(), 2, "and one that says whether there are more");
    assert!(lab.run().await.result.unwrap().reused);
    let many = reads();
    assert!(many < few + 4, "{many} instead of {few}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_runs_wait_than_may_whoever_asks_at_the_same_time() {
    let mut lab = Lab::with(
        |settings| settings.namespace_waiting = 5,
        SourceNetwork::default(),
    )
    .await;
    // Nothing begins.
    lab.end().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let starts: Vec<_> = (0..40)
        .map(|_| {
            let (builds, spec) = (lab.builds.clone(), spec(&source, "x"));
            tokio::spawn(async move { builds.run_once("shop", None, spec, asked(), now()).await })
        })
        .collect();
    let mut asked_for = 0;
    for start in starts {
        match start.await.unwrap() {
            Ok(_) => asked_for += 1,
            Err(BuildsError::QueueFull { waiting, .. }) => assert!(waiting >= 5),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(asked_for, 5);
    assert_eq!(lab.builds.load().waiting, 5);
    // A place that nobody took is free again: one has that name.
    let first = lab.builds.runs("shop", &RunsOf::default()).await.unwrap();
    let first = first.items[0].value.metadata.name.clone();
    lab.builds
        .cancel("shop", &first, "ann", now())
        .await
        .unwrap();
    let once = |name| {
        lab.builds
            .run_once("shop", name, spec(&source, "x"), asked(), now())
    };
    let same = once(Some(first.as_str())).await;
    assert!(matches!(same, Err(BuildsError::Exists { .. })), "{same:?}");
    once(None).await.unwrap();
    assert!(matches!(
        once(None).await,
        Err(BuildsError::QueueFull { waiting: 5, .. })
    ));
}

#[tokio::test]
async fn a_namespace_keeps_so_many_runs_and_each_build_its_newest_success() {
    let lab = Lab::with(|settings| settings.quota.runs = 3, SourceNetwork::default()).await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    assert_eq!(lab.run().await.state, State::Succeeded);
    for _ in 0..5 {
        let once = lab
            .builds
            .run_once("shop", None, spec(&source, "x"), asked(), now());
        let run = once.await.unwrap().value;
        lab.ended(&run).await;
    }
    lab.builds.tidy(now()).await.unwrap();
    let runs = lab.builds.runs("shop", &RunsOf::default()).await.unwrap();
    let names: Vec<_> = runs
        .items
        .iter()
        .map(|run| run.value.metadata.name.as_str())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"app-1"), "{names:?}");
    let logs = std::fs::read_dir(lab.folder.path().join("logs/shop")).unwrap();
    assert_eq!(logs.count(), 3);
}

/// The write of an event at a position.
fn event(namespace: &str, position: u64, at: SystemTime) -> Write {
    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let event = BuildEvent {
        id: position.to_string(),
        namespace: namespace.to_owned(),
        build: None,
        run: format!("run-{position}"),
        at: u64::try_from(at.as_millis()).unwrap(),
        what: Occurrence::Failed {
            reason: OwnReason::TestFailed.into(),
            message: String::new(),
        },
    };
    let body = serde_json::to_vec(&event).unwrap();
    written(namespace, format!("{position:016}"), body)
}

fn written(namespace: &str, name: String, body: Vec<u8>) -> Write {
    Write::Put {
        key: Key {
            kind: Kind::Event,
            namespace: namespace.to_owned(),
            name,
        },
        revision: None,
        open: false,
        brief: None,
        body,
    }
}

async fn positions(lab: &Lab, namespace: &str) -> Vec<u64> {
    let events = lab.builds.events(namespace, 0, None, 5000).await.unwrap();
    events.items.iter().map(|(position, _)| *position).collect()
}

#[tokio::test]
async fn of_too_many_events_the_first_go() {
    let lab = Lab::new().await;
    let events = (1..=1005).map(|position| event("shop", position, now()));
    let mut events: Vec<_> = events.collect();
    lab.ledger.write(events.split_off(1000)).await.unwrap();
    lab.ledger.write(events).await.unwrap();
    lab.builds.tidy(now()).await.unwrap();
    let left = positions(&lab, "shop").await;
    assert_eq!(left, (6..=1005).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_of_a_namespace_without_runs_grow_old_too() {
    let lab = Lab::new().await;
    let ago = |days: u32| now() - Duration::from_secs(86_400) * days;
    let writes = vec![
        event("gone", 1, ago(31)),
        event("gone", 2, ago(29)),
        // The clock was set back: none goes before one that stays.
        event("gone", 3, ago(31)),
        written("gone", format!("{:016}", 4), b"{}".to_vec()),
        written("gone", "1700000000000-x".to_owned(), b"{}".to_vec()),
    ];
    lab.ledger.write(writes).await.unwrap();
    assert_eq!(
        positions(&lab, "gone").await,
        [1, 2, 3],
        "the others are none"
    );
    lab.builds.tidy(now()).await.unwrap();
    assert_eq!(positions(&lab, "gone").await, [2, 3]);
    let left = lab.ledger.count(Kind::Event, "gone").await.unwrap();
    assert_eq!(left, 3, "one may be of a newer version");
}

#[tokio::test]
async fn no_position_is_given_twice() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    lab.run().await;
    lab.run().await;
    assert_eq!(positions(&lab, "shop").await, [1, 2]);
    let later = now() + Duration::from_secs(86_400) * 31;
    lab.builds.tidy(later).await.unwrap();
    assert_eq!(lab.ledger.count(Kind::Event, "shop").await.unwrap(), 0);
    lab.run().await;
    let behind = lab.builds.events("shop", 2, None, 10).await.unwrap();
    assert_eq!(behind.items[0].0, 3);
    assert!(!behind.more);
    assert_eq!(positions(&lab, "shop").await, [3]);
    // Who has read the newest waits for the next; who says that they have read what never was would miss it.
    let none = lab.builds.events("shop", 3, None, 10).await.unwrap();
    assert!(none.items.is_empty());
    let wrong = lab.builds.events("shop", 4, None, 10).await;
    assert!(matches!(wrong, Err(BuildsError::Invalid(_))), "{wrong:?}");
    assert!(lab.builds.events("other", 0, None, 10).await.is_ok());
}

/// The records of before are there again, and the positions of what came since are given to others.
#[tokio::test]
async fn who_has_read_what_is_no_more_is_told() {
    let mut lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    lab.run().await;
    let path = lab.folder.path().join("ledger");
    let older = std::fs::read(&path).unwrap();
    lab.run().await;
    let ids = async |lab: &Lab| {
        let events = lab.builds.events("shop", 0, None, 10).await.unwrap();
        let ids = events.items.into_iter().map(|(_, event)| event.id);
        ids.collect::<Vec<_>>()
    };
    let before = ids(&lab).await;
    lab.end().await;
    std::fs::write(&path, older).unwrap();
    lab.restart().await;
    lab.run().await;
    lab.run().await;
    let by_now = ids(&lab).await;
    assert_eq!(by_now[0], before[0]);
    let behind = async |position, id: &str| {
        let events = lab.builds.events("shop", position, Some(id), 10).await;
        events.map(|events| events.items.len())
    };
    assert_eq!(behind(1, &before[0]).await.unwrap(), 2);
    assert_eq!(behind(2, &by_now[1]).await.unwrap(), 1);
    let told = behind(2, &before[1]).await.unwrap_err();
    assert!(matches!(told, BuildsError::Invalid(_)), "{told:?}");
    assert!(told.to_string().contains("begin anew"), "{told}");
    // Of what is old nobody knows any more which it was.
    let later = now() + Duration::from_secs(86_400) * 31;
    lab.builds.tidy(later).await.unwrap();
    assert_eq!(behind(2, &before[1]).await.unwrap(), 0);
}

/// Runs that end at the same moment: each has a position of its own, and none is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_misses_no_event_whoever_ends_at_the_same_time() {
    const RUNS: u64 = 8;
    let all_at_once = |settings: &mut Settings| {
        settings.workers = 8;
        settings.namespace_workers = 8;
    };
    let lab = Lab::with(all_at_once, SourceNetwork::default()).await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "wait");
    wanted.policy = RunPolicy::Parallel;
    lab.build(wanted).await;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(lab.start().await);
    }
    for run in &runs {
        lab.says(run, "working with wait").await;
    }
    lab.open_gate();
    let mut seen: Vec<(u64, String)> = Vec::new();
    let follow = async {
        while seen.len() < runs.len() {
            let after = seen.last().map_or(0, |(position, _)| *position);
            let more = lab.builds.events("shop", after, None, 3).await.unwrap();
            seen.extend(more.items.into_iter().map(|(at, event)| (at, event.run)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within("an event of each", follow).await;
    let positions = seen.iter().map(|(position, _)| *position);
    assert_eq!(
        positions.collect::<Vec<_>>(),
        (1..=RUNS).collect::<Vec<_>>()
    );
    let names: BTreeSet<_> = seen.iter().map(|(_, run)| run.clone()).collect();
    let asked = runs.iter().map(|run| run.metadata.name.clone()).collect();
    assert_eq!(names, asked);
}

#[tokio::test]
async fn another_namespace_gets_a_worker_while_one_has_much_to_do() {
    let lab = Lab::with(|settings| settings.workers = 2, SourceNetwork::default()).await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "wait");
    wanted.policy = RunPolicy::Parallel;
    lab.build(wanted).await;
    let mut quick = spec(&source, "quick");
    quick.output.image = "other/app:v1".to_owned();
    let made = lab.builds.create("other", "app", quick, actor(), now());
    made.await.unwrap();
    let first = lab.start().await;
    for _ in 0..3 {
        lab.start().await;
    }
    lab.says(&first, "working with wait").await;
    let run = lab.builds.start("other", "app", asked(), now()).await;
    let name = run.unwrap().value.metadata.name;
    let mut follow = lab.builds.follow("other", &name, 0).await.unwrap();
    let end = async { while follow.next().await.unwrap().is_some() {} };
    // It would wait for ever for the others' gate.
    within("it gets a worker", end).await;
    let run = lab.builds.run("other", &name).await.unwrap().value;
    assert!(run.state.has_ended(), "{run:?}");
    // Who follows hears of the end before the worker is free.
    let is_free = async || (lab.builds.load().working == 1).then_some(());
    eventually("its worker is free", is_free).await;
    lab.open_gate();
}
