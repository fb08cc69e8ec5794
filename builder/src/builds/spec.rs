//! Reading a spec: texts become what they mean, or an error that names the field.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use oci::{RepoName, Tag};

use self::limits::{limits, timeout, unenforced};
use super::{Invalid, Settings, is_entry_name, name};
use crate::images::{ImageName, InvalidImageName};
use crate::plan::{Limits, Network};
use crate::records::{BuildSpec, EnvSpec, OutputSpec, SourceSpec, Triggers};
use crate::s2i::{
    Artifact, ContainerPath, Injection, Scope, ScriptsUrl, User, Variable, check_label_namespace,
};
use crate::source::git::{ContextDir, GitUrl, Revision};
use crate::triggers::Schedule;

mod files;
mod limits;

#[cfg(test)]
mod tests;

/// Most variables, labels, secrets or tags of one spec.
const MAX_ENTRIES: usize = 200;

/// What a spec means, before anything is looked up.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) source: Source,
    pub(super) builder: BuilderName,
    pub(super) output: OutputName,
    pub(super) runtime: Option<(ImageName, Vec<Artifact>)>,
    pub(super) runtime_user: Option<User>,
    pub(super) env: Vec<Variable>,
    pub(super) secrets: Vec<(String, ContainerPath)>,
    pub(super) injections: Vec<Injection>,
    pub(super) scripts_url: Option<ScriptsUrl>,
    pub(super) destination: Option<ContainerPath>,
    pub(super) assemble_user: Option<User>,
    pub(super) network: Network,
    pub(super) limits: Limits,
    pub(super) queue_timeout: Duration,
    pub(super) run_timeout: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Git {
        url: GitUrl,
        revision: Revision,
        context_dir: ContextDir,
        secret: Option<String>,
        submodules: bool,
        lfs: bool,
    },
    Image(ImageName),
}

/// What stands for the commit in a tag.
const COMMIT: &str = "{commit}";

/// What `builder` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BuilderName {
    /// A plain word: an entry of the catalogue, else the newest of a language; never a repository.
    Entry(String),
    /// `python:3.13`: an entry of the catalogue of this language and version; never a repository.
    Version {
        language: String,
        version: String,
    },
    Image(ImageName),
}

/// Where the result goes.
#[derive(Clone, Debug)]
pub(super) struct OutputName {
    pub(super) repo: RepoName,
    pub(super) tag: Tag,
    patterns: Vec<String>,
}

impl OutputName {
    /// What says a commit that is to be one of the tags, if anything does.
    pub(super) fn wants_commit(&self) -> Option<&str> {
        let mut patterns = self.patterns.iter();
        let found = patterns.find(|pattern| pattern.contains(COMMIT));
        found.map(String::as_str)
    }

    /// All tags of a run's result, each once; those of a commit only if there is one.
    pub(super) fn tags(&self, run: &str, commit: Option<&str>) -> Vec<Tag> {
        let mut tags = vec![self.tag.clone()];
        for pattern in &self.patterns {
            if let Some(tag) = expand(pattern, run, commit)
                && !tags.contains(&tag)
            {
                tags.push(tag);
            }
        }
        tags
    }
}

