use super::*;
use crate::builds::Timeout;
use crate::records::{InjectionSpec, RuntimeSpec, SecretMount, TestSpec};

fn settings() -> Settings {
    let mut settings = Settings::new("/nonexistent".into(), "/nonexistent".into());
    settings.hosts = vec!["registry.example:5000".to_owned()];
    settings
}

fn spec() -> BuildSpec {
    serde_json::from_value(serde_json::json!({
        "source": {"kind": "git", "url": "https://git.example/a/b.git"},
        "builder": "python",
        "output": {"image": "team/app:v1"},
    }))
    .unwrap()
}

fn field_of(change: impl FnOnce(&mut BuildSpec)) -> String {
    let mut spec = spec();
    change(&mut spec);
    Wanted::parse("team", &spec, &settings()).unwrap_err().field
}

#[test]
fn the_plainest_spec_is_one() {
    let wanted = Wanted::parse("team", &spec(), &settings()).unwrap();
    assert_eq!(wanted.output.repo.as_str(), "team/app");
    assert_eq!(wanted.builder, BuilderName::Entry("python".to_owned()));
    assert_eq!(wanted.run_timeout, settings().run_timeout.usual);
    assert_eq!(wanted.network, Network::Full);
}

#[test]
fn a_builder_is_an_entry_a_version_of_a_language_or_an_image() {
    let of = |text: &str| {
        let mut spec = spec();
        text.clone_into(&mut spec.builder);
        Wanted::parse("team", &spec, &settings()).unwrap().builder
    };
    for name in ["python", "python-3.13", "python-3.12-ubi9"] {
        assert_eq!(of(name), BuilderName::Entry(name.to_owned()));
    }
    let expected = BuilderName::Version {
        language: "python".to_owned(),
        version: "3.13".to_owned(),
    };
    assert_eq!(of("python:3.13"), expected);
    for image in ["team/python", "team/python:3.13", "team/a/b:1"] {
        assert!(matches!(of(image), BuilderName::Image(_)), "{image}");
    }
}

#[test]
fn a_result_in_another_registry_is_said_to_be_there() {
    for (image, host) in [
        ("other.example.com/team/bad:v1", "other.example.com"),
        (
            "other.example.com:5000/team/bad:v1",
            "other.example.com:5000",
        ),
        ("localhost/team/bad:v1", "localhost"),
    ] {
        let mut spec = spec();
        image.clone_into(&mut spec.output.image);
        let refused = Wanted::parse("team", &spec, &settings()).unwrap_err();
        assert_eq!(refused.field, "spec.output.image");
        let said = format!("{host} is another registry, by the names that this one has");
        assert!(refused.message.starts_with(&said), "{refused}");
        assert!(
            refused.message.ends_with("as team/<name>:<tag>"),
            "{refused}"
        );
    }
}

