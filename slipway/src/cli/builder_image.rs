//! Arguments of `slipway builder-image`.

mod create;

use clap::{Args, Subcommand};

pub(crate) use create::CreateBuilderImage;

use super::build::{Namespace, OptionalNamespace, plain};
use super::{Printing, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum BuilderImageCommand {
    /// Make a builder image of Slipway's own from Debian packages.
    ///
    /// Installs Debian and the language with mmdebstrap (or debootstrap, as root), adds the scripts of
    /// S2I and pushes the result. No registry is needed to make it, only a mirror of Debian. Packages
    /// of the same versions give the same image. A builder image's usage is what it prints when it runs.
    #[command(after_help = "Examples:
  slipway builder-image create --list                  languages and versions
  slipway builder-image create python                  to SERVER/slipway/python:3.13, the server of the last login
  slipway builder-image create nodejs --version 18 --output registry.example.com/builders/node:18
  slipway builder-image create go --output oci-archive:go.tar
  slipway builder-image create python --package gcc --package python3-dev --package libpq-dev")]
    Create(Box<CreateBuilderImage>),
    /// List the builder images that a namespace can build with, or everybody's.
    #[command(after_help = "Examples:
  slipway builder-image list -n team
  slipway builder-image list -n team --json | jq -r '.items[] | select(.language == \"go\") | .image'")]
    List {
        #[command(flatten)]
        of: OptionalNamespace,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Enter an image into the catalogue, or change the entry.
    ///
    /// What you do not say is read from the image's labels. Without a namespace the entry is everybody's, which takes the
    /// right to create builderimages.registry.alauda.io everywhere.
    #[command(after_help = "Examples:
  slipway builder-image add python -n team --image team/python:3.13
  slipway builder-image add go --image slipway/go:1.24")]
    Add(Box<AddBuilderImage>),
    /// Print how a builder image is used: what its script usage says.
    ///
    /// The server runs the script in the sandbox of builds, without a network, which takes the right to run builds.
    #[command(after_help = "Example:
  slipway builder-image usage python -n team")]
    Usage {
        /// The entry, of the namespace or everybody's.
        #[arg(value_parser = plain)]
        name: String,
        #[command(flatten)]
        of: Namespace,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take entries out of the catalogue. The images stay.
    #[command(after_help = "Example:
  slipway builder-image remove python -n team")]
    #[command(visible_alias = "rm")]
    Remove {
        /// The entries.
        #[arg(required = true, value_parser = plain)]
        names: Vec<String>,
        #[command(flatten)]
        of: OptionalNamespace,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddBuilderImage {
    /// The entry's name: what builds name.
    #[arg(value_parser = plain)]
    pub(crate) name: String,
    /// The image, in this registry.
    #[arg(long, value_name = "REPOSITORY[:TAG][@DIGEST]")]
    pub(crate) image: String,
    /// The language: java, go, python, nodejs.
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// The language's version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// What it is called.
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    /// What it is for.
    #[arg(long)]
    pub(crate) description: Option<String>,
    #[command(flatten)]
    pub(crate) of: OptionalNamespace,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
