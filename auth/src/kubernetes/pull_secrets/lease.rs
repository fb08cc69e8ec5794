//! Which of several servers does the work: a Lease of coordination.k8s.io, as Kubernetes' own controllers take it.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::coordination::v1::{Lease as KubeLease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams, ResourceExt as _};
use tokio::time::Instant;

use super::within;

#[cfg(test)]
mod tests;

/// A holder that has not renewed it for so long has lost it.
const LASTS: Duration = Duration::from_secs(15);
/// The holder renews it so often,
const EVERY: Duration = Duration::from_secs(4);
/// and stops working when it could not for so long: before anybody else begins.
const GIVES_UP: Duration = Duration::from_secs(10);
/// How often one who waits looks.
const LOOKS: Duration = Duration::from_secs(2);
const REQUEST: Duration = Duration::from_secs(4);

pub(super) struct Lease {
    api: Api<KubeLease>,
    name: String,
    me: String,
    /// As we wrote it last.
    held: Option<KubeLease>,
}

/// A version of the lease, and when it was first seen: clocks of machines differ, so that only the own one counts.
type Sighting = Option<(String, Instant)>;

impl Lease {
    /// `me` must be no other's name.
    pub(super) fn new(api: Api<KubeLease>, name: String, me: String) -> Self {
        Self {
            api,
            name,
            me,
            held: None,
        }
    }

    /// Waits until it is ours. `complain` hears why it cannot be had, if not because somebody has it.
    pub(super) async fn acquire(&mut self, complain: impl Fn(&kube::Error)) {
        let mut sighting = None;
        loop {
            match self.try_acquire(&mut sighting).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => complain(&error),
            }
            tokio::time::sleep(LOOKS).await;
        }
    }

    /// Renews it until it is lost.
    pub(super) async fn keep(&mut self) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < GIVES_UP {
            tokio::time::sleep(EVERY).await;
            let Some(held) = self.held.clone() else {
                return;
            };
            let asked = Instant::now();
            match self.write(held, true).await {
                Ok(Some(held)) => {
                    self.held = Some(held);
                    renewed = asked;
                }
                // Somebody else wrote it.
                Ok(None) => break,
                Err(error) => tracing::debug!(%error, "the lease is not renewed"),
            }
        }
        self.held = None;
    }

    /// Lets the next have it at once.
    pub(super) async fn release(&mut self) {
        if let Some(held) = self.held.take()
            && let Err(error) = self.give_back(held).await
        {
            tracing::debug!(%error, "the lease is not released: it ends by itself");
        }
    }

    async fn give_back(&self, held: KubeLease) -> Result<(), kube::Error> {
        if self.write(held, false).await?.is_some() {
            return Ok(());
        }
        // A renewal that nobody waited for has got there.
        match within(REQUEST, self.api.get_opt(&self.name)).await? {
            Some(lease) if holder(&lease) == self.me => self.write(lease, false).await.map(drop),
            _ => Ok(()),
        }
    }

    async fn try_acquire(&mut self, sighting: &mut Sighting) -> Result<bool, kube::Error> {
        let found = within(REQUEST, self.api.get_opt(&self.name)).await?;
        let now = Instant::now();
        let written = match found {
            None => {
                let new = KubeLease {
                    metadata: ObjectMeta {
                        name: Some(self.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(self.spec(None, true)),
                };
                let created = within(REQUEST, self.api.create(&PostParams::default(), &new)).await;
                unless_conflict(created)?
            }
            Some(lease) if is_free(&lease, &self.me, sighting, now) => {
                self.write(lease, true).await?
            }
            Some(_) => None,
        };
        self.held = written;
        Ok(self.held.is_some())
    }

    /// Writes it over exactly what was seen; `None` when that is no more.
    async fn write(
        &self,
        mut lease: KubeLease,
        hold: bool,
    ) -> Result<Option<KubeLease>, kube::Error> {
        lease.spec = Some(self.spec(lease.spec.take(), hold));
        lease.metadata.managed_fields = None;
        let parameters = PostParams::default();
        unless_conflict(within(REQUEST, self.api.replace(&self.name, &parameters, &lease)).await)
    }

    fn spec(&self, before: Option<LeaseSpec>, hold: bool) -> LeaseSpec {
        let is_new = before.is_none();
        let before = before.unwrap_or_default();
        let is_ours = before.holder_identity.as_deref() == Some(&self.me);
        let now = Timestamp::try_from(SystemTime::now()).ok().map(MicroTime);
        let changes = before.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(if hold { self.me.clone() } else { String::new() }),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            acquire_time: before
                .acquire_time
                .clone()
                .filter(|_| is_ours)
                .or_else(|| now.clone()),
            renew_time: now,
            lease_transitions: Some(if is_ours || is_new {
                changes
            } else {
                changes.saturating_add(1)
            }),
            ..before
        }
    }
}

/// Whether it may be taken: nobody holds it, or who does has not been seen to renew it.
fn is_free(lease: &KubeLease, me: &str, sighting: &mut Sighting, now: Instant) -> bool {
    let holder = holder(lease);
    if holder.is_empty() || holder == me {
        return true;
    }
    let version = lease.resource_version().unwrap_or_default();
    match sighting {
        Some((seen, since)) if *seen == version => now.duration_since(*since) >= LASTS,
        _ => {
            *sighting = Some((version, now));
            false
        }
    }
}

/// Who holds it; nobody is an empty name.
fn holder(lease: &KubeLease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

fn unless_conflict<T>(written: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match written {
        Ok(written) => Ok(Some(written)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}
