//! Who sent a credential, and what they are given to go on with.

use std::net::IpAddr;
use std::time::SystemTime;

use super::{Gate, Kind, within_limits};
use crate::{Access, Actions, Credential, Identity, IssuedToken, Refusal, Scope, Secret};

impl Gate {
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
        } = &self.kind
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
            opaque: Some(opaque),
            tokens: Some(tokens),
            ..
        } = &self.kind
        else {
            return Ok(None);
        };
        let is_watched = self.notices_removal_of(who);
        opaque
            .remember(who, is_watched, tokens.service(), client, now)
            .await
    }

    /// Whether whoever vouches for somebody would tell of their removal.
    pub(super) fn notices_removal_of(&self, who: &Identity) -> bool {
        let Kind::Guarded { authenticators, .. } = &self.kind else {
            return false;
        };
        authenticators
            .iter()
            .any(|by| by.vouches_as(who.provider()) && by.notices_removal())
    }

    /// Somebody who came by a token of ours, if they and the token behind it are still there.
    pub(super) async fn standing(
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
        } = &self.kind
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
        } = &self.kind
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
                    let (mut granted, mut denied) = (Actions::NONE, Actions::NONE);
                    for action in actions.iter() {
                        if within_limits(who, action, name)
                            && self.allows(who, action, name).await?
                        {
                            granted = granted.with(action);
                        } else {
                            denied = denied.with(action);
                        }
                    }
                    access.add(name.clone(), granted);
                    access.add_denied(name.clone(), denied);
                }
                Scope::Catalog => access.add_catalog(),
                Scope::Account if who.is_person() => access.add_account(),
                Scope::Account | Scope::Other => {}
            }
        }
        tokens.issue(who, &access, now)
    }
}
