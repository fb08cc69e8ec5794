//! `builder`.

mod check;

use std::borrow::Cow;
use std::path::PathBuf;

use builder::plan;
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Span;

/// Builds from source, on this machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Builder {
    /// `auto`: where the machine can run builds (`slipway build doctor`); `true`: the server does not start where it cannot.
    pub(crate) enabled: Enabled,
    /// What runs builds.
    pub(crate) driver: Driver,
    /// Where base layers, caches, mirrors and logs are kept: on a disk that overlayfs can write to. Default: below `dataDir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dir: Option<PathBuf>,
    /// The OCI runtime: a path, or a name that is looked for in the usual folders.
    pub(crate) runtime: PathBuf,
    /// Runs at work at once.
    pub(crate) workers: usize,
    /// Of them in one namespace.
    pub(crate) namespace_workers: usize,
    /// Runs that may wait in one namespace.
    pub(crate) namespace_waiting: usize,
    /// What a run gets that asks for nothing.
    pub(crate) defaults: Defaults,
    /// The most that a run may ask for.
    pub(crate) limits: Limits,
    /// What programs of a build, and those that fetch its source, may reach.
    pub(crate) network: Network,
    /// Certificate authorities (PEM) for the tools of a build, instead of the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The proxy that leads out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<Proxy>,
    /// Git servers.
    pub(crate) git: Git,
    /// How much of a source is taken.
    pub(crate) sources: Sources,
    /// Folders that outlive a run.
    pub(crate) cache: Kept,
    /// Unpacked base layers.
    pub(crate) layers: Kept,
    /// Logs of runs.
    pub(crate) logs: Logs,
    /// How long ended runs are kept, where a build does not say it.
    pub(crate) retention: Retention,
    /// How layers of results are packed.
    pub(crate) compression: Compression,
    /// The numbers outside of the users inside, where the server is root.
    pub(crate) user_ids: UserIds,
    /// Keys that seal secrets; the last seals. Default: made below `dataDir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key_file: Option<PathBuf>,
}

/// Whether builds are run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Enabled {
    /// Where the machine can.
    #[default]
    Auto,
    /// Or the server does not start.
    Yes,
    /// Nowhere.
    No,
}

/// What runs builds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Driver {
    /// This machine, with runc.
    #[default]
    Runc,
}

/// What a run gets that asks for nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// Memory in bytes. Default: 4 GiB where the machine can enforce it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_bytes: Option<u64>,
    /// Thousandths of a processor. Default: all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_millis: Option<u32>,
    /// Processes and threads. Default: 4096 where the machine can enforce it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pids: Option<u32>,
    /// Bytes written to disk. Default: 20 GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk_bytes: Option<u64>,
    /// How long it may work. Default: as long as `limits.runTime`, one hour at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_time: Option<Span>,
    /// How long it may wait. Default: as long as `limits.queueTime`, one hour at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_time: Option<Span>,
}

/// The most that a run may ask for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Memory in bytes. Default: no bound of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_bytes: Option<u64>,
    /// Thousandths of a processor. Default: all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_millis: Option<u32>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pids: Option<u32>,
    /// Bytes written to disk.
    pub(crate) disk_bytes: u64,
    /// How long it may work.
    pub(crate) run_time: Span,
    /// How long it may wait.
    pub(crate) queue_time: Span,
}

/// What may be reached.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Network {
    /// What programs of a build reach: `none`, `registries-only` or `full`. A build may ask for less.
    pub(crate) egress: plan::Network,
    /// The hosts of `registries-only`: `name`, `*.domain` or `name:port`.
    pub(crate) registries: Vec<String>,
    /// Networks that are no public ones and may be reached all the same. Default: none, but loopback for git where the
    /// server itself listens on loopback only.
    #[schemars(with = "Option<Vec<String>>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow: Option<Vec<IpNet>>,
}

/// A proxy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Proxy {
    /// `http://host:port`.
    pub(crate) url: String,
    /// A file with `user:password` in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credentials_file: Option<PathBuf>,
    /// Hosts that are reached without it: `name`, `*.domain` or `name:port`.
    #[serde(default)]
    pub(crate) direct: Vec<String>,
}

