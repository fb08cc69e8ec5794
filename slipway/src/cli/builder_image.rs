//! Arguments of `slipway builder-image`.

use clap::{Args, Subcommand};

use super::build::{OptionalNamespace, plain};
use super::{Printing, Remote};

#[derive(Debug, Subcommand)]
pub(crate) enum BuilderImageCommand {
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
  slipway builder-image add go --image slipway/go:1.19")]
    Add(Box<AddBuilderImage>),
    /// Take entries out of the catalogue. The images stay.
    #[command(after_help = "Example:
  slipway builder-image remove python -n team")]
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
