//! A row, and what it is made of.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::{Digest, RepoName};

use super::{Class, Outcome, Proof, Verb};

/// Longest user agent kept, in characters.
const AGENT: usize = 200;
/// Bytes of groups' names kept, each with a separator. People of directories are in hundreds, and every row has them.
const GROUPS: usize = 1_000;
/// Longest reason kept, in characters.
const REASON: usize = 500;

/// Who asks, from where, in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// When, to the millisecond.
    pub time: SystemTime,
    /// The request's id.
    pub request_id: String,
    /// The user's name; of a refused login the name that was claimed, if there is such a user. Empty if there is none.
    pub user: String,
    /// Who vouches for the name; empty when nobody does.
    pub provider: String,
    /// What the provider tells namesakes apart by.
    pub uid: Option<String>,
    /// What they are in, as rules name it: by it they had their rights, or had them not.
    pub groups: Groups,
    /// How they said who they are.
    pub credential: Proof,
    /// Which credential, where it has a name of its own.
    pub credential_id: Option<String>,
    /// The client's address, behind trusted proxies.
    pub client: Option<IpAddr>,
    /// What the client says it is; its own words.
    pub user_agent: Option<String>,
}

impl Origin {
    /// The program itself, at `time`.
    pub fn own(time: SystemTime) -> Self {
        Self {
            time: to_millis(time),
            request_id: String::new(),
            user: String::new(),
            provider: String::new(),
            uid: None,
            groups: Groups::default(),
            credential: Proof::None,
            credential_id: None,
            client: None,
            user_agent: None,
        }
    }

    /// With what the client says it is, cut to a bound.
    #[must_use]
    pub fn with_agent(self, agent: Option<&str>) -> Self {
        let user_agent = agent.map(|agent| agent.chars().take(AGENT).collect());
        Self { user_agent, ..self }
    }
}

/// Groups of somebody, as many as a row has room for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    /// In the order in which they are known.
    pub names: Vec<String>,
    /// How many more there are.
    pub more: u32,
}

impl Groups {
    /// Those of them that fit in.
    pub fn of<'a>(all: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut groups, mut left) = (Self::default(), GROUPS);
        for name in all {
            // Once one is left out all others are: what is there is a beginning, and not a choice.
            match left.checked_sub(name.len() + 1) {
                Some(rest) if groups.more == 0 => {
                    left = rest;
                    groups.names.push(name.to_owned());
                }
                _ => groups.more = groups.more.saturating_add(1),
            }
        }
        groups
    }
}

/// When something changes, and on whose account. A time alone is a change that nobody is to be named for: it leaves no
/// row.
#[derive(Debug, Clone)]
pub struct Cause {
    at: SystemTime,
    origin: Option<Arc<Origin>>,
}

impl Cause {
    /// A change at `at` that `origin` asked for.
    pub fn of(origin: Origin, at: SystemTime) -> Self {
        let origin = Some(Arc::new(origin));
        Self { at, origin }
    }

    /// When.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Who is to be named.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.origin.as_ref()
    }
}

impl From<SystemTime> for Cause {
    fn from(at: SystemTime) -> Self {
        Self { at, origin: None }
    }
}

/// What it was done to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Place {
    /// The registry as a whole.
    #[default]
    Registry,
    /// A namespace.
    Namespace(String),
    /// A repository.
    Repository(RepoName),
}

impl Place {
    /// The namespace, whose readers see the row.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Registry => None,
            Self::Namespace(namespace) => Some(namespace),
            Self::Repository(repo) => Some(repo.namespace()),
        }
    }

    /// The repository.
    pub fn repository(&self) -> Option<&RepoName> {
        match self {
            Self::Repository(repo) => Some(repo),
            Self::Registry | Self::Namespace(_) => None,
        }
    }
}

/// What the record says of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who, from where.
    pub origin: Arc<Origin>,
    /// What.
    pub verb: Verb,
    /// Where.
    pub place: Place,
    /// The tag or digest by which it was named.
    pub reference: Option<String>,
    /// The content.
    pub digest: Option<Digest>,
    /// What the tag pointed to before.
    pub previous: Option<Digest>,
    /// What became of it.
    pub outcome: Outcome,
    /// HTTP status of the reply; 0 where there is none.
    pub status: u16,
    /// Why, in words.
    pub reason: Option<String>,
}

impl Entry {
    /// An entry without details.
    pub fn new(
        origin: &Arc<Origin>,
        verb: Verb,
        place: Place,
        outcome: Outcome,
        status: u16,
    ) -> Self {
        Self {
            origin: Arc::clone(origin),
            verb,
            place,
            reference: None,
            digest: None,
            previous: None,
            outcome,
            status,
            reason: None,
        }
    }

    /// With words, cut to a bound.
    #[must_use]
    pub fn because(self, reason: Option<&str>) -> Self {
        let reason = reason.map(|reason| reason.chars().take(REASON).collect());
        Self { reason, ..self }
    }

    /// What it is kept with.
    pub fn class(&self) -> Class {
        self.verb.class(self.outcome)
    }
}

/// An entry with its number, which grows in the order in which rows came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Never given twice.
    pub id: i64,
    /// What it says.
    pub entry: Entry,
}

/// As rows keep it.
fn to_millis(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let below = Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000));
    time.checked_sub(below).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, Groups};

    #[test]
    fn groups_are_kept_from_the_first_on_as_many_as_fit() {
        let names: Vec<String> = (0..1_000)
            .map(|number| format!("group-{number:03}"))
            .collect();
        let kept = Groups::of(names.iter().map(String::as_str));
        assert_eq!(kept.names, names[..GROUPS / 10]);
        assert_eq!(kept.more, 900);
        let long = "x".repeat(GROUPS);
        let kept = Groups::of(["a", &long, "b"]);
        assert_eq!((kept.names, kept.more), (vec!["a".to_owned()], 2));
        assert_eq!(Groups::of([]), Groups::default());
    }
}