#[test]
fn errors_name_the_field() {
    assert_eq!(
        field_of(|spec| spec.source = SourceSpec::Git {
            url: "http://plain.example/x".to_owned(),
            revision: None,
            context_dir: None,
            secret: None,
            submodules: false,
            lfs: false,
        }),
        "spec.source.url"
    );
    assert_eq!(
        field_of(|spec| spec.builder = "A B".to_owned()),
        "spec.builder"
    );
    assert_eq!(
        field_of(|spec| spec.builder = "other.example:5000/library/python:3".to_owned()),
        "spec.builder"
    );
    for image in [
        "other/app:v1",
        "team:v1",
        "team/sources/app:v1",
        "team/app@sha256:00",
    ] {
        assert_eq!(
            field_of(|spec| spec.output.image = image.to_owned()),
            "spec.output.image"
        );
    }
    assert_eq!(
        field_of(|spec| spec.output.tags = vec!["ok-{run}".to_owned(), "no tag".to_owned()]),
        "spec.output.tags[1]"
    );
    assert_eq!(
        field_of(|spec| spec.env = vec![EnvSpec {
            name: "LD_PRELOAD".to_owned(),
            value: String::new(),
            build_only: true,
        }]),
        "spec.env[0].name"
    );
    // Where the source goes the image says, unless the spec does.
    for path in ["relative", "/", "/build", "/build/src"] {
        let field = field_of(|spec| {
            spec.destination = Some("/build".to_owned());
            spec.secrets = vec![SecretMount {
                name: "npm".to_owned(),
                path: Some(path.to_owned()),
            }];
        });
        assert_eq!(field, "spec.secrets[0].path", "{path}");
    }
    assert_eq!(
        field_of(|spec| spec.test = Some(TestSpec {
            command: Vec::new()
        })),
        "spec.test.command"
    );
    assert_eq!(
        field_of(|spec| {
            spec.incremental = true;
            spec.runtime = Some(RuntimeSpec {
                image: "team/base:1".to_owned(),
                artifacts: Vec::new(),
                assemble_user: None,
            });
        }),
        "spec.incremental"
    );
    assert_eq!(
        field_of(|spec| spec.runtime = Some(RuntimeSpec {
            image: "team/base:1".to_owned(),
            artifacts: Vec::new(),
            assemble_user: Some("no user!".to_owned()),
        })),
        "spec.runtime.assembleUser"
    );
    for (secret, path, field) in [
        ("No", None, "spec.injections[0].secret"),
        ("conf", Some("../../etc"), "spec.injections[0].path"),
        ("conf", Some("$HOME"), "spec.injections[0].path"),
    ] {
        let injection = InjectionSpec {
            secret: secret.to_owned(),
            path: path.map(str::to_owned),
            keep: true,
        };
        let named = field_of(|spec| spec.injections = vec![injection]);
        assert_eq!(named, field, "{path:?}");
    }
    for prefix in ["", ".", "io.openshift", "a b."] {
        let named = field_of(|spec| spec.output.label_namespace = Some(prefix.to_owned()));
        assert_eq!(named, "spec.output.labelNamespace", "{prefix}");
    }
    assert_eq!(
        field_of(|spec| spec.timeouts.run = Some(1_000_000)),
        "spec.timeouts.run"
    );
}

#[test]
fn this_registry_is_taken_off_and_others_are_refused() {
    let hosts = settings().hosts;
    let name = name::image("registry.example:5000/a/b:1", &hosts, "x").unwrap();
    assert_eq!(name.to_string(), "a/b:1");
    name::image("other.example:5000/a/b:1", &hosts, "x").unwrap_err();
    assert_eq!(
        name::image("a/b", &hosts, "x")
            .unwrap()
            .reference()
            .to_string(),
        "latest"
    );
}

#[test]
fn variables_are_called_as_a_shell_calls_them() {
    let named = |name: &str| {
        let mut spec = spec();
        spec.env = vec![EnvSpec {
            name: name.to_owned(),
            value: String::new(),
            build_only: false,
        }];
        Wanted::parse("team", &spec, &settings())
    };
    for name in ["1A", "A-B", "a.b", "Ä", "A B", ""] {
        let refused = named(name).err().unwrap_or_else(|| panic!("{name:?}"));
        assert_eq!(refused.field, "spec.env[0].name", "{name:?}");
        assert!(
            refused.to_string().contains(&format!("{name:?}")),
            "{refused}"
        );
    }
    for name in ["A", "_1", "npm_config_registry"] {
        named(name).unwrap();
    }
}

