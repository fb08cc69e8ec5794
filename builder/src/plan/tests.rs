use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::s2i::{
    AllowedUids, Artifact, ContainerPath, EnvFilter, ImageConfig, Injection, Reason, Refusal,
    Scope, Script, SourceScripts, User, Variable, Warning,
};

fn digest(of: &str) -> Digest {
    Digest::of(Algorithm::Sha256, of.as_bytes())
}

fn path(text: &str) -> ContainerPath {
    ContainerPath::parse(text).unwrap()
}

fn image(reference: &str, config: &Value) -> Image {
    let json = json!({"os": "linux", "architecture": "amd64", "config": config});
    Image {
        reference: reference.to_owned(),
        digest: digest(reference),
        config: ImageConfig::parse(json.to_string().as_bytes()).unwrap(),
    }
}

/// As the images of sclorg are.
fn python() -> Value {
    json!({
        "User": "1001",
        "Env": ["PATH=/opt/app-root/bin:/usr/bin", "HOME=/opt/app-root/src"],
        "Entrypoint": ["container-entrypoint"],
        "Cmd": ["/bin/sh", "-c", "$STI_SCRIPTS_PATH/usage"],
        "WorkingDir": "/opt/app-root/src",
        "ExposedPorts": {"8080/tcp": {}},
        "Labels": {
            "io.openshift.s2i.scripts-url": "image:///usr/libexec/s2i",
            "io.openshift.expose-services": "8080:http",
        },
    })
}

fn source(files: &[&str]) -> Source {
    let mut scripts = SourceScripts::default();
    for file in files {
        scripts.note(file, *file);
    }
    Source {
        digest: digest("source"),
        scripts,
        environment: None,
        location: "https://git.example.com/shop/cart.git".to_owned(),
        context_dir: "services/cart".to_owned(),
        commit: Some(Commit {
            id: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            reference: "main".to_owned(),
            author_name: "Ann".to_owned(),
            author_email: "ann@example.com".to_owned(),
            date: "Thu Jan 1 00:00:00 1970 +0000".to_owned(),
            message: "Sell more".to_owned(),
        }),
    }
}

fn request(files: &[&str]) -> Request {
    let output = Output {
        tag: "shop/cart:v1".to_owned(),
        ..Output::default()
    };
    Request::new(image("shop/python:3.11", &python()), source(files), output)
}

fn plan(request: &Request) -> (Plan, Vec<String>) {
    let (plan, warnings) = request.plan().unwrap();
    (plan, warnings.iter().map(Warning::to_string).collect())
}

fn refusal(request: &Request) -> Refusal {
    request.plan().unwrap_err()
}

/// Holds a plan against the file of its name; `SLIPWAY_GOLDEN=write` writes the file instead.
fn golden(name: &str, plan: &Plan) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/plan/golden")
        .join(name)
        .with_extension("json");
    let text = serde_json::to_string_pretty(plan).unwrap() + "\n";
    if std::env::var_os("SLIPWAY_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&file, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, expected, "{name}: SLIPWAY_GOLDEN=write takes it over");
    let read: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(&read, plan, "what is written reads back");
}

#[test]
fn scripts_of_the_image() {
    let (plan, warnings) = plan(&request(&[]));
    assert_eq!(warnings, [""; 0]);
    golden("plain", &plan);
}

