//! From a branch over https to a plan.

use std::path::Path;

use builder::plan::{Image, Output, Request};
use builder::s2i::ImageConfig;
use oci::{Algorithm, Digest};

use crate::servers::{Servers, paths};

#[tokio::test]
async fn a_branch_becomes_a_snapshot_and_a_plan() {
    let servers = Servers::start("main-path");
    let repository = servers.repository("public/cart.git");
    repository.files("main", &[("README", "old")]);
    repository.files(
        "feature/sell",
        &[
            ("services/cart/app.py", "print('hello')\n"),
            (
                "*services/cart/.s2i/bin/run",
                "#!/bin/sh\nexec python3 app.py\n",
            ),
            ("services/cart/.s2i/environment", "APP_MODULE=cart\n"),
            ("services/cart/.s2iignore", "*.md\n"),
            ("services/cart/NOTES.md", "not for the build"),
            ("services/other/app.py", "print('other')\n"),
            ("@services/cart/current", "app.py"),
        ],
    );
    let mut source = servers.source("public/cart.git");
    source.revision = "feature/sell".parse().unwrap();
    source.context_dir = "services/cart".parse().unwrap();
    let snapshot = servers.fetch(&source).await.unwrap();
    assert_eq!(snapshot.warnings(), []);

    let expected = [
        ".s2i/",
        ".s2i/bin/",
        ".s2i/bin/run",
        ".s2i/environment",
        ".s2iignore",
        "app.py",
        "current",
    ];
    assert_eq!(paths(&snapshot), expected);

    let config = serde_json::json!({"os": "linux", "architecture": "amd64", "config": {
        "User": "1001",
        "Env": ["PATH=/usr/bin:/bin"],
        "WorkingDir": "/opt/app-root/src",
        "Labels": {"io.openshift.s2i.scripts-url": "image:///usr/libexec/s2i"},
    }});
    let builder = Image {
        reference: "shop/python:3.11".to_owned(),
        digest: Digest::of(Algorithm::Sha256, b"builder"),
        config: ImageConfig::parse(config.to_string().as_bytes()).unwrap(),
    };
    let output = Output {
        tag: "shop/cart:v1".to_owned(),
        ..Output::default()
    };
    let (plan, warnings) = Request::new(builder, snapshot.source(), output)
        .plan()
        .unwrap();
    assert_eq!(warnings, []);

    let text = serde_json::to_string_pretty(&plan).unwrap() + "\n";
    let text = text.replace(&format!(":{}/", servers.port), ":PORT/");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sources/main_path.json");
    if std::env::var_os("SLIPWAY_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&golden).unwrap());

    let asked = || servers.requests().matches("POST ").count();
    let before = asked();
    let again = servers.fetch(&source).await.unwrap();
    assert_eq!(again.digest(), snapshot.digest());
    assert_eq!(asked() - before, 1, "which commit it is, and nothing more");
}
