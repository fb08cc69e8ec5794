//! Whether a build's owner may still build, as the gate has it.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use auth::{BuildRight, Refusal};
use builder::records::Actor;
use builder::triggers::{OwnerRefused, Owners};
use registry::Registry;

/// Asks the registry's gate.
#[derive(Clone, Debug)]
pub struct GateOwners(Arc<Registry>);

impl GateOwners {
    /// The gate of this registry.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self(registry)
    }
}

#[async_trait]
impl Owners for GateOwners {
    async fn may_build(
        &self,
        owner: &Actor,
        namespace: &str,
        now: SystemTime,
    ) -> Result<(), OwnerRefused> {
        let gate = self.0.gate();
        let permitted = async {
            let who = gate.identity_of(&owner.proof, now).await?;
            let right = BuildRight::CreateBuilds;
            gate.permit_build(&who, right, Some(namespace)).await
        };
        permitted.await.map(drop).map_err(|refusal| match refusal {
            Refusal::Throttled { .. } | Refusal::Unavailable { .. } => {
                OwnerRefused::Unavailable(refusal.to_string())
            }
            _ => OwnerRefused::Forbidden(format!(
                "{}, whose the build is, may not build in {namespace} any more: whoever may saves the build anew",
                owner.name
            )),
        })
    }
}