impl Wanted {
    pub(super) fn parse(
        namespace: &str,
        spec: &BuildSpec,
        settings: &Settings,
    ) -> Result<Self, Invalid> {
        let hosts = &settings.hosts;
        let runtime = spec.runtime.as_ref().map(|runtime| {
            let image = name::image(&runtime.image, hosts, "spec.runtime.image")?;
            let mut artifacts = Vec::new();
            for (index, text) in runtime.artifacts.iter().enumerate() {
                let field = format!("spec.runtime.artifacts[{index}]");
                let read = Artifact::parse_all(text).map_err(|e| Invalid::new(field, e))?;
                artifacts.extend(read);
            }
            Ok((image, artifacts))
        });
        if spec.incremental && spec.runtime.is_some() {
            let message = "a build with a runtime image cannot be incremental: the previous result has no save-artifacts \
                           to run";
            return Err(Invalid::new("spec.incremental", message));
        }
        if spec
            .test
            .as_ref()
            .is_some_and(|test| test.command.is_empty())
        {
            let message = "the test has no program: write it and its arguments as a list";
            return Err(Invalid::new("spec.test.command", message));
        }
        bounded("spec.output.labels", spec.output.labels.len())?;
        let prefix = spec.output.label_namespace.as_deref();
        optional("spec.output.labelNamespace", prefix, check_label_namespace)?;
        let runtime_user = spec.runtime.as_ref();
        let runtime_user = runtime_user.and_then(|runtime| runtime.assemble_user.as_deref());
        triggers(&spec.triggers)?;
        let run_timeout = timeout("run", spec.timeouts.run, settings.run_timeout)?;
        // Whoever gives one of the two more time does not want the other to end it.
        let usual = Limits {
            seconds: spec.timeouts.run.or(settings.usual.seconds),
            ..settings.usual
        };
        if !settings.enforces_limits {
            unenforced(spec.limits)?;
        }
        let limits = limits(spec.limits, usual, settings.limits)?;
        let run_timeout = match (spec.timeouts.run, spec.limits.seconds) {
            (None, Some(seconds)) => run_timeout.max(Duration::from_secs(seconds)),
            _ => run_timeout,
        };
        Ok(Self {
            source: source(&spec.source, hosts)?,
            builder: builder(&spec.builder, hosts)?,
            output: output(namespace, &spec.output, hosts)?,
            runtime: runtime.transpose()?,
            runtime_user: optional("spec.runtime.assembleUser", runtime_user, User::parse)?,
            env: env(&spec.env, settings)?,
            secrets: files::secrets(&spec.secrets)?,
            injections: files::injections(&spec.injections)?,
            scripts_url: optional("spec.scriptsUrl", spec.scripts_url.as_deref(), str::parse)?,
            destination: optional(
                "spec.destination",
                spec.destination.as_deref(),
                ContainerPath::parse,
            )?,
            assemble_user: optional(
                "spec.assembleUser",
                spec.assemble_user.as_deref(),
                User::parse,
            )?,
            network: network(spec.network, settings.network)?,
            limits,
            queue_timeout: timeout("queue", spec.timeouts.queue, settings.queue_timeout)?,
            run_timeout,
        })
    }
}

pub(super) fn source(spec: &SourceSpec, hosts: &[String]) -> Result<Source, Invalid> {
    match spec {
        SourceSpec::Git {
            url,
            revision,
            context_dir,
            secret,
            submodules,
            lfs,
        } => Ok(Source::Git {
            url: parsed("spec.source.url", url)?,
            revision: parsed(
                "spec.source.revision",
                revision.as_deref().unwrap_or_default(),
            )?,
            context_dir: parsed(
                "spec.source.contextDir",
                context_dir.as_deref().unwrap_or_default(),
            )?,
            secret: secret
                .as_deref()
                .map(secret_name("spec.source.secret"))
                .transpose()?,
            submodules: *submodules,
            lfs: *lfs,
        }),
        SourceSpec::Image { reference } => {
            name::image(reference, hosts, "spec.source.reference").map(Source::Image)
        }
    }
}

/// What a word for a builder image names.
pub(super) fn builder(text: &str, hosts: &[String]) -> Result<BuilderName, Invalid> {
    if is_entry_name(text) {
        return Ok(BuilderName::Entry(text.to_owned()));
    }
    if let Some((language, version)) = text.split_once(':')
        && is_entry_name(language)
        && Tag::parse(version).is_ok()
    {
        return Ok(BuilderName::Version {
            language: language.to_owned(),
            version: version.to_owned(),
        });
    }
    name::image(text, hosts, "spec.builder").map(BuilderName::Image)
}

fn output(namespace: &str, spec: &OutputSpec, hosts: &[String]) -> Result<OutputName, Invalid> {
    let field = "spec.output.image";
    let elsewhere = |host: &str| {
        let message = format!(
            "{host} is another registry, by the names that this one has (hosts in the server's configuration): a result goes \
             into this one, as {namespace}/<name>:<tag>"
        );
        Invalid::new(field, message)
    };
    let image = match ImageName::parse(&spec.image, hosts) {
        Err(InvalidImageName::Elsewhere(host)) => return Err(elsewhere(&host)),
        image => image.map_err(|error| Invalid::new(field, error))?,
    };
    let own = image.repo().namespace();
    if own != namespace && (own.contains('.') || own == "localhost") {
        return Err(elsewhere(own));
    }
    if own != namespace || image.repo().rest().is_empty() {
        let message =
            format!("the result must lie in the build's namespace: {namespace}/<name>:<tag>");
        return Err(Invalid::new(field, message));
    }
    if image.digest().is_some() {
        let message = "the result's digest is not known beforehand: name a tag only";
        return Err(Invalid::new(field, message));
    }
    if image.repo().holds_sources() {
        let message = "below sources/ are sources: choose another repository";
        return Err(Invalid::new(field, message));
    }
    let Some(tag) = image.reference().tag().cloned() else {
        return Err(Invalid::new(field, "the result has no tag"));
    };
    bounded("spec.output.tags", spec.tags.len())?;
    for (index, pattern) in spec.tags.iter().enumerate() {
        if expand(pattern, "run-1", Some("0123456789ab")).is_none() {
            let message = format!(
                "{pattern:?} is no tag: letters, digits, '_', '.' and '-', at most 128; {{commit}} and {{run}} stand for \
                 the commit and the run's name"
            );
            return Err(Invalid::new(format!("spec.output.tags[{index}]"), message));
        }
    }
    Ok(OutputName {
        repo: image.repo().clone(),
        tag,
        patterns: spec.tags.clone(),
    })
}

