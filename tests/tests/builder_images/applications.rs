//! Each kind of application that the images build.

use std::path::Path;

use tests::application::{Running, replace, sample};
use tests::podman::Storage;
use tests::{Lab, OrFail, api::digest_of, builder_image, packages};

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
    /// Debian packages that its builder image needs beside the language's own.
    packages: &'static [&'static str],
    /// What the source needs that is not in the folder.
    prepare: fn(&Lab, &Path),
    /// What it answers to `GET /?name=Ada`.
    says: &'static str,
    /// How its tool is kept from the network, where it can be: what it then builds comes from the cache.
    offline: &'static [(&'static str, &'static str)],
    /// A file that has the word `Hello`.
    greeting: &'static str,
}

/// What most samples need: nothing.
const PLAIN: Sample = Sample {
    folder: "",
    language: "",
    packages: &[],
    prepare: |_, _| {},
    says: "",
    offline: &[],
    greeting: "",
};

/// Whatever a tool asks the network for if it runs at all: it does not where what it installed was kept.
const NOWHERE: &[(&str, &str)] = &[
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("HTTP_PROXY", "http://127.0.0.1:9"),
];

/// Without a cache, with one that is empty and with one that is full: the same image. Changed code is another, and every one
/// runs.
fn builds_and_runs(sample_of: &Sample) {
    let lab = Lab::new("app");
    let storage = storage(&lab);
    let Sample {
        language, packages, ..
    } = sample_of;
    let builder = builder_image::loaded_with(&lab, language, packages);
    let source = sample(&lab, sample_of.folder);
    (sample_of.prepare)(&lab, &source);
    let mut build = Build {
        lab: &lab,
        storage: &storage,
        builder,
        source,
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
        ..PLAIN
    });
}

/// A package that Python imports when it starts, which would write byte code with the time of this build in it.
#[test]
fn python_with_a_package_that_is_imported_at_start() {
    builds_and_runs(&Sample {
        folder: "python-pth",
        language: "python",
        says: "Hello, Ada, from Python by itself.",
        offline: NOWHERE,
        greeting: "app.py",
        ..PLAIN
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
        ..PLAIN
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
        ..PLAIN
    });
}

#[test]
fn python_in_a_workspace_of_uv() {
    builds_and_runs(&Sample {
        folder: "python-uv-workspace",
        language: "python",
        says: "Hello, Ada, from a workspace of uv.",
        // A member is built each time, and what builds it is asked for.
        offline: &[],
        greeting: "packages/greet/src/greet/__init__.py",
        ..PLAIN
    });
}

#[test]
fn python_with_a_path_in_the_lock_of_poetry() {
    builds_and_runs(&Sample {
        folder: "python-poetry-path",
        language: "python",
        says: "Hello, Ada, from Python by a path of poetry.",
        offline: &[],
        greeting: "greet/greet/__init__.py",
        ..PLAIN
    });
}

#[test]
fn nodejs_with_npm_and_a_build() {
    builds_and_runs(&Sample {
        folder: "nodejs",
        language: "nodejs",
        says: "Hello, Ada, from Node.js.",
        offline: NOWHERE,
        greeting: "src/server.js",
        ..PLAIN
    });
}

#[test]
fn nodejs_with_yarn() {
    builds_and_runs(&Sample {
        folder: "nodejs-yarn",
        language: "nodejs",
        says: "Hello from Node.js by yarn, an hour is 3600000 ms.",
        offline: NOWHERE,
        greeting: "server.js",
        ..PLAIN
    });
}

#[test]
fn nodejs_with_yarn_1_and_a_build() {
    builds_and_runs(&Sample {
        folder: "nodejs-yarn-classic",
        language: "nodejs",
        says: "Hello from Node.js by Yarn 1, an hour is 3600000 ms.",
        offline: NOWHERE,
        greeting: "server.js",
        ..PLAIN
    });
}

#[test]
fn nodejs_with_pnpm() {
    builds_and_runs(&Sample {
        folder: "nodejs-pnpm",
        language: "nodejs",
        says: "Hello from Node.js by pnpm, an hour is 3600000 ms.",
        offline: NOWHERE,
        greeting: "server.js",
        ..PLAIN
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
        ..PLAIN
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
        ..PLAIN
    });
}

#[test]
fn java_with_mavens_wrapper_and_spring_boot() {
    builds_and_runs(&Sample {
        folder: "java-mvnw",
        language: "java",
        prepare: mavens_wrapper,
        says: "Hello, Ada, from Spring Boot by Maven 3.9.16.",
        offline: &[("MAVEN_ARGS", "--offline")],
        greeting: "src/main/java/sample/App.java",
        ..PLAIN
    });
}

/// `mvnw`, as its makers publish it. It fetches the Maven that the source names, and holds it to its hash.
fn mavens_wrapper(lab: &Lab, source: &Path) {
    let mirror = packages::mirrors()
        .into_iter()
        .find(|(name, _)| name == "MAVEN_MIRROR_URL");
    let mirror = mirror.map_or_else(
        || "https://repo.maven.apache.org/maven2".to_owned(),
        |(_, url)| url.trim_end_matches('/').to_owned(),
    );
    let file = "maven-wrapper-distribution-3.3.2-only-script.zip";
    let url = format!("{mirror}/org/apache/maven/wrapper/maven-wrapper-distribution/3.3.2/{file}");
    let archive = lab.path(file);
    lab.program("curl")
        .args(["--silent", "--show-error", "--fail", "--location"])
        .args(["--retry", "3", "--output"])
        .arg(&archive)
        .arg(url)
        .ok();
    let content = std::fs::read(&archive).or_fail("the wrapper");
    assert_eq!(
        digest_of(&content),
        "sha256:81f6e5505d44263ef4ebf47935dd552c88de7466a6443d8738406fa8f88e0a03"
    );
    lab.program("busybox")
        .args(["unzip", "-q"])
        .arg(&archive)
        .args(["mvnw", "-d"])
        .arg(source)
        .ok();
}

/// Debian's Gradle is of 2017, and writes the files' times into archives unless it is told.
#[test]
fn java_with_gradle() {
    builds_and_runs(&Sample {
        folder: "java-gradle",
        language: "java",
        packages: &["gradle"],
        says: "{\"says\":\"Hello, Ada, from Java by Gradle 4.4.1.\"}",
        offline: &[("GRADLE_ARGS", "--offline")],
        greeting: "src/main/java/sample/App.java",
        ..PLAIN
    });
}
