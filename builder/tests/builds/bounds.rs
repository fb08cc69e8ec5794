//! How much a namespace may have, whoever asks at the same time.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use builder::builds::{Age, BuildsError, PageOf, RunsOf, SecretContent, What};
use builder::ledger::{Key, Kind, Ledger as _, Write};
use builder::records::{BuilderImage, RunPolicy, SecretUse, State, StateKind};
use builder::source::SourceNetwork;

use crate::lab::{Lab, actor, asked, now, secret_files, spec};

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
    // A place that nobody took is free again.
    let first = lab.builds.runs("shop", &RunsOf::default()).await.unwrap();
    let first = first.items[0].value.metadata.name.clone();
    lab.builds
        .cancel("shop", &first, "ann", now())
        .await
        .unwrap();
    lab.ledger.is_broken.store(true, Ordering::SeqCst);
    let once = || {
        lab.builds
            .run_once("shop", None, spec(&source, "x"), asked(), now())
    };
    once().await.unwrap_err();
    lab.ledger.is_broken.store(false, Ordering::SeqCst);
    once().await.unwrap();
    assert!(matches!(
        once().await,
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

#[tokio::test]
async fn old_events_go_whoever_took_some() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    lab.run().await;
    let key = |name: String| Key {
        kind: Kind::Event,
        namespace: "shop".to_owned(),
        name,
    };
    // Of a moment ago: what is old goes for that alone.
    let since = now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = since.as_millis() - 100_000;
    let writes = (0..1004).map(|number| Write::Put {
        key: key(format!("{:013}", first + number)),
        revision: None,
        open: true,
        brief: None,
        body: b"{}".to_vec(),
    });
    let mut writes: Vec<_> = writes.collect();
    lab.ledger.write(writes.split_off(1000)).await.unwrap();
    lab.ledger.write(writes).await.unwrap();
    lab.builds.tidy(now()).await.unwrap();
    let count = lab.ledger.count(Kind::Event, "shop").await.unwrap();
    assert_eq!(count, 1000);
    let oldest = lab.ledger.list(Kind::Event, "shop", "", None, 1).await;
    // The run's own is the youngest.
    assert_eq!(oldest.unwrap()[0].key.name, format!("{:013}", first + 5));
}

#[tokio::test]
async fn events_of_a_namespace_without_runs_grow_old_too() {
    let lab = Lab::new().await;
    let day = Duration::from_secs(86_400);
    let at = |days: u32| {
        let at = now() - day * days;
        at.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_millis()
    };
    let writes = [31, 29].map(|days| Write::Put {
        key: Key {
            kind: Kind::Event,
            namespace: "gone".to_owned(),
            name: format!("{:013}-x", at(days)),
        },
        revision: None,
        open: true,
        brief: None,
        body: b"{}".to_vec(),
    });
    lab.ledger.write(writes.to_vec()).await.unwrap();
    lab.builds.tidy(now()).await.unwrap();
    let left = lab.ledger.list(Kind::Event, "gone", "", None, 9).await;
    let left = left.unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].key.name > format!("{:013}", at(30)));
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
    let ended = tokio::time::timeout(Duration::from_secs(60), end).await;
    ended.expect("it gets no worker");
    let run = lab.builds.run("other", &name).await.unwrap().value;
    assert!(run.state.has_ended(), "{run:?}");
    assert_eq!(lab.builds.load().working, 1);
    lab.open_gate();
}
