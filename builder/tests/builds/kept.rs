//! Sources that were kept: what is read of them, and when.

use std::path::PathBuf;

use builder::images::{ImageName, Images as _};
use builder::records::{Run, SourceSpec, State};
use builder::s2i::IgnoreMode;
use builder::source::{CONFIG_TYPE, Snapshot, config};

use crate::lab::{Lab, actor, asked, now, push_snapshot, reason, said, snapshot, spec};

/// The file that has a kept source's layer.
pub(crate) async fn layer(lab: &Lab, source: &str) -> PathBuf {
    let name = ImageName::parse(source, &[]).unwrap();
    let found = lab
        .images
        .manifest(&actor(), name.repo(), name.reference())
        .await;
    let layer = found.unwrap().unwrap().layers()[0].digest;
    let blobs = lab.images.folder(name.repo()).join("blobs/sha256");
    blobs.join(layer.hex())
}

/// Sends a source of which this snapshot's config is said.
pub(crate) async fn send(lab: &Lab, layer: &Snapshot, of: &Snapshot) -> String {
    let config = config(of, IgnoreMode::Classic).unwrap();
    push_snapshot(&lab.images, layer, CONFIG_TYPE, &config).await
}

async fn run(lab: &Lab, source: &str, fresh: bool) -> (Run, String) {
    let mut asked = asked();
    asked.fresh = fresh;
    asked.source = Some(SourceSpec::Image {
        reference: source.to_owned(),
    });
    let run = lab.builds.start("shop", "app", asked, now()).await;
    let (run, lines) = lab.ended(&run.unwrap().value).await;
    (run, said(&lines))
}

#[tokio::test]
async fn a_source_is_read_when_it_is_built_and_not_before() {
    let lab = Lab::new().await;
    let files = [("app.py", "print()"), (".s2iignore", "![\n")];
    let files = snapshot(lab.folder.path(), &files);
    let warning = files.warnings()[0].to_string();
    let source = send(&lab, &files, &files).await;
    lab.build(spec(&source, "hello")).await;
    let (first, lines) = run(&lab, &source, false).await;
    assert_eq!(first.state, State::Succeeded, "{lines}");
    assert_eq!(lines.matches(&warning).count(), 1, "{lines}");

    let whole = std::fs::read(layer(&lab, &source).await).unwrap();
    std::fs::write(layer(&lab, &source).await, "rot").unwrap();
    let (second, lines) = run(&lab, &source, false).await;
    assert_eq!(second.state, State::Succeeded, "{lines}");
    assert!(second.result.unwrap().reused);
    assert_eq!(second.resolved, first.resolved);
    assert!(lines.contains(&warning), "{lines}");
    let (built, _) = run(&lab, &source, true).await;
    assert_eq!(reason(&built), "SourceRefused");

    // The same source in other artifacts is read before anybody says that an image is of them.
    let (rotten, other) = (
        another(&lab, &files, 1).await,
        another(&lab, &files, 2).await,
    );
    std::fs::write(layer(&lab, &source).await, "rot").unwrap();
    let (refused, lines) = run(&lab, &rotten, false).await;
    assert_eq!(reason(&refused), "SourceRefused", "{lines}");
    std::fs::write(layer(&lab, &source).await, whole).unwrap();
    let (third, lines) = run(&lab, &other, false).await;
    assert!(third.result.unwrap().reused, "{lines}");
    assert_eq!(third.resolved.source, Some(other));
}

/// The same source in an artifact of its own.
async fn another(lab: &Lab, files: &Snapshot, number: usize) -> String {
    let mut config = config(files, IgnoreMode::Classic).unwrap();
    config.extend(std::iter::repeat_n(b'\n', number));
    push_snapshot(&lab.images, files, CONFIG_TYPE, &config).await
}

#[tokio::test]
async fn whoever_says_what_a_source_is_not_gets_what_it_is() {
    let lab = Lab::new().await;
    let (one, other) = (
        snapshot(lab.folder.path(), &[("app.py", "1")]),
        snapshot(
            lab.folder.path(),
            &[("app.py", "2"), (".s2i/environment", "A=b")],
        ),
    );
    let plain = lab
        .source(&[("app.py", "2"), (".s2i/environment", "A=b")])
        .await;
    lab.build(spec(&plain, "hello")).await;
    let (honest, _) = run(&lab, &plain, false).await;
    let (first, _) = run(&lab, &send(&lab, &one, &one).await, false).await;
    assert_ne!(first.resolved.plan, honest.resolved.plan);

    let liar = send(&lab, &other, &one).await;
    let (built, lines) = run(&lab, &liar, true).await;
    assert!(
        lines.contains("the source is another than its artifact says"),
        "{lines}"
    );
    assert_eq!(built.resolved.plan, honest.resolved.plan);
    assert_eq!(
        built.result.unwrap().image,
        honest.result.clone().unwrap().image
    );
    // Nor is the image of what it says taken for one of what it is.
    let (reused, lines) = run(&lab, &liar, false).await;
    assert!(
        lines.contains("the source is another than its artifact says"),
        "{lines}"
    );
    assert_eq!(reused.resolved.plan, honest.resolved.plan);
    let result = reused.result.unwrap();
    assert!(result.reused);
    assert_eq!(result.image, honest.result.clone().unwrap().image);
    // Nor does it make anybody take its image for that of the source which it named.
    let (first, _) = run(&lab, &send(&lab, &one, &one).await, false).await;
    assert_ne!(first.result.unwrap().image, honest.result.unwrap().image);
}
