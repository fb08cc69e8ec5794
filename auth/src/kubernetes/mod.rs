//! Identity and rights from a Kubernetes cluster, which keeps the accounts: nothing of them is kept here.
//!
//! - [`TokenReviews`] asks whose a token is (`TokenReview`, authentication.k8s.io/v1);
//! - [`AccessReviews`] asks what somebody may do (`SubjectAccessReview`, authorization.k8s.io/v1), on the virtual
//!   resource of the [`Preset`], with the same words as `kubectl auth can-i`.
//!
//! Both go through one [`Cluster`], which bounds how long, how many at once and how much is read. What the cluster
//! said is remembered for the [`Lifetimes`], counted from when it was asked, so that what is taken away there is taken
//! away here by then; an answer that did not come is never remembered, and never a yes.
//!
//! [`Person`] is the other side: who logs in to a registry by a kubeconfig.
//!
//! The account that Slipway uses needs the ClusterRole `system:auth-delegator`, which is made for this.
//!
//! [`PullSecrets`] is apart from that: it gives `ServiceAccounts` logins, where kubelets have none of their own.

mod cluster;
mod person;
pub mod pull_secrets;
mod question;
mod rights;
mod standing;
mod tokens;
mod transport;
mod unanswered;

use std::time::Duration;

pub use cluster::{Cluster, ConnectError, Place};
pub use person::{AccountName, Person, PersonError};
pub use pull_secrets::PullSecrets;
pub use question::{InRules, Preset};
pub use rights::AccessReviews;
pub use standing::{Decision, Missing, Readable};
pub use tokens::TokenReviews;

/// How long the cluster's answers are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of a yes. The time in which what is taken away in the cluster still holds here.
    pub allow: Duration,
    /// Of a no. The time in which what is granted in the cluster does not yet hold here.
    pub deny: Duration,
}

impl Lifetimes {
    fn of(self, yes: bool) -> Duration {
        if yes { self.allow } else { self.deny }
    }
}
