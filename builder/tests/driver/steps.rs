//! Each kind of step, and what surrounds them.

use builder::driver::{Event, Phase};
use builder::plan::Image;
use builder::s2i::{Artifact, ContainerPath, Injection, Scope, User, Variable};
use oci::{Algorithm, Digest, RepoName};
use serde_json::{Value, json};

use super::image::{Tar, execution, listing, publish};
use super::lab::Lab;

const RUN: (&str, &str) = ("run", "true");

fn config(built: &builder::driver::Built) -> Value {
    serde_json::from_slice(&built.config).unwrap()
}

#[tokio::test]
async fn scripts_come_from_the_source_and_from_the_web() {
    let lab = Lab::new().await;
    let image = lab.assembling("exit 9").await;
    let source = lab.source(&[
        (
            ".s2i/bin/assemble",
            "#!/bin/sh\nls -ln /tmp/scripts /tmp/src/.s2i/bin > /opt/app/list\n",
        ),
        (".s2i/bin/helper", "stays\n"),
    ]);
    let mut ran = lab.run(Lab::asked(&image, &source)).await;
    let found = listing(ran.built());
    assert_eq!(found["tmp/scripts/"].0, "d755 1001:0");
    assert_eq!(found["tmp/scripts/assemble"].0, "-755 1001:0");
    let list = &found["opt/app/list"].1;
    assert!(
        list.contains("helper") && list.matches("assemble").count() == 1,
        "{list}"
    );

    // Links are followed, and what they lead to stays.
    let linked = "#!/bin/sh\ncat /tmp/src/ci/bin/assemble > /opt/app/own\n";
    let source = lab.source(&[(".s2i -> ci", ""), ("*ci/bin/assemble", linked)]);
    let mut ran = lab.run(Lab::asked(&image, &source)).await;
    assert_eq!(listing(ran.built())["opt/app/own"].1, linked);

    let script = b"#!/bin/sh\necho fetched > /opt/app/out\n".to_vec();
    let digest = Digest::of(Algorithm::Sha256, &script);
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.request.scripts_url = Some("https://scripts.example.com/s2i".parse().unwrap());
    asked
        .request
        .fetched_scripts
        .insert(builder::s2i::Script::Assemble, digest);
    asked.scripts.insert(digest, script);
    let mut ran = lab.run(asked).await;
    assert_eq!(listing(ran.built())["opt/app/out"].1, "fetched\n");
}

/// Whoever made the image decides where its folders lead; a script replaces a link that has its name.
#[tokio::test]
async fn a_script_is_not_placed_through_a_link() {
    let lab = Lab::new().await;
    let canary = lab.folder.path().join("canary");
    std::fs::write(&canary, "untouched").unwrap();
    let layer = Tar::new()
        .folder("elsewhere", 0o755, 0)
        .link("tmp/scripts", "/elsewhere")
        .link("elsewhere/assemble", canary.to_str().unwrap())
        .link("tmp/src", "../../../../../../../../tmp/deep")
        .folder("tmp/deep", 0o755, 0)
        .bytes();
    let image = lab
        .builder("shop/builder:1", &[("assemble", "exit 9"), RUN], &[layer])
        .await;
    let source = lab.source(&[
        (
            ".s2i/bin/assemble",
            "#!/bin/sh\nls /tmp/src/ > /opt/app/list\n",
        ),
        ("x", ""),
    ]);
    let mut ran = lab.run(Lab::asked(&image, &source)).await;
    let found = listing(ran.built());
    assert_eq!(found["elsewhere/assemble"].0, "-755 1001:0");
    assert!(found.contains_key("tmp/deep/x"), "{found:?}");
    assert_eq!(std::fs::read_to_string(canary).unwrap(), "untouched");
}

#[tokio::test]
async fn what_java_says_of_the_sandboxs_own_options_is_in_no_log() {
    let lab = Lab::new().await;
    let own = "Picked up JAVA_TOOL_OPTIONS: -Xmx1g";
    let ours =
        "Picked up JAVA_TOOL_OPTIONS: -Djavax.net.ssl.trustStore=/run/slipway/certificates.jks";
    let image = lab
        .assembling(&format!("echo '{ours}' >&2; echo '{own}' >&2"))
        .await;
    let mut ran = lab
        .run(Lab::asked(&image, &lab.source(&[("x", "x")])))
        .await;
    ran.built();
    let text = ran.text();
    assert!(
        text.contains(own) && !text.contains("certificates.jks"),
        "{text}"
    );
}

