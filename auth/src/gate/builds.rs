//! Rights with builds.

use super::{Gate, Kind};
use crate::{BuildPermit, BuildRight, Denied, Identity, Refusal};

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
        let denied = || Denied::right(who, right.into(), namespace);
        if who.access().is_some_and(|access| !access.account()) {
            return Err(if who.is_person() {
                Refusal::InsufficientScope(denied())
            } else {
                Refusal::Forbidden(denied())
            });
        }
        if self.allows_build(who, right, namespace).await? {
            Ok(BuildPermit::new(right, namespace, who.clone()))
        } else if who.is_anonymous() {
            Err(Refusal::Anonymous)
        } else {
            Err(Refusal::Forbidden(denied()))
        }
    }

    /// Whether [`Gate::permit_build`] would give a permit: for whoever asks what they may do.
    pub async fn may_build(
        &self,
        who: &Identity,
        right: BuildRight,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        let is_scoped = who.access().is_none_or(crate::Access::account);
        Ok(is_scoped && self.allows_build(who, right, namespace).await?)
    }

    async fn allows_build(
        &self,
        who: &Identity,
        right: BuildRight,
        namespace: Option<&str>,
    ) -> Result<bool, Refusal> {
        // A login that a client keeps stands for its person.
        let is_within = who.is_person()
            || who
                .limits()
                .is_some_and(|limits| limits.allow_build(right, namespace));
        match &self.kind {
            _ if !is_within => Ok(false),
            Kind::Open => Ok(true),
            Kind::Guarded { policy, .. } => policy.has_right(who, right.into(), namespace).await,
        }
    }
}
