//! A run from being asked for to its tag.

use std::sync::atomic::Ordering;

use builder::builds::{Age, Asked, BuildEvent, BuildsError, Occurrence, PageOf, RunsOf};
use builder::driver::Phase;
use builder::images::ImageName;
use builder::images::Images as _;
use builder::ledger::{Key, Kind, Ledger as _, Write};
use builder::records::{
    BuilderImage, Cause, Metadata, Run, SecretMount, SecretUse, SourceSpec, State, TestSpec,
};

use crate::image::{execution, push};
use crate::lab::{Lab, actor, all, asked, now, push_builder, reason, said, spec};

#[tokio::test]
async fn a_source_becomes_an_image_with_tags() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "hello");
    wanted.output.tags = vec!["{run}".to_owned()];
    lab.build(wanted).await;
    let asked = lab.start().await;
    assert_eq!(asked.metadata.name, "app-1");
    let (run, lines) = lab.ended(&asked).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));

    let manifest = lab.tag("shop/app:v1").await.unwrap();
    let result = run.result.clone().unwrap();
    assert_eq!(result.image, format!("shop/app@{}", manifest.digest()));
    assert_eq!(result.tags, ["v1", "app-1"]);
    assert_eq!(
        lab.tag("shop/app:app-1").await.unwrap().digest(),
        manifest.digest()
    );
    assert!(!result.reused);
    assert_eq!(manifest.layers().len(), 2);
    let app = ImageName::parse("shop/app", &[]).unwrap();
    for blob in manifest.required_blobs() {
        let held = lab.images.blob(&actor(), app.repo(), &blob.digest).await;
        assert!(held.unwrap().is_some(), "{}", blob.digest);
    }

    assert_eq!(run.resolved.source.as_deref(), Some(source.as_str()));
    assert!(
        run.resolved
            .builder
            .as_ref()
            .unwrap()
            .starts_with("shop/builder@sha256:")
    );
    assert!(run.resolved.plan.is_some());
    let phases: Vec<_> = run.phases.iter().map(|timing| timing.phase).collect();
    let all = [
        Phase::Resolve,
        Phase::Fetch,
        Phase::Assemble,
        Phase::Export,
        Phase::Publish,
    ];
    assert_eq!(phases, all);
    for timing in &run.phases {
        assert!(timing.started <= timing.ended.unwrap());
    }
    assert!(said(&lines).contains("working with hello"));
    assert!(said(&lines).contains("published shop/app@"));

    let build = lab.builds.build("shop", "app").await.unwrap().value;
    assert_eq!(build.status.runs, 1);
    assert_eq!(build.status.succeeded.as_deref(), Some("app-1"));
    assert_eq!(build.status.image, Some(manifest.digest().to_string()));
    let events = lab.events().await;
    assert_eq!(events.len(), 1);
    let event: BuildEvent = serde_json::from_slice(&events[0].body).unwrap();
    let Occurrence::Succeeded {
        repository, digest, ..
    } = &event.what
    else {
        panic!("{event:?}");
    };
    assert_eq!(*digest, manifest.digest().to_string());
    assert_eq!(
        (event.run.as_str(), repository.as_str()),
        ("app-1", "shop/app")
    );
    assert_eq!(event.build.as_deref(), Some("app"));
    assert_eq!((&event.id, Some(event.at)), (&run.uid, run.ended));

    // The log after the fact, from one phase on.
    let mut log = lab.builds.log("shop", "app-1").await.unwrap();
    log.seek_phase(Phase::Assemble).unwrap().unwrap();
    assert!(said(&log.read().unwrap()).starts_with("Assemble"));
}

#[tokio::test]
async fn a_tag_of_the_commit_wants_a_commit() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "hello");
    wanted.output.tags = vec!["{commit}".to_owned()];
    let once = lab
        .builds
        .run_once("shop", None, wanted.clone(), asked(), now());
    let (run, _) = lab.ended(&once.await.unwrap().value).await;
    let State::Failed { reason, message } = &run.state else {
        panic!("{run:?}");
    };
    assert_eq!(reason.as_str(), "InvalidSpec");
    assert!(
        message.contains("no commit for the tag {commit}"),
        "{message}"
    );

    // A build of a repository may be sent a folder now and then.
    lab.build(wanted).await;
    let (run, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(run.result.unwrap().tags, ["v1"]);
    assert!(
        said(&lines).contains("tag {commit}: it is left out"),
        "{}",
        said(&lines)
    );
}