#[tokio::test]
async fn t74_variables_hold_where_they_should() {
    let lab = Lab::new().await;
    let assemble =
        "echo $APP_ROOT $BOTH $ONLY $FILE > result; pwd >> result; echo $HOME $PATH >> result";
    let image = lab.assembling(assemble).await;
    let source = lab.source(&[(".s2i/environment", "FILE=from-file\n")]);
    let mut asked = Lab::asked(&image, &source);
    asked.request.env = vec![
        Variable::parse("BOTH=both", Scope::Both).unwrap(),
        Variable::parse("ONLY=only", Scope::Build).unwrap(),
    ];
    let mut ran = lab.run(asked).await;
    let built = ran.built();
    let wanted = "/opt/app both only from-file\n/opt/app\n/opt/app /bin:/usr/bin\n";
    assert_eq!(listing(built)["opt/app/result"].1, wanted);
    let env = config(built)["config"]["Env"].clone();
    let wanted = [
        "PATH=/bin:/usr/bin",
        "APP_ROOT=/opt/app",
        "FILE=from-file",
        "BOTH=both",
    ];
    assert_eq!(env, json!(wanted));
}

#[tokio::test]
async fn what_is_injected_stays_and_what_is_secret_does_not() {
    let lab = Lab::new().await;
    let assemble = "cat /opt/app/conf/settings; cat /run/secrets/token/file > /dev/null; \
         ls -ln /run/secrets/token/file; \
         [ -w /opt/app/.config/tool ]; echo done > out";
    let image = lab.assembling(assemble).await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.request.injections = vec![Injection::parse("settings:conf", true).unwrap()];
    // A second one, in a folder of the home that is not there.
    asked.request.secrets.push(builder::plan::Secret {
        name: "token".to_owned(),
        revision: None,
        at: ContainerPath::parse("/opt/app/.config/tool").unwrap(),
    });
    asked.content("settings", "settings", b"colour=blue\n");
    asked.secret("token", "file", b"very-secret-token");
    let mut ran = lab.run(asked).await;
    let found = listing(ran.built());
    assert_eq!(found["opt/app/conf/settings"].1, "colour=blue\n");
    assert!(
        !found
            .keys()
            .any(|path| path.starts_with("run") || path.contains("config")),
        "{found:?}"
    );
    assert!(
        ran.text().contains("-r--------    1 1001"),
        "{}",
        ran.text()
    );
    assert_eq!(ran.phases().last(), Some(&Phase::Scan));
}

/// What is injected for `assemble` alone is the run's own: scripts of builder images change all files of the application.
#[tokio::test]
async fn what_is_injected_may_be_changed_and_does_not_stay() {
    let lab = Lab::new().await;
    // Each is a mount, which can be emptied and not removed, and has no room for ever more.
    let assemble = "set -e; cd /opt/app; ls -ln top conf/settings > list; cat conf/settings > /dev/null; \
         chgrp -R 0 .; chmod -R g=u .; find . -exec chmod g+rw {} +; ls -ln top conf/settings >> list; \
         echo colour=green-and-blue >> conf/settings; grep -q green conf/settings; \
         echo rewritten > top; grep -q rewritten top; : > conf/other; [ ! -s conf/other ]; \
         if rm -rf conf || head -c 100000000 /dev/zero > conf/other; then exit 3; fi";
    let image = lab.assembling(assemble).await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.request.clean = true;
    let injected = ["conf:conf", "other:conf", "top", "own:/opt/app/.config/own"];
    let injected = injected.map(|text| Injection::parse(text, false).unwrap());
    asked.request.injections = injected.to_vec();
    asked.content("conf", "settings", b"colour=blue-of-the-canary\n");
    asked.content("other", "other", b"another canary of an injection\n");
    asked.content("top", "top", b"top of the canaries\n");
    asked.content("own", "own", b"own of the canaries\n");
    let mut ran = lab.run(asked).await;
    let found = listing(ran.built());
    let names = found.keys().filter(|path| path.starts_with("opt/app/"));
    assert_eq!(names.collect::<Vec<_>>(), ["opt/app/", "opt/app/list"]);
    let list = &found["opt/app/list"].1;
    assert_eq!(
        list.matches("-rw-------    1 1001     0 ").count(),
        2,
        "{list}"
    );
    assert_eq!(
        list.matches("-rw-rw----    1 1001     0 ").count(),
        2,
        "{list}"
    );
    let history = String::from_utf8_lossy(&ran.built().config).into_owned();
    for word in ["canar", "green", "rewritten"] {
        assert!(
            !history.contains(word) && !ran.text().contains(word),
            "{word}"
        );
    }

    let image = lab.assembling("cp top/top out").await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.request.injections = vec![Injection::parse("top:top", false).unwrap()];
    asked.content("top", "top", b"top of the canaries\n");
    let ran = lab.run(asked).await;
    assert_eq!(ran.failure().reason.as_str(), "SecretInResult");
}

