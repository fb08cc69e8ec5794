//! The four languages: the first build, the same again, other code, other dependencies.

use std::time::Duration;

use serde_json::{Value, json};
use tests::application::{Running, replace, sample};
use tests::podman::Storage;
use tests::{Lab, builder_image, packages};

use crate::git::Repository;
use crate::image::Image;
use crate::site::Site;

/// A language with its application of `tests/samples`.
struct Language {
    name: &'static str,
    /// What the application answers to `GET /?name=Ada`.
    says: &'static str,
    /// Changes of code, by which it tells the version of a dependency: file, text, new text.
    code: &'static [[&'static str; 3]],
    /// What it answers then.
    says_changed: &'static str,
    /// Changes of nothing but that version.
    dependency: &'static [[&'static str; 3]],
    /// And then.
    says_updated: &'static str,
    /// How its tool is kept from the network, where it can be: what it then builds comes from the cache.
    offline: Option<(&'static str, &'static str)>,
}

fn builds(language: &Language) {
    let lab = Lab::new("builds");
    let site = Site::start(&lab);
    let storage = Storage::overlay(&lab, "s");
    let builder = format!("builders/{}:1", language.name);
    push_builder(&lab, &site, language.name, &builder);
    let source = sample(&lab, language.name);
    let repository = Repository::serve(&lab, source);
    let mirrors = packages::mirrors().into_iter();
    let mirrors = mirrors.map(|(name, value)| format!("--build-env={name}={value}"));
    let set = site.slipway("secret set settings -n team --from-stdin settings.ini");
    set.stdin("canary of settings").ok();
    // Of the application, whose files all become its group's, but in no image.
    let beside = [
        "--inject=settings:conf",
        "--secret=settings:/opt/app-root/src/.own",
    ];
    let options: Vec<_> = mirrors.chain(beside.map(str::to_owned)).collect();
    site.create(&repository.url, &builder, &options);
    let change = |changes: &[[&str; 3]]| {
        for [file, from, to] in changes {
            replace(&repository.worktree.join(file), from, to);
        }
        repository.commit();
    };

    let first = site.run("");
    assert!(first.has_assembled());
    answers(&lab, &site, &storage, language.says);

    let reused = site.run("");
    assert!(!reused.has_assembled(), "the same is not built again");
    assert_eq!(reused.image(), first.image());
    let repeated = site.run(" --no-reuse");
    assert!(repeated.has_assembled());
    assert_eq!(
        repeated.image(),
        first.image(),
        "a full cache changes the result"
    );
    if let Some((name, value)) = language.offline {
        let build = site.kept();
        site.apply(&with_variable(build.clone(), name, value));
        let offline = site.run("");
        assert!(offline.has_assembled());
        assert_eq!(offline.image(), first.image(), "without the network");
        site.apply(&build);
    }

    change(language.code);
    let changed = site.run("");
    assert!(changed.has_assembled());
    // What a cache has is older than the commit; without it all is younger.
    let build = site.kept();
    site.apply(&without_caches(build.clone()));
    let bare = site.run(" --no-reuse");
    assert_eq!(bare.image(), changed.image(), "a cache changes the result");
    site.apply(&build);
    assert_ne!(changed.commit(), first.commit());
    assert_ne!(changed.image(), first.image());
    answers(&lab, &site, &storage, language.says_changed);

    change(language.dependency);
    let updated = site.run("");
    assert!(updated.has_assembled());
    assert_ne!(updated.image(), changed.image());
    answers(&lab, &site, &storage, language.says_updated);
    site.server.fsck_is_clean(&lab);
}

/// The program of Go alone, on an image that has no file at all: no scripts of the builder image, no shell.
#[test]
fn a_program_stands_on_an_empty_image() {
    let lab = Lab::new("empty");
    let site = Site::start(&lab);
    let storage = Storage::overlay(&lab, "s");
    push_builder(&lab, &site, "go", "builders/go:1");
    let empty = Image::empty();
    let empty = empty.with("User", json!("1001"));
    let empty = empty.with("Cmd", json!(["/opt/app-root/bin/.main"]));
    empty.push(&lab, &site, "team/empty");
    let source = sample(&lab, "go");
    let build =
        "build run --builder builders/go:1 --output team/app:v1 --runtime-image team/empty:1";
    let mirrors = packages::mirrors()
        .into_iter()
        .map(|(name, value)| format!("--build-env={name}={value}"));
    let build = site.slipway(build).args(mirrors).arg("--dir");
    build.arg(source).limit(Duration::from_secs(900)).ok();
    answers(&lab, &site, &storage, "Hello, Ada, from Go.");
}

/// Rather than an image that cannot start.
#[test]
fn python_with_nothing_to_start_is_refused() {
    let lab = Lab::new("builds");
    let site = Site::start(&lab);
    push_builder(&lab, &site, "python", "builders/python:1");
    lab.write("source/README", "nothing");
    let repository = Repository::serve(&lab, lab.path("source"));
    let said = site
        .slipway("build run --builder builders/python:1 --output team/app:v1")
        .args(["--git", &repository.url])
        .fails();
    assert!(said.contains("there is nothing to start"), "{said}");
    // Where it is known only when the image runs.
    site.slipway("build run --builder builders/python:1 --output team/app:v1")
        .args([
            "--git",
            &repository.url,
            "--env",
            "APP_MODULE=wsgi:application",
        ])
        .ok();
}

