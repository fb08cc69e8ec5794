//! Pull secrets for clusters whose kubelets have no credential provider: every namespace's ServiceAccount (`default`, or
//! those that are configured) has an `imagePullSecret` with a token of its own, and every namespace a `RoleBinding` by which
//! its pods may pull its images.
//!
//! ```text
//! watches ─► World ─► plan ─► Step ─► requests
//!              ▲                          │
//!              └───── what they made ─────┘
//! ```
//!
//! - A secret is made first and its token then, bound to it: when the secret goes, the token ends. Tokens are replaced
//!   well before their end.
//! - What is ours says so by a label with our name; an object of the same name without it is never touched. A reference
//!   in a ServiceAccount is ours if an annotation beside it says so; other references stay.
//! - The right is granted apart from the secrets: who may not grant it keeps the secrets all the same.
//! - Watches are by name, so that the role that they need lets nobody see any other secret.
//! - Of several servers, the one that holds a lease does the work. All steps may be done twice.
//! - Without an API server nothing is done and nothing breaks: what was issued holds to its end.

mod agenda;
mod bind;
mod content;
mod execute;
mod grant;
mod lease;
mod observed;
mod plan;
mod report;
mod settings;
mod status;
mod taken;
mod watch;
mod work;
mod world;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};

pub use settings::{InvalidSettings, Parts, Settings};
pub use status::Status;

use self::lease::Lease;
use self::report::Complaints;
use self::work::Work;
use super::cluster::{self, ConnectError, Place};
use crate::LoadError;

/// How long the lease may take to be given back.
const FAREWELL: Duration = Duration::from_secs(2);

/// Keeps the pull secrets of a cluster.
pub struct PullSecrets {
    client: Client,
    recorder: Recorder,
    settings: Arc<Settings>,
    status: Arc<Status>,
    complaints: Complaints,
    lease: Lease,
}

impl PullSecrets {
    /// Reads the credentials; asks nothing. The lease is in `namespace`: by default that of the pod or of the
    /// kubeconfig's context.
    pub async fn connect(
        place: &Place,
        namespace: Option<&str>,
        settings: Settings,
    ) -> Result<Self, ConnectError> {
        let (client, address) = cluster::unhurried(place).await?;
        let namespace = namespace.unwrap_or(client.default_namespace()).to_owned();
        let me = name_of_this_process()
            .map_err(|error| ConnectError::NotInCluster(error.to_string()))?;
        let reporter = Reporter {
            controller: "slipway".to_owned(),
            instance: Some(me.clone()),
        };
        let lease = Lease::new(
            Api::namespaced(client.clone(), &namespace),
            settings.name.clone(),
            me,
        );
        Ok(Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            settings: Arc::new(settings),
            status: Arc::default(),
            complaints: Complaints::new(address),
            lease,
        })
    }

    /// How it goes.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Works until `stop`, whenever it is this server's turn.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => {}
            () = self.take_turns() => {}
        }
        self.status.lead(false);
        // Whoever is next need not wait for the lease to end.
        drop(tokio::time::timeout(FAREWELL, self.lease.release()).await);
    }

    async fn take_turns(&mut self) {
        loop {
            let complain = |error: &kube::Error| {
                self.status.failed();
                self.complaints
                    .of_secrets(&format!("the Lease: {}", report::explain_kube(error)));
            };
            self.lease.acquire(complain).await;
            tracing::info!("pull secrets: kept by this server");
            self.status.lead(true);
            let work = Work::new(
                &self.client,
                &self.recorder,
                &self.settings,
                &self.status,
                &self.complaints,
            );
            tokio::select! {
                () = self.lease.keep() => {}
                () = work.run() => {}
            }
            self.status.lead(false);
            tracing::warn!("pull secrets: no longer kept by this server, which lost its lease");
        }
    }
}

/// The machine's name, for people, and something that no other process has.
fn name_of_this_process() -> Result<String, LoadError> {
    let mut random = [0; 8];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| LoadError::Randomness)?;
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(format!(
        "{}-{:016x}",
        machine.trim(),
        u64::from_le_bytes(random)
    ))
}

async fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, kube::Error> {
    let no_answer = || kube::Error::Service(format!("no answer within {limit:?}").into());
    tokio::time::timeout(limit, request)
        .await
        .unwrap_or_else(|_| Err(no_answer()))
}

impl fmt::Debug for PullSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecrets")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
