//! From options to a spec.

use std::env::VarError;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use builder::plan::{Limits, Network};
use builder::records::{
    BuildSpec, CacheSpec, EnvSpec, InjectionSpec, OutputSpec, Retention, RunPolicy, RuntimeSpec,
    SecretMount, SourceSpec, TestSpec, Timeouts, Triggers,
};
use builder::s2i::{EnvironmentFile, IgnoreMode};
use serde_json::{Value, json};
use url::Url;

use super::set::object;
use crate::cli::{GitArgs, IgnoreArg, KeptArgs, NetworkArg, SpecArgs};

/// What is to be built.
pub(super) fn spec(
    source: SourceSpec,
    builder: String,
    output: &str,
    args: SpecArgs,
) -> anyhow::Result<BuildSpec> {
    let labels = args.label.iter().map(|label| {
        let pair = label.split_once('=');
        let (name, value) = pair.with_context(|| format!("--label {label}: write NAME=VALUE"))?;
        anyhow::Ok((name.to_owned(), value.to_owned()))
    });
    let labels = labels.collect::<anyhow::Result<_>>()?;
    let env = env(&args)?;
    let injected = args.inject.iter().map(|text| injection(text, false));
    let kept = args.inject_keep.iter().map(|text| injection(text, true));
    let injections = injected.chain(kept).collect();
    Ok(BuildSpec {
        source,
        builder,
        output: OutputSpec {
            image: output.to_owned(),
            tags: args.tag,
            display_name: args.display_name,
            description: args.description,
            label_namespace: args.label_namespace,
            labels,
        },
        runtime: args.runtime_image.map(|image| RuntimeSpec {
            image,
            artifacts: args.runtime_artifact,
            assemble_user: args.assemble_runtime_user,
        }),
        env,
        secrets: args.secret.iter().map(|secret| mount(secret)).collect(),
        injections,
        ignore: ignore(args.ignore),
        incremental: args.incremental,
        scripts_url: args.scripts_url,
        destination: args.destination,
        assemble_user: args.assemble_user,
        caches: CacheSpec::Auto,
        clean: args.clean,
        network: args.network.map(|network| match network {
            NetworkArg::None => Network::None,
            NetworkArg::RegistriesOnly => Network::RegistriesOnly,
            NetworkArg::Full => Network::Full,
        }),
        limits: Limits {
            memory_bytes: args.memory,
            cpu_millis: args.cpus,
            disk_bytes: args.disk,
            pids: args.pids,
            ..Limits::default()
        },
        timeouts: Timeouts {
            queue: args.queue_timeout.map(seconds),
            run: args.timeout.map(seconds),
        },
        policy: RunPolicy::default(),
        test: args.test.map(|command| TestSpec {
            command: ["/bin/sh", "-c", &command].map(str::to_owned).to_vec(),
        }),
        triggers: Triggers::default(),
        retention: Retention::default(),
    })
}

/// What options of kept builds say, as it stands in a spec; nothing of what they do not say.
pub(super) fn kept(args: KeptArgs) -> Value {
    let webhooks = (!args.webhook.is_empty()).then(|| json!(args.webhook));
    let policy = args.policy.map(|policy| json!(RunPolicy::from(policy)));
    object([
        (
            "triggers",
            Some(object([
                ("webhooks", webhooks),
                ("schedule", args.schedule.map(Value::from)),
                ("image", args.on_image_move.then(|| true.into())),
            ])),
        ),
        ("policy", policy),
        ("caches", args.no_cache.then(|| json!(CacheSpec::None))),
        (
            "retention",
            Some(object([
                ("succeeded", args.keep_succeeded.map(Value::from)),
                ("failed", args.keep_failed.map(Value::from)),
                ("seconds", args.keep_for.map(seconds).map(Value::from)),
            ])),
        ),
    ])
}

/// What is less than a second is one.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

/// The repository as a source; `None` where none is named.
pub(super) fn git(args: GitArgs) -> Option<SourceSpec> {
    let text = args.git?;
    // No URL of a repository has a `#` of its own.
    let (url, revision) = match text.rsplit_once('#') {
        Some((url, revision)) => (url.to_owned(), Some(revision.to_owned())),
        None => (text, None),
    };
    Some(SourceSpec::Git {
        url,
        revision: revision.filter(|revision| !revision.is_empty()),
        context_dir: args.context_dir,
        secret: args.git_secret,
        submodules: args.submodules,
        lfs: args.lfs,
    })
}

/// What is in the registry as a source.
pub(super) fn image(reference: String) -> SourceSpec {
    SourceSpec::Image { reference }
}

/// Files first: what is said beside them goes over them.
fn env(args: &SpecArgs) -> anyhow::Result<Vec<EnvSpec>> {
    let mut all: Vec<EnvSpec> = Vec::new();
    let mut set = |name: &str, value: String, build_only: bool| {
        all.retain(|known| known.name != name);
        all.push(EnvSpec {
            name: name.to_owned(),
            value,
            build_only,
        });
    };
    for file in &args.env_file {
        let place = format!("--env-file {}", file.display());
        let (content, mut warnings) = (fs::read(file).context(place.clone())?, Vec::new());
        let most = EnvironmentFile::MAX_BYTES;
        anyhow::ensure!(
            content.len() <= most,
            "{place}: it has more than {most} bytes"
        );
        let read = EnvironmentFile::parse_request(&place, &content, &mut warnings);
        for warning in warnings {
            eprintln!("note: {warning}");
        }
        for variable in read.variables() {
            set(variable.name(), variable.value().to_owned(), false);
        }
    }
    for (texts, build_only) in [(&args.env, false), (&args.build_env, true)] {
        for text in texts {
            if let Some((name, value)) = text.split_once('=') {
                set(name, value.to_owned(), build_only);
            } else {
                let option = if build_only { "--build-env" } else { "--env" };
                let value = std::env::var(text).map_err(|error| match error {
                    VarError::NotPresent => anyhow::anyhow!(
                        "{option} {text}: {text} is not set here: write {option} {text}=VALUE, or set it"
                    ),
                    VarError::NotUnicode(_) => {
                        anyhow::anyhow!("{option} {text}: what {text} is here is no UTF-8")
                    }
                })?;
                set(text, value, build_only);
            }
        }
    }
    for EnvSpec { name, .. } in all.iter().filter(|set| has_password(&set.value)) {
        eprintln!(
            "warning: the variable {name} has a URL with a password, which is kept in the clear, and which everybody sees who may \
             see builds of this namespace: put it into a secret (slipway secret set), which the build finds as a file by --secret"
        );
    }
    Ok(all)
}

