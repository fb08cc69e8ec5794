//! The way to the API server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::{Api, ObjectMeta, PostParams, Resource};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::transport::client;
use super::unanswered;
use crate::Refusal;
use crate::complaints::Complaints;

/// Questions under way at once.
const AT_ONCE: usize = 32;
/// Of these, for lists: deeds never wait behind them.
const LISTS_AT_ONCE: usize = 8;
/// Questions under way or waiting; beyond that clients are told to come again.
const MAX_QUEUED: usize = 1024;
/// Most bytes of an answer. A review repeats the question, whose groups and extras may be many.
const MAX_ANSWER: usize = 1 << 20;
/// Most bytes of a list's page or of what one watch brings until it is begun again.
const MAX_WATCHED: usize = 256 << 20;
/// How long a connection for watches may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often it is asked whether it is back, where nobody else asks.
const LOOK: Duration = Duration::from_secs(15);
/// The token of nobody.
const NOBODY: &str = "is anybody there";

/// What became of the last question: [`Cluster::is_answering`].
const NOT_ASKED: u8 = 0;
const ANSWERED: u8 = 1;
const UNANSWERED: u8 = 2;

/// No answer came.
const AWAY: Refusal = Refusal::Unavailable {
    because: crate::Outage::Cluster,
    retry_after: Duration::from_secs(2),
};
pub(super) const BUSY: Refusal = Refusal::Unavailable {
    because: crate::Outage::Busy,
    retry_after: Duration::from_secs(2),
};

/// Where the cluster is, and who we are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The cluster of the pod that we run in, as its ServiceAccount. The token is read again when it is renewed.
    InCluster,
    /// A kubeconfig file and the context in it; `None` is its current one.
    Kubeconfig(PathBuf, Option<String>),
}

/// Why there is no way to a cluster. Nothing was asked yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig.
    #[error("{0}: {1}")]
    Kubeconfig(PathBuf, String),
    /// There is no ServiceAccount here.
    #[error("not in a pod with a ServiceAccount token: {0}")]
    NotInCluster(String),
}

/// What a question is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Something that is to be done now.
    Deed,
    /// A list, which asks much.
    List,
}

/// The way to the API server: so many questions at once, each for so long and with so long an answer.
pub struct Cluster {
    client: Client,
    /// The API server's URL.
    address: String,
    place: Place,
    deadline: Duration,
    queue: Semaphore,
    places: Semaphore,
    lists: Semaphore,
    asked: AtomicU64,
    unanswered: AtomicU64,
    complaints: Complaints,
    last: AtomicU8,
    /// That it does not decide has been logged.
    complained: AtomicBool,
}

impl Cluster {
    /// Reads the credentials; asks nothing. `deadline` is that of a question, waiting for a place included.
    pub async fn connect(place: &Place, deadline: Duration) -> Result<Self, ConnectError> {
        let config = config(place).await?;
        let address = unanswered::address(&config.cluster_url);
        let client = client(config, deadline, MAX_ANSWER)
            .map_err(|error| place.error(&unanswered::why(&error)))?;
        Ok(Self {
            client,
            address,
            place: place.clone(),
            deadline,
            queue: Semaphore::new(MAX_QUEUED),
            places: Semaphore::new(AT_ONCE),
            lists: Semaphore::new(LISTS_AT_ONCE),
            asked: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            complaints: Complaints::new(),
            last: AtomicU8::new(NOT_ASKED),
            complained: AtomicBool::new(false),
        })
    }

    /// Questions that were sent since the start.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Questions that got no answer, those included that were not sent because too many waited.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Whether it answered the last question; not so before the first.
    pub fn is_answering(&self) -> bool {
        self.last.load(Ordering::Relaxed) == ANSWERED
    }

