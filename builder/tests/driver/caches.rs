//! Folders that outlive a build.

use std::sync::Arc;

use builder::driver::{Driver as _, Event};
use builder::plan::{Cache, Image};
use builder::s2i::ContainerPath;
use tokio_util::sync::CancellationToken;

use super::image::listing;
use super::lab::{Asked, Lab, Ran};

fn asked(lab: &Lab, image: &Image, cache: (&str, Option<&str>)) -> Asked {
    let mut asked = Lab::asked(image, &lab.source(&[("x", "x")]));
    asked.request.caches = vec![Cache {
        id: cache.0.to_owned(),
        from: cache.1.map(str::to_owned),
        at: ContainerPath::parse("/opt/app/.cache/tool").unwrap(),
    }];
    asked
}

#[tokio::test]
async fn a_cache_that_a_secret_was_put_into_is_emptied() {
    let lab = Lab::new().await;
    let run = async |assemble: &str, with_secret: bool| {
        let image = lab.assembling(&format!("{assemble}; echo out > out")).await;
        let mut asked = asked(&lab, &image, ("main", None));
        if with_secret {
            let npmrc = b"_authToken=9f86d081884c7d659a2feaa0c55ad015\n";
            asked.secret("npm", ".npmrc", npmrc);
        }
        let mut ran = lab.run(asked).await;
        ran.built();
        ran.text()
    };
    let ls = "ls .cache/tool";
    let said = run("echo x > .cache/tool/first", true).await;
    assert!(!said.contains("emptied"), "{said}");
    let said = run(
        "cut -d= -f2 /run/secrets/npm/.npmrc > .cache/tool/npmrc",
        true,
    )
    .await;
    let wanted = "cache main is emptied: a secret is in /npmrc of it";
    assert!(said.contains(wanted), "{said}");
    let said = run(ls, false).await;
    assert!(!said.contains("npmrc") && !said.contains("first"), "{said}");
    // Names and links are read, and a run that fails leaves no more.
    let said = run(
        "ln -s $(tail -c 33 /run/secrets/npm/.npmrc) .cache/tool/link",
        true,
    )
    .await;
    assert!(said.contains("in /link of it"), "{said}");
    let image = lab
        .assembling("cp /run/secrets/npm/.npmrc .cache/tool/; exit 1")
        .await;
    let mut failing = asked(&lab, &image, ("main", None));
    failing.secret(
        "npm",
        ".npmrc",
        b"_authToken=9f86d081884c7d659a2feaa0c55ad015\n",
    );
    assert_eq!(
        lab.run(failing).await.failure().reason.as_str(),
        "AssembleFailed"
    );
    // What was there before is not searched again, and stays.
    let said = run(ls, false).await;
    assert!(!said.contains("npmrc"), "{said}");
    run("echo kept > .cache/tool/kept", false).await;
    let said = run(ls, true).await;
    assert!(said.contains("kept"), "{said}");
}

#[tokio::test]
async fn a_cache_is_kept_from_run_to_run_and_in_no_image() {
    let lab = Lab::new().await;
    let assemble = "cat .cache/tool/log || true; echo kept-$(id -u) >> .cache/tool/log; [ -w .cache ]; echo out > out";
    let image = lab.assembling(assemble).await;
    let mut first = lab.run(asked(&lab, &image, ("main", None))).await;
    let names: Vec<_> = listing(first.built()).into_keys().collect();
    let wanted = [
        "opt/",
        "opt/app/",
        "opt/app/out",
        "tmp/",
        "tmp/src/",
        "tmp/src/x",
    ];
    assert_eq!(names, wanted, "neither the cache nor where it was mounted");
    let second = lab.run(asked(&lab, &image, ("main", None))).await;
    assert!(second.text().contains("kept-1001"), "{}", second.text());

    let branch = lab.run(asked(&lab, &image, ("branch", Some("main")))).await;
    assert_eq!(
        branch.text().matches("kept-1001").count(),
        2,
        "{}",
        branch.text()
    );
    let other = lab.run(asked(&lab, &image, ("other", None))).await;
    assert!(!other.text().contains("kept"), "{}", other.text());

    let mut anew = asked(&lab, &image, ("main", None));
    anew.empty_caches = true;
    let anew = lab.run(anew).await;
    assert!(!anew.text().contains("kept"), "{}", anew.text());
    let next = lab.run(asked(&lab, &image, ("main", None))).await;
    assert_eq!(next.text().matches("kept-1001").count(), 1);
}

/// The second begins when the first has ended.
#[tokio::test]
async fn a_cache_has_one_user_at_a_time() {
    let lab = Lab::new().await;
    let assemble = "cd .cache/tool; [ ! -e busy ]; touch busy; sleep 0.5; rm busy";
    let image = lab.assembling(assemble).await;
    let run = || asked(&lab, &image, ("main", None));
    let (one, two, three) = tokio::join!(
        lab.run_beside(run()),
        lab.run_beside(run()),
        lab.run_beside(run())
    );
    for ran in [one, two, three] {
        assert!(ran.result.is_ok(), "{:?}", ran.result);
    }
}

#[tokio::test]
async fn a_cache_is_not_mounted_twice() {
    let lab = Lab::new().await;
    let image = lab.assembling("true").await;
    let mut asked = asked(&lab, &image, ("main", None));
    let mut second = asked.request.caches[0].clone();
    second.at = ContainerPath::parse("/opt/app/.other").unwrap();
    asked.request.caches.push(second);
    let ran = lab.run(asked).await;
    assert_eq!(ran.failure().message, "cache main is mounted twice");
}

/// The time of a run is also that in which no program of it runs.
#[tokio::test]
async fn a_run_that_waits_for_a_cache_says_so_and_not_for_longer_than_it_may() {
    let lab = Lab::new().await;
    let image = lab.assembling("echo has it; sleep 1000").await;
    let holding = asked(&lab, &image, ("main", None));
    let cancel = CancellationToken::new();
    let (job, mut said) = holding.job("holds".to_owned(), Arc::new(lab.images.clone()));
    let hold = lab.driver.run(job, &cancel);
    let note = "waiting for another run to be done with cache main";
    let wait = async {
        while let Some(event) = said.recv().await {
            if matches!(event, Event::Line(line) if line.text == "has it") {
                break;
            }
        }
        let waiting = || asked(&lab, &image, ("main", None));
        let waits = |ran: &Ran| ran.text().contains(note);
        let waited = lab.run_out_of_time(1, waiting, waits).await;
        cancel.cancel();
        waited
    };
    let (holder, waited) = tokio::join!(hold, wait);
    assert_eq!(holder.unwrap_err().reason.as_str(), "Cancelled");
    assert_eq!(waited.failure().reason.as_str(), "TimedOut");
    assert_eq!(waited.text().matches(note).count(), 1, "{}", waited.text());
    lab.nothing_is_left();
}