#[tokio::test]
async fn labels_are_those_that_the_script_asked_for() {
    let lab = Lab::new().await;
    let assemble = r#"mkdir -p /tmp/.s2i; echo '{"labels":[{"a":"1"},{"io.k8s.description":"mine"}]}' > /tmp/.s2i/image_metadata.json"#;
    let image = lab.assembling(assemble).await;
    let mut ran = lab
        .run(Lab::asked(&image, &lab.source(&[("x", "x")])))
        .await;
    let labels = config(ran.built())["config"]["Labels"].clone();
    assert_eq!(
        (&labels["a"], &labels["io.k8s.description"]),
        (&json!("1"), &json!("mine"))
    );
    assert_eq!(
        labels["io.openshift.s2i.build.commit.id"],
        "0123456789abcdef0123456789abcdef01234567"
    );

    let broken = lab
        .builder(
            "shop/broken:1",
            &[
                (
                    "assemble",
                    "mkdir -p /tmp/.s2i; echo x > /tmp/.s2i/image_metadata.json",
                ),
                RUN,
            ],
            &[],
        )
        .await;
    let ran = lab
        .run(Lab::asked(&broken, &lab.source(&[("x", "x")])))
        .await;
    assert_eq!(ran.failure().reason.as_str(), "ContainerCommitFailed");
}

/// What lower layers have is gone by whiteouts, what came in this build without a trace.
#[tokio::test]
async fn a_clean_build_leaves_no_source() {
    let lab = Lab::new().await;
    let layer = Tar::new()
        .folder("tmp/src", 0o755, 0)
        .folder("tmp/src/old", 0o755, 0)
        .folder("tmp/src/old/deep", 0o755, 0)
        .file("tmp/src/old/deep/file", 0o644, 0, "of the image")
        .bytes();
    let image = lab
        .builder(
            "shop/builder:1",
            &[("assemble", "ls -R /tmp/src > out"), RUN],
            &[layer],
        )
        .await;
    let mut asked = Lab::asked(&image, &lab.source(&[("old/deep/mine", "x"), ("y", "y")]));
    asked.request.clean = true;
    let mut ran = lab.run(asked).await;
    let found = listing(ran.built());
    let list = &found["opt/app/out"].1;
    assert!(list.contains("file") && list.contains("mine"), "{list}");
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["opt/", "opt/app/", "opt/app/out", "tmp/", "tmp/.wh.src"]
    );
}

async fn incremental(lab: &Lab, save: &str) -> (Image, Image) {
    let assemble = "if [ -d /tmp/artifacts ]; then cp -r /tmp/artifacts got; ls -lnR /tmp/artifacts; fi; \
         mkdir -p deps; date +%s%N > deps/made; ln -sf made deps/link; ln -f deps/made deps/hard";
    let scripts = [("assemble", assemble), RUN, ("save-artifacts", save)];
    let builder = lab.builder("shop/builder:1", &scripts, &[]).await;
    let mut first = lab
        .run(Lab::asked(&builder, &lab.source(&[("x", "1")])))
        .await;
    let images: std::sync::Arc<dyn builder::images::Images> =
        std::sync::Arc::new(lab.images.clone());
    let base = RepoName::parse("shop/builder").unwrap();
    publish(&images, first.built(), &base, "shop/cart:v1").await;
    (builder, lab.resolve("shop/cart:v1").await)
}

