//! What of the contract of S2I a request can ask for, by the command line and the API, built with images of busybox.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Lab, OrFail, Server};

use crate::image::Image;
use crate::site::{Run, Site};

/// Takes the source, and lists it.
const ASSEMBLE: &str = "#!/bin/sh
set -e
busybox cp -R /tmp/src /opt/app/src
cd src && busybox find . -type f | busybox sort
";
const START: &str = "#!/bin/sh\nexec sleep 1000\n";

fn builder(assemble: &str) -> Image<'_> {
    let image = Image::new().file("s2i/assemble", assemble);
    image.file("s2i/run", START)
}

/// A source of these files.
fn source(lab: &Lab, files: &[(&str, &str)]) -> PathBuf {
    for (path, content) in files {
        lab.write(format!("source/{path}"), content);
    }
    lab.path("source")
}

/// `slipway build run` of a source with `builders/plain:1`, to its end: the run, and what it said.
fn built(site: &Site<'_>, source: &Path, more: &[&str]) -> (Run, String) {
    let words = "build run --json --builder builders/plain:1 --output team/app:v1 --network none";
    let ended = site.slipway(words).arg("--dir").arg(source).args(more);
    let ended = ended.run();
    let run: Value = serde_json::from_str(&ended.stdout).or_fail(ended.report);
    said(site, Run::of(&run.to_string()))
}

/// A run of this spec by the API, to its end.
fn asked(site: &Site<'_>, spec: &Value) -> (Run, String) {
    let path = "/api/v1/namespaces/team/buildruns";
    let wanted = json!({"spec": spec, "fresh": true});
    let made = site.post(path, &wanted).expect(201);
    let name = Run::of(&made.text()).name();
    site.slipway(&format!("build logs {name} -n team --follow"))
        .run();
    said(site, Run::of(&site.look(&format!("buildruns/{name}"))))
}

fn said(site: &Site<'_>, run: Run) -> (Run, String) {
    let log = site.look(&format!("buildruns/{}/log", run.name()));
    (run, log)
}

#[track_caller]
fn succeeds((run, log): (Run, String)) -> (Run, String) {
    assert_eq!(run.state(), "succeeded", "{run:?}\n{log}");
    (run, log)
}

/// The reason for machines.
#[track_caller]
fn fails((run, log): (Run, String)) -> String {
    assert_eq!(run.state(), "failed", "{run:?}\n{log}");
    run.text("/state/reason")
}

#[test]
fn what_is_injected_is_there_and_what_is_to_stay_stays() {
    let lab = Lab::new("inject");
    let site = Site::start(&lab);
    let assemble = format!("{ASSEMBLE}cd .. && cat conf/app.conf && test -s /etc/m2/settings.xml");
    builder(&assemble).push(&lab, &site, "builders/plain");
    let set = |name: &str, used_for: &str, file: &str, content: &str| {
        let set = format!("secret set {name} -n team --for {used_for} --from-stdin {file}");
        site.slipway(&set).stdin(content).ok();
    };
    set("settings", "image", "app.conf", "colour=blue");
    set("maven", "build", "settings.xml", "canary-of-maven");
    let source = source(&lab, &[("app.txt", "hello")]);
    let test = "echo in the image: $(cat conf/app.conf) && test ! -s /etc/m2/settings.xml";
    let more = [
        "--inject-keep=settings:conf",
        "--inject=maven:/etc/m2",
        "--test",
        test,
    ];
    let (run, log) = succeeds(built(&site, &source, &more));
    assert!(log.contains("in the image: colour=blue"), "{log}");

    // Of the same, as a build: another content is another image.
    let path = "/api/v1/namespaces/team/builds";
    let build = json!({"name": "app", "spec": run.spec()});
    site.post(path, &build).expect(201);
    let first = site.run("");
    assert!(!site.run("").has_assembled());
    set("settings", "image", "app.conf", "colour=green");
    let changed = site.run("");
    assert!(changed.has_assembled());
    assert_ne!(changed.image(), first.image());

    // Nobody makes a secret public that is none of configuration.
    let mut spec = run.spec();
    spec["injections"] = json!([{"secret": "maven", "path": "m2", "keep": true}]);
    assert_eq!(fails(asked(&site, &spec)), "SecretUnavailable");
}

