//! What is to be done for one ServiceAccount, from what was seen: no clock, no network.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use super::content::Claims;
use super::observed::{Account, Content, Key, Namespace, PullSecret};
use super::settings::Settings;

#[cfg(test)]
mod tests;

/// What was seen of a ServiceAccount's surroundings. `None`: it is not there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View<'a> {
    pub(super) namespace: Option<&'a Namespace>,
    pub(super) account: Option<&'a Account>,
    pub(super) secret: Option<&'a PullSecret>,
}

/// What comes next. One step at a time: what it did is seen before the next is thought of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan<S = Step> {
    /// Nothing, before this time at least.
    Rest(Option<SystemTime>),
    /// Nothing can be done: the name is taken by an object that is not ours, which has this uid.
    Blocked(String),
    Act(S),
}

impl<S> Plan<S> {
    pub(super) fn map<T>(self, of: impl FnOnce(S) -> T) -> Plan<T> {
        match self {
            Self::Rest(until) => Plan::Rest(until),
            Self::Blocked(uid) => Plan::Blocked(uid),
            Self::Act(step) => Plan::Act(of(step)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make the secret, without a token yet: a token can be bound only to what is there.
    Make,
    /// Have a token issued and put it into the secret, if that is still at this version.
    Fill {
        uid: String,
        version: String,
        why: Why,
    },
    /// Name the secret in the ServiceAccount beside what is named there, if that is still at this version.
    Refer {
        version: String,
        references: Vec<String>,
    },
    /// Take our reference out of the ServiceAccount, then remove our secret, if there is one.
    Withdraw { secret: Option<String> },
    /// Remove the secret that has this uid.
    Remove { uid: String },
}

/// Why a secret needs a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It has none yet.
    New,
    /// Its content was altered, or is for other hosts.
    Altered,
    /// The token is another's: the ServiceAccount or the secret was made anew, or it is for another audience.
    Strange,
    /// The token's end is near.
    Renewal,
}

pub(super) fn plan(key: &Key, view: View<'_>, settings: &Settings, now: SystemTime) -> Plan {
    let Some(namespace) = view.namespace else {
        return Plan::Rest(None);
    };
    // Nothing can be made there any more, and all goes with it.
    if namespace.ending {
        return Plan::Rest(None);
    }
    if namespace.opted_out || settings.withdraw {
        return withdraw(view);
    }
    match (view.account, view.secret) {
        (None, secret) => match secret.and_then(removable) {
            // The token ended with the ServiceAccount.
            Some(uid) => Plan::Act(Step::Remove { uid }),
            None => Plan::Rest(None),
        },
        (Some(_), None) => Plan::Act(Step::Make),
        (Some(account), Some(secret)) => keep(key, account, secret, settings, now),
    }
}

fn withdraw(view: View<'_>) -> Plan {
    let secret = view.secret.and_then(removable);
    if secret.is_some() || view.account.is_some_and(|account| account.is_marked) {
        return Plan::Act(Step::Withdraw { secret });
    }
    Plan::Rest(None)
}

/// The uid of a secret of ours that is not being removed already.
fn removable(secret: &PullSecret) -> Option<String> {
    (!secret.ending && secret.content != Content::Foreign).then(|| secret.uid.clone())
}

fn keep(
    key: &Key,
    account: &Account,
    secret: &PullSecret,
    settings: &Settings,
    now: SystemTime,
) -> Plan {
    // Its end is seen, and then a new one is made.
    if secret.ending && secret.content != Content::Foreign {
        return Plan::Rest(None);
    }
    let fill = |why| {
        Plan::Act(Step::Fill {
            uid: secret.uid.clone(),
            version: secret.version.clone(),
            why,
        })
    };
    let claims = match &secret.content {
        Content::Foreign => return Plan::Blocked(secret.uid.clone()),
        Content::Fixed => {
            return Plan::Act(Step::Remove {
                uid: secret.uid.clone(),
            });
        }
        Content::Empty => return fill(Why::New),
        Content::Altered => return fill(Why::Altered),
        Content::Token(claims) => claims,
    };
    let is_its_own = claims.account_uid == account.uid
        && claims.secret_uid.as_ref() == Some(&secret.uid)
        && claims.audiences.contains(&settings.audience);
    if !is_its_own {
        return fill(Why::Strange);
    }
    let renewal = renewal(key, claims, settings);
    if renewal <= now {
        return fill(Why::Renewal);
    }
    if !account
        .references
        .contains(&settings.secret_of(&key.account))
    {
        return Plan::Act(Step::Refer {
            version: account.version.clone(),
            references: account.references.clone(),
        });
    }
    Plan::Rest(Some(renewal))
}

/// When a token is replaced. The API server may issue shorter ones than were asked for, so that it is a part of the life
/// that the token has; and up to a tenth of the time until then earlier, so that those that were issued together are not
/// replaced together.
fn renewal(key: &Key, claims: &Claims, settings: &Settings) -> SystemTime {
    let life = claims
        .expires
        .duration_since(claims.issued)
        .unwrap_or_default();
    let kept = 1.0 - settings.renew_before.div_duration_f64(settings.lifetime);
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let early = f64::from(u16::try_from(hasher.finish() >> 48).unwrap_or_default())
        / f64::from(u16::MAX)
        / 10.0;
    let after = Duration::try_from_secs_f64(life.as_secs_f64() * kept * (1.0 - early));
    claims.issued + after.unwrap_or_default()
}
