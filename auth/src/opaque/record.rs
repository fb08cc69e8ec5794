//! What is kept of a token, and read back.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};

use super::text::Text;
use super::{Limits, NewToken, StoredToken, TokenId};
use crate::Identity;
use crate::identity::Document;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program's.
    Api,
    /// A client's that logged in: a refresh token.
    Login,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Login => "login",
        }
    }
}

/// A token without its text: what its owner is shown.
#[derive(Clone, Debug)]
pub struct Token {
    id: TokenId,
    kind: Kind,
    owner: Identity,
    description: String,
    limits: Limits,
    service: Option<String>,
    created: SystemTime,
    expires: SystemTime,
    used: Option<SystemTime>,
}

impl Token {
    /// Its name.
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// As whom it acts: as they were when it was made.
    pub fn owner(&self) -> &Identity {
        &self.owner
    }

    /// The owner's words; of a login, what the client calls itself.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it is limited to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// When it was made.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// When it ends.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// When it was last used, to about a minute.
    pub fn used(&self) -> Option<SystemTime> {
        self.used
    }

    fn identity(&self) -> Identity {
        let (owner, id, limits) = (self.owner.clone(), self.id.clone(), self.limits.clone());
        owner
            .by_token(id, self.kind, limits)
            .ending(Some(self.expires))
    }

    pub(super) fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }
}

/// A token as it is remembered.
#[derive(Debug)]
pub(super) struct Record {
    token: Token,
    identity: Identity,
    hash: [u8; 32],
    /// Seconds since 1970 of the last use that was written down.
    pub(super) noted: AtomicU64,
}

/// What is kept beside the columns.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    #[serde(flatten)]
    owner: Document,
    description: String,
    limits: Limits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
}

impl Record {
    pub(super) fn api(
        text: &Text,
        owner: &Identity,
        new: NewToken,
        lifetime: Duration,
        now: SystemTime,
    ) -> Self {
        let (described, limits) = (new.description, new.limits);
        Self::new(text, owner, described, limits, None, lifetime, now)
    }

    pub(super) fn login(
        text: &Text,
        owner: &Identity,
        service: &str,
        client: String,
        lifetime: Duration,
        now: SystemTime,
    ) -> Self {
        let service = Some(service.to_owned());
        let limits = Limits::none();
        Self::new(text, owner, client, limits, service, lifetime, now)
    }

    fn new(
        text: &Text,
        owner: &Identity,
        description: String,
        limits: Limits,
        service: Option<String>,
        lifetime: Duration,
        now: SystemTime,
    ) -> Self {
        let created = whole_seconds(now);
        let token = Token {
            id: text.id().clone(),
            kind: text.kind(),
            owner: owner.clone(),
            description,
            limits,
            service,
            created,
            expires: created + lifetime,
            used: None,
        };
        Self {
            identity: token.identity(),
            token,
            hash: text.hash(),
            noted: AtomicU64::new(0),
        }
    }

    /// As it is kept.
    pub(super) fn stored(&self) -> StoredToken {
        let Token { owner, .. } = &self.token;
        let kept = Kept {
            owner: owner.into(),
            description: self.token.description.clone(),
            limits: self.token.limits.clone(),
            service: self.token.service.clone(),
        };
        StoredToken {
            id: self.token.id.as_str().to_owned(),
            kind: self.token.kind.as_str().to_owned(),
            owner: owner.principal().to_owned(),
            hash: self.hash.to_vec(),
            created: self.token.created,
            expires: self.token.expires,
            used: self.token.used,
            // Names, numbers and lists of them always serialise; if not, it is read back as no token.
            document: serde_json::to_string(&kept).unwrap_or_default(),
        }
    }

    /// As it was kept; `None`, and a line in the log, when it makes no sense: then it opens nothing.
    pub(super) fn read(stored: StoredToken) -> Option<Self> {
        let id = stored.id.clone();
        let read = Self::try_read(stored);
        if read.is_none() {
            tracing::error!(id, "a token that is kept cannot be read: it is refused");
        }
        read
    }

    fn try_read(stored: StoredToken) -> Option<Self> {
        let kept: Kept = serde_json::from_str(&stored.document).ok()?;
        let kind = [Kind::Api, Kind::Login]
            .into_iter()
            .find(|kind| kind.as_str() == stored.kind)?;
        let owner = kept.owner.into_identity()?;
        if owner.principal() != stored.owner {
            return None;
        }
        let noted = stored
            .used
            .and_then(|used| used.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        let token = Token {
            id: TokenId::parse(&stored.id)?,
            kind,
            owner,
            description: kept.description,
            limits: kept.limits,
            service: kept.service,
            created: stored.created,
            expires: stored.expires,
            used: stored.used,
        };
        Some(Self {
            identity: token.identity(),
            token,
            hash: stored.hash.try_into().ok()?,
            noted: AtomicU64::new(noted.as_secs()),
        })
    }

    pub(super) fn token(&self) -> &Token {
        &self.token
    }

    /// Whether this is its text, in a time that does not tell how much of it was right.
    pub(super) fn is_of(&self, text: &Text) -> bool {
        text.kind() == self.token.kind && verify_slices_are_equal(&text.hash(), &self.hash).is_ok()
    }

    /// As whom it acts, and within what.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Clients read the end in seconds, and it must be the same one here.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