#[test]
fn a_source_is_ignored_by_the_rules_that_are_asked_for() {
    let lab = Lab::new("ignore");
    let site = Site::start(&lab);
    builder(ASSEMBLE).push(&lab, &site, "builders/plain");
    let files = [
        (".s2iignore", "**/*.log\n"),
        ("app.txt", ""),
        ("deep/in/it.log", ""),
    ];
    let source = source(&lab, &files);
    let (classic, log) = succeeds(built(&site, &source, &[]));
    assert!(log.contains("./deep/in/it.log"), "{log}");
    let (_, log) = succeeds(built(&site, &source, &["--ignore=recursive"]));
    assert!(
        log.contains("./app.txt") && !log.contains("it.log"),
        "{log}"
    );
    // What was sent whole the server reads as the spec says.
    let mut spec = classic.spec();
    spec["ignore"] = "recursive".into();
    let (_, log) = succeeds(asked(&site, &spec));
    assert!(
        log.contains("./app.txt") && !log.contains("it.log"),
        "{log}"
    );
    // A folder that is sent to a build is read as the build reads it.
    let build = json!({"name": "app", "spec": spec});
    site.post("/api/v1/namespaces/team/builds", &build)
        .expect(201);
    let before = "deep\n!deep/in/it.log\n";
    lab.write("source/.s2iignore", before);
    let start = site.slipway("build start app -n team --json --dir");
    let told = start.arg(&source).ok();
    let (_, log) = succeeds(said(&site, Run::of(&told)));
    assert!(log.contains("./deep/in/it.log"), "{log}");
}

#[test]
fn users_that_may_not_run_scripts_do_not() {
    let lab = Lab::new("uids");
    let site = Site::start_with(&lab, "allowedUids: 1000-2000");
    let source = source(&lab, &[("app.txt", "hello")]);
    builder(ASSEMBLE).push(&lab, &site, "builders/plain");
    let (run, _) = succeeds(built(&site, &source, &[]));
    let mut spec = run.spec();
    spec["assembleUser"] = "0".into();
    assert_eq!(fails(asked(&site, &spec)), "AssembleUserForbidden");
    let label = "io.openshift.s2i.assemble-user";
    for (own, assembles) in [("1001", "app"), ("root", "1001")] {
        let image = builder(ASSEMBLE).label(label, assembles);
        let image = image.with("User", own.into());
        image.push(&lab, &site, "builders/plain");
        let refused = built(&site, &source, &["--test=busybox id"]);
        assert!(!refused.1.contains("uid="), "{}", refused.1);
        assert_eq!(fails(refused), "AssembleUserForbidden", "{own}");
    }
}

#[test]
fn a_source_steers_its_tools_as_far_as_the_configuration_lets_it() {
    let lab = Lab::new("variables");
    let assemble = format!("{ASSEMBLE}echo \"options: $NODE_OPTIONS, $LD_PRELOAD, $RUBYOPT\"");
    let options = "NODE_OPTIONS=--max-old-space-size=4096\nLD_PRELOAD=/evil.so\nRUBYOPT=-w\n";
    let source = source(&lab, &[(".s2i/environment", options)]);
    for (key, says, passed_over) in [
        ("", "options: --max-old-space-size=4096, , -w", "LD_PRELOAD"),
        ("forbiddenEnv: [RUBY*]", ", /evil.so, \n", "RUBYOPT"),
    ] {
        let site = Site::start_with(&lab, key);
        builder(&assemble).push(&lab, &site, "builders/plain");
        let (run, log) = succeeds(built(&site, &source, &["--test=true"]));
        assert!(log.contains(says), "{key}: {log}");
        let note = format!("{passed_over} is passed over");
        assert!(log.contains(&note), "{key}: {log}");
        let mut spec = run.spec();
        spec["env"] = json!([{"name": passed_over, "value": "x"}]);
        let path = "/api/v1/namespaces/team/buildruns";
        let refused = site.post(path, &json!({ "spec": spec })).expect(400).text();
        assert!(refused.contains("builder.forbiddenEnv"), "{refused}");
    }
}