/// Git servers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Git {
    /// Keys of ssh servers, as `ssh-keyscan` prints them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) known_hosts_file: Option<PathBuf>,
    /// Take an unknown ssh server at its word the first time, and hold it to it after that, in each namespace.
    pub(crate) accept_new_hosts: bool,
    /// Authorities of single hosts.
    pub(crate) authorities: Vec<Authority>,
    /// Bytes of mirrors that are kept when nobody uses them.
    pub(crate) mirror_bytes: u64,
}

/// The authority of a git server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Authority {
    /// The server's name.
    pub(crate) host: String,
    /// Its authorities (PEM), beside the machine's.
    pub(crate) ca_file: PathBuf,
}

/// How much of a source is taken.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Sources {
    /// Files, folders and links.
    pub(crate) max_entries: usize,
    /// All files together, in bytes.
    pub(crate) max_bytes: u64,
    /// What a fetch may store, in bytes.
    pub(crate) max_fetched_bytes: u64,
    /// Submodules.
    pub(crate) max_submodules: usize,
    /// How long getting it may take.
    pub(crate) timeout: Span,
}

/// What is kept although nobody uses it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Kept {
    /// Bytes; what was not used for longest goes first.
    pub(crate) max_bytes: u64,
}

/// Logs of runs.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Logs {
    /// Bytes of text of one run; what is more is dropped.
    pub(crate) max_bytes: u64,
}

/// How long ended runs are kept, where a build does not say it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// How many of a build that succeeded.
    pub(crate) succeeded: u32,
    /// How many that did not.
    pub(crate) failed: u32,
    /// For how long after their end. Default: as long as they are few enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age: Option<Span>,
}

/// How layers are packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Compression {
    /// Every engine reads it.
    #[default]
    Gzip,
    /// Faster and smaller; engines since about 2020 read it.
    Zstd,
}

/// A range of user ids.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct UserIds {
    /// What root inside is outside.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
}

/// The package registries of the languages that builder images are made for.
const REGISTRIES: [&str; 12] = [
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "repo.yarnpkg.com",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "plugins.gradle.org",
    "services.gradle.org",
    "proxy.golang.org",
    "sum.golang.org",
    "storage.googleapis.com",
];

const GIB: u64 = 1 << 30;

impl Default for Builder {
    fn default() -> Self {
        Self {
            enabled: Enabled::default(),
            driver: Driver::default(),
            dir: None,
            runtime: PathBuf::from("runc"),
            workers: 2,
            namespace_workers: 2,
            namespace_waiting: 100,
            defaults: Defaults::default(),
            limits: Limits::default(),
            network: Network::default(),
            ca_file: None,
            proxy: None,
            git: Git::default(),
            sources: Sources::default(),
            cache: Kept::default(),
            layers: Kept::default(),
            logs: Logs::default(),
            retention: Retention::default(),
            compression: Compression::default(),
            user_ids: UserIds::default(),
            secret_key_file: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            cpu_millis: None,
            pids: None,
            disk_bytes: 100 * GIB,
            run_time: Span::hours(4),
            queue_time: Span::hours(24),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            egress: plan::Network::Full,
            registries: REGISTRIES.map(str::to_owned).to_vec(),
            allow: None,
        }
    }
}

impl Default for Git {
    fn default() -> Self {
        Self {
            known_hosts_file: None,
            accept_new_hosts: false,
            authorities: Vec::new(),
            mirror_bytes: 10 * GIB,
        }
    }
}

impl Default for Sources {
    fn default() -> Self {
        let limits = builder::source::SourceLimits::default();
        Self {
            max_entries: limits.entries,
            max_bytes: limits.bytes,
            max_fetched_bytes: limits.fetched_bytes,
            max_submodules: limits.submodules,
            timeout: Span::seconds(limits.time.as_secs()),
        }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            max_bytes: 20 * GIB,
        }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            succeeded: 20,
            failed: 20,
            age: None,
        }
    }
}

impl Default for UserIds {
    fn default() -> Self {
        Self {
            first: 1 << 30,
            count: 1 << 16,
        }
    }
}

impl Serialize for Enabled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for Enabled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(true) => Ok(Self::Yes),
            serde_json::Value::Bool(false) => Ok(Self::No),
            serde_json::Value::String(word) if word == "auto" => Ok(Self::Auto),
            other => Err(de::Error::custom(format!(
                "{other} is none of auto, true and false"
            ))),
        }
    }
}

impl JsonSchema for Enabled {
    fn schema_name() -> Cow<'static, str> {
        "Enabled".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["auto", true, false] })
    }
}
