//! A plan, from its images and its source to a layer and a configuration.

use builder::driver::Phase;
use oci::Digest;
use serde_json::{Value, json};

use super::image::listing;
use super::lab::Lab;

const ASSEMBLE: &str = "id -u; cd /tmp/src && cp -r . /opt/app/src && echo built > /opt/app/result && sort > /dev/null < /etc/passwd";

#[tokio::test]
async fn a_source_becomes_an_image() {
    let lab = Lab::new().await;
    let image = lab.assembling(ASSEMBLE).await;
    let source = lab.source(&[("app.txt", "hello"), ("*tool", "#!/bin/sh\n")]);
    let mut ran = lab.run(Lab::asked(&image, &source)).await;
    let built = ran.built();
    let found = listing(built);
    // `etc/`, where the sandbox mounts its own files, is not among it.
    let wanted = [
        ("opt/", "d755 0:0", ""),
        ("opt/app/", "d775 1001:0", ""),
        ("opt/app/result", "-644 1001:0", "built\n"),
        ("opt/app/src/", "d755 1001:0", ""),
        ("opt/app/src/app.txt", "-644 1001:0", "hello"),
        ("opt/app/src/tool", "-755 1001:0", "#!/bin/sh\n"),
        ("tmp/", "d1777 0:0", ""),
        ("tmp/src/", "d755 1001:0", ""),
        ("tmp/src/app.txt", "-644 1001:0", "hello"),
        ("tmp/src/tool", "-755 1001:0", "#!/bin/sh\n"),
    ];
    let found: Vec<_> = found
        .iter()
        .map(|(path, (what, text))| (&**path, &**what, &**text))
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(built.base, image.digest);

    let config: Value = serde_json::from_slice(&built.config).unwrap();
    let layer = built.layer.as_ref().unwrap().0.diff_id;
    let ids: Vec<Digest> = serde_json::from_value(config["rootfs"]["diff_ids"].clone()).unwrap();
    assert_eq!((ids.len(), ids.last()), (3, Some(&layer)));
    assert_eq!(config["history"].as_array().unwrap().len(), 3);
    assert_eq!(config["created"], "2020-09-13T12:26:40Z");
    assert_eq!(config["config"]["Cmd"], json!(["/usr/libexec/s2i/run"]));
    assert_eq!(config["config"]["User"], "1001");
    assert_eq!(config["x-kept"], json!(1.5));
    assert!(built.usage.cpu.as_nanos() > 0);

    assert_eq!(
        ran.phases(),
        [Phase::Prepare, Phase::Assemble, Phase::Export]
    );
    assert!(ran.text().starts_with("1001"), "{:?}", ran.events);

    let first = ran.built().layer.as_ref().unwrap().0.clone();
    let config = ran.built().config.clone();
    let mut again = lab.run(Lab::asked(&image, &source)).await;
    assert_eq!(
        again.built().layer.as_ref().unwrap().0,
        first,
        "the same plan makes the same bytes"
    );
    assert_eq!(again.built().config, config);
}
