//! Rights with builds.

use oci::RepoName;

use super::{Gate, Kind};
use crate::opaque::Limits;
use crate::refusal::Lack;
use crate::{Access, Action, BuildPermit, BuildRight, Denied, Identity, Permit, Pull, Refusal};

impl Gate {
    /// The permit for what is done with the builds of a namespace; `None` is what is everybody's. Policy must allow it now.
    ///
    /// An API token needs the verb `build` and the whole namespace. A token that was issued for images will not do, as
    /// for everything that is not about images.
    pub async fn permit_build(
        &self,
        who: &Identity,
        right: BuildRight,
        namespace: Option<&str>,
    ) -> Result<BuildPermit, Refusal> {
        let denied = |lack| Denied::right(lack, who, right.into(), namespace);
        is_scoped(who, right, namespace)?;
        if self.allows_build(who, right, namespace).await? {
            Ok(BuildPermit::new(right, namespace, who.clone()))
        } else if who.is_anonymous() {
            Err(Refusal::Anonymous)
        } else {
            let is_within = is_within(who, right, namespace);
            let lack = if is_within { Lack::Right } else { Lack::Limits };
            Err(Refusal::Forbidden(denied(lack)))
        }
    }

    /// Whether [`Gate::permit_build`] would give a permit: for whoever asks what they may do.
    pub async fn may_build(
        &self,
        who: &Identity,
        right: BuildRight,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        let is_scoped = who.access().is_none_or(Access::account);
        Ok(is_scoped && self.allows_build(who, right, namespace).await?)
    }

    /// Whether `who` may list the builds of a namespace, for a list of many: see [`Policy::lists`](crate::Policy::lists).
    pub(crate) async fn lists_builds(
        &self,
        who: &Identity,
        namespace: &str,
    ) -> Result<bool, Refusal> {
        let right = BuildRight::ListBuilds;
        is_scoped(who, right, Some(namespace))?;
        match &self.kind {
            _ if !is_within(who, right, Some(namespace)) => Ok(false),
            Kind::Open => Ok(true),
            Kind::Guarded { policy, .. } => policy.lists_right(who, right.into(), namespace).await,
        }
    }

    /// The permit to read `repo` as a namespace of builder images: what runs of others may stand on, if they may pull it.
    ///
    /// An API token needs the verb `build` for that, and its owner the right; the token's own namespaces are where it
    /// builds. Only runs ask by this: the same token pulls nothing there.
    pub async fn permit_base(
        &self,
        who: &Identity,
        repo: &RepoName,
    ) -> Result<Permit<Pull>, Refusal> {
        let may_build = who.access().is_none_or(Access::account)
            && !who.is_person()
            && who.limits().is_some_and(Limits::build);
        if !may_build {
            self.permit(who, repo).await
        } else if self.allows(who, Action::Get, repo).await? {
            Ok(Permit::new(repo.clone(), who.clone()))
        } else {
            let denied = self.denied(who, Action::Get, repo, true).await?;
            Err(Refusal::Forbidden(denied))
        }
    }

    /// Whether `who` may touch the sources of builds in `namespace`, as far as builds are concerned: they see them, or
    /// make them. To pull images is not enough, since a namespace often lets everybody do that.
    pub(crate) async fn allows_sources(
        &self,
        who: &Identity,
        namespace: &str,
    ) -> Result<bool, Refusal> {
        for right in [BuildRight::GetBuilds, BuildRight::CreateBuilds] {
            if self.allows_build(who, right, Some(namespace)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn allows_build(
        &self,
        who: &Identity,
        right: BuildRight,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        match &self.kind {
            _ if !is_within(who, right, namespace) => Ok(false),
            Kind::Open => Ok(true),
            Kind::Guarded { policy, .. } => policy.has_right(who, right.into(), namespace).await,
        }
    }
}

/// Refuses whoever came by a token that was issued for images.
fn is_scoped(who: &Identity, right: BuildRight, namespace: Option<&str>) -> Result<(), Refusal> {
    let denied = |lack| Denied::right(lack, who, right.into(), namespace);
    if who.access().is_none_or(Access::account) {
        Ok(())
    } else if who.is_person() {
        Err(Refusal::InsufficientScope(denied(Lack::Asked)))
    } else {
        Err(Refusal::Forbidden(denied(Lack::Limits)))
    }
}

/// Whether the API token that somebody came by, if they did, is for this. A login that a client keeps stands for its person.
fn is_within(who: &Identity, right: BuildRight, namespace: Option<&str>) -> bool {
    let allows = |limits: &Limits| limits.allow_build(right, namespace);
    who.is_person() || who.limits().is_some_and(allows)
}