#[tokio::test]
async fn artifacts_of_the_previous_image_are_taken_over() {
    // What it says besides is no part of them, and has its own bound.
    let lab = Lab::with(|settings| (settings.artifacts, settings.output) = (64 << 10, 1000)).await;
    let save = "yes archiving | head -c 500000 >&2; cd /opt/app && tar cf - deps";
    let (builder, previous) = incremental(&lab, save).await;
    let mut asked = Lab::asked(&builder, &lab.source(&[("x", "2")]));
    asked.request.previous = Some(previous.clone());
    asked.base(&previous);
    let mut ran = lab.run(asked).await;
    let found = listing(ran.built());
    let made = &found["tmp/artifacts/deps/made"].0;
    assert!(made.ends_with("644 1001:0"), "{made}");
    assert_eq!(found["tmp/artifacts/deps/link"].1, "made");
    let hard = ["hard", "made"].map(|name| &found[&format!("tmp/artifacts/deps/{name}")]);
    assert!(
        hard.iter().any(|(what, _)| what.starts_with('h')),
        "{hard:?}"
    );
    assert!(found.contains_key("opt/app/got/deps/made"), "{found:?}");
    let wanted = [
        Phase::Prepare,
        Phase::SaveArtifacts,
        Phase::Assemble,
        Phase::Export,
    ];
    assert_eq!(ran.phases(), wanted);
    assert!(ran.text().contains("bytes of output are left out here"));
}

/// None of it keeps the build from being made.
#[tokio::test]
async fn what_cannot_be_taken_over_is_left() {
    for save in [
        "exit 3",
        "echo this is no archive",
        "true",
        // A name that leads out: GNU tar's -P is what busybox has not.
        "cd /opt/app/deps && tar cf - made | sed 's,^made,../x,'",
        "head -c 9000000 /dev/zero",
    ] {
        let lab = Lab::with(|settings| settings.artifacts = 8 << 20).await;
        let (builder, previous) = incremental(&lab, save).await;
        let mut asked = Lab::asked(&builder, &lab.source(&[("x", "2")]));
        asked.request.previous = Some(previous.clone());
        asked.base(&previous);
        let mut ran = lab.run(asked).await;
        let found = listing(ran.built());
        assert!(
            !found.keys().any(|path| path.starts_with("tmp/artifacts")),
            "{save}: {found:?}"
        );
        assert!(
            !found
                .keys()
                .any(|path| path.ends_with('x') && !path.ends_with("src/x")),
            "{found:?}"
        );
        if save != "true" {
            assert!(
                ran.text().contains("this is a clean build"),
                "{save}: {}",
                ran.text()
            );
        }
    }
}

#[tokio::test]
async fn a_previous_image_that_is_gone_is_no_failure() {
    let lab = Lab::new().await;
    let (builder, mut previous) = incremental(&lab, "tar cf - /opt").await;
    previous.digest = Digest::of(Algorithm::Sha256, b"removed meanwhile");
    let mut asked = Lab::asked(&builder, &lab.source(&[("x", "2")]));
    asked.request.previous = Some(previous.clone());
    asked.base(&previous);
    let mut ran = lab.run(asked).await;
    ran.built();
    assert!(
        ran.text().contains("there is no image shop/cart@sha256:"),
        "{}",
        ran.text()
    );
}

#[tokio::test]
async fn a_runtime_image_takes_what_it_wants() {
    let lab = Lab::new().await;
    let assemble = "mkdir -p out/sub; echo jar > out/app.jar; echo sh > out/sub/start; chmod 700 out/sub/start; \
         ln -s app.jar out/link; mkfifo out/fifo; echo big > only-here";
    let builder = lab.assembling(assemble).await;
    let mut execution = execution();
    execution["Labels"]["io.openshift.s2i.assemble-input-files"] =
        json!("/opt/app/out;/opt/app/only-here:extra/dir");
    let runtime = [
        (
            "assemble-runtime",
            "id -u > who; ls -ln out out/sub extra/dir",
        ),
        ("run", "cat out/app.jar"),
    ];
    let runtime = lab.image("shop/runtime:1", &runtime, &[], execution).await;
    let mut asked = Lab::asked(&builder, &lab.source(&[("x", "x")]));
    asked.request.runtime = Some(runtime.clone());
    asked.base(&runtime);
    let mut ran = lab.run(asked).await;
    let built = ran.built();
    assert_eq!(built.base, runtime.digest);
    let found = listing(built);
    let found: Vec<_> = found
        .iter()
        .map(|(path, (what, text))| (&**path, &**what, &**text))
        .collect();
    let wanted = [
        ("opt/", "d755 0:0", ""),
        ("opt/app/", "d775 1001:0", ""),
        ("opt/app/extra/", "d755 0:0", ""),
        ("opt/app/extra/dir/", "d755 0:0", ""),
        ("opt/app/extra/dir/only-here", "-644 0:0", "big\n"),
        ("opt/app/out/", "d755 0:0", ""),
        ("opt/app/out/app.jar", "-644 0:0", "jar\n"),
        ("opt/app/out/link", "l777 0:0", "app.jar"),
        ("opt/app/out/sub/", "d755 0:0", ""),
        ("opt/app/out/sub/start", "-755 0:0", "sh\n"),
        ("opt/app/who", "-644 1001:0", "1001\n"),
    ];
    assert_eq!(found, wanted);
    assert_eq!(
        config(built)["config"]["Cmd"],
        json!(["/usr/libexec/s2i/run"])
    );
    let wanted = [
        Phase::Prepare,
        Phase::Assemble,
        Phase::AssembleRuntime,
        Phase::Export,
    ];
    assert_eq!(ran.phases(), wanted);

    let mut asked = Lab::asked(
        &lab.resolve("shop/builder:1").await,
        &lab.source(&[("x", "x")]),
    );
    asked.request.runtime = Some(runtime.clone());
    asked.base(&runtime);
    asked.request.runtime_artifacts = Artifact::parse_all("/opt/app/none").unwrap();
    let ran = lab.run(asked).await;
    assert_eq!(ran.failure().reason.as_str(), "FetchRuntimeArtifactsFailed");
}

