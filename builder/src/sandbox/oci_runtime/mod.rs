//! The runtime's configuration file, as far as a sandbox has use for it: what these types cannot say cannot be asked
//! of the runtime.
//!
//! Source: OCI runtime specification 1.0.2, config.md and config-linux.md.

use std::path::PathBuf;

use serde::Serialize;

mod seccomp;

pub(super) use seccomp::Seccomp;
pub(crate) use seccomp::ThreadFilter;

/// `config.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Configuration {
    pub(super) oci_version: &'static str,
    pub(super) process: OciProcess,
    pub(super) root: OciRoot,
    pub(super) hostname: &'static str,
    pub(super) mounts: Vec<OciMount>,
    pub(super) linux: Linux,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OciProcess {
    pub(super) terminal: bool,
    pub(super) user: OciUser,
    pub(super) args: Vec<String>,
    /// `NAME=VALUE`.
    pub(super) env: Vec<String>,
    pub(super) cwd: PathBuf,
    pub(super) capabilities: OciCapabilities,
    pub(super) no_new_privileges: bool,
    pub(super) oom_score_adj: i32,
    pub(super) rlimits: Vec<Rlimit>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OciUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) umask: u32,
    pub(super) additional_gids: Vec<u32>,
}

/// Ambient and inheritable stay empty: what root may do is not handed to other users.
#[derive(Debug, Default, Serialize)]
pub(super) struct OciCapabilities {
    pub(super) bounding: Vec<&'static str>,
    pub(super) effective: Vec<&'static str>,
    pub(super) permitted: Vec<&'static str>,
    pub(super) inheritable: [&'static str; 0],
    pub(super) ambient: [&'static str; 0],
}

#[derive(Debug, Serialize)]
pub(super) struct Rlimit {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) soft: u64,
    pub(super) hard: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct OciRoot {
    pub(super) path: &'static str,
    pub(super) readonly: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct OciMount {
    pub(super) destination: PathBuf,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) source: PathBuf,
    pub(super) options: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Linux {
    pub(super) namespaces: Vec<Namespace>,
    pub(super) seccomp: Seccomp,
    pub(super) masked_paths: &'static [&'static str],
    pub(super) readonly_paths: &'static [&'static str],
}

#[derive(Debug, Serialize)]
pub(super) struct Namespace {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}
