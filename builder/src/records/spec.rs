//! What is to be built, as it is written.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SourceSpec;
use crate::plan::{Limits, Network};
use crate::s2i::IgnoreMode;

/// What is to be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildSpec {
    /// What is built.
    pub source: SourceSpec,
    /// The builder image: `repository[:tag][@digest]` in this registry, the name of a catalogue entry, or a language
    /// (`python`: the newest version that the catalogue has) with its version (`python:3.13`, `python:3`).
    pub builder: String,
    /// What the result is called.
    pub output: OutputSpec,
    /// The image that the result stands on instead of the builder image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeSpec>,
    /// Variables; no secret may be among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvSpec>,
    /// Secrets that `assemble` finds as files, in memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretMount>,
    /// Files that `assemble` finds where it works, and that may stay in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub injections: Vec<InjectionSpec>,
    /// How the source's `.s2iignore` is read.
    #[serde(default)]
    pub ignore: IgnoreMode,
    /// Whether artifacts of the previous result are taken over by `save-artifacts`: of the build's newest, or, for a run that is
    /// of no build, of the image that the output names.
    #[serde(default)]
    pub incremental: bool,
    /// Where scripts are looked for first: `image:///path` or an https URL without user, password and query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripts_url: Option<String>,
    /// Where the source goes, instead of where the builder image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Who runs `assemble`, instead of whom the builder image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assemble_user: Option<String>,
    /// Which folders outlive a run.
    #[serde(default)]
    pub caches: CacheSpec,
    /// Whether the source is removed after `assemble`.
    #[serde(default)]
    pub clean: bool,
    /// What programs may reach; absent: as much as the builder's configuration gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// What a run may use up.
    #[serde(default)]
    pub limits: Limits,
    /// How long a run may wait and work.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What becomes of runs that are asked for while one is at work.
    #[serde(default)]
    pub policy: RunPolicy,
    /// What the result must stand before it is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestSpec>,
    /// What starts runs by itself.
    #[serde(default)]
    pub triggers: Triggers,
    /// How long ended runs are kept.
    #[serde(default)]
    pub retention: Retention,
}

impl BuildSpec {
    /// The secrets of its namespace that it names, whatever for.
    pub fn secret_names(&self) -> BTreeSet<&str> {
        let git = match &self.source {
            SourceSpec::Git { secret, .. } => secret.as_deref(),
            SourceSpec::Image { .. } => None,
        };
        let mounted = self.secrets.iter().map(|mount| &*mount.name);
        let injected = self.injections.iter().map(|files| &*files.secret);
        let hooks = self.triggers.webhooks.iter().map(|hook| &*hook.secret);
        let all = git.into_iter().chain(mounted).chain(injected).chain(hooks);
        all.collect()
    }
}

/// What the result is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputSpec {
    /// `repository:tag` in this registry.
    pub image: String,
    /// Further tags in the same repository. `{commit}` and `{run}` stand for the commit's first 12 characters and the run's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// `io.k8s.display-name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `io.k8s.description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the names of the labels begin with that say what was built from what, with its dot, such as `io.openshift.`;
    /// absent: `io.openshift.s2i.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_namespace: Option<String>,
    /// Labels of the result.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The image that the result stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeSpec {
    /// `repository[:tag][@digest]` in this registry.
    pub image: String,
    /// What it takes of the built image, each `source[:folder]`; empty: what the image's label says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
    /// Who runs `assemble-runtime`, instead of whom the runtime image says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assemble_user: Option<String>,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvSpec {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it holds while building only, and is not in the image.
    #[serde(default)]
    pub build_only: bool,
}

/// A secret that `assemble` sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretMount {
    /// Its name in the namespace.
    pub name: String,
    /// The folder that its files are in; absent: `/run/secrets/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Files beside the source: a secret's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InjectionSpec {
    /// Its name in the namespace.
    pub secret: String,
    /// The folder that its files go into; a relative one is below the image's working directory, which it is if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether they stay in the image; the secret must be one for images. If not, they are in memory and in no layer.
    #[serde(default)]
    pub keep: bool,
}

/// Which folders outlive a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CacheSpec {
    /// Those that the builder image's label `dev.slipway.cache` names.
    #[default]
    Auto,
    /// None.
    None,
}

/// How long a run may wait and work, in seconds. `None`: as the server's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// From being asked for to its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<u64>,
    /// From start to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
}

/// What becomes of runs of one build that are asked for while one of it is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunPolicy {
    /// They wait, and each has its turn.
    #[default]
    Serial,
    /// They wait, and only the latest of them has its turn, of each branch, tag, commit or other source that they name; the
    /// others are cancelled.
    SerialLatestOnly,
    /// They run as soon as there is a worker. Whichever ends last has the tags.
    Parallel,
}

/// What the result must stand before it is published: a program that runs in it, as its user, with its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestSpec {
    /// The program and its arguments.
    pub command: Vec<String>,
}

/// What starts runs by itself. They have the rights of the build's owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Triggers {
    /// Webhooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<HookSpec>,
    /// The builder image's tag, or the runtime image's, points to another image than the newest result was built with.
    #[serde(default)]
    pub image: bool,
    /// Five fields as cron has them, in UTC: minute, hour, day of the month, month, day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

/// A webhook at `/hooks/<namespace>/<build>/<kind>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HookSpec {
    /// Who calls.
    pub kind: HookKind,
    /// The secret of the namespace whose file `webhook-secret` signs the calls.
    pub secret: String,
}

/// Who calls a webhook, and so how a call is signed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum HookKind {
    GitHub,
    GitLab,
    Gitea,
    Bitbucket,
    Generic,
}

/// How long ended runs of a build are kept. The newest one that succeeded always is. Runs that are of no build are kept as the
/// server's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retention {
    /// How many that succeeded. `None`: as the server's configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<u32>,
    /// How many that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u32>,
    /// For how many seconds after their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}
