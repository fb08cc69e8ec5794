//! The service: a call comes in, a run starts or not.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use tokio::sync::Semaphore;

use super::back::AT_ONCE;
use super::deliveries::{taken, taking};
use super::{Event, Keys, Signed, Verdict, judge};
use crate::builds::{Asked, Builds, BuildsError, RunsOf};
use crate::records::{Actor, Build, Cause, HookKind, SecretUse};
use crate::triggers::{OwnerRefused, Owners};

/// Runs of a build among which a repeated call's is looked for.
const LOOKED_AT: usize = 50;

/// Receives webhooks' calls.
#[derive(Clone, Debug)]
pub struct Hooks {
    pub(super) builds: Builds,
    owners: Arc<dyn Owners>,
    /// Places for asking a repository.
    pub(super) asking: Arc<Semaphore>,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A run is waiting, with the rights of this owner of the build.
    Started {
        /// The run's name.
        run: String,
        /// The commit that it is asked to build; `None`: what the build's revision stands for then.
        commit: Option<String>,
        /// The build's owner.
        owner: Actor,
    },
    /// It was taken before; the run that it started then, if that is among the newest.
    Known {
        /// The run's name.
        run: Option<String>,
    },
    /// It starts nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

/// Why a call was not taken.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is no such webhook, or the call is not signed with its secret: which of both nobody is told.
    #[error("there is no such webhook, or the call is not signed with its secret")]
    Unknown,
    /// It is signed and makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The build's owner may not build there any more.
    #[error("{0}")]
    Forbidden(String),
    /// Too many runs wait: the call may be sent again later.
    #[error("{0}")]
    Busy(String),
    /// Storage does not answer: the call may be sent again later.
    #[error("{0}")]
    Unavailable(String),
}

impl Hooks {
    /// Calls are for these builds.
    pub fn new(builds: Builds, owners: Arc<dyn Owners>) -> Self {
        Self {
            builds,
            owners,
            asking: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether there is such a webhook, with a secret. No caller is to be told.
    pub async fn has(
        &self,
        (namespace, build): (&str, &str),
        kind: HookKind,
    ) -> Result<bool, HookError> {
        Ok(self.find(namespace, build, kind).await?.is_some())
    }

    /// Takes a call to a build's webhook.
    pub async fn call(
        &self,
        (namespace, build): (&str, &str),
        kind: HookKind,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Answer, HookError> {
        let found = self.find(namespace, build, kind).await?;
        let (found, keys) = match found {
            Some((found, keys)) => (Some(found), keys),
            None => (None, Keys::nobodys()),
        };
        let signed = Signed::check(kind, &keys, headers, body, now);
        let (Some(found), Some(signed)) = (found, signed) else {
            return Err(HookError::Unknown);
        };
        let event = Event::read(kind, headers, body);
        let event = event.map_err(|error| HookError::Invalid(error.to_string()))?;
        let commit = match judge(&found.spec, &event) {
            Verdict::Start(commit) => commit,
            Verdict::Nothing(reason) => return Ok(Answer::Nothing { reason }),
        };
        let allowed = self.owners.may_build(&found.owner, namespace, now).await;
        allowed.map_err(|refused| match refused {
            OwnerRefused::Forbidden(message) => HookError::Forbidden(message),
            OwnerRefused::Unavailable(message) => HookError::Unavailable(message),
        })?;
        let commit = commit.map(|commit| commit.as_str().to_owned());
        let cause = Cause::Webhook {
            from: kind,
            delivery: signed.delivery.clone(),
            commit: commit.clone(),
        };
        let start = async |once: &str| {
            let mut asked = Asked::new(found.owner.clone(), cause.clone());
            asked.with = vec![taking(taken(namespace, build, once), now)];
            self.builds.start(namespace, build, asked, now).await
        };
        let mut started = start(&signed.fingerprint).await;
        if let (Err(BuildsError::Repeated(_)), Some(commit)) = (&started, &commit)
            && let Some(newest) = self.is_behind(&found, commit).await?
        {
            // Once for this run that is behind, by whomever and how often it is called for.
            started = start(&format!("{}.{newest}", signed.fingerprint)).await;
        }
        match started {
            Ok(run) => Ok(Answer::Started {
                run: run.value.metadata.name,
                commit,
                owner: found.owner,
            }),
            Err(BuildsError::Repeated(_)) => {
                let run = self.run_of(namespace, build, &signed).await;
                Ok(Answer::Known { run })
            }
            Err(BuildsError::NotFound { .. }) => Err(HookError::Unknown),
            Err(error @ (BuildsError::QueueFull { .. } | BuildsError::Busy(_))) => {
                Err(HookError::Busy(error.to_string()))
            }
            Err(
                error @ (BuildsError::Unavailable(_)
                | BuildsError::Unreadable { .. }
                | BuildsError::Sealed(_)
                | BuildsError::Changed { .. }),
            ) => Err(HookError::Unavailable(error.to_string())),
            Err(BuildsError::Forbidden(message)) => Err(HookError::Forbidden(message)),
            Err(
                error @ (BuildsError::Invalid(_)
                | BuildsError::Exists { .. }
                | BuildsError::TooMany { .. }),
            ) => Err(HookError::Invalid(error.to_string())),
        }
    }

    /// The build with a webhook of this kind, and the secrets of that.
    async fn find(
        &self,
        namespace: &str,
        build: &str,
        kind: HookKind,
    ) -> Result<Option<(Build, Keys)>, HookError> {
        let unavailable = |error: BuildsError| match error {
            BuildsError::Unavailable(message) => Err(HookError::Unavailable(message)),
            _ => Ok(None),
        };
        let found = match self.builds.build(namespace, build).await {
            Ok(found) => found.value,
            Err(error) => return unavailable(error),
        };
        let mut hooks = found.spec.triggers.webhooks.iter();
        let Some(hook) = hooks.find(|hook| hook.kind == kind) else {
            return Ok(None);
        };
        let opened = self
            .builds
            .open_secret(namespace, &hook.secret, SecretUse::Webhook);
        let files = match opened.await {
            Ok(files) => files,
            Err(error) => {
                // The caller must not be told, so that the operator has to be.
                tracing::warn!(namespace, build, secret = hook.secret, %error, "a webhook's secret is not to be had");
                return unavailable(error);
            }
        };
        let Some(keys) = Keys::of(&files) else {
            tracing::warn!(
                namespace,
                build,
                secret = hook.secret,
                "a webhook's secret has no file webhook-secret of at least 16 bytes: its calls are refused"
            );
            return Ok(None);
        };
        Ok(Some((found, keys)))
    }

    /// The run that a call started which is repeated now.
    async fn run_of(&self, namespace: &str, build: &str, signed: &Signed) -> Option<String> {
        let wanted = signed.delivery.as_ref()?;
        let which = RunsOf {
            build: Some(build.to_owned()),
            limit: LOOKED_AT,
            ..RunsOf::default()
        };
        let runs = self.builds.runs(namespace, &which).await.ok()?.items;
        let runs = runs.into_iter().map(|run| run.value);
        let mut named = runs.filter(|run| {
            matches!(&run.cause, Cause::Webhook { delivery: Some(known), .. } if known == wanted)
        });
        named.next().map(|run| run.metadata.name)
    }
}