#[test]
fn builds_are_told_the_time_of_their_source() {
    let lab = Lab::new("epoch");
    let site = Site::start(&lab);
    let assemble = format!("{ASSEMBLE}echo \"time: <$SOURCE_DATE_EPOCH>\"");
    let source = source(&lab, &[("app.txt", "hello")]);
    let test = "--test=echo later: \"<$SOURCE_DATE_EPOCH>\"";
    builder(&assemble).push(&lab, &site, "builders/plain");
    let (run, log) = succeeds(built(&site, &source, &[test]));
    let epoch = run.epoch();
    assert!(log.contains(&format!("time: <{epoch}>")), "{log}");
    assert!(log.contains("later: <>"), "{log}");
    let own = "--build-env=SOURCE_DATE_EPOCH=5";
    let (_, log) = succeeds(built(&site, &source, &[own]));
    assert!(log.contains("time: <5>"), "{log}");
    // What is kept was made at other times.
    let keeps = builder(&assemble).label("dev.slipway.cache", "/opt/app/cache");
    keeps.push(&lab, &site, "builders/plain");
    let (_, log) = succeeds(built(&site, &source, &[]));
    assert!(log.contains("time: <>"), "{log}");
}

#[test]
fn an_image_says_how_it_is_used() {
    let lab = Lab::new("usage");
    let site = Site::start(&lab);
    let enter = |name: &str| {
        let image = format!("builder-image add {name} -n team --image builders/{name}:1");
        site.slipway(&image).ok();
    };
    let says = "#!/bin/sh\necho \"Give me an index.txt, $(busybox id -u).\"; test ! -e /sys/class/net/eth0\n";
    builder(ASSEMBLE)
        .file("s2i/usage", says)
        .push(&lab, &site, "builders/plain");
    enter("plain");
    let usage = site.slipway("builder-image usage plain -n team").ok();
    assert_eq!(usage, "Give me an index.txt, 1001.\n");
    builder(ASSEMBLE).push(&lab, &site, "builders/mute");
    enter("mute");
    let path = |name: &str| format!("/api/v1/namespaces/team/builderimages/{name}/usage");
    let refused = site.post(&path("mute"), &json!({})).expect(400).text();
    assert!(refused.contains("script usage"), "{refused}");
    site.post(&path("other"), &json!({})).expect(404);
    assert!(site.look("buildruns").contains("[]"), "no run is made");
}

#[test]
fn who_finishes_a_runtime_image_and_what_its_labels_begin_with_may_be_said() {
    let lab = Lab::new("runtime");
    let site = Site::start(&lab);
    builder(ASSEMBLE).push(&lab, &site, "builders/plain");
    let finish = "#!/bin/sh\necho \"finished by $(busybox id -u)\"\n";
    let runtime = Image::new().file("s2i/assemble-runtime", finish);
    let runtime = runtime.file("s2i/run", START);
    runtime
        .label("io.openshift.s2i.assemble-runtime-user", "1002")
        .push(&lab, &site, "team/runtime");
    let source = source(&lab, &[("app.txt", "hello")]);
    let more = [
        "--runtime-image=team/runtime:1",
        "--runtime-artifact=/opt/app/src",
        "--assemble-runtime-user=1005",
        "--label-namespace=io.openshift.",
        "--test=cat src/app.txt",
    ];
    let (run, log) = succeeds(built(&site, &source, &more));
    assert!(log.contains("finished by 1005"), "{log}");
    let labels = labels(&site.server, &run);
    assert_eq!(labels["io.openshift.build.image"], "builders/plain:1");
    assert_eq!(labels.get("io.openshift.s2i.build.image"), None);
    let mut spec = run.spec();
    spec["runtime"]["assembleUser"] = Value::Null;
    spec["output"]["labelNamespace"] = "no prefix".into();
    let path = "/api/v1/namespaces/team/buildruns";
    let refused = site.post(path, &json!({ "spec": spec })).expect(400).text();
    assert!(refused.contains("spec.output.labelNamespace"), "{refused}");
    spec["output"]["labelNamespace"] = Value::Null;
    let (_, log) = succeeds(asked(&site, &spec));
    assert!(log.contains("finished by 1002"), "{log}");
}

/// The labels of a run's image.
fn labels(server: &Server, run: &Run) -> Value {
    let api = tests::Api::new(server.endpoint());
    let image = run.image();
    let (repository, digest) = image.split_once('@').or_fail("a digest");
    let read = |path: String| -> Value {
        let reply = api.get(&path).or_fail("read the image").expect(200);
        serde_json::from_slice(&reply.body).or_fail("JSON")
    };
    let manifest = read(format!("/v2/{repository}/manifests/{digest}"));
    let config = manifest["config"]["digest"].as_str().or_fail("a digest");
    read(format!("/v2/{repository}/blobs/{config}"))["config"]["Labels"].clone()
}