    /// Asks it whose a token is that is nobody's, and logs what comes of it: once now, and again and again while it gives no
    /// answers. For ever; spawn it.
    pub async fn watch(self: Arc<Self>) {
        let review = TokenReview {
            metadata: ObjectMeta::default(),
            spec: TokenReviewSpec {
                token: Some(NOBODY.to_owned()),
                audiences: None,
            },
            status: None,
        };
        loop {
            if !self.is_answering() {
                // What is wrong is logged where it is noticed.
                let _ = self.ask(Purpose::Deed, &review).await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How long a question may take.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Sends a review and returns it answered. Whatever else comes of it is [`Refusal::Unavailable`].
    pub(super) async fn review<R>(&self, purpose: Purpose, review: &R) -> Result<R, Refusal>
    where
        R: Resource<DynamicType = ()> + Clone + fmt::Debug + Serialize + DeserializeOwned,
    {
        let answer = self.ask(purpose, review).await;
        if answer.is_err() {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    async fn ask<R>(&self, purpose: Purpose, review: &R) -> Result<R, Refusal>
    where
        R: Resource<DynamicType = ()> + Clone + fmt::Debug + Serialize + DeserializeOwned,
    {
        let ask = async {
            // Before the queue, so that lists do not fill it.
            let _share = match purpose {
                Purpose::Deed => None,
                Purpose::List => Some(self.lists.acquire().await),
            };
            let _queued = self.queue.try_acquire().map_err(|_| None)?;
            let _place = self.places.acquire().await;
            self.asked.fetch_add(1, Ordering::Relaxed);
            let api: Api<R> = Api::all(self.client.clone());
            let begun = Instant::now();
            let answered = api.create(&PostParams::default(), review).await;
            note(&R::kind(&()), &answered, begun.elapsed());
            answered.map_err(Some)
        };
        match tokio::time::timeout(self.deadline, ask).await {
            Ok(Ok(answered)) => {
                self.note_answer();
                Ok(answered)
            }
            Ok(Err(None)) => Err(BUSY),
            Ok(Err(Some(error))) => {
                self.complain(&R::kind(&()), &self.place.explain(&error));
                Err(AWAY)
            }
            Err(_) => {
                self.complain(
                    &R::kind(&()),
                    &format!("no answer within {:?}", self.deadline),
                );
                Err(AWAY)
            }
        }
    }

    fn note_answer(&self) {
        let was = self.last.swap(ANSWERED, Ordering::Relaxed);
        // Only what was said to be there is said to be over, so that neither is said too often.
        if self.complained.swap(false, Ordering::Relaxed) {
            tracing::info!("the Kubernetes API server {} decides again", self.address);
        } else if was == NOT_ASKED {
            tracing::info!("the Kubernetes API server {} decides", self.address);
        }
    }

    /// `asked` is the kind of the review; what is in it is nobody's business here.
    fn complain(&self, asked: &str, what: &str) {
        self.last.store(UNANSWERED, Ordering::Relaxed);
        if self.complaints.is_due() {
            self.complained.store(true, Ordering::Relaxed);
            tracing::error!(
                "the Kubernetes API server {} does not decide: {asked}: {what}",
                self.address
            );
        }
    }
}

/// That it was asked, for whoever looks closely; of what was asked and answered only this much.
fn note<R>(kind: &str, answered: &Result<R, kube::Error>, took: Duration) {
    let status = match answered {
        Ok(_) => Some(201),
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(_) => None,
    };
    tracing::debug!(kind, status, ?took, "asked the Kubernetes API server");
}

impl Place {
    /// What an operator can do about it.
    fn explain(&self, error: &kube::Error) -> String {
        match (error, self) {
            (kube::Error::Api(status), _) if status.code == 403 => format!(
                "{}; bind the ClusterRole system:auth-delegator to the account that Slipway uses",
                status.message
            ),
            (kube::Error::Api(status), Self::Kubeconfig(path, _)) if status.code == 401 => format!(
                "it does not know the credentials in {}: has their token ended? A new one in the file that tokenFile \
                 names is taken over within a minute; after any other change restart the server",
                path.display()
            ),
            (kube::Error::Api(status), Self::InCluster) if status.code == 401 => {
                "it does not know the token of the pod's ServiceAccount: is that account still there?".to_owned()
            }
            (error, _) => unanswered::why(error),
        }
    }

    fn error(&self, error: &dyn fmt::Display) -> ConnectError {
        match self {
            Self::InCluster => ConnectError::NotInCluster(error.to_string()),
            Self::Kubeconfig(path, _) => ConnectError::Kubeconfig(path.clone(), error.to_string()),
        }
    }
}

async fn config(place: &Place) -> Result<Config, ConnectError> {
    match place {
        Place::InCluster => Config::incluster().map_err(|error| place.error(&error)),
        Place::Kubeconfig(path, context) => {
            let kubeconfig =
                Kubeconfig::read_from(path).map_err(|error| place.error(&told(&error)))?;
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| place.error(&told(&error)))
        }
    }
}

/// What is wrong with a kubeconfig, to whoever wrote it. Its path is named already.
fn told(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::CurrentContextNotSet => {
            "it has no current context: name one in auth.kubernetes.context".to_owned()
        }
        KubeconfigError::LoadContext(name) => format!("it has no context {name:?}"),
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("it has no cluster {name:?}, which the context names")
        }
        error => error.to_string(),
    }
}

/// A client for lists and watches, which are long and have no deadline of their own; and the API server's address.
pub(super) async fn unhurried(place: &Place) -> Result<(Client, String), ConnectError> {
    let config = config(place).await?;
    let address = unanswered::address(&config.cluster_url);
    let client = client(config, CONNECT, MAX_WATCHED)
        .map_err(|error| place.error(&unanswered::why(&error)))?;
    Ok((client, address))
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