/// A pattern's tag; `None` if it wants a commit and there is none, or would be no tag.
fn expand(pattern: &str, run: &str, commit: Option<&str>) -> Option<Tag> {
    let mut text = pattern.replace("{run}", run);
    if text.contains(COMMIT) {
        let commit = commit?;
        text = text.replace(COMMIT, commit.get(..12).unwrap_or(commit));
    }
    Tag::parse(&text).ok()
}

fn env(specs: &[EnvSpec], settings: &Settings) -> Result<Vec<Variable>, Invalid> {
    bounded("spec.env", specs.len())?;
    let variables = specs.iter().enumerate().map(|(index, spec)| {
        let scope = if spec.build_only {
            Scope::Build
        } else {
            Scope::Both
        };
        if !settings.env_filter.allows(&spec.name) {
            let message = format!(
                "{} may not be set here (builder.forbiddenEnv in the server's configuration)",
                spec.name
            );
            return Err(Invalid::new(format!("spec.env[{index}].name"), message));
        }
        if !is_shell_name(&spec.name) {
            let message = format!(
                "{:?} is no name of a variable for a shell, which assemble is: letters of ASCII, digits and _, no digit first",
                spec.name
            );
            return Err(Invalid::new(format!("spec.env[{index}].name"), message));
        }
        let variable = Variable::new(&spec.name, &spec.value, scope);
        variable.map_err(|error| Invalid::new(format!("spec.env[{index}]"), error))
    });
    variables.collect()
}

/// POSIX.1-2024, base definitions, 3.216. Shells do not hand on what is called otherwise.
fn is_shell_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_word) && !name.as_bytes()[0].is_ascii_digit()
}

fn triggers(triggers: &Triggers) -> Result<(), Invalid> {
    let mut kinds = Vec::new();
    for (index, hook) in triggers.webhooks.iter().enumerate() {
        let field = format!("spec.triggers.webhooks[{index}]");
        secret_name(&format!("{field}.secret"))(&hook.secret)?;
        if kinds.contains(&hook.kind) {
            let message = "there is one of this kind already, and both would have one URL";
            return Err(Invalid::new(format!("{field}.kind"), message));
        }
        kinds.push(hook.kind);
    }
    if let Some(schedule) = &triggers.schedule {
        parsed::<Schedule>("spec.triggers.schedule", schedule)?;
    }
    Ok(())
}

fn secret_name(field: &str) -> impl Fn(&str) -> Result<String, Invalid> {
    move |text| {
        let checked = name::check(text, usize::MAX);
        checked.map_err(|error| Invalid::new(field, error.message))?;
        Ok(text.to_owned())
    }
}

/// What programs reach: what the spec says, else all that this server gives.
fn network(asked: Option<Network>, most: Network) -> Result<Network, Invalid> {
    match asked {
        Some(asked) if asked > most => {
            let message = format!(
                "{asked} is more than this server gives, which is {most} (builder.network.egress in its configuration)"
            );
            Err(Invalid::new("spec.network", message))
        }
        asked => Ok(asked.unwrap_or(most)),
    }
}

fn bounded(field: &str, count: usize) -> Result<(), Invalid> {
    if count > MAX_ENTRIES {
        return Err(Invalid::new(
            field,
            format!("more than {MAX_ENTRIES} of them"),
        ));
    }
    Ok(())
}

fn parsed<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Invalid> {
    text.parse().map_err(|error| Invalid::new(field, error))
}

fn optional<T, E: Display>(
    field: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Invalid> {
    let read = text.map(read).transpose();
    read.map_err(|error| Invalid::new(field, error))
}
