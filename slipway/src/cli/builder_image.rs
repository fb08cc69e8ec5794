//! Arguments of `slipway builder-image`.

mod create;

use builder::PUBLIC_IMAGES;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
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
  slipway builder-image create python                  to SERVER/slipway/python:3.13
  slipway builder-image create nodejs --version 18 --output registry.example.com/builders/node:18
  slipway builder-image create go --output oci-archive:go.tar
  slipway builder-image create go --add                and everybody can build with go, or go:1.24
  slipway builder-image create python --package gcc --package python3-dev --package libpq-dev")]
    Create(Box<CreateBuilderImage>),
    /// List the builder images that a namespace can build with, or everybody's.
    #[command(after_help = "Examples:
  slipway builder-image list -n team
  slipway builder-image list --public                  what add --public can bring
  slipway builder-image list -n team --json | jq -r '.items[] | select(.language == \"go\") | .image'")]
    List {
        /// List the public images of others that `slipway builder-image add --public` can bring, instead.
        #[arg(long)]
        public: bool,
        #[command(flatten)]
        of: OptionalNamespace,
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        printing: Printing,
    },
    /// Enter an image into the catalogue, or change the entry.
    ///
    /// Builds name the entry, or its language with the version. What you do not say is read from the image's labels. Without
    /// a namespace the entry is everybody's, which takes the right to create builderimages.registry.alauda.io everywhere.
    /// With --public an image of sclorg or Red Hat is copied into the registry first; done again, it brings what is new.
    #[command(after_help = "Examples:
  slipway builder-image add python -n team --image team/python:3.13
  slipway builder-image add go --image slipway/go:1.24
  slipway builder-image add --public python-3.12 -n team    and a build can have --builder python:3.12
  slipway builder-image add --public nodejs-24 --mirror mirror.example.com/quay --platform linux/amd64")]
    Add(Box<AddBuilderImage>),
    /// Print how a builder image is used: what its script usage says.
    ///
    /// The server runs the script in the sandbox of builds, without a network, which takes the right to run builds.
    #[command(after_help = "Example:
  slipway builder-image usage python -n team")]
    Usage {
        /// The builder image, as --builder of a build has it: an entry, a language, a language with its version (go:1.24), or an image.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
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
    /// The entry's name: what builds name. Default with --public: as it is called there.
    #[arg(value_parser = plain, required_unless_present = "public")]
    pub(crate) name: Option<String>,
    /// The image, in this registry. With --public: where the copy goes; default NAMESPACE/NAME, or slipway/NAME for
    /// everybody's.
    #[arg(
        long,
        value_name = "REPOSITORY[:TAG][@DIGEST]",
        required_unless_present = "public"
    )]
    pub(crate) image: Option<String>,
    /// Copy this public builder image first (slipway builder-image list --public).
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(PUBLIC_IMAGES.map(|image| image.name)))]
    #[arg(hide_possible_values = true)]
    pub(crate) public: Option<String>,
    /// Have it from this registry, which holds it under the path that it has at its makers', instead of from theirs.
    #[arg(long, value_name = "REGISTRY[/PATH]", requires = "public")]
    pub(crate) mirror: Option<String>,
    /// Copy this platform alone: linux/amd64. Default: all of them.
    #[arg(long, value_name = "OS/ARCH", requires = "public")]
    pub(crate) platform: Option<String>,
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
