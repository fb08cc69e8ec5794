//! The one way in.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use async_trait::async_trait;
use oci::RepoName;

use crate::refusal::Lack;
use crate::sight::Positions;
use crate::{
    Action, AdminPermit, AdminRight, BuildRight, Credential, Deed, Denied, Identity, OpaqueTokens,
    Permit, Policy, Refusal, Right, RulesKept, Sight, Tokens, Verb,
};

mod builds;
mod login;
mod proof;

#[cfg(test)]
mod tests;

/// Knows one kind of credential.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Whose credential this is.
    ///
    /// - `Ok(None)`: it is not of my kind; the next authenticator is asked;
    /// - `Err`: it is, and it is bad, or cannot be checked now.
    ///
    /// `from` is the client's address, for counting failures.
    async fn authenticate(
        &self,
        credential: &Credential,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Identity>, Refusal>;

    /// Another authenticator knew the credential that this one has just said is not of its kind: it was no guess.
    fn known_elsewhere(&self, _credential: &Credential, _from: Option<IpAddr>) {}

    /// What it is called in [`Identity::provider`] of those it vouches for.
    fn provider(&self) -> &'static str;

    /// Whether it vouches for those of whom [`Identity::provider`] says this. One that speaks for several parties puts a
    /// colon and the party behind its name.
    fn vouches_as(&self, provider: &str) -> bool {
        provider == self.provider()
    }

    /// Whether an identity that it made earlier, and that a token still carries, has been taken away since (the user was
    /// removed, or has another password). `false` for identities that are not its own, and where it cannot tell: those tokens run out.
    fn revoked(&self, who: &Identity) -> bool;

    /// Whether [`revoked`](Authenticator::revoked) tells of everybody who was taken away. Logins of those of whom nobody
    /// would know are kept for hours, not for weeks.
    fn notices_removal(&self) -> bool {
        false
    }

    /// Whether it has a user of this name. `false` where it cannot tell without asking somebody.
    fn has_user(&self, _name: &str) -> bool {
        false
    }
}

/// Who gets in, and to what. Made once from the configuration.
#[derive(Debug)]
pub struct Gate {
    kind: Kind,
    /// Where no keys are shared; made when first needed.
    own_positions: OnceLock<Arc<Positions>>,
}

#[derive(Debug)]
enum Kind {
    Open,
    Guarded {
        authenticators: Vec<Arc<dyn Authenticator>>,
        policy: Arc<dyn Policy>,
        tokens: Option<Arc<Tokens>>,
        opaque: Option<Arc<OpaqueTokens>>,
        anonymous: bool,
    },
}

impl Gate {
    /// No authentication: everybody is a stranger, and may do everything.
    pub fn open() -> Self {
        Self::of(Kind::Open)
    }