#[tokio::test]
async fn what_has_not_changed_is_not_built_again() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "hello")).await;
    let first = lab.run().await.result.unwrap();
    let ran = || lab.driver.runs.load(Ordering::SeqCst);
    assert_eq!(ran(), 1);

    let second = lab.run().await.result.unwrap();
    assert_eq!(
        (second.image.clone(), second.reused),
        (first.image.clone(), true)
    );
    assert_eq!(second.same_as.as_deref(), Some("app-1"));
    assert_eq!(ran(), 1);
    assert_eq!(lab.events().await.len(), 2);

    // Asked to, it is; with the same result.
    let mut fresh = asked();
    fresh.fresh = true;
    let run = lab.builds.start("shop", "app", fresh, now()).await.unwrap();
    let third = lab.ended(&run.value).await.0.result.unwrap();
    assert_eq!((third.image, third.reused), (first.image.clone(), false));
    assert_eq!(third.same_as.as_deref(), Some("app-2"));
    assert_eq!(ran(), 2);

    // What the result must stand is another: the earlier one has not stood it.
    let mut build = lab.builds.build("shop", "app").await.unwrap();
    build.value.spec.test = Some(TestSpec {
        command: vec!["true".to_owned()],
    });
    let replaced = lab
        .builds
        .replace("shop", "app", build.value.spec, actor(), None, now());
    replaced.await.unwrap();
    assert!(!lab.run().await.result.unwrap().reused);

    lab.change_source(&[("app.py", "print(2)")]).await;
    let changed = lab.run().await.result.unwrap();
    assert_ne!(changed.image, first.image);
    assert_eq!((changed.reused, changed.same_as), (false, None));
}

#[tokio::test]
async fn what_was_run_once_is_not_run_again_for_the_same_repository() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let ran = || lab.driver.runs.load(Ordering::SeqCst);
    let once = async |output: &str, fresh: bool| {
        let mut wanted = spec(&source, "hello");
        wanted.output.image = output.to_owned();
        let asked = Asked { fresh, ..asked() };
        let run = lab.builds.run_once("shop", None, wanted, asked, now());
        let run = lab.ended(&run.await.unwrap().value).await.0;
        (run.metadata.name, run.result.unwrap())
    };
    let (name, first) = once("shop/app:v1", false).await;
    let (_, second) = once("shop/app:v1", false).await;
    assert_eq!((&second.image, second.reused), (&first.image, true));
    assert_eq!(second.same_as, Some(name));
    assert_eq!(ran(), 1);
    let (_, asked_to) = once("shop/app:v1", true).await;
    assert!(!asked_to.reused);
    // The name is in the labels of the result: it is another image.
    assert!(!once("shop/other:v1", false).await.1.reused);
    assert_eq!(ran(), 3);

    // A build's runs are its own.
    lab.build(spec(&source, "hello")).await;
    assert!(!lab.run().await.result.unwrap().reused);
}

#[tokio::test]
async fn artifacts_are_taken_over_from_the_newest_result() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "hello");
    wanted.incremental = true;
    lab.build(wanted).await;
    let first = lab.run().await;
    assert_eq!(first.resolved.previous, None);
    let second = lab.run().await;
    assert_eq!(second.resolved.previous, Some(first.result.unwrap().image));

    let app = ImageName::parse("shop/app", &[]).unwrap();
    std::fs::remove_dir_all(lab.images.folder(app.repo())).unwrap();
    let (third, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(third.state, State::Succeeded);
    assert_eq!(third.resolved.previous, None);
    assert!(said(&lines).contains("this is a clean build"));
}

#[tokio::test]
async fn without_a_build_artifacts_are_taken_over_from_the_image_of_the_outputs_name() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "hello");
    wanted.incremental = true;
    let once = async || {
        let (builds, wanted) = (&lab.builds, wanted.clone());
        let run = builds.run_once("shop", None, wanted, asked(), now());
        lab.ended(&run.await.unwrap().value).await
    };
    let (first, lines) = once().await;
    assert_eq!(first.state, State::Succeeded);
    assert_eq!(first.resolved.previous, None);
    assert!(said(&lines).contains("nothing is taken over from shop/app:v1"));
    let (second, _) = once().await;
    assert_eq!(second.resolved.previous, Some(first.result.unwrap().image));
}