fn push_builder(lab: &Lab, site: &Site<'_>, language: &str, name: &str) {
    // In a lab of its own: making it may take a server, and here is one already.
    let archive = builder_image::archive(&Lab::new("builder-image"), language);
    lab.program("skopeo")
        .args(["copy", "--quiet", "--dest-tls-verify=false"])
        .arg(format!("oci-archive:{}", archive.display()))
        .arg(format!("docker://{}", site.server.endpoint().image(name)))
        .ok();
}

/// Pulls what was pushed, and asks it.
fn answers(lab: &Lab, site: &Site<'_>, storage: &Storage<'_>, says: &str) {
    let image = site.server.endpoint().image("team/app:v1");
    let pull = storage.podman().args(["pull", "--quiet"]);
    pull.args(["--tls-verify=false", &image]).ok();
    let app = Running::start(lab, storage, &image);
    assert_eq!(app.get("/?name=Ada"), says);
    app.stop();
}

/// The build with a variable that holds while building only.
fn with_variable(mut build: Value, name: &str, value: &str) -> Value {
    let variables = &mut build["spec"]["env"];
    let mut all = variables.as_array().cloned().unwrap_or_default();
    all.retain(|variable| variable["name"] != name);
    all.push(json!({"name": name, "value": value, "buildOnly": true}));
    *variables = all.into();
    build
}

/// The build without anything that lasts.
fn without_caches(mut build: Value) -> Value {
    build["spec"]["caches"] = "none".into();
    build
}

#[test]
fn python() {
    builds(&Language {
        name: "python",
        says: "Hello, Ada, from Python.",
        code: &[
            [
                "app.py",
                "from flask",
                "from importlib.metadata import version\n\nfrom flask",
            ],
            [
                "app.py",
                "from Python.\"",
                "from Python with click {{ click }}.\", click=version(\"click\")",
            ],
        ],
        says_changed: "Hello, Ada, from Python with click 8.1.8.",
        dependency: &[["requirements.txt", "click==8.1.8", "click==8.1.7"]],
        says_updated: "Hello, Ada, from Python with click 8.1.7.",
        // pip asks its index whatever it has.
        offline: None,
    });
}

#[test]
fn nodejs() {
    builds(&Language {
        name: "nodejs",
        says: "Hello, Ada, from Node.js.",
        code: &[[
            "src/server.js",
            "from Node.js.",
            "from Node.js with encodeurl ${require(\"encodeurl/package.json\").version}.",
        ]],
        says_changed: "Hello, Ada, from Node.js with encodeurl 2.0.3.",
        // One that Express names by a range, so that only the lock file says which.
        dependency: &[
            [
                "package-lock.json",
                "\"node_modules/encodeurl\": {\n      \"version\": \"2.0.3\"",
                "\"node_modules/encodeurl\": {\n      \"version\": \"2.0.0\"",
            ],
            [
                "package-lock.json",
                "sha512-mIteYONiEfc4xWf2F1WXovh1c8npzS00vNeiUPdwFF+QlVJni+gNvpQltLMQhob8rew/bWWc/bGTuUr0EUGt0w==",
                "sha512-Q0n9HRi4m6JuGIV1eFlmvJB7ZEVxu93IrMyiMsGC0lrMJMWzRgx6WGquyfQgZVb31vhGgXnfmPNNXmxnOkRBrg==",
            ],
        ],
        says_updated: "Hello, Ada, from Node.js with encodeurl 2.0.0.",
        offline: Some(("npm_config_offline", "true")),
    });
}

#[test]
fn go() {
    builds(&Language {
        name: "go",
        says: "Hello, Ada, from Go.",
        code: &[
            [
                "main.go",
                "\t\"os/signal\"\n",
                "\t\"os/signal\"\n\t\"runtime/debug\"\n",
            ],
            [
                "main.go",
                "from Go.\", request.URL.Query().Get(\"name\"))",
                "from Go with chi %s.\", request.URL.Query().Get(\"name\"), info.Deps[0].Version)",
            ],
            [
                "main.go",
                "\trouter := ",
                "\tinfo, _ := debug.ReadBuildInfo()\n\trouter := ",
            ],
        ],
        says_changed: "Hello, Ada, from Go with chi v5.2.1.",
        dependency: &[
            ["go.mod", "v5.2.1", "v5.2.0"],
            [
                "go.sum",
                "v5.2.1 h1:KOIHODQj58PmL80G2Eak4WdvUzjSJSm0vG72crDCqb8=",
                "v5.2.0 h1:Aj1EtB0qR2Rdo2dG4O94RIU35w2lvQSj6BRA4+qwFL0=",
            ],
            [
                "go.sum",
                "v5.2.1/go.mod h1:L2yAIGWB3H+phAw1NxKwWM+7eUH/lU8pOMm5hHcoops=",
                "v5.2.0/go.mod h1:DslCQbL2OYiznFReuXYUmQ2hGd1aDpCnlMNITLSKoi8=",
            ],
        ],
        says_updated: "Hello, Ada, from Go with chi v5.2.0.",
        offline: Some(("GOPROXY", "off")),
    });
}

#[test]
fn java() {
    builds(&Language {
        name: "java",
        says: "{\"says\":\"Hello, Ada, from Java.\"}",
        code: &[[
            "src/main/java/sample/App.java",
            "from Java.\"",
            "from Java with Gson \" + com.google.gson.internal.GsonBuildConfig.VERSION + \".\"",
        ]],
        says_changed: "{\"says\":\"Hello, Ada, from Java with Gson 2.11.0.\"}",
        dependency: &[["pom.xml", "2.11.0", "2.10.1"]],
        says_updated: "{\"says\":\"Hello, Ada, from Java with Gson 2.10.1.\"}",
        offline: Some(("MAVEN_ARGS", "--offline")),
    });
}