#[test]
fn everything_a_request_can_say() {
    let mut request = request(&[".s2i/bin/assemble", ".sti/bin/run", "app.py"]);
    request.source.environment = Some(b"FROM_SOURCE=1\nHOME=/source\nbad line\n".to_vec());
    request.env = vec![
        Variable::parse("HOME=/request", Scope::Both).unwrap(),
        Variable::parse("MIRROR=https://pypi.example.com", Scope::Build).unwrap(),
    ];
    request.destination = Some(path("/opt/s2i"));
    request.assemble_user = Some(User::parse("1002:0").unwrap());
    request.allowed_uids = "1-".parse().unwrap();
    request.injections = vec![
        Injection::parse("pip-conf:/etc/pip", false).unwrap(),
        Injection::parse("settings:conf", true).unwrap(),
    ];
    request.secrets = vec![Secret {
        name: "token".to_owned(),
        revision: Some("7".to_owned()),
        at: path("/run/secrets/token"),
    }];
    request.caches = vec![Cache {
        id: "pip".to_owned(),
        from: None,
        at: path("/opt/app-root/src/.cache/pip"),
    }];
    request.clean = true;
    request.network = Network::RegistriesOnly;
    request.limits = Limits {
        memory_bytes: Some(1 << 30),
        cpu_millis: Some(1500),
        pids: Some(512),
        disk_bytes: Some(10 << 30),
        seconds: Some(600),
    };
    request.output.display_name = "Cart".to_owned();
    request.output.description = "Holds goods".to_owned();
    request.output.label_namespace = Some("io.openshift.".to_owned());
    request.output.labels = [("team".to_owned(), "shop".to_owned())].into();
    let (plan, warnings) = plan(&request);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    golden("everything", &plan);
}

#[test]
fn an_incremental_build() {
    let mut request = request(&[".s2i/bin/save-artifacts"]);
    request.previous = Some(image("shop/cart:v0", &python()));
    let (plan, _) = plan(&request);
    golden("incremental", &plan);
}

#[test]
fn a_runtime_image() {
    let mut request = request(&[]);
    let runtime = json!({
        "User": "1001",
        "WorkingDir": "/srv",
        "Env": ["PATH=/usr/bin"],
        "Labels": {
            "io.openshift.s2i.scripts-url": "image:///usr/libexec/s2i-runtime",
            "io.openshift.s2i.assemble-runtime-user": "1005",
            "io.openshift.s2i.assemble-input-files": "/opt/app-root/src/dist;/opt/lib:lib",
        },
    });
    request.runtime = Some(image("shop/runtime:1", &runtime));
    let (from_label, _) = plan(&request);
    golden("runtime", &from_label);

    request.runtime_artifacts = Artifact::parse_all("/opt/app-root/src/dist;/opt/lib:lib").unwrap();
    assert_eq!(plan(&request).0, from_label);
}

/// Each image's scripts are looked up on their own; whether a URL has any is asked of all of them.
#[test]
fn a_web_url_need_not_have_scripts_of_both_images() {
    for (script, fits) in [
        (Script::Assemble, true),
        (Script::AssembleRuntime, true),
        (Script::Usage, false),
    ] {
        let mut request = request(&[]);
        request.runtime = Some(image("shop/runtime:1", &python()));
        request.runtime_artifacts = Artifact::parse_all("/opt/app").unwrap();
        request.scripts_url = Some("https://scripts.example.com".parse().unwrap());
        request.fetched_scripts = [(script, digest("script"))].into();
        let refused = request.plan().err().map(|refusal| refusal.reason());
        let expected = (!fits).then_some(Reason::FetchScriptsFailed);
        assert_eq!(refused, expected, "{script}");
    }
}

/// An image of nothing: what it gets is what the builder image says that it needs, in its place.
#[test]
fn a_runtime_image_without_scripts_takes_what_the_builder_image_names() {
    let mut request = request(&[]);
    let mut builder = python();
    builder["Labels"]["dev.slipway.artifacts"] = "/opt/app-root/bin;/top".into();
    request.builder = image("shop/go:1", &builder);
    let command = json!({"WorkingDir": "/srv", "Cmd": ["/opt/app-root/bin/app"]});
    request.runtime = Some(image("shop/empty:1", &command));
    let (with_command, warnings) = plan(&request);
    let copies: Vec<_> = with_command.recipe.stages[1]
        .steps
        .iter()
        .map(|step| match step {
            Step::Copy(copy) => (copy.from.to_string(), copy.into.to_string()),
            other => panic!("{other:?}"),
        })
        .collect();
    let pair = |from: &str, into: &str| (from.to_owned(), into.to_owned());
    let bin = pair("/opt/app-root/bin", "/opt/app-root");
    assert_eq!(copies, [bin, pair("/top", "/")]);
    assert_eq!(with_command.recipe.config.cmd(), ["/opt/app-root/bin/app"]);
    assert!(
        !warnings.iter().any(|text| text.contains("starts it")),
        "{warnings:?}"
    );

    request.runtime = Some(image("shop/empty:1", &json!({})));
    let (plain, warnings) = plan(&request);
    assert_eq!(plain.recipe.config.cmd(), ["/usr/libexec/s2i/run"]);
    assert!(
        warnings.iter().any(|text| text.contains("starts it")),
        "{warnings:?}"
    );
    request.runtime_artifacts = Artifact::parse_all("/usr/libexec/s2i:usr/libexec").unwrap();
    let (_, warnings) = plan(&request);
    assert!(
        !warnings.iter().any(|text| text.contains("starts it")),
        "{warnings:?}"
    );
}