#[tokio::test]
async fn an_image_that_is_gone_is_built_again() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "hello")).await;
    lab.run().await;
    let app = ImageName::parse("shop/app", &[]).unwrap();
    std::fs::remove_dir_all(lab.images.folder(app.repo())).unwrap();
    let run = lab.run().await;
    assert!(!run.result.unwrap().reused);
    assert!(lab.tag("shop/app:v1").await.is_some());
}

#[tokio::test]
async fn whether_a_run_reproduces_is_asked_without_moving_a_tag() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "hello")).await;
    let first = lab.run().await;
    // Everything has moved since.
    push(
        &lab.images,
        "shop/builder:1",
        &[b"other".to_vec()],
        execution(),
    )
    .await;
    lab.change_source(&[("app.py", "print(2)")]).await;
    let second = lab.run().await.result.unwrap();

    let again = lab.builds.again("shop", "app-1", true, actor(), now());
    let (check, lines) = lab.ended(&again.await.unwrap().value).await;
    let result = check.result.clone().unwrap_or_else(|| {
        assert!(check.result.is_some(), "{:?} {}", check.state, said(&lines));
        first.result.clone().unwrap()
    });
    assert_eq!(result.image, first.result.clone().unwrap().image);
    assert_eq!(result.same_as.as_deref(), Some("app-1"));
    assert_eq!(check.resolved.plan, first.resolved.plan);
    assert!(result.tags.is_empty());
    let tag = lab.tag("shop/app:v1").await.unwrap();
    assert_eq!(second.image, format!("shop/app@{}", tag.digest()));
    let status = lab.builds.build("shop", "app").await.unwrap().value.status;
    assert_eq!(status.succeeded.as_deref(), Some("app-2"));
    assert_eq!(lab.events().await.len(), 2);

    // Done again with what holds now.
    let again = lab.builds.again("shop", "app-2", false, actor(), now());
    let again = lab.ended(&again.await.unwrap().value).await.0;
    assert_eq!(again.metadata.name, "app-4");
    assert!(again.result.unwrap().reused);
}

#[tokio::test]
async fn what_does_not_reproduce_is_kept_without_a_tag() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "random")).await;
    let first = lab.run().await.result.unwrap();
    let again = lab.builds.again("shop", "app-1", true, actor(), now());
    let (check, lines) = lab.ended(&again.await.unwrap().value).await;
    assert_eq!(check.state, State::Succeeded);
    let other = check.result.unwrap();
    assert_ne!(other.image, first.image);
    // Nothing went in that was another.
    assert_eq!(other.differs, ["/opt/result: content"]);
    assert!(said(&lines).contains(&format!("differs: {}", other.differs[0])));
    assert_eq!((other.same_as, other.tags.len()), (None, 0));
    let tag = lab.tag("shop/app:v1").await.unwrap();
    assert_eq!(first.image, format!("shop/app@{}", tag.digest()));
    assert!(lab.tag(&other.image).await.is_some(), "to be looked at");

    // Nor is it what the same plan gave.
    let next = lab.run().await.result.unwrap();
    assert_eq!((&next.image, next.reused), (&first.image, true));
    assert_eq!(next.same_as.as_deref(), Some("app-1"));
    let tag = lab.tag("shop/app:v1").await.unwrap();
    assert_eq!(first.image, format!("shop/app@{}", tag.digest()));
}

/// Asks whether `app-1` reproduces, and removes that one before the answer.
async fn checked_without(lab: &mut Lab, change: impl AsyncFnOnce(&Lab)) -> Run {
    lab.end().await;
    let check = lab.builds.again("shop", "app-1", true, actor(), now());
    let check = check.await.unwrap().value;
    change(lab).await;
    lab.builds.remove_run("shop", "app-1").await.unwrap();
    lab.restart().await;
    lab.ended(&check).await.0
}

#[tokio::test]
async fn what_a_run_is_held_against_may_go_meanwhile() {
    for (words, differs) in [("hello", None), ("random", Some("/opt/result: content"))] {
        let mut lab = Lab::new().await;
        let source = lab.source(&[("app.py", "print()")]).await;
        lab.build(spec(&source, words)).await;
        let first = lab.run().await.result.unwrap();
        let check = checked_without(&mut lab, async |_| ()).await;
        let result = check.result.unwrap();
        let same_as = differs.is_none().then_some("app-1");
        assert_eq!(result.same_as.as_deref(), same_as);
        assert_eq!(result.image == first.image, differs.is_none());
        assert_eq!(result.differs, Vec::from_iter(differs));
    }
}

