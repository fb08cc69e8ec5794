//! Records that cannot be read: of another version, or changed by hand.

use builder::builds::{BuildsError, PageOf, RunsOf, What};
use builder::ledger::{Key, Kind, Ledger as _, Write};
use builder::records::State;

use crate::lab::{Lab, actor, now, spec};

fn key(kind: Kind, name: &str) -> Key {
    Key {
        kind,
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

async fn put(lab: &Lab, kind: Kind, name: &str, revision: Option<u64>, body: &str) {
    let write = Write::Put {
        key: key(kind, name),
        revision,
        open: true,
        brief: None,
        body: body.as_bytes().to_vec(),
    };
    lab.ledger.write(vec![write]).await.unwrap();
}

const NEWER: &str =
    r#"{"metadata": {"namespace": "shop", "name": "x", "created": 1}, "newer": "canary"}"#;

#[tokio::test]
async fn one_that_cannot_be_read_is_passed_over_named_and_removed() {
    let mut lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    lab.run().await;
    let kinds = [Kind::Build, Kind::Run, Kind::Secret, Kind::BuilderImage];
    for kind in kinds {
        for (name, body) in [("a-bad", NEWER), ("app-bad", "no JSON"), ("z-bad", NEWER)] {
            put(&lab, kind, name, None, body).await;
        }
    }
    // Lists go on, however little a page has.
    let page = |after: Option<&str>| PageOf {
        after: after.map(str::to_owned),
        limit: 1,
    };
    let found = lab.builds.builds("shop", &page(None)).await.unwrap();
    assert_eq!(found.items[0].value.metadata.name, "app");
    assert!(found.more);
    let found = lab.builds.builds("shop", &page(Some("app"))).await.unwrap();
    assert!(found.items.is_empty() && !found.more);
    let found = lab.builds.runs("shop", &RunsOf::default()).await.unwrap();
    assert_eq!(found.items[0].value.metadata.name, "app-1");
    let found = lab.builds.runs("shop", &of("app")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert!(
        lab.builds
            .secrets("shop", &page(None))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let found = lab
        .builds
        .builder_images("shop", &page(None))
        .await
        .unwrap();
    assert!(found.items.is_empty());

    // A server starts with it, runs go on, and what is old is removed.
    lab.restart().await;
    assert_eq!(lab.run().await.state, State::Succeeded);
    lab.builds.tidy(now()).await.unwrap();

    let error = lab.builds.build("shop", "a-bad").await.unwrap_err();
    let told = error.to_string();
    assert!(
        matches!(
            error,
            BuildsError::Unreadable {
                what: What::Build,
                ..
            }
        ),
        "{told}"
    );
    assert!(
        told.contains("build a-bad in namespace \"shop\"") && told.contains("remove it"),
        "{told}"
    );
    assert!(!told.contains("canary"), "{told}");
    for name in ["a-bad", "app-bad", "z-bad"] {
        lab.builds.remove("shop", name).await.unwrap();
        lab.builds.remove_run("shop", name).await.unwrap();
        lab.builds.remove_secret("shop", name).await.unwrap();
        lab.builds.remove_builder_image("shop", name).await.unwrap();
        for kind in kinds {
            assert_eq!(lab.ledger.get(&key(kind, name)).await.unwrap(), None);
        }
    }
    let gone = lab.builds.remove("shop", "a-bad").await;
    assert!(matches!(gone, Err(BuildsError::NotFound { .. })));
}

/// The run was published, and its build is then written by something newer: the run has succeeded all the same.
#[tokio::test]
async fn a_build_that_cannot_be_read_keeps_no_run_from_its_end() {
    let mut lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    lab.run().await;
    lab.end().await;
    let mut run = lab.builds.run("shop", "app-1").await.unwrap();
    run.value.state = State::Running;
    run.value.ended = None;
    let body = serde_json::to_string(&run.value).unwrap();
    put(&lab, Kind::Run, "app-1", Some(run.revision), &body).await;
    let build = lab.builds.build("shop", "app").await.unwrap();
    put(&lab, Kind::Build, "app", Some(build.revision), NEWER).await;
    // After it in the queue's order.
    let other = lab
        .builds
        .create("shop", "other", spec(&source, "x"), actor(), now());
    other.await.unwrap();
    let started = lab
        .builds
        .start("shop", "other", crate::lab::asked(), now())
        .await;
    let other = started.unwrap().value;
    lab.restart().await;
    let (other, _) = lab.ended(&other).await;
    assert_eq!(other.state, State::Succeeded);
    let run = lab.builds.run("shop", "app-1").await.unwrap().value;
    assert_eq!(run.state, State::Succeeded);
}

fn of(build: &str) -> RunsOf {
    RunsOf {
        build: Some(build.to_owned()),
        ..RunsOf::default()
    }
}

#[tokio::test]
async fn nothing_of_what_is_not_there_is_listed() {
    let lab = Lab::new().await;
    let missing = lab.builds.runs("shop", &of("app")).await;
    assert!(matches!(
        missing,
        Err(BuildsError::NotFound {
            what: What::Build,
            ..
        })
    ));
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    let none = lab.builds.runs("shop", &of("app")).await;
    assert!(none.unwrap().items.is_empty());
}