#[test]
fn without_a_save_artifacts_script_an_incremental_build_is_a_clean_one() {
    let mut without = request(&[".s2i/bin/assemble", ".s2i/bin/run"]);
    without.builder = image("shop/bare", &json!({}));
    without.previous = Some(image("shop/cart:v0", &json!({})));
    let (plan, warnings) = plan(&without);
    let stages = plan.recipe.stages;
    assert_eq!(stages.len(), 1);
    assert_eq!(stages[0].name, StageName::Assemble);
    let said = warnings
        .iter()
        .any(|said| said.contains("no script save-artifacts"));
    assert!(said, "{warnings:?}");
}

#[test]
fn a_previous_image_that_cannot_be_used_makes_a_clean_build() {
    for config in [json!({"OnBuild": ["RUN x"]}), json!({"User": "root"})] {
        let mut request = request(&[]);
        request.previous = Some(image("shop/cart:v0", &config));
        request.allowed_uids = "1-".parse().unwrap();
        let (plan, warnings) = plan(&request);
        assert_eq!(plan.recipe.stages.len(), 1);
        assert!(warnings[0].contains("clean build"), "{warnings:?}");
    }
}

fn injected(revision: &str) -> Vec<Injection> {
    let injection = Injection::parse("settings:conf", true).unwrap();
    vec![injection.with_revision(revision.to_owned())]
}

#[test]
fn the_digest_names_what_decides_the_result() {
    let first = plan(&request(&[])).0.digest();
    assert_eq!(first, plan(&request(&[])).0.digest());

    let mut limited = request(&[]);
    limited.limits.seconds = Some(1);
    assert_eq!(plan(&limited).0.digest(), first, "limits decide nothing");

    let mut others = Vec::new();
    for change in [
        |r: &mut Request| r.source.digest = digest("changed"),
        |r: &mut Request| r.builder.digest = digest("rebuilt"),
        |r: &mut Request| r.env = vec![Variable::parse("A=1", Scope::Build).unwrap()],
        |r: &mut Request| r.network = Network::None,
        |r: &mut Request| {
            r.output.labels.insert("a".into(), "b".into());
        },
        |r: &mut Request| r.assemble_user = Some(User::parse("5").unwrap()),
        |r: &mut Request| r.injections = injected("1"),
        |r: &mut Request| r.injections = injected("2"),
    ] {
        let mut changed = request(&[]);
        change(&mut changed);
        others.push(plan(&changed).0.digest());
    }
    others.push(first);
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 9, "every change has a digest of its own");
}

#[test]
fn nothing_of_a_secret_is_in_a_plan_but_its_name() {
    let mut request = request(&[]);
    request.injections = vec![Injection::parse("npmrc:/etc/npm", false).unwrap()];
    let (plan, _) = plan(&request);
    let run = plan.recipe.stages[0]
        .steps
        .iter()
        .find_map(|step| match step {
            Step::Run(run) => Some(run),
            _ => None,
        });
    let expected = Mount::Injection {
        name: "npmrc".to_owned(),
        revision: None,
        at: path("/etc/npm"),
    };
    assert_eq!(
        run.unwrap().mounts,
        [expected],
        "never a step that places it"
    );
}