#[tokio::test]
async fn a_run_that_does_not_know_what_it_is_held_against_gives_no_verdict() {
    let mut lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "hello")).await;
    lab.run().await;
    // As the version before wrote it, which looked for the earlier run's record at the end.
    let without = async |lab: &Lab| {
        let key = Key {
            kind: Kind::Run,
            namespace: "shop".to_owned(),
            name: "app-2".to_owned(),
        };
        let kept = lab.ledger.get(&key).await.unwrap().unwrap();
        let mut body: serde_json::Value = serde_json::from_slice(&kept.body).unwrap();
        body.as_object_mut().unwrap().remove("against");
        let write = Write::Put {
            key,
            revision: Some(kept.revision),
            open: kept.open,
            brief: None,
            body: body.to_string().into_bytes(),
        };
        lab.ledger.write(vec![write]).await.unwrap();
    };
    let check = checked_without(&mut lab, without).await;
    assert_eq!(reason(&check), "RecordsUnavailable");
}

#[tokio::test]
async fn a_run_that_fails_publishes_nothing_and_says_why() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "fail")).await;
    let asked = lab.start().await;
    let (run, lines) = lab.ended(&asked).await;
    assert_eq!(reason(&run), "AssembleFailed");
    assert!(said(&lines).ends_with("AssembleFailed: assemble ended with 1"));
    let app = ImageName::parse("shop/app", &[]).unwrap();
    assert!(!lab.images.folder(app.repo()).exists());
    let told = lab.failures().await;
    let [event] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(event.reason, "AssembleFailed");
    assert_eq!(event.message, "assemble ended with 1");
    assert_eq!(
        (event.run.as_str(), event.build.as_deref()),
        ("app-1", Some("app"))
    );
    assert_eq!(Some(event.at), run.ended);
    let again = lab
        .builds
        .again("shop", "app-1", true, actor(), now())
        .await;
    assert!(matches!(again, Err(BuildsError::Busy(_))));
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let mut wanted = spec(&source, "x");
    wanted.builder = "shop/none:1".to_owned();
    let once = |wanted| lab.builds.run_once("shop", None, wanted, asked(), now());
    let run = once(wanted).await.unwrap().value;
    assert_eq!(reason(&lab.ended(&run).await.0), "PullBuilderImageFailed");

    let mut wanted = spec(&source, "x");
    wanted.scripts_url = Some("https://127.0.0.1/s2i".to_owned());
    let run = once(wanted).await.unwrap().value;
    assert_eq!(reason(&lab.ended(&run).await.0), "FetchScriptsFailed");

    let digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let gone = spec(&format!("shop/sources/app@{digest}"), "x");
    let run = once(gone).await.unwrap().value;
    assert_eq!(reason(&lab.ended(&run).await.0), "SourceNotFound");

    let mut wanted = spec(&source, "x");
    wanted.secrets = vec![SecretMount {
        name: "npm".to_owned(),
        path: None,
    }];
    let run = once(wanted.clone()).await.unwrap().value;
    assert_eq!(reason(&lab.ended(&run).await.0), "SecretUnavailable");
    // One that signs webhooks is not for programs.
    let signing = [("webhook-secret", "a canary of 16 bytes")];
    lab.secret("npm", SecretUse::Webhook, &signing).await;
    let run = once(wanted).await.unwrap().value;
    assert_eq!(reason(&lab.ended(&run).await.0), "SecretUnavailable");
}

/// A build that uses a secret.
async fn with_a_secret() -> Lab {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.secret("npm", SecretUse::Build, &[("token", "canary-1")])
        .await;
    let mut wanted = spec(&source, "x");
    wanted.secrets = vec![SecretMount {
        name: "npm".to_owned(),
        path: None,
    }];
    lab.build(wanted).await;
    lab
}

#[tokio::test]
async fn secrets_are_opened_for_runs_and_are_in_no_record_and_no_log() {
    let lab = with_a_secret().await;
    let (run, lines) = lab.ended(&lab.start().await).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
    assert!(!lab.ledger.text().contains("canary-1"));
    assert!(!said(&lines).contains("canary-1"));
    // Another content is another plan.
    lab.secret("npm", SecretUse::Build, &[("token", "canary-2")])
        .await;
    assert!(!lab.run().await.result.unwrap().reused);
    assert!(lab.run().await.result.unwrap().reused);
}

