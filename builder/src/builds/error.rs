//! Why the service did not do what was asked of it.

use std::fmt;

use crate::ledger::{Kind, LedgerError};
use crate::secrets::SealError;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum BuildsError {
    /// What was written is not to be understood; the sentence begins with the field.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is none of this name.
    #[error("there is no {what} {name} in namespace {namespace:?}{}", what.others())]
    NotFound {
        /// What.
        what: What,
        /// Where; empty for the whole server.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// There is one of this name already.
    #[error("there is a {what} {name} in namespace {namespace:?} already: {}", what.another())]
    Exists {
        /// What.
        what: What,
        /// Where.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// It was changed since the revision that was named: read it again.
    #[error("the {what} {name} was changed meanwhile: read it again, then change it")]
    Changed {
        /// What.
        what: What,
        /// Its name.
        name: String,
    },
    /// What was to be written with a run is there already: it was asked for before.
    #[error("this was asked for before: {0} is known already")]
    Repeated(String),
    /// A secret does not open with this server's keys.
    #[error("the secret cannot be used: {0}")]
    Sealed(#[from] SealError),
    /// Not in the state that it is in.
    #[error("{0}")]
    Busy(String),
    /// There is one, which this program cannot read.
    #[error(
        "the {what} {name} in namespace {namespace:?} cannot be read ({why}): another version of this program wrote it, or it \
         was changed by hand; remove it, or start the version that wrote it"
    )]
    Unreadable {
        /// What.
        what: What,
        /// Where.
        namespace: String,
        /// Its name.
        name: String,
        /// What is wrong, without a word of what is there.
        why: String,
    },
    /// The namespace has as many as it may.
    #[error(
        "namespace {namespace:?} has {most} {what}s, and may not have more ({}): remove one, or ask who runs this server to \
         allow more",
        what.limit()
    )]
    TooMany {
        /// What.
        what: What,
        /// Where.
        namespace: String,
        /// How many it may have.
        most: usize,
    },
    /// More runs wait in the namespace than may.
    #[error(
        "{waiting} runs wait in namespace {namespace:?} already: cancel some, or ask again later"
    )]
    QueueFull {
        /// Where.
        namespace: String,
        /// How many.
        waiting: usize,
    },
    /// The actor may not read what it takes, or it is not there.
    #[error("{0}")]
    Forbidden(String),
    /// Storage or registry do not answer now.
    #[error("{0}")]
    Unavailable(String),
}

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A build.
    Build,
    /// A run.
    Run,
    /// An entry of the catalogue of builder images.
    BuilderImage,
    /// A secret.
    Secret,
    /// A run's log.
    Log,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "build",
            Self::Run => "build run",
            Self::BuilderImage => "builder image",
            Self::Secret => "secret",
            Self::Log => "log of the build run",
        })
    }
}

impl What {
    /// How one sees which there are.
    const fn others(self) -> &'static str {
        match self {
            Self::Build => ": slipway build list shows those that are there",
            Self::Run => ": slipway build runs shows those that are there",
            Self::BuilderImage => ": slipway builder-image list shows those that are there",
            Self::Secret => ": set it (slipway secret set), or name another (slipway secret list)",
            Self::Log => "",
        }
    }

    /// Which key of the configuration says how many a namespace may have.
    const fn limit(self) -> &'static str {
        match self {
            Self::Build => "builder.namespaceBuilds",
            Self::Run | Self::Log => "builder.namespaceRuns",
            Self::BuilderImage => "builder.namespaceBuilderImages",
            Self::Secret => "builder.namespaceSecrets",
        }
    }

    /// What one does where there is one of the name already.
    const fn another(self) -> &'static str {
        match self {
            Self::Build => "change it (slipway build apply), or take another name",
            Self::Run | Self::Log => {
                "leave the name out or take another; what is to run again and again is kept as a build (slipway build create)"
            }
            Self::BuilderImage | Self::Secret => "take another name, or remove it first",
        }
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Build => Kind::Build,
            Self::Run | Self::Log => Kind::Run,
            Self::BuilderImage => Kind::BuilderImage,
            Self::Secret => Kind::Secret,
        }
    }
}

/// A field that is not to be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Which, as it is written in JSON: `spec.source.url`, `spec.env[2].name`.
    pub field: String,
    /// Why, and what would do.
    pub message: String,
}

impl Invalid {
    pub(super) fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            field: field.into(),
            message: message.to_string(),
        }
    }
}

impl From<LedgerError> for BuildsError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Conflict(key) => Self::Busy(format!(
                "{} {} is being changed by others at the same time: ask again",
                key.kind.as_str(),
                key.name
            )),
            LedgerError::Refused(why) => Self::Invalid(Invalid::new("spec", why)),
            LedgerError::Unavailable(_) => Self::Unavailable(error.to_string()),
        }
    }
}