#[test]
fn who_may_not_run_scripts_is_refused() {
    let allowed: AllowedUids = "1000-".parse().unwrap();
    for (own, user, label, fits) in [
        ("1001", None, None, true),
        ("1001", Some("0"), None, false),
        ("1001", None, Some("default"), false),
        ("1001", Some("1234"), Some("default"), true),
        ("root", None, Some("1001"), false),
        ("", Some("1234"), None, false),
    ] {
        let mut request = request(&[]);
        let mut config = python();
        config["User"] = own.into();
        if let Some(label) = label {
            config["Labels"]["io.openshift.s2i.assemble-user"] = label.into();
        }
        request.builder = image("shop/python:3.11", &config);
        request.assemble_user = user.map(|user| User::parse(user).unwrap());
        request.allowed_uids = allowed.clone();
        let refused = request.plan().err().map(|refusal| refusal.reason());
        let expected = (!fits).then_some(Reason::AssembleUserForbidden);
        assert_eq!(refused, expected, "{own} {user:?} {label:?}");
    }
}

#[test]
fn who_may_run_nothing_starts_no_result_on_a_runtime_image() {
    for (own, user, label, fits) in [
        ("1001", None, None, true),
        ("0", None, Some("1001"), false),
        ("1001", Some("0"), None, false),
        ("1001", None, Some("0"), false),
    ] {
        let mut request = request(&[]);
        let mut config = python();
        config["User"] = own.into();
        if let Some(label) = label {
            config["Labels"]["io.openshift.s2i.assemble-runtime-user"] = label.into();
        }
        request.runtime = Some(image("shop/runtime:1", &config));
        request.runtime_artifacts = Artifact::parse_all("/opt/app").unwrap();
        request.assemble_runtime_user = user.map(|user| User::parse(user).unwrap());
        request.allowed_uids = "1000-".parse().unwrap();
        let refused = request.plan().err().map(|refusal| refusal.reason());
        let expected = (!fits).then_some(Reason::AssembleUserForbidden);
        assert_eq!(refused, expected, "{own} {user:?} {label:?}");
    }
}

#[test]
fn requests_that_cannot_be_built_are_refused_with_a_reason() {
    let onbuild = json!({"OnBuild": ["COPY . /src"]});
    let mut with_onbuild = request(&[]);
    with_onbuild.builder = image("onbuild", &onbuild);
    assert_eq!(refusal(&with_onbuild).reason(), Reason::OnBuildForbidden);

    let mut bare = request(&[]);
    bare.builder = image("bare", &json!({}));
    assert_eq!(refusal(&bare).reason(), Reason::InstallScriptsFailed);

    let mut both = request(&[]);
    both.previous = Some(image("a", &python()));
    both.runtime = Some(image("b", &python()));
    assert_eq!(refusal(&both).reason(), Reason::GenericS2IBuildFailed);
    both.previous = None;
    assert_eq!(
        refusal(&both).reason(),
        Reason::InvalidArtifactsMapping,
        "nothing says what the runtime image takes"
    );

    let mut labels = request(&[]);
    let long = "x".repeat(11_000);
    labels.output.labels.insert("long".to_owned(), long);
    assert_eq!(refusal(&labels).reason(), Reason::ContainerCommitFailed);
}

#[test]
fn tools_are_given_the_time_of_the_source_unless_something_else_is_said() {
    let of_program = |request: &Request| {
        let plan = plan(request).0;
        let steps = plan.recipe.stages[0].steps.iter();
        let mut runs = steps.filter_map(|step| match step {
            Step::Run(run) => Some(run.env.clone()),
            _ => None,
        });
        let config = plan.recipe.config.env();
        assert!(
            !config.iter().any(|entry| entry.ends_with("=77")),
            "{config:?}"
        );
        let env = runs.next().unwrap();
        let times = env
            .iter()
            .filter(|entry| entry.starts_with("SOURCE_DATE_EPOCH="));
        times.cloned().collect::<Vec<_>>()
    };
    let mut request = request(&[]);
    assert_eq!(of_program(&request), [""; 0]);
    request.epoch = Some(77);
    assert_eq!(of_program(&request), ["SOURCE_DATE_EPOCH=77"]);
    request.source.environment = Some(b"SOURCE_DATE_EPOCH=5\n".to_vec());
    assert_eq!(of_program(&request), ["SOURCE_DATE_EPOCH=5"]);
    request.source.environment = None;
    let mut builder = python();
    builder["Env"] = json!(["SOURCE_DATE_EPOCH=6"]);
    request.builder = image("shop/python:3.11", &builder);
    assert_eq!(of_program(&request), ["SOURCE_DATE_EPOCH=6"]);
}

