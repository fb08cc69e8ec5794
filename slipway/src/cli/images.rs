//! Arguments of the commands that move images.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{AuthFile, Printing, Remote, Transport};

#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// What to copy: an image in a registry, oci:DIR:TAG or oci-archive:FILE:TAG; without a tag, the only one there.
    pub(crate) source: String,
    /// Where to: the same.
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) copying: Copying,
    /// Speak plain HTTP to the source. To loopback addresses it is spoken by itself where there is no HTTPS.
    #[arg(long)]
    pub(crate) src_plain_http: bool,
    /// Trust the certificate authorities in this file (PEM) too, at the source.
    #[arg(long, value_name = "FILE")]
    pub(crate) src_ca_file: Option<PathBuf>,
    /// Speak plain HTTP to the target. To loopback addresses it is spoken by itself where there is no HTTPS.
    #[arg(long)]
    pub(crate) dest_plain_http: bool,
    /// Trust the certificate authorities in this file (PEM) too, at the target.
    #[arg(long, value_name = "FILE")]
    pub(crate) dest_ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// How images are copied.
#[derive(Debug, Args)]
pub(crate) struct Copying {
    /// Only the image for this platform, of an index. Default: the whole index.
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<String>,
    /// What is said about the image, too: signatures, attestations, bills of materials.
    #[arg(long)]
    pub(crate) referrers: bool,
    /// How many blobs are under way at once.
    #[arg(long, short, value_name = "N", default_value_t = 4)]
    pub(crate) jobs: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// The image: registry.example.com/team/app:v1.
    pub(crate) image: String,
    /// Whose images they are to be. Default: the first of podman, docker and containerd that is installed.
    #[arg(long, value_enum)]
    pub(crate) engine: Option<Engine>,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
    #[command(flatten)]
    pub(crate) transport: Transport,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The image: registry.example.com/team/app:v1 as podman, docker or containerd have it. With a target: as for copy.
    pub(crate) image: String,
    /// Where to, if the image is in another registry: then it is copied from there.
    pub(crate) target: Option<String>,
    /// Whose image it is. Default: the first of podman, docker and containerd that is installed.
    #[arg(long, value_enum, conflicts_with = "target")]
    pub(crate) engine: Option<Engine>,
    #[command(flatten)]
    pub(crate) copying: Copying,
    #[command(flatten)]
    pub(crate) auth_file: AuthFile,
    #[command(flatten)]
    pub(crate) transport: Transport,
}

/// What keeps images on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// podman, and buildah with it.
    Podman,
    /// Docker.
    Docker,
    /// containerd, by its ctr; its namespace is that of `CONTAINERD_NAMESPACE`.
    Containerd,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// The repository whose tags are listed. Default: the registry's repositories, also where a registry is named alone, by
    /// its host or URL.
    pub(crate) repository: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

#[derive(Debug, Args)]
pub(crate) struct TagImage {
    /// The image, by tag or digest.
    pub(crate) image: String,
    /// The tag that it is to have, too. If another image has it, it moves.
    pub(crate) tag: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The images, by tag or digest. A digest takes all its tags along.
    #[arg(required = true)]
    pub(crate) image: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The image, by tag or digest.
    pub(crate) image: String,
    /// Print the manifest's own bytes.
    #[arg(long, conflicts_with_all = ["json", "output"])]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
