//! The one way in.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use oci::RepoName;

use crate::{
    Access, Action, Actions, AdminPermit, AdminRight, Credential, Denied, Identity, IssuedToken,
    OpaqueTokens, Permit, Policy, Refusal, Scope, Secret, Tokens, Verb,
};

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
pub struct Gate(Kind);

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
        Self(Kind::Open)
    }

    /// `authenticators` are asked in this order, after `tokens`. With `anonymous`, whoever sends no credential is
    /// [`Identity::anonymous`] and `policy` decides; without it they are asked for one.
    pub fn new(
        authenticators: Vec<Arc<dyn Authenticator>>,
        policy: Arc<dyn Policy>,
        tokens: Option<Arc<Tokens>>,
        anonymous: bool,
    ) -> Self {
        Self(Kind::Guarded {
            authenticators,
            policy,
            tokens,
            opaque: None,
            anonymous,
        })
    }

    /// The same gate, which also takes API tokens and refresh tokens, and gives them out. An [open](Gate::open) one stays as
    /// it is: nobody is known there whose tokens they could be.
    #[must_use]
    pub fn with_opaque(mut self, tokens: Arc<OpaqueTokens>) -> Self {
        if let Kind::Guarded { opaque, .. } = &mut self.0 {
            *opaque = Some(tokens);
        }
        self
    }

    /// Whether it ever asks for credentials; false when [open](Gate::open).
    pub fn challenges(&self) -> bool {
        matches!(self.0, Kind::Guarded { .. })
    }

    /// Whether a name that came with a wrong password is that of a user. Any other may be a password in the wrong field, and
    /// is not to be written down.
    pub fn has_user(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Open => false,
            Kind::Guarded { authenticators, .. } => authenticators
                .iter()
                .any(|authenticator| authenticator.has_user(name)),
        }
    }

    /// Whether strangers come in, and policy decides.
    pub fn anonymous(&self) -> bool {
        matches!(
            self.0,
            Kind::Open
                | Kind::Guarded {
                    anonymous: true,
                    ..
                }
        )
    }

    /// The `service` that challenges name; `None` when no tokens are issued, so that only Basic can be asked for.
    pub fn service(&self) -> Option<&str> {
        match &self.0 {
            Kind::Guarded {
                tokens: Some(tokens),
                ..
            } => Some(tokens.service()),
            _ => None,
        }
    }

    /// Who sent `credential`. A bad credential is never taken for a stranger.
    pub async fn identify(
        &self,
        credential: Option<&Credential>,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let Kind::Guarded {
            authenticators,
            tokens,
            opaque,
            anonymous,
            ..
        } = &self.0
        else {
            return Ok(Identity::anonymous());
        };
        let Some(credential) = credential else {
            return if *anonymous {
                Ok(Identity::anonymous())
            } else {
                Err(Refusal::Anonymous)
            };
        };
        if let (Some(tokens), Credential::Bearer(token)) = (tokens, credential)
            && let Some(who) = tokens.verify(token, now)?
        {
            return self.standing(who, from, now).await;
        }
        // Before passwords: a token may stand in the place of one, and no file of users knows it.
        if let Some(opaque) = opaque
            && let Some(who) = opaque.identify(credential.token(), from, now).await?
        {
            return self.standing(who, from, now).await;
        }
        for (index, authenticator) in authenticators.iter().enumerate() {
            if let Some(who) = authenticator.authenticate(credential, from, now).await? {
                let before = authenticators.iter().take(index);
                before.for_each(|by| by.known_elsewhere(credential, from));
                return Ok(who);
            }
        }
        Err(Refusal::BadCredential)
    }

    /// Who came by a refresh token, which was given to a client of this registry's token endpoint.
    pub async fn redeem(
        &self,
        refresh: &Secret,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let (Some(opaque), Some(service)) = (self.opaque(), self.service()) else {
            return Err(Refusal::NoTokens);
        };
        let who = opaque.redeem(refresh, service, from, now).await?;
        self.standing(who, from, now).await
    }

    /// A refresh token for the client that `who` logged in with; `None` where none are given, or not to them.
    pub async fn remember(
        &self,
        who: &Identity,
        client: &str,
        now: SystemTime,
    ) -> Result<Option<Secret>, Refusal> {
        let Kind::Guarded {
            authenticators,
            opaque: Some(opaque),
            tokens: Some(tokens),
            ..
        } = &self.0
        else {
            return Ok(None);
        };
        let is_watched = authenticators
            .iter()
            .any(|by| by.vouches_as(who.provider()) && by.notices_removal());
        opaque
            .remember(who, is_watched, tokens.service(), client, now)
            .await
    }

    /// The API tokens and refresh tokens; `None` where there are none.
    pub fn opaque(&self) -> Option<&Arc<OpaqueTokens>> {
        match &self.0 {
            Kind::Open => None,
            Kind::Guarded { opaque, .. } => opaque.as_ref(),
        }
    }

    /// Somebody who came by a token of ours, if they and the token behind it are still there.
    async fn standing(
        &self,
        who: Identity,
        from: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let Kind::Guarded {
            authenticators,
            opaque,
            anonymous,
            ..
        } = &self.0
        else {
            return Ok(who);
        };
        let gone = if who.is_anonymous() {
            !*anonymous
        } else {
            // Whoever vouched for them may be configured no more, and namesakes elsewhere are others.
            let mut vouchers = authenticators.iter();
            !vouchers.any(|by| by.vouches_as(who.provider()))
                || authenticators.iter().any(|by| by.revoked(&who))
        };
        if gone {
            return Err(Refusal::BadCredential);
        }
        match opaque {
            Some(opaque) => opaque.still(who, from, now).await,
            None if who.token().is_some() => Err(Refusal::BadCredential),
            None => Ok(who),
        }
    }

    /// The permit for `V` in `repo`. A token must have been issued for it, and policy must allow it now.
    pub async fn permit<V: Verb>(
        &self,
        who: &Identity,
        repo: &RepoName,
    ) -> Result<Permit<V>, Refusal> {
        if let Some(access) = who.access()
            && !access.allows(V::ACTION, repo)
        {
            let denied = Denied::new(who, V::ACTION, repo);
            return Err(Refusal::InsufficientScope(denied));
        }
        if within_limits(who, V::ACTION, repo) && self.allows(who, V::ACTION, repo).await? {
            Ok(Permit::new(repo.clone(), who.clone()))
        } else if who.is_anonymous() {
            Err(Refusal::Anonymous)
        } else {
            let denied = Denied::new(who, V::ACTION, repo);
            Err(Refusal::Forbidden(denied))
        }
    }

    /// Whether [`Gate::permit`] would give a permit for `action`: for whoever asks what they may do. A deed takes the
    /// permit.
    pub async fn may(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal> {
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
        let denied = || Denied::admin(who, right, namespace);
        if !who.is_person() {
            return Err(Refusal::Forbidden(denied()));
        }
        if !who.is_in_person() {
            return Err(Refusal::InsufficientScope(denied()));
        }
        let allowed = match &self.0 {
            Kind::Open => true,
            Kind::Guarded { policy, .. } => policy.allows_admin(who, right, namespace).await?,
        };
        if allowed {
            Ok(AdminPermit::new(right, namespace, who.clone()))
        } else if who.is_anonymous() {
            Err(Refusal::Anonymous)
        } else {
            Err(Refusal::Forbidden(denied()))
        }
    }

    /// Whether `repo` is in the catalog of `who`: when it may pull from it.
    ///
    /// A token for the catalog lists whatever its user may pull, though it gives no right to do so: mounting must ask for
    /// the [`Permit`]. Any other token lists what it was issued for.
    pub async fn sees(&self, who: &Identity, repo: &RepoName) -> Result<bool, Refusal> {
        let scoped = who
            .access()
            .is_none_or(|access| access.catalog() || access.allows(Action::Get, repo));
        let scoped = scoped && within_limits(who, Action::Get, repo);
        Ok(scoped && self.allows(who, Action::Get, repo).await?)
    }

    /// A token for what `who` may do of `scopes`; perhaps for nothing, which still proves who it is.
    ///
    /// An issued token gets no further one, which would outlive it; one that is issued by an API token ends with that, and
    /// is within its limits. [`Refusal::NoTokens`] where none are configured.
    pub async fn issue(
        &self,
        who: &Identity,
        scopes: &[Scope],
        now: SystemTime,
    ) -> Result<IssuedToken, Refusal> {
        let Kind::Guarded {
            tokens: Some(tokens),
            ..
        } = &self.0
        else {
            return Err(Refusal::NoTokens);
        };
        if who.access().is_some() {
            return Err(Refusal::BadCredential);
        }
        let mut access = Access::default();
        for scope in scopes {
            match scope {
                Scope::Repository { name, actions } => {
                    let mut granted = Actions::NONE;
                    for action in actions.iter() {
                        if within_limits(who, action, name)
                            && self.allows(who, action, name).await?
                        {
                            granted = granted.with(action);
                        }
                    }
                    access.add(name.clone(), granted);
                }
                Scope::Catalog => access.add_catalog(),
                Scope::Account if who.is_person() => access.add_account(),
                Scope::Account | Scope::Other => {}
            }
        }
        tokens.issue(who, &access, now)
    }

    async fn allows(
        &self,
        who: &Identity,
        action: Action,
        repo: &RepoName,
    ) -> Result<bool, Refusal> {
        match &self.0 {
            Kind::Open => Ok(true),
            Kind::Guarded { policy, .. } => policy.allows(who, action, repo).await,
        }
    }
}

/// Whether the API token that somebody came by, if they did, is for this. Nothing more can be had by another token, so
/// what is beyond it is forbidden.
fn within_limits(who: &Identity, action: Action, repo: &RepoName) -> bool {
    who.limits().is_none_or(|limits| limits.allow(action, repo))
}