#[tokio::test]
async fn a_secret_that_was_set_anew_is_named_by_whoever_asks_for_the_same() {
    let lab = with_a_secret().await;
    let first = lab.run().await;
    let check = async || {
        let again = lab.builds.again("shop", "app-1", true, actor(), now());
        lab.ended(&again.await.unwrap().value).await
    };
    let (same, lines) = check().await;
    assert_eq!(same.resolved, first.resolved);
    assert!(!said(&lines).contains("differs"), "{}", said(&lines));
    lab.secret("npm", SecretUse::Build, &[("token", "canary-2")])
        .await;
    let (other, lines) = check().await;
    assert!(said(&lines).contains("differs: secrets: npm was set anew since"));
    assert_eq!(said(&lines).matches("differs").count(), 1);
    // The same came out all the same.
    assert!(other.result.unwrap().same_as.is_some());
}

#[tokio::test]
async fn a_builder_image_is_found_by_its_entry() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let put = |namespace: &str, image: &str| {
        let entry = BuilderImage {
            metadata: Metadata {
                namespace: namespace.to_owned(),
                name: "python".to_owned(),
                created: 0,
            },
            image: image.to_owned(),
            language: None,
            version: None,
            display_name: None,
            description: None,
        };
        let builds = lab.builds.clone();
        async move { builds.put_builder_image(entry, &actor(), now()).await }
    };
    let mut labels = execution();
    labels["Labels"]["io.openshift.tags"] = "builder,python".into();
    push(&lab.images, "tools/python:3", &[b"python".to_vec()], labels).await;
    let made = put("", "registry.example/tools/python:3")
        .await
        .unwrap()
        .value;
    assert_eq!(made.language.as_deref(), Some("python"));
    assert!(matches!(
        put("shop", "shop/none:1").await,
        Err(BuildsError::Invalid(_))
    ));

    // Without scripts of its own it would stand before everybody's, and fail whoever builds by it.
    let mut mute = execution();
    mute["Labels"] = serde_json::json!({"io.openshift.tags": "builder,python"});
    push(&lab.images, "shop/mute:1", &[b"mute".to_vec()], mute).await;
    let refused = put("shop", "shop/mute:1").await.unwrap_err().to_string();
    assert!(
        refused.starts_with("image: shop/mute:1 does not say where its scripts are: give it the label io.openshift.s2i.scripts-url"),
        "{refused}"
    );

    for (word, near) in [
        ("pyton", "did you mean python? "),
        ("python:3.14", ""),
        ("rust", ""),
    ] {
        let mut wanted = spec(&source, "x");
        wanted.builder = word.to_owned();
        let asked = lab.builds.run_once("shop", None, wanted, asked(), now());
        let (run, _) = lab.ended(&asked.await.unwrap().value).await;
        let State::Failed { message, .. } = run.state else {
            panic!("{word}");
        };
        let list = format!(": {near}slipway builder-image list -n shop shows what it has");
        assert!(message.contains(&list), "{message}");
    }

    let mut wanted = spec(&source, "x");
    wanted.builder = "python".to_owned();
    lab.build(wanted).await;
    let run = lab.run().await;
    assert!(run.resolved.builder.unwrap().starts_with("tools/python@"));
    // The namespace's own comes before everybody's.
    put("shop", "shop/builder:1").await.unwrap();
    let run = lab.run().await;
    assert!(run.resolved.builder.unwrap().starts_with("shop/builder@"));
}

#[tokio::test]
async fn numbers_are_taken_once_each() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    // A run without a build has a name that looks like one of ours.
    let once = lab
        .builds
        .run_once("shop", Some("app-3"), spec(&source, "x"), asked(), now());
    once.await.unwrap();
    let starts = (0..10).map(|_| {
        let builds = lab.builds.clone();
        tokio::spawn(async move { builds.start("shop", "app", asked(), now()).await })
    });
    let mut names = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        names.push(start.await.unwrap().unwrap().value.metadata.name);
    }
    names.sort_by_key(|name| name.rsplit_once('-').unwrap().1.parse::<u32>().unwrap());
    let wanted = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11].map(|number| format!("app-{number}"));
    assert_eq!(names, wanted);
    let nine = lab.builds.run("shop", "app-9").await.unwrap().value;
    let which = RunsOf {
        build: Some("app".to_owned()),
        state: None,
        before: Some(Age::of(&nine).to_string().parse().unwrap()),
        limit: 3,
    };
    let listed = lab.builds.runs("shop", &which).await.unwrap();
    assert!(listed.more);
    let listed: Vec<_> = listed
        .items
        .iter()
        .map(|run| run.value.metadata.name.as_str())
        .collect();
    assert_eq!(listed, ["app-8", "app-7", "app-6"]);
}

