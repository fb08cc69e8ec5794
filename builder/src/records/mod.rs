//! What people and programs ask for, and what became of it: the objects of the build API.
//!
//! Each is JSON in the [`ledger`](crate::ledger) and in the API, in the same words. Texts in a [`BuildSpec`] are as they
//! were written; reading them, with errors that name the field, is the first thing that is done with one.

mod actor;
mod build;
mod image;
mod reason;
mod run;
mod secret;
mod source;
mod spec;

pub use actor::Actor;
pub use build::{Build, Metadata, Missed, Status, Tried};
pub use image::BuilderImage;
pub use reason::{FailureReason, OwnReason};
pub use run::{
    Against, Cause, Ingredients, PhaseTiming, Resolved, Run, RunResult, State, StateKind,
};
pub use secret::{Secret, SecretUse};
pub use source::SourceSpec;
pub use spec::{
    BuildSpec, CacheSpec, EnvSpec, HookKind, HookSpec, InjectionSpec, OutputSpec, Retention,
    RunPolicy, RuntimeSpec, SecretMount, TestSpec, Timeouts, Triggers,
};
