//! The contract of source-to-image, *classic* semantics: what the `s2i` program does with a container engine.
//!
//! A builder image carries scripts (`assemble`, `run`, and maybe `save-artifacts`, `usage`) and labels that say where
//! they are ([`Contract`]). A source may bring scripts of its own, an environment ([`EnvironmentFile`]) and a list of
//! what to leave out ([`Ignore`]). The scripts of one build are found one by one ([`Scripts`]). `assemble` runs with
//! the source in `<destination>/src`; what it leaves behind is the image, whose configuration [`result`] makes.
//!
//! Pure: no files, no network, no clock. Where the program's two strategies (classic and `--as-dockerfile`) disagree,
//! the classic one is followed: the image's `USER` stays, the destination label counts, `CMD` is in exec form,
//! `image_metadata.json` is read. Deliberately otherwise than the program:
//!
//! - scripts are started directly, not by `/bin/sh -c`: one without a `#!` line fails as `run` always did;
//! - nothing of an image or source reaches a shell or a Dockerfile;
//! - scripts by a URL come over https, and only where the request names it, never an image's label;
//! - an image with `ONBUILD` is refused ([`Reason::OnBuildForbidden`]), as platforms configure the program to do;
//! - patterns of `.s2iignore` cannot leave the source, nor go through a link;
//! - a runtime image needs no `assemble-runtime`, and its own command stays where there is no `run` for it;
//! - what is injected without being kept is never in a layer, where the program leaves an empty file.
//!
//! Source: openshift/source-to-image, packages `api`, `build/strategies/sti`, `scripts`, `ignore`, `docker`.

mod artifacts;
mod contract;
mod environment;
mod glob;
mod ignore;
mod image;
mod injection;
mod labels;
mod metadata;
mod path;
mod reason;
pub mod result;
mod scripts;
mod user;
mod warning;

pub use artifacts::Artifact;
pub use contract::Contract;
pub(crate) use contract::{ASSEMBLE_USER, SCRIPTS_URL};
pub use environment::{EnvFilter, EnvironmentFile, Scope, Variable};
pub use ignore::{Ignore, Mode as IgnoreMode};
pub use image::{ExecutionConfig, ImageConfig, InvalidImage};
pub use injection::Injection;
pub use labels::{Generated, MAX_LABEL_BYTES, check_label_namespace, generated};
pub(crate) use metadata::METADATA_PATH;
pub use metadata::metadata_labels;
pub use path::{ContainerPath, InvalidPath};
pub use reason::{Reason, Refusal};
pub use scripts::{Origin, Script, Scripts, ScriptsUrl, SourceScripts};
pub use user::{AllowedUids, InvalidUser, User};
pub use warning::Warning;