#[tokio::test]
async fn a_delivery_and_a_schedule_start_one_run_each() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    let mut hook = Asked::new(actor(), Cause::Schedule);
    hook.with = vec![Write::Put {
        key: Key {
            kind: Kind::Delivery,
            namespace: "shop".to_owned(),
            name: "d1".to_owned(),
        },
        revision: None,
        open: false,
        brief: None,
        body: b"{}".to_vec(),
    }];
    let mut due = Asked::new(actor(), Cause::Schedule);
    due.scheduled = Some(60);
    for asked in [hook, due] {
        let start = || lab.builds.start("shop", "app", asked.clone(), now());
        start().await.unwrap();
        let repeated = start().await;
        assert!(
            matches!(repeated, Err(BuildsError::Repeated(_))),
            "{repeated:?}"
        );
    }
    assert_eq!(
        lab.builds
            .build("shop", "app")
            .await
            .unwrap()
            .value
            .status
            .runs,
        2
    );
}

#[tokio::test]
async fn a_run_may_have_a_source_of_its_own() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let upload = lab.source(&[("app.py", "print(3)")]).await;
    lab.build(spec(&source, "x")).await;
    let mut own = asked();
    own.source = Some(SourceSpec::Image {
        reference: upload.clone(),
    });
    let run = lab
        .builds
        .start("shop", "app", own, now())
        .await
        .unwrap()
        .value;
    let run = lab.ended(&run).await.0;
    assert_eq!(run.resolved.source, Some(upload));
    let mut revision = asked();
    revision.revision = Some("main".to_owned());
    let refused = lab.builds.start("shop", "app", revision, now()).await;
    assert!(matches!(refused, Err(BuildsError::Invalid(_))));
}

#[tokio::test]
async fn a_run_has_nothing_of_the_log_of_an_earlier_one_of_its_name() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    lab.run().await;
    let logs = lab.folder.path().join("logs/shop");
    let left = std::fs::read_dir(&logs).unwrap().next().unwrap().unwrap();
    let aside = lab.folder.path().join("aside");
    std::fs::create_dir(&aside).unwrap();
    for file in ["log", "phases"] {
        std::fs::copy(left.path().join(file), aside.join(file)).unwrap();
    }
    let mut first = lab.builds.log("shop", "app-1").await.unwrap();
    let first = all(&mut first);
    lab.builds.remove("shop", "app").await.unwrap();
    // As a server leaves it that is killed between the run and its log.
    std::fs::rename(&aside, left.path()).unwrap();

    lab.build(spec(&source, "y")).await;
    let again = lab.run().await;
    assert_eq!(again.metadata.name, "app-1");
    let mut log = lab.builds.log("shop", "app-1").await.unwrap();
    let phases = log.phases().unwrap();
    assert_eq!(phases.len(), again.phases.len());
    assert!(!first.is_empty());
    let lines = all(&mut log);
    for line in &first {
        assert!(!lines.contains(line), "{line:?}");
    }
}

#[tokio::test]
async fn builds_are_made_changed_listed_and_removed() {
    let lab = Lab::new().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    let made = lab.build(spec(&source, "x")).await;
    let twice = lab
        .builds
        .create("shop", "app", spec(&source, "x"), actor(), now());
    assert!(matches!(twice.await, Err(BuildsError::Exists { .. })));
    lab.run().await;
    let stale = lab.builds.replace(
        "shop",
        "app",
        spec(&source, "y"),
        actor(),
        Some(made.revision),
        now(),
    );
    assert!(matches!(stale.await, Err(BuildsError::Changed { .. })));
    let page = lab.builds.builds("shop", &PageOf::default()).await.unwrap();
    assert_eq!(page.items.len(), 1);

    lab.builds.remove("shop", "app").await.unwrap();
    let gone = lab.builds.run("shop", "app-1").await;
    assert!(matches!(gone, Err(BuildsError::NotFound { .. })));
    let logs = std::fs::read_dir(lab.folder.path().join("logs/shop")).unwrap();
    assert_eq!(logs.count(), 0);
    assert!(lab.tag("shop/app:v1").await.is_some());
    push_builder(&lab.images).await;
}