    /// `authenticators` are asked in this order, after `tokens`. With `anonymous`, whoever sends no credential is
    /// [`Identity::anonymous`] and `policy` decides; without it they are asked for one.
    pub fn new(
        authenticators: Vec<Arc<dyn Authenticator>>,
        policy: Arc<dyn Policy>,
        tokens: Option<Arc<Tokens>>,
        anonymous: bool,
    ) -> Self {
        Self::of(Kind::Guarded {
            authenticators,
            policy,
            tokens,
            opaque: None,
            anonymous,
        })
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            own_positions: OnceLock::new(),
        }
    }

    /// The same gate, which also takes API tokens and refresh tokens, and gives them out. An [open](Gate::open) one stays as
    /// it is: nobody is known there whose tokens they could be.
    #[must_use]
    pub fn with_opaque(mut self, tokens: Arc<OpaqueTokens>) -> Self {
        if let Kind::Guarded { opaque, .. } = &mut self.kind {
            *opaque = Some(tokens);
        }
        self
    }

    /// Whether it ever asks for credentials; false when [open](Gate::open).
    pub fn challenges(&self) -> bool {
        matches!(self.kind, Kind::Guarded { .. })
    }

    /// Whether a name that came with a wrong password is that of a user. Any other may be a password in the wrong field, and
    /// is not to be written down.
    pub fn has_user(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Open => false,
            Kind::Guarded { authenticators, .. } => authenticators
                .iter()
                .any(|authenticator| authenticator.has_user(name)),
        }
    }

    /// Whether strangers come in, and policy decides.
    pub fn anonymous(&self) -> bool {
        matches!(
            self.kind,
            Kind::Open
                | Kind::Guarded {
                    anonymous: true,
                    ..
                }
        )
    }

    /// The `service` that challenges name; `None` when no tokens are issued, so that only Basic can be asked for.
    pub fn service(&self) -> Option<&str> {
        match &self.kind {
            Kind::Guarded {
                tokens: Some(tokens),
                ..
            } => Some(tokens.service()),
            _ => None,
        }
    }

    /// The API tokens and refresh tokens; `None` where there are none.
    pub fn opaque(&self) -> Option<&Arc<OpaqueTokens>> {
        match &self.kind {
            Kind::Open => None,
            Kind::Guarded { opaque, .. } => opaque.as_ref(),
        }
    }

    /// The permit for `V` in `repo`. A token must have been issued for it, and policy must allow it now.
    pub async fn permit<V: Verb>(
        &self,
        who: &Identity,
        repo: &RepoName,
    ) -> Result<Permit<V>, Refusal> {
        let is_within = within_limits(who, V::ACTION, repo);
        if let Some(access) = who.access()
            && !access.allows(V::ACTION, repo)
        {
            let lack = match access.denies(V::ACTION, repo) {
                _ if !is_within => Lack::Limits,
                true => Lack::Right,
                false => Lack::Asked,
            };
            let denied = Denied::new(lack, who, V::ACTION, repo);
            return Err(Refusal::InsufficientScope(denied));
        }
        if is_within && self.allows(who, V::ACTION, repo).await? {
            Ok(Permit::new(repo.clone(), who.clone()))
        } else if who.is_anonymous() {
            Err(Refusal::Anonymous)
        } else {
            Err(Refusal::Forbidden(
                self.denied(who, V::ACTION, repo, is_within).await?,
            ))
        }
    }

    /// Whether [`Gate::permit`] or [`Gate::permit_admin_in`] would give a permit: for whoever asks what they may do. Who
    /// does it takes the permit.
    pub async fn may(&self, who: &Identity, deed: &Deed) -> Result<bool, Refusal> {
        let (action, repo) = match deed {
            Deed::Repository(action, repo) => (*action, repo),
            Deed::Registry(Right::Build(right), namespace) => {
                return self.may_build(who, *right, namespace.as_deref()).await;
            }
            Deed::Registry(Right::Admin(right), namespace) => {
                let asked = self.permit_admin_in(who, *right, namespace.as_deref());
                return match asked.await {
                    Ok(_) => Ok(true),
                    Err(
                        Refusal::Forbidden(_) | Refusal::InsufficientScope(_) | Refusal::Anonymous,
                    ) => Ok(false),
                    Err(refusal) => Err(refusal),
                };
            }
        };
        let scoped = who
            .access()
            .is_none_or(|access| access.allows(action, repo));
        Ok(scoped && within_limits(who, action, repo) && self.allows(who, action, repo).await?)
    }

    /// The permit for what is done to the registry as a whole. No token for images gives it: a person administers.
    pub async fn permit_admin(
        &self,
        who: &Identity,
        right: AdminRight,
    ) -> Result<AdminPermit, Refusal> {
        self.permit_admin_in(who, right, None).await
    }

    /// The same for what is done to one namespace; `None` is the registry as a whole. Whoever may do it there may do it
    /// here.
    pub async fn permit_admin_in(
        &self,
        who: &Identity,
        right: AdminRight,
        namespace: Option<&str>,
    ) -> Result<AdminPermit, Refusal> {
        let denied = |lack| Denied::right(lack, who, right.into(), namespace);
        if !who.is_person() {
            return Err(Refusal::Forbidden(denied(Lack::Limits)));
        }
        if !who.is_in_person() {
            return Err(Refusal::InsufficientScope(denied(Lack::Asked)));
        }
        let allowed = match &self.kind {
            Kind::Open => true,
            Kind::Guarded { policy, .. } => policy.has_right(who, right.into(), namespace).await?,
        };
        if allowed {
            Ok(AdminPermit::new(right, namespace, who.clone()))
        } else if who.is_anonymous() {
            Err(Refusal::Anonymous)
        } else {
            Err(Refusal::Forbidden(denied(Lack::Right)))
        }
    }

    /// Whether `repo` is in the catalog of `who`: when it may pull from it.
    ///
    /// A token for the catalog lists whatever its user may pull, though it gives no right to do so: mounting must ask for
    /// the [`Permit`]. Any other token lists what it was issued for.
    pub async fn sees(&self, who: &Identity, repo: &RepoName) -> Result<bool, Refusal> {
        Ok(self.lists(who, repo).await? && self.shows(who, repo).await?)
    }

    /// The same but for [`allows_sources`](Self::allows_sources).
    pub(crate) async fn lists(&self, who: &Identity, repo: &RepoName) -> Result<bool, Refusal> {
        match &self.kind {
            _ if !in_scope(who, repo) => Ok(false),
            Kind::Open => Ok(true),
            Kind::Guarded { policy, .. } => policy.lists(who, repo).await,
        }
    }

    /// The same for many, in one request of `who`.
    pub fn sight<'a>(&'a self, who: &'a Identity) -> Sight<'a> {
        Sight::new(self, who)
    }

    /// What [`Policy::lists_all_of`] says: whatever is in scope there is seen.
    pub(crate) async fn sees_all_of(
        &self,
        who: &Identity,
        namespace: &str,
    ) -> Result<Option<bool>, Refusal> {
        match &self.kind {
            Kind::Open => Ok(None),
            Kind::Guarded { policy, .. } => policy.lists_all_of(who, namespace).await,
        }
    }

    /// Where the rules are by which it decides.
    pub fn rules_kept(&self) -> RulesKept {
        match &self.kind {
            Kind::Open => RulesKept::Nowhere,
            Kind::Guarded { policy, .. } => policy.rules_kept(),
        }
    }

    /// What seals positions in lists, by the keys that sign tokens where there are any; `None` without randomness.
    pub(crate) fn positions(&self) -> Option<Arc<Positions>> {
        if let Kind::Guarded {
            tokens: Some(tokens),
            ..
        } = &self.kind
        {
            return Some(tokens.positions());
        }
        if let Some(own) = self.own_positions.get() {
            return Some(Arc::clone(own));
        }
        let made = Arc::new(Positions::own()?);
        Some(Arc::clone(self.own_positions.get_or_init(|| made)))
    }

    async fn allows(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal> {
        match &self.kind {
            Kind::Open => Ok(true),
            Kind::Guarded { policy, .. } => {
                Ok(policy.allows(who, action, repo).await? && self.shows(who, repo).await?)
            }
        }
    }

    /// Whether `repo` is no place of sources, or one that `who` may touch by a right with builds.
    async fn shows(&self, who: &Identity, repo: &RepoName) -> Result<bool, Refusal> {
        Ok(!repo.holds_sources() || self.allows_sources(who, repo.namespace()).await?)
    }

    /// What is lacking where [`allows`](Self::allows) says no.
    async fn denied(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
        is_within: bool,
    ) -> Result<Denied, Refusal> {
        let lack = if is_within { Lack::Right } else { Lack::Limits };
        if is_within && !self.shows(who, repo).await? {
            let (right, namespace) = (BuildRight::GetBuilds.into(), repo.namespace());
            return Ok(Denied::right(lack, who, right, Some(namespace)));
        }
        Ok(Denied::new(lack, who, action, repo))
    }
}

/// Whether the token that `who` came by, if they did, lets `repo` be listed.
pub(crate) fn in_scope(who: &Identity, repo: &RepoName) -> bool {
    who.access()
        .is_none_or(|access| access.catalog() || access.allows(Action::Get, repo))
        && within_limits(who, Action::Get, repo)
}

/// Whether the API token that somebody came by, if they did, is for this. Nothing more can be had by another token, so
/// what is beyond it is forbidden.
fn within_limits(who: &Identity, action: Action, repo: &RepoName) -> bool {
    who.limits().is_none_or(|limits| limits.allow(action, repo))
}
