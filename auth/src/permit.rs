//! The proof that a check was passed.

use std::fmt;
use std::marker::PhantomData;

use oci::RepoName;

use crate::{Action, Identity};

/// The proof that an identity may do `V` in a repository. Only [`Gate`](crate::Gate) makes one.
///
/// It cannot be made by hand:
///
/// ```compile_fail,E0451
/// # fn forge(repo: oci::RepoName, who: auth::Identity) -> auth::Permit<auth::Delete> {
/// auth::Permit { repo, who, verb: std::marker::PhantomData }
/// # }
/// ```
///
/// nor taken for another one:
///
/// ```compile_fail,E0308
/// # async fn confuse(gate: auth::Gate, who: auth::Identity, repo: oci::RepoName) {
/// fn delete(_: &auth::Permit<auth::Delete>) {}
/// let pull = gate.permit::<auth::Pull>(&who, &repo).await.unwrap();
/// delete(&pull);
/// # }
/// ```
///
/// nor asked for with a verb of one's own:
///
/// ```compile_fail,E0277
/// struct Mine;
/// impl auth::Verb for Mine {
///     const ACTION: auth::Action = auth::Action::Get;
/// }
/// ```
///
/// The right one is passed on as it is:
///
/// ```
/// # async fn pass(gate: auth::Gate, who: auth::Identity, repo: oci::RepoName) {
/// fn delete(permit: &auth::Permit<auth::Delete>) -> &oci::RepoName {
///     permit.repo()
/// }
/// delete(&gate.permit::<auth::Delete>(&who, &repo).await.unwrap());
/// # }
/// ```
pub struct Permit<V: Verb> {
    repo: RepoName,
    who: Identity,
    // `fn() -> V`: a permit is Send and Sync whatever the verb is.
    verb: PhantomData<fn() -> V>,
}

impl<V: Verb> Permit<V> {
    pub(crate) fn new(repo: RepoName, who: Identity) -> Self {
        Self {
            repo,
            who,
            verb: PhantomData,
        }
    }

    /// The repository it holds for, and no other.
    pub fn repo(&self) -> &RepoName {
        &self.repo
    }

    /// Who may.
    pub fn who(&self) -> &Identity {
        &self.who
    }
}

impl<V: Verb> fmt::Debug for Permit<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Permit({} {} by {})",
            V::ACTION,
            self.repo,
            self.who.name()
        )
    }
}

/// What a [`Permit`] can be for. Sealed: the verbs are the four below.
pub trait Verb: sealed::Sealed + 'static {
    /// The action that policy is asked about.
    const ACTION: Action;
}

/// Read content, list tags and referrers.
#[derive(Debug)]
pub struct Pull;
/// Add blobs, manifests and tags that are new.
#[derive(Debug)]
pub struct Push;
/// Move a tag that exists.
#[derive(Debug)]
pub struct Retag;
/// Delete tags, manifests and blob links.
#[derive(Debug)]
pub struct Delete;

macro_rules! verbs {
    ($($verb:ident = $action:ident),*) => {$(
        impl sealed::Sealed for $verb {}
        impl Verb for $verb {
            const ACTION: Action = Action::$action;
        }
    )*};
}
verbs!(Pull = Get, Push = Create, Retag = Update, Delete = Delete);

mod sealed {
    pub trait Sealed {}
}
