use clap::{CommandFactory as _, Parser as _};
use serde_json::{Value, json};

use super::{FIELDS, given, here, lay_over, take_away};
use crate::cli::{BuildCommand, Cli, Command};
use crate::client::Server;

fn known() -> Value {
    json!({
        "source": {"kind": "git", "url": "https://git.example.com/a.git", "revision": "main", "secret": "git"},
        "builder": "go",
        "output": {"image": "team/app:latest", "tags": ["{commit}"], "labels": {"a": "1", "b": "2"}},
        "env": [{"name": "A", "value": "1", "buildOnly": false}, {"name": "B", "value": "2", "buildOnly": false}],
        "limits": {"memoryBytes": 1, "pids": 7},
        "test": {"command": ["/bin/sh", "-c", "true"]},
        "triggers": {"webhooks": [{"kind": "github", "secret": "old"}], "image": true},
        "policy": "parallel",
        "incremental": true,
        "ofALaterServer": {"kept": "as it is"},
    })
}

/// The build as it is after `slipway build set app` with these options.
fn set(options: &[&str]) -> anyhow::Result<Value> {
    let words = ["slipway", "build", "set", "app", "-n", "team"];
    let cli = Cli::try_parse_from([&words[..], options].concat())?;
    let Command::Build(BuildCommand::Set(args)) = cli.command else {
        anyhow::bail!("{:?}", cli.command);
    };
    let mut spec = known();
    for text in &args.unset {
        take_away(&mut spec, text)?;
    }
    let (mut source, mut given) = given(*args)?;
    let server = Server::parse("127.0.0.1:5000")?;
    here(&mut source, &mut given, "team", &server);
    if let Some(source) = source {
        source.into(&mut spec["source"])?;
    }
    lay_over(&mut spec, given);
    Ok(spec)
}

#[test]
fn images_may_be_named_with_the_server_before_them() {
    let spec = set(&[
        "--builder=127.0.0.1:5000/slipway/go:1.24",
        "--output=app:v1",
        "--source=127.0.0.1:5000/team/sources/app:1",
    ])
    .unwrap();
    assert_eq!(spec["builder"], "slipway/go:1.24");
    assert_eq!(spec["output"]["image"], "team/app:v1");
    assert_eq!(spec["source"]["reference"], "team/sources/app:1");
}

#[test]
fn what_is_said_changes_and_nothing_else() {
    let spec = set(&[
        "--env=A=3",
        "--build-env=C=4",
        "--memory=2g",
        "--queue-timeout=1m",
        "--webhook=github=new",
        "--webhook=generic=new",
        "--schedule=30 3 * * *",
        "--policy=serial",
        "--keep-failed=0",
        "--keep-for=30d",
        "--tag=v1",
        "--tag={commit}",
        "--label=b=3",
        "--test=false",
        "--pids=9",
        "--destination=/src",
        "--assemble-user=1001",
        "--display-name=App",
        "--description=Shows things",
        "--revision=v1",
    ]);
    let mut expected = known();
    expected["env"][0]["value"] = "3".into();
    expected["env"] = json!([
        {"name": "A", "value": "3", "buildOnly": false},
        {"name": "B", "value": "2", "buildOnly": false},
        {"name": "C", "value": "4", "buildOnly": true},
    ]);
    expected["limits"] = json!({"memoryBytes": 2_u64 << 30, "pids": 9});
    expected["timeouts"] = json!({"queue": 60});
    expected["triggers"] = json!({
        "webhooks": [{"kind": "github", "secret": "new"}, {"kind": "generic", "secret": "new"}],
        "image": true,
        "schedule": "30 3 * * *",
    });
    expected["policy"] = "serial".into();
    expected["retention"] = json!({"failed": 0, "seconds": 30 * 86_400});
    expected["output"] = json!({
        "image": "team/app:latest",
        "tags": ["{commit}", "v1"],
        "labels": {"a": "1", "b": "3"},
        "displayName": "App",
        "description": "Shows things",
    });
    expected["test"]["command"][2] = "false".into();
    expected["destination"] = "/src".into();
    expected["assembleUser"] = "1001".into();
    expected["source"]["revision"] = "v1".into();
    assert_eq!(spec.unwrap(), expected);
}

#[test]
fn another_repository_has_a_revision_of_its_own_and_the_secret_stays() {
    let spec = set(&["--git=https://git.example.com/b.git", "--lfs"]).unwrap();
    let expected = json!({"kind": "git", "url": "https://git.example.com/b.git", "secret": "git", "lfs": true});
    assert_eq!(spec["source"], expected);
    let spec = set(&["--git=git@git.example.com:b.git#x", "--git-secret=key"]).unwrap();
    let expected = json!({"kind": "git", "url": "git@git.example.com:b.git", "secret": "key", "revision": "x"});
    assert_eq!(spec["source"], expected);
    assert!(set(&["--git=https://git.example.com/b.git", "--revision=v1"]).is_err());
}

#[test]
fn what_is_unset_is_as_if_it_had_never_been_said() {
    let spec = set(&[
        "--unset=env=A",
        "--unset=label=a",
        "--unset=webhook=github",
        "--unset=on-image-move",
        "--unset=--test",
        "--unset=tag={commit}",
        "--unset=memory",
        "--unset=git-secret",
        "--unset=runtime-artifact",
    ])
    .unwrap();
    let mut expected = known();
    expected["env"].as_array_mut().unwrap().remove(0);
    expected["output"]["labels"] = json!({"b": "2"});
    expected["output"]["tags"] = json!([]);
    expected["triggers"] = json!({"webhooks": []});
    expected["limits"] = json!({"pids": 7});
    for (parent, name) in [("", "test"), ("/source", "secret")] {
        let parent = expected.pointer_mut(parent).unwrap();
        parent.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(spec, expected);
    for text in ["nothing", "policy=serial", "source", "builder"] {
        assert!(set(&["--unset", text]).is_err(), "{text}");
    }
    let both = set(&["--unset=env", "--env=D=5"]).unwrap();
    assert_eq!(
        both["env"],
        json!([{"name": "D", "value": "5", "buildOnly": false}])
    );
}

/// An option that can be set and not be taken back would be a trap.
#[test]
fn every_option_of_a_spec_can_be_unset() {
    let mut command = Cli::command();
    command.build();
    let build = command.find_subcommand("build").unwrap();
    let set = build.find_subcommand("set").unwrap();
    let groups = ["SpecArgs", "KeptArgs", "GitArgs"].map(|name| {
        let groups = set.get_groups();
        let mut of = groups.filter(|group| group.get_id() == name);
        of.next().unwrap().get_args().cloned().collect::<Vec<_>>()
    });
    let mut options = groups.concat();
    assert!(options.len() > 30, "{options:?}");
    options.retain(|option| option != "git");
    for option in options {
        let named = option.as_str().replace('_', "-");
        let is_known = FIELDS.iter().any(|(name, _)| *name == named);
        assert!(
            is_known,
            "--{named} cannot be unset: name its field in FIELDS"
        );
    }
}