#[test]
fn tags_stand_for_commit_and_run() {
    let mut spec = spec();
    spec.output.tags = ["{commit}", "r-{run}", "v1"].map(str::to_owned).to_vec();
    let wanted = Wanted::parse("team", &spec, &settings()).unwrap();
    let tags = |commit| {
        let tags = wanted.output.tags("app-3", commit);
        tags.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let commit = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(tags(Some(commit)), ["v1", "0123456789ab", "r-app-3"]);
    assert_eq!(tags(None), ["v1", "r-app-3"]);
}

#[test]
fn limits_are_the_servers_at_most_and_enough_for_something() {
    let memory = |bytes| Limits {
        memory_bytes: Some(bytes),
        ..Limits::default()
    };
    let (usual, most) = (Limits::default(), memory(100 << 20));
    let given = limits(Limits::default(), usual, most).unwrap();
    assert_eq!(given.memory_bytes, Some(100 << 20));
    let given = limits(memory(16 << 20), usual, most).unwrap();
    assert_eq!(given.memory_bytes, Some(16 << 20));
    for (asked, said) in [
        ((100 << 20) + 1, "more than"),
        (4 << 10, "at least 16777216"),
    ] {
        let refused = limits(memory(asked), usual, most).unwrap_err();
        assert_eq!(refused.field, "spec.limits.memoryBytes");
        assert!(refused.message.contains(said), "{}", refused.message);
    }
}

#[test]
fn a_limit_that_nothing_enforces_is_refused_when_it_is_asked_for() {
    let mut settings = settings();
    settings.enforces_limits = false;
    let asked = |limits| {
        let mut spec = spec();
        spec.limits = limits;
        Wanted::parse("team", &spec, &settings).map(drop)
    };
    let everywhere = Limits {
        disk_bytes: Some(1 << 30),
        seconds: Some(60),
        ..Limits::default()
    };
    assert_eq!(asked(everywhere), Ok(()));
    for (field, limits) in [
        ("memoryBytes", r#"{"memoryBytes": 1073741824}"#),
        ("cpuMillis", r#"{"cpuMillis": 1000}"#),
        ("pids", r#"{"pids": 100}"#),
    ] {
        let refused = asked(serde_json::from_str(limits).unwrap()).unwrap_err();
        assert_eq!(refused.field, format!("spec.limits.{field}"));
        assert!(refused.message.contains("cannot enforce"), "{refused}");
    }
}

#[test]
fn a_spec_reaches_what_the_server_gives_or_less() {
    let mut settings = settings();
    settings.network = Network::RegistriesOnly;
    let reached = |asked| {
        let mut spec = spec();
        spec.network = asked;
        Wanted::parse("team", &spec, &settings).map(|wanted| wanted.network)
    };
    assert_eq!(reached(None), Ok(Network::RegistriesOnly));
    assert_eq!(reached(Some(Network::None)), Ok(Network::None));
    let refused = reached(Some(Network::Full)).unwrap_err();
    assert_eq!(refused.field, "spec.network");
    assert!(
        refused.message.contains("builder.network.egress"),
        "{refused}"
    );
}

#[test]
fn a_run_that_does_not_say_how_long_has_the_usual_time() {
    let (hour, day) = (3600, 24 * 3600);
    let mut settings = settings();
    let timeout = Timeout {
        usual: Duration::from_secs(hour),
        most: Duration::from_secs(day),
    };
    (settings.queue_timeout, settings.run_timeout) = (timeout, timeout);
    settings.usual.seconds = Some(hour);
    settings.limits.seconds = Some(day);
    let times = |change: &dyn Fn(&mut BuildSpec)| {
        let mut spec = spec();
        change(&mut spec);
        let wanted = Wanted::parse("team", &spec, &settings);
        wanted.map(|wanted| {
            (
                wanted.queue_timeout.as_secs(),
                wanted.run_timeout.as_secs(),
                wanted.limits.seconds,
            )
        })
    };
    assert_eq!(times(&|_| {}), Ok((hour, hour, Some(hour))));
    assert_eq!(
        times(&|spec| spec.timeouts.queue = Some(day)),
        Ok((day, hour, Some(hour)))
    );
    // Neither time ends a run that was given more of the other.
    assert_eq!(
        times(&|spec| spec.timeouts.run = Some(day)),
        Ok((hour, day, Some(day)))
    );
    assert_eq!(
        times(&|spec| spec.limits.seconds = Some(day)),
        Ok((hour, day, Some(day)))
    );
    assert_eq!(
        times(&|spec| spec.limits.seconds = Some(60)),
        Ok((hour, hour, Some(60)))
    );
    for field in ["queue", "run"] {
        let refused = times(&|spec| match field {
            "queue" => spec.timeouts.queue = Some(day + 1),
            _ => spec.timeouts.run = Some(day + 1),
        });
        assert_eq!(refused.unwrap_err().field, format!("spec.timeouts.{field}"));
    }
}
