//! Which caches a run has.

use builder::builds::Asked;
use builder::records::{Actor, BuildSpec, Cause, State};

use crate::image::{execution, push};
use crate::lab::{Lab, asked, now, said, spec};

/// A lab whose builder image has a cache.
async fn lab() -> Lab {
    let lab = Lab::new().await;
    push_builder(&lab, "shop/builder:1").await;
    lab
}

async fn push_builder(lab: &Lab, name: &str) {
    let mut says = execution();
    says["Labels"]["dev.slipway.cache"] = "/opt/cache".into();
    push(&lab.images, name, &[b"b".to_vec()], says).await;
}

/// The cache of a run without a build.
async fn of_once(lab: &Lab, spec: BuildSpec, who: &str) -> String {
    let by = who.to_owned();
    let actor = Actor {
        name: by.clone(),
        proof: serde_json::Value::Null,
    };
    let asked = Asked::new(actor, Cause::Asked { by });
    let run = lab.builds.run_once("shop", None, spec, asked, now()).await;
    let (run, lines) = lab.ended(&run.unwrap().value).await;
    assert_eq!(run.state, State::Succeeded, "{}", said(&lines));
    let said = said(&lines);
    let cache = said.lines().find(|line| line.starts_with("cache "));
    cache.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_run_without_a_build_has_the_cache_of_where_its_image_goes() {
    let lab = lab().await;
    let one = lab.source(&[("app.py", "print()")]).await;
    let other = lab.source(&[("app.py", "print(2)")]).await;
    let first = of_once(&lab, spec(&one, "x"), "ann").await;
    assert!(first.starts_with("cache .shop/app@.."), "{first}");
    assert!(first.ends_with(":/opt/cache of nothing"), "{first}");
    // What was changed in the folder, and another tag, make no difference.
    let mut again = spec(&other, "y");
    again.output.image = "shop/app:v2".to_owned();
    assert_eq!(of_once(&lab, again, "ann").await, first);
    // Who sends it, where it goes, and what builds it do.
    let mut elsewhere = spec(&one, "x");
    elsewhere.output.image = "shop/other:v1".to_owned();
    push_builder(&lab, "shop/builder:2").await;
    let mut by_another = spec(&one, "x");
    by_another.builder = "shop/builder:2".to_owned();
    for differs in [
        of_once(&lab, spec(&one, "x"), "bob").await,
        of_once(&lab, elsewhere, "ann").await,
        of_once(&lab, by_another, "ann").await,
    ] {
        assert!(differs.starts_with("cache .shop/"), "{differs}");
        assert_ne!(differs, first);
    }
    // Neither has a build that of one without.
    lab.build(spec(&one, "x")).await;
    let (_, lines) = lab.ended(&lab.start().await).await;
    assert!(said(&lines).contains("cache app@:/opt/cache of nothing"));
}

#[tokio::test]
async fn who_wants_no_cache_has_an_empty_one_and_runs() {
    let lab = lab().await;
    let source = lab.source(&[("app.py", "print()")]).await;
    lab.build(spec(&source, "x")).await;
    let (_, lines) = lab.ended(&lab.start().await).await;
    assert!(!said(&lines).contains("caches begin empty"));
    assert!(lab.run().await.result.unwrap().reused);
    let mut anew = asked();
    anew.no_cache = true;
    let run = lab.builds.start("shop", "app", anew.clone(), now()).await;
    let (run, lines) = lab.ended(&run.unwrap().value).await;
    assert!(!run.result.unwrap().reused);
    assert!(said(&lines).contains("caches begin empty\ncache app@:/opt/cache of nothing"));
    let once = lab
        .builds
        .run_once("shop", None, spec(&source, "x"), anew, now());
    let (_, lines) = lab.ended(&once.await.unwrap().value).await;
    assert!(said(&lines).contains("caches begin empty\ncache .shop/app@.."));
}
