//! Who runs a plan.
//!
//! A [`Driver`] runs a [`Plan`] and decides nothing. It never publishes: what it gives back is
//! [`Built`], layers in files and a configuration, which the run hands to the registry once every gate has passed.

pub mod runc;
mod writing;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use oci::{Digest, RepoName};
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::images::Images;
use crate::layer::Layer;
use crate::plan::Plan;
use crate::records::{Actor, FailureReason};
use crate::{Compression, sandbox};

pub use writing::Writing;

/// Runs plans.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// Runs a plan to its end. Cancelled, failed or done: when it returns, nothing of the run is left on the machine but
    /// what it gives back.
    async fn run(&self, job: Job, cancel: &CancellationToken) -> Result<Built, Failure>;

    /// Asked before a run begins: whether there is room for it. What nobody uses may be removed. From then on it is one of those that
    /// fill the disk, and may be stopped for the others' sake.
    async fn make_room(&self, _run: &Writing) -> Result<(), Failure> {
        Ok(())
    }
}

/// A plan and what it names.
#[derive(Debug)]
pub struct Job {
    /// The run's own name, which no other run ever had: letters, digits, `-` and `_`, at most 180.
    pub id: String,
    /// Whose caches are used.
    pub namespace: String,
    /// What to do.
    pub plan: Plan,
    /// The registry that base images are read from.
    pub images: Arc<dyn Images>,
    /// With whose rights.
    pub actor: Actor,
    /// In which repository each stage's base is.
    pub bases: BTreeMap<Digest, RepoName>,
    /// The source snapshot's tar, uncompressed.
    pub source: File,
    /// Contents of scripts that came over the web, by digest.
    pub scripts: BTreeMap<Digest, Vec<u8>>,
    /// Contents of secrets and of what is injected, by name: the files of each.
    pub secrets: BTreeMap<String, SecretFiles>,
    /// Whether caches begin empty, whatever is in them.
    pub empty_caches: bool,
    /// Runs in the finished file tree, as the image would, before the result is given back; `None` if there is none.
    pub test: Option<Vec<String>>,
    /// How the result's layer is packed.
    pub compression: Compression,
    /// No file of the result is younger: when the source was committed.
    pub epoch: SystemTime,
    /// Counts what is written for the run.
    pub writing: Writing,
    /// What is said while it runs.
    pub events: Sender<Event>,
}

/// The files of one secret, by name.
#[derive(Clone, Default)]
pub struct SecretFiles(pub BTreeMap<String, Zeroizing<Vec<u8>>>);

impl fmt::Debug for SecretFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a driver says while it runs a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A part of the work begins; the one before it has ended.
    Phase(Phase),
    /// A line of a program in the sandbox, or of the sandbox.
    Line(sandbox::Line),
    /// Something that people should know, of the builder itself.
    Note(String),
}

/// The parts of a run, in their order. Not all are in every run.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Which commit, which builder image.
    Resolve,
    /// The source comes.
    Fetch,
    /// Base layers are unpacked, the tree is prepared.
    Prepare,
    /// `save-artifacts` upon the previous result.
    SaveArtifacts,
    /// `assemble`.
    Assemble,
    /// What the runtime image takes, `assemble-runtime`.
    AssembleRuntime,
    /// What was changed becomes a layer.
    Export,
    /// The layer is looked through for secrets.
    Scan,
    /// The test before publishing. What it writes is not in the layer.
    Test,
    /// Layer, configuration and manifest go to the registry.
    Publish,
}

/// What came out of a plan. Nothing of it is published.
#[derive(Debug)]
pub struct Built {
    /// The base image's manifest: its layers come first.
    pub base: Digest,
    /// The layer that was made and its bytes; `None` if nothing was changed.
    pub layer: Option<(Layer, File)>,
    /// The image configuration's JSON: the base's `rootfs` and `history` and the new layer's, the plan's `config`.
    pub config: Vec<u8>,
    /// What all programs together used.
    pub usage: Used,
}

/// What a run used up.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// Processor time of all programs.
    pub cpu: Duration,
    /// The most memory at a time, in bytes.
    pub memory: u64,
    /// By how much files grew, in bytes.
    pub disk: u64,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For machines.
    pub reason: FailureReason,
    /// For people: what, where, and how to mend it.
    pub message: String,
}
