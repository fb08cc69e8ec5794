//! `builder`.

mod check;
mod defaults;
mod enabled;

use std::path::PathBuf;

use builder::plan;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

pub(crate) use enabled::Enabled;

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
    /// Builds that one namespace may have.
    pub(crate) namespace_builds: usize,
    /// Secrets that one namespace may have.
    pub(crate) namespace_secrets: usize,
    /// Entries of the catalogue that one namespace may have, and that may be everybody's.
    pub(crate) namespace_builder_images: usize,
    /// Namespaces of builder images: what runs by an API token with the verb `build` may stand on beside the images of the
    /// token's own namespaces, if its owner may pull it.
    pub(crate) image_namespaces: Vec<String>,
    /// Runs of one namespace that are kept, whatever its builds keep.
    pub(crate) namespace_runs: usize,
    /// Bytes of the disk of `dir` that stay free: with less, no run begins.
    pub(crate) min_free_bytes: u64,
    /// What a run gets that asks for nothing.
    pub(crate) defaults: Defaults,
    /// The most that a run may ask for.
    pub(crate) limits: Limits,
    /// Who may run scripts of images, by number: `1-`, `1-10001`, `1001`, several with commas between. Default: everybody.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) allowed_uids: String,
    /// Names that variables of a build may not have; `*` at the end stands for anything. In `.s2i/environment` they are passed over.
    pub(crate) forbidden_env: Vec<String>,
    /// What programs of a build, and those that fetch its source, may reach.
    pub(crate) network: Network,
    /// Certificate authorities (PEM) for the tools of a build, instead of the machine's; for sources, beside them.
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
    /// The numbers outside of the users inside, where the server is the machine's root.
    pub(crate) user_ids: UserIds,
    /// Keys that seal secrets; the last seals. Default: made below `dataDir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key_file: Option<PathBuf>,
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
    /// The server's name or address, and `:port` if only that is meant.
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
    /// Bytes of text of one run; of what is more the end is kept.
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
    /// For how long after their end at least, however many there are.
    pub(crate) at_least: Span,
    /// For how long after their end at most. Default: as long as they are few enough.
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
