//! Options of commands that make builds and runs.

use std::path::PathBuf;

use clap::Args;

use super::{Following, GitArgs, KeptArgs, Named, OptionalNamespace, SpecArgs, plain};
use crate::cli::Remote;

#[derive(Debug, Args)]
pub(crate) struct RunBuild {
    /// The run's name. Default: one that is free.
    #[arg(value_parser = plain)]
    pub(crate) name: Option<String>,
    /// The folder to build, or a tar of one (also compressed with gzip or zstd); - is a tar on standard input.
    #[arg(long, value_name = "PATH", conflicts_with = "GitArgs")]
    pub(crate) dir: Option<PathBuf>,
    /// The source to build that is in this registry: what a run kept, or an artifact with one layer, a tar.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["GitArgs", "dir"])]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) git: GitArgs,
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// The image to make, in this registry; its first part is the namespace.
    #[arg(long, value_name = "NAMESPACE/NAME:TAG")]
    pub(crate) output: String,
    /// The builder image: one of this registry, or an entry of the catalogue (slipway builder-image list).
    #[arg(long, value_name = "IMAGE")]
    pub(crate) builder: String,
    /// Run, even if the same source, builder image and settings have made an image already. Where the tag is there, this takes the right to
    /// move it, whatever comes out.
    #[arg(long)]
    pub(crate) no_reuse: bool,
    /// Begin with empty caches; it runs whatever has made an image already, and leaves its caches to the next run.
    #[arg(long)]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) namespace: OptionalNamespace,
    #[command(flatten)]
    pub(crate) following: Following,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct CreateBuild {
    /// Its name: lower-case letters, digits and -.
    #[arg(value_parser = plain, required_unless_present = "file", requires_all = ["builder", "output"])]
    pub(crate) name: Option<String>,
    /// A file that says it (YAML or JSON) as for apply; - is standard input.
    #[arg(long, short, value_name = "FILE")]
    #[arg(conflicts_with_all = ["name", "GitArgs", "source", "SpecArgs", "KeptArgs", "builder", "output"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) git: GitArgs,
    /// A source in this registry instead of a repository: an artifact with one layer, a tar.
    #[arg(long, value_name = "IMAGE", conflicts_with = "GitArgs")]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) kept: KeptArgs,
    /// The image to make, in this registry; its first part is the namespace.
    #[arg(long, value_name = "NAMESPACE/NAME:TAG")]
    pub(crate) output: Option<String>,
    /// The builder image: one of this registry, or an entry of the catalogue (slipway builder-image list).
    #[arg(long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    #[command(flatten)]
    pub(crate) namespace: OptionalNamespace,
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Print the build as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StartBuild {
    #[command(flatten)]
    pub(crate) what: Named,
    /// This branch, tag or commit.
    #[arg(long, value_name = "REVISION", conflicts_with = "dir")]
    pub(crate) revision: Option<String>,
    /// This folder, or this tar (- is standard input), instead of the build's source.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,
    /// This source in the registry instead of the build's.
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["revision", "dir"])]
    pub(crate) source: Option<String>,
    /// Run, even if the same source, builder image and settings have made an image already. Where the tag is there, this takes the right to
    /// move it, whatever comes out.
    #[arg(long)]
    pub(crate) no_reuse: bool,
    /// Begin with empty caches; it runs whatever has made an image already, and leaves its caches to the next run.
    #[arg(long)]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) following: Following,
    #[command(flatten)]
    pub(crate) remote: Remote,
}