#[test]
fn what_may_not_be_set_is_refused_in_a_request_and_passed_over_in_a_source() {
    let mut preload = request(&[]);
    let file = b"LD_PRELOAD=/tmp/src/evil.so\nNODE_OPTIONS=--max-old-space-size=4096\n";
    preload.source.environment = Some(file.to_vec());
    assert_eq!(plan(&preload).1, [""; 0]);
    preload.env_filter = EnvFilter::usual();
    let (decided, warnings) = plan(&preload);
    let env = decided.recipe.config.env();
    assert!(env.contains(&"NODE_OPTIONS=--max-old-space-size=4096".to_owned()));
    assert!(!env.iter().any(|entry| entry.starts_with("LD_")), "{env:?}");
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("LD_PRELOAD") && warnings[0].contains("builder.forbiddenEnv"));
    preload.env = vec![Variable::parse("BASH_ENV=/tmp/src/evil", Scope::Both).unwrap()];
    assert!(refusal(&preload).to_string().contains("BASH_ENV"));
}

#[test]
fn lines_in_names_reach_nothing_but_values() {
    let mut request = request(&[]);
    request.source.commit.as_mut().unwrap().message = "x\nUSER root\n".to_owned();
    request.env = vec![Variable::new("A", "1\nRUN evil", Scope::Both).unwrap()];
    let (plan, _) = plan(&request);
    let config = &plan.recipe.config;
    assert!(config.env().contains(&"A=1\nRUN evil".to_owned()));
    assert_eq!(config.user(), "1001");
}

#[test]
fn an_image_says_how_it_is_used() {
    let anybody = AllowedUids::default();
    let usage = |image: Image, allowed| image.usage(allowed, Limits::default());
    let plan = usage(image("shop/python:3.11", &python()), &anybody).unwrap();
    let Step::Run(run) = &plan.recipe.stages[0].steps[0] else {
        panic!("it runs something")
    };
    assert_eq!(run.argv, ["/usr/libexec/s2i/usage"]);
    assert_eq!(run.user.as_str(), "1001");
    assert_eq!(plan.recipe.network, Network::None);
    let refusal = usage(image("bare", &json!({})), &anybody).unwrap_err();
    assert_eq!(refusal.reason(), Reason::InstallScriptsFailed);
    let mut root = python();
    root["User"] = "0".into();
    let refusal = usage(image("root", &root), &"1-".parse().unwrap()).unwrap_err();
    assert_eq!(refusal.reason(), Reason::AssembleUserForbidden);
}

#[test]
fn a_secret_hides_neither_source_nor_application() {
    for (at, free) in [
        ("/run/secrets/npmrc", true),
        ("/opt/app-root/src/.npm", true),
        ("/opt/app-root/src", false),
        ("/opt/app-root", false),
        ("/tmp/src", false),
        ("/tmp/scripts", false),
        ("/tmp", false),
    ] {
        let mut request = request(&[]);
        request.secrets = vec![Secret {
            name: "npmrc".to_owned(),
            revision: None,
            at: path(at),
        }];
        match request.plan() {
            Ok(_) => assert!(free, "{at}"),
            Err(refusal) => {
                assert!(!free, "{at}: {refusal}");
                // It is no fault of this machine.
                assert_eq!(refusal.reason(), Reason::GenericS2IBuildFailed);
                assert!(
                    refusal.to_string().contains("/run/secrets/npmrc"),
                    "{refusal}"
                );
            }
        }
    }
}