/// Whether a value is a URL with a password, or a list that has one.
fn has_password(value: &str) -> bool {
    let words = value.split(|char: char| char.is_whitespace() || ",|;".contains(char));
    let mut urls = words.filter(|word| word.contains("://"));
    urls.any(|word| Url::parse(word).is_ok_and(|url| url.password().is_some()))
}

fn injection(text: &str, keep: bool) -> InjectionSpec {
    let SecretMount { name, path } = mount(text);
    InjectionSpec {
        secret: name,
        path,
        keep,
    }
}

pub(super) fn ignore(asked: Option<IgnoreArg>) -> IgnoreMode {
    match asked {
        None | Some(IgnoreArg::Classic) => IgnoreMode::Classic,
        Some(IgnoreArg::Recursive) => IgnoreMode::Recursive,
    }
}

fn mount(text: &str) -> SecretMount {
    let (name, path) = match text.split_once(':') {
        Some((name, path)) => (name, Some(path.to_owned())),
        None => (text, None),
    };
    SecretMount {
        name: name.to_owned(),
        path,
    }
}

#[cfg(test)]
mod tests {
    use builder::records::SourceSpec;

    use super::{env, git, has_password, mount, spec};
    use crate::cli::{GitArgs, SpecArgs};

    fn of(url: &str) -> SourceSpec {
        git(GitArgs {
            git: Some(url.to_owned()),
            context_dir: None,
            git_secret: None,
            submodules: false,
            lfs: false,
        })
        .unwrap()
    }

    #[test]
    fn a_revision_stands_behind_the_url() {
        for (text, expected) in [
            ("https://git.example.com/a.git", None),
            ("https://git.example.com/a.git#", None),
            ("git@git.example.com:a.git#feature/x", Some("feature/x")),
        ] {
            let SourceSpec::Git { url, revision, .. } = of(text) else {
                panic!("{text}");
            };
            assert!(text.starts_with(&url) && !url.contains('#'), "{url}");
            assert_eq!(revision.as_deref(), expected);
        }
    }

    #[test]
    fn variables_come_from_files_and_from_what_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        std::fs::write(
            &file,
            "# of the team\n\n // not = one\nA=1\nB = two=2 \nnone\n",
        )
        .unwrap();
        let args = SpecArgs {
            env_file: vec![file.clone()],
            env: vec!["A=3".to_owned(), "PATH".to_owned()],
            build_env: vec!["C=".to_owned()],
            ..SpecArgs::default()
        };
        let all: Vec<(String, String, bool)> = env(&args)
            .unwrap()
            .into_iter()
            .map(|one| (one.name, one.value, one.build_only))
            .collect();
        let path = std::env::var("PATH").unwrap();
        let expected = [
            ("B", "two=2", false),
            ("A", "3", false),
            ("PATH", &path, false),
            ("C", "", true),
        ];
        let expected =
            expected.map(|(name, value, only)| (name.to_owned(), value.to_owned(), only));
        assert_eq!(all, expected);
        std::fs::write(&file, vec![b'x'; 300 << 10]).unwrap();
        let error = env(&args).unwrap_err().to_string();
        assert!(
            error.ends_with("env: it has more than 262144 bytes"),
            "{error}"
        );
        let nowhere = SpecArgs {
            env: vec!["THERE_IS_NO_SUCH_VARIABLE".to_owned()],
            ..SpecArgs::default()
        };
        let error = env(&nowhere).unwrap_err().to_string();
        assert_eq!(
            error,
            "--env THERE_IS_NO_SUCH_VARIABLE: THERE_IS_NO_SUCH_VARIABLE is not set here: write --env \
             THERE_IS_NO_SUCH_VARIABLE=VALUE, or set it"
        );
    }

    #[test]
    fn a_password_in_a_url_is_seen() {
        for value in [
            "http://ada:secret@host/simple",
            "https://host/a http://ada:secret@host/simple",
            "https://ada:secret@proxy,direct",
        ] {
            assert!(has_password(value), "{value}");
        }
        for value in [
            "",
            "a:b@c",
            "http://host:80/a@b",
            "http://ada@host/",
            "x://",
        ] {
            assert!(!has_password(value), "{value}");
        }
    }

    #[test]
    fn options_become_a_spec() {
        let args = SpecArgs {
            memory: Some(1),
            test: Some("true && true".to_owned()),
            label: vec!["a=b=c".to_owned()],
            ..SpecArgs::default()
        };
        let spec = spec(
            of("https://a.example/b"),
            "go".to_owned(),
            "team/app:v1",
            args,
        )
        .unwrap();
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(json["output"]["labels"]["a"], "b=c");
        assert_eq!(json["test"]["command"][2], "true && true");
        assert_eq!(json["limits"]["memoryBytes"], 1);
        assert_eq!(mount("npmrc:/a").path.as_deref(), Some("/a"));
        assert_eq!(mount("npmrc").path, None);
    }
}