#[tokio::test]
async fn a_test_runs_in_the_result_and_leaves_nothing_in_it() {
    let lab = Lab::new().await;
    let image = lab.assembling("echo ok > app").await;
    let words = |text: &str| Some(["sh", "-c", text].map(str::to_owned).to_vec());
    let source = lab.source(&[("x", "x")]);
    let mut asked = Lab::asked(&image, &source);
    asked.request.env = vec![Variable::parse("ONLY=only", Scope::Build).unwrap()];
    asked.request.assemble_user = Some(User::parse("0").unwrap());
    asked.test =
        words("test -z \"$ONLY\" && cat app && id -u && pwd && echo dirt > /tmp/dirt && rm app");
    let mut ran = lab.run(asked).await;
    let found = listing(ran.built());
    assert!(
        found.contains_key("opt/app/app") && !found.contains_key("tmp/dirt"),
        "{found:?}"
    );
    let wanted = [Phase::Prepare, Phase::Assemble, Phase::Export, Phase::Test];
    assert_eq!(ran.phases(), wanted);
    assert_eq!(
        ran.text(),
        "ok\n1001\n/opt/app",
        "as the image's user, whoever assembled"
    );

    let mut asked = Lab::asked(&image, &source);
    asked.test = words("echo no; exit 4");
    let ran = lab.run(asked).await;
    let failure = ran.failure();
    assert_eq!(failure.reason.as_str(), "TestFailed");
    assert_eq!(
        failure.message,
        "sh ended with exit code 4; the log has its output"
    );
}

/// More layers than one page of mount options has room for.
#[tokio::test]
async fn an_image_may_have_many_layers() {
    let lab = Lab::new().await;
    let layers: Vec<_> = (0..60)
        .map(|number| {
            Tar::new()
                .file(&format!("opt/app/{number}"), 0o644, 1001, "x")
                .bytes()
        })
        .collect();
    let assemble = "n=$(ls /opt/app | wc -l); echo $n > count; rm 7";
    let image = lab
        .builder("shop/builder:1", &[("assemble", assemble), RUN], &layers)
        .await;
    let mut ran = lab
        .run(Lab::asked(&image, &lab.source(&[("x", "x")])))
        .await;
    let found = listing(ran.built());
    assert_eq!(found["opt/app/count"].1, "60\n");
    assert!(found.contains_key("opt/app/.wh.7"));
}

#[tokio::test]
async fn a_build_with_no_change_has_no_layer() {
    let lab = Lab::new().await;
    let image = lab.assembling("true").await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.request.clean = true;
    // No file is younger than this, so that `/tmp` is what it was.
    asked.epoch = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_400_000_000);
    let mut ran = lab.run(asked).await;
    let built = ran.built();
    assert!(built.layer.is_none(), "{:?}", listing(built));
    let config = config(built);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
    assert_eq!(config["history"][2]["empty_layer"], true);
    assert!(
        ran.events
            .iter()
            .all(|event| !matches!(event, Event::Note(_))),
        "{:?}",
        ran.events
    );
}
