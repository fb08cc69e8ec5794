//! Making tokens: for whom, and of what kind.

use std::time::{Duration, SystemTime};

use super::record::Record;
use super::text::Text;
use super::{Kind, Limits, Most, OpaqueTokens, Settings, Token, unavailable};
use crate::identity::AUTHENTICATED;
use crate::length::written;
use crate::{Identity, Refusal, Secret};

/// Longest life of what is kept of somebody of whose removal, or loss of great rights, nobody would tell: a working day.
const UNWATCHED: Duration = Duration::from_secs(12 * 3600);
/// Longest description in bytes.
const MAX_DESCRIPTION: usize = 256;
/// Characters that are kept of what a client calls itself.
const CLIENT: usize = 64;

/// What an API token shall be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is for, in the user's words.
    pub description: String,
    /// What it may be used for.
    pub limits: Limits,
    /// How long it shall live; [`Settings::USUAL`] if nothing is said.
    pub lifetime: Option<Duration>,
}

/// Why an API token was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// By whom it was asked for.
    #[error("{0}")]
    NotForYou(&'static str),
    /// What was asked for.
    #[error("{0}")]
    Invalid(String),
    /// There are as many as allowed.
    #[error("you have {0} API tokens, which is the most: revoke one first")]
    TooMany(usize),
    /// It cannot be kept now.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl OpaqueTokens {
    /// Makes an API token for `owner`. Its text is in no other place from then on.
    ///
    /// Whoever came by a token gets none, as it would outlive that one, unless they act by a login of theirs. Neither does a ServiceAccount, whose own tokens end
    /// with it. Whoever is in a group that Kubernetes gives rights to by its name (`great_group`) gets one for hours, as
    /// a token keeps the groups of its owner.
    pub async fn create(
        &self,
        owner: &Identity,
        new: NewToken,
        now: SystemTime,
    ) -> Result<(Secret, Token), CreateError> {
        if let Some(why) = no_standing(owner) {
            return Err(CreateError::NotForYou(why));
        }
        if new.description.len() > MAX_DESCRIPTION || new.description.chars().any(char::is_control)
        {
            let what = format!("description: at most {MAX_DESCRIPTION} bytes, on one line");
            return Err(CreateError::Invalid(what));
        }
        let mut most = self.settings.max_lifetime;
        let great_group = great_group(owner);
        if great_group.is_some() {
            most = most.min(UNWATCHED);
        }
        let lifetime = new.lifetime.unwrap_or(Settings::USUAL.min(most));
        if lifetime > most || lifetime.as_secs() == 0 {
            let most = written(most);
            let whose = great_group.map_or_else(
                || "as this server has it".to_owned(),
                |group| format!("for members of the group {group}"),
            );
            let what = format!("the lifetime: from 1s to {most}, {whose}");
            return Err(CreateError::Invalid(what));
        }
        let text = Text::generate(Kind::Api)?;
        let record = Record::api(&text, owner, new, lifetime, now);
        let most = self.settings.per_user;
        let added = self
            .store
            .add(record.stored(), Most::Refused(most), now)
            .await;
        if added.map_err(unavailable)? {
            Ok((text.into_secret(), record.token().clone()))
        } else {
            Err(CreateError::TooMany(most))
        }
    }

    /// A refresh token for a login of `who` by a client that calls itself `client`; `None` where none are given, or not to
    /// them: to strangers, to whoever came by a token, and to `ServiceAccount`s. Only those whose removal
    /// [is noticed](crate::Authenticator::notices_removal) get the whole lifetime.
    pub(crate) async fn remember(
        &self,
        who: &Identity,
        is_watched: bool,
        service: &str,
        client: &str,
        now: SystemTime,
    ) -> Result<Option<Secret>, Refusal> {
        let mut lifetime = self.settings.refresh;
        let is_by_token = who.access().is_some() || who.token().is_some();
        if lifetime.is_zero() || is_by_token || no_standing(who).is_some() {
            return Ok(None);
        }
        if !is_watched || who.until().is_some() || great_group(who).is_some() {
            lifetime = lifetime.min(UNWATCHED);
        }
        let client: String = client
            .chars()
            .filter(|char| !char.is_control())
            .take(CLIENT)
            .collect();
        let text = Text::generate(Kind::Login)?;
        let record = Record::login(&text, who, service, client, lifetime, now);
        let most = Most::InPlaceOfOldest(Settings::LOGINS);
        let added = self.store.add(record.stored(), most, now).await;
        added.map_err(unavailable)?;
        Ok(Some(text.into_secret()))
    }
}

impl Settings {
    /// How long somebody who is not there is believed to be who they were; `None`: until they are removed, of which
    /// whoever vouched for them tells (`is_watched`). A `ServiceAccount`'s groups follow from its name, and cannot be lost.
    pub(crate) fn believed_for(&self, who: &Identity, is_watched: bool) -> Option<Duration> {
        if who.is_anonymous() {
            None
        } else if great_group(who).is_some() && !is_service_account(who) {
            Some(self.max_lifetime.min(UNWATCHED))
        } else {
            (!is_watched).then_some(self.max_lifetime)
        }
    }
}

fn is_service_account(who: &Identity) -> bool {
    who.name().starts_with("system:serviceaccount:")
}

/// A group of theirs that is Kubernetes' own, as `system:masters` is, which may do everything. Those of everybody who
/// logged in, there and at `OpenShift`, give nothing of note.
fn great_group(who: &Identity) -> Option<&str> {
    who.groups().find(|group| {
        group.starts_with("system:")
            && !matches!(*group, AUTHENTICATED | "system:authenticated:oauth")
    })
}

/// Why somebody gets no token that outlives their credential.
fn no_standing(who: &Identity) -> Option<&'static str> {
    if who.is_anonymous() {
        Some("a stranger has no tokens")
    } else if !who.is_in_person() {
        Some("a token makes no further token: use the password, or what you log in with")
    } else if is_service_account(who) {
        Some("a ServiceAccount has its own tokens (kubectl create token), which end with it")
    } else {
        None
    }
}
