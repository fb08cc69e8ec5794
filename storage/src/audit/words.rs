//! The words that rows are made of.

use std::fmt;
use std::str::FromStr;

/// It is none of the words that there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of: {known}")]
pub struct UnknownWord {
    word: String,
    known: String,
}

/// An enum whose variants are words, in columns, queries, logs and JSON alike.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// Each of them.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.into_iter().find(|word| word.as_str() == text).ok_or_else(|| UnknownWord {
                    word: text.to_owned(),
                    known: Self::ALL.map(Self::as_str).join(", "),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What was done or asked for.
    Verb {
        /// A manifest, and a tag that is new or points there already.
        Push = "push",
        /// A tag that pointed elsewhere, with what is pushed.
        Retag = "retag",
        /// A tag, a manifest, or a blob of a repository.
        Delete = "delete",
        /// A blob of another repository, without sending it.
        Mount = "mount",
        /// A blob.
        Upload = "upload",
        /// A manifest or a blob, read.
        Pull = "pull",
        /// Tags, referrers, the catalog.
        List = "list",
        /// A credential, shown: a token was issued for it, or it was refused.
        Login = "login",
        /// Something of the API under `/api`.
        Admin = "admin",
        /// Nothing: the row says how many others were left out.
        Omitted = "omitted",
    }
}

words! {
    /// What became of it.
    Outcome {
        /// It was done.
        Allowed = "allowed",
        /// The caller may not, or is not who they say.
        Denied = "denied",
        /// The caller may, but it was not done.
        Failed = "failed",
    }
}

words! {
    /// How the caller said who they are.
    Proof {
        /// Not at all.
        None = "none",
        /// User and password, or what stands for it (RFC 7617).
        Basic = "basic",
        /// A token that was issued here, for a while and for some rights.
        Token = "token",
        /// Another token (RFC 6750).
        Bearer = "bearer",
        /// The refresh token of an earlier login.
        Refresh = "refresh",
        /// Not now: a build runs with the rights of whoever asked for it. The request is the run.
        Run = "run",
        /// Not now: a webhook was called with a signature that holds, and acts for the build's owner.
        Webhook = "webhook",
        /// By something that cannot be read.
        Unreadable = "unreadable",
    }
}

words! {
    /// What is kept together: each class has a bound of its own, so that a flood of one washes nothing else away.
    Class {
        /// Something was changed.
        Change = "change",
        /// Something was refused or failed.
        Refusal = "refusal",
        /// Tokens were issued, manifests pulled.
        Access = "access",
    }
}

impl Verb {
    /// The class of a row with this verb.
    pub const fn class(self, outcome: Outcome) -> Class {
        match (outcome, self) {
            (Outcome::Denied | Outcome::Failed, _) | (_, Self::Omitted) => Class::Refusal,
            (Outcome::Allowed, Self::Pull | Self::List | Self::Login) => Class::Access,
            (
                Outcome::Allowed,
                Self::Push | Self::Retag | Self::Delete | Self::Mount | Self::Upload | Self::Admin,
            ) => Class::Change,
        }
    }
}
