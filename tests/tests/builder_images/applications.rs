//! Each kind of application that the images build.

use tests::application::{Running, replace, sample};
use tests::podman::Storage;
use tests::{Lab, builder_image};

use crate::built::{Build, cache};
use crate::storage;

/// Started as the classic strategy writes the command; in a Dockerfile it is a shell's, which keeps signals to itself.
fn started<'lab>(lab: &Lab, storage: &'lab Storage<'lab>, image: &str) -> Running<'lab> {
    Running::start_with(lab, storage, image, &["/usr/libexec/s2i/run"])
}

/// An application of `tests/samples`.
struct Sample {
    folder: &'static str,
    language: &'static str,
    /// What it answers to `GET /?name=Ada`.
    says: &'static str,
    /// How its tool is kept from the network, where it can be: what it then builds comes from the cache.
    offline: &'static [(&'static str, &'static str)],
    /// A file that has the word `Hello`.
    greeting: &'static str,
}

/// pip asks its index whatever it has, but is not asked itself where its lock file has not changed.
const NOWHERE: &[(&str, &str)] = &[
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("HTTP_PROXY", "http://127.0.0.1:9"),
];

/// Without a cache, with one that is empty and with one that is full: the same image. Changed code is another, and every one
/// runs.
fn builds_and_runs(sample_of: &Sample) {
    let lab = Lab::new("app");
    let storage = storage(&lab);
    let builder = builder_image::loaded(&lab, &storage, sample_of.language);
    let mut build = Build {
        lab: &lab,
        storage: &storage,
        builder,
        source: sample(&lab, sample_of.folder),
        cache: None,
        variables: &[],
        is_incremental: false,
    };
    let bare = build.run("localhost/app:bare");
    build.cache = Some(cache(&lab));
    let filling = build.run("localhost/app:filling");
    assert_eq!(bare, filling, "a cache changes the result");
    build.variables = sample_of.offline;
    let filled = build.run("localhost/app:filled");
    assert_eq!(bare, filled, "a full cache changes the result");

    let app = started(&lab, &storage, "localhost/app:filled");
    assert_eq!(app.get("/?name=Ada"), sample_of.says);
    app.stop();

    replace(&build.source.join(sample_of.greeting), "Hello", "Good day");
    let changed = build.run("localhost/app:changed");
    assert_ne!(bare, changed, "changed code changes nothing");
    let app = started(&lab, &storage, "localhost/app:changed");
    assert_eq!(
        app.get("/?name=Ada"),
        sample_of.says.replace("Hello", "Good day")
    );
    app.stop();
}

#[test]
fn python_with_requirements() {
    builds_and_runs(&Sample {
        folder: "python",
        language: "python",
        says: "Hello, Ada, from Python.",
        offline: NOWHERE,
        greeting: "app.py",
    });
}

#[test]
fn python_with_the_lock_of_uv() {
    builds_and_runs(&Sample {
        folder: "python-uv",
        language: "python",
        says: "Hello, Ada, from Python by uv.",
        offline: NOWHERE,
        greeting: "app.py",
    });
}

#[test]
fn python_with_the_lock_of_poetry() {
    builds_and_runs(&Sample {
        folder: "python-poetry",
        language: "python",
        says: "Hello, Ada, from Python by poetry.",
        offline: NOWHERE,
        greeting: "app.py",
    });
}

#[test]
fn nodejs_with_npm_and_a_build() {
    builds_and_runs(&Sample {
        folder: "nodejs",
        language: "nodejs",
        says: "Hello, Ada, from Node.js.",
        offline: &[("npm_config_offline", "true")],
        greeting: "src/server.js",
    });
}

#[test]
fn nodejs_with_yarn() {
    builds_and_runs(&Sample {
        folder: "nodejs-yarn",
        language: "nodejs",
        says: "Hello from Node.js by yarn, an hour is 3600000 ms.",
        offline: &[("npm_config_offline", "true")],
        greeting: "server.js",
    });
}

#[test]
fn nodejs_with_pnpm() {
    builds_and_runs(&Sample {
        folder: "nodejs-pnpm",
        language: "nodejs",
        says: "Hello from Node.js by pnpm, an hour is 3600000 ms.",
        offline: &[("npm_config_offline", "true")],
        greeting: "server.js",
    });
}

#[test]
fn go_with_a_module() {
    builds_and_runs(&Sample {
        folder: "go",
        language: "go",
        says: "Hello, Ada, from Go.",
        offline: &[("GOPROXY", "off")],
        greeting: "main.go",
    });
}

#[test]
fn java_with_maven() {
    builds_and_runs(&Sample {
        folder: "java",
        language: "java",
        says: "{\"says\":\"Hello, Ada, from Java.\"}",
        offline: &[("MAVEN_ARGS", "--offline")],
        greeting: "src/main/java/sample/App.java",
    });
}
