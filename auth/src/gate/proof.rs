//! People for whom something is done when they are not there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Gate, Kind};
use crate::identity::Document;
use crate::opaque::{self, Limits};
use crate::{Identity, Refusal, TokenId};

/// Who somebody was when they asked for something, and until when that is believed. There is no credential in it: whoever
/// was taken away since is nobody any more.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    #[serde(flatten)]
    who: Document,
    /// The API token that they came by: what is done is within its limits, and ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Seconds since 1970; absent for those whose removal is noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl Gate {
    /// What [`Gate::identity_of`] makes `who` of again, to be kept with what is to be done for them: JSON without any secret.
    ///
    /// Of those of whose removal nobody would tell, it holds as long as the longest API token; of members of groups that
    /// Kubernetes gives great rights to, some hours. `None` for whoever came by a token that was issued for some images
    /// only: what is done later would go beyond it.
    pub fn proof(&self, who: &Identity, now: SystemTime) -> Option<Value> {
        if who.access().is_some() && !who.is_in_person() {
            return None;
        }
        let token = who.token().filter(|_| !who.is_person());
        let until = self.believed_for(who).map(|life| {
            let end = now.duration_since(UNIX_EPOCH).unwrap_or_default();
            end.saturating_add(life).as_secs()
        });
        let proof = Proof {
            who: who.into(),
            token: token.map(ToString::to_string),
            until,
        };
        serde_json::to_value(proof).ok()
    }

    /// The API token within whose limits a [proof](Gate::proof) holds, if there is one.
    pub fn token_of(proof: &Value) -> Option<TokenId> {
        let proof = Proof::deserialize(proof).ok()?;
        TokenId::parse(&proof.token?)
    }

    /// Whom a [proof](Gate::proof) is of, if they are still there: they, whoever vouched for them, and the API token that
    /// they came by. What they may do is asked for anew with each [permit](Gate::permit).
    ///
    /// [`Refusal::BadCredential`]: they are not, or it is no proof of this gate's.
    pub async fn identity_of(&self, proof: &Value, now: SystemTime) -> Result<Identity, Refusal> {
        let Ok(proof) = Proof::deserialize(proof) else {
            tracing::error!("what is kept of a person cannot be read: they have no rights");
            return Err(Refusal::BadCredential);
        };
        if matches!(self.kind, Kind::Open) {
            return Ok(Identity::anonymous());
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if proof.until.is_some_and(|until| since.as_secs() >= until) {
            return Err(Refusal::BadCredential);
        }
        let who = if proof.who.is_anonymous() {
            Identity::anonymous()
        } else {
            proof.who.into_identity().ok_or(Refusal::BadCredential)?
        };
        let who = match proof.token {
            None => who,
            // What it is limited to now is looked up.
            Some(id) => {
                let id = TokenId::parse(&id).ok_or(Refusal::BadCredential)?;
                who.by_token(id, opaque::Kind::Api, Limits::none(), None)
            }
        };
        self.standing(who, None, now).await
    }

    /// How long somebody is believed to be who they were; `None`: until they are removed.
    fn believed_for(&self, who: &Identity) -> Option<Duration> {
        let Kind::Guarded { opaque, .. } = &self.kind else {
            return None;
        };
        let settings = opaque
            .as_ref()
            .map_or_else(opaque::Settings::default, |opaque| opaque.settings());
        settings.believed_for(who, self.notices_removal_of(who))
    }
}
