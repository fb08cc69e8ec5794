//! An identity as it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Identity;

/// Who somebody is, without anything that would prove it. As JSON it is part of what is kept of a token or of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    provider: String,
    name: String,
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
}

impl From<&Identity> for Document {
    fn from(who: &Identity) -> Self {
        Self {
            provider: who.provider().to_owned(),
            name: who.name().to_owned(),
            groups: who.groups().map(str::to_owned).collect(),
            uid: who.uid().map(str::to_owned),
            extra: who.extra().clone(),
        }
    }
}

impl Document {
    /// Whether it is of a stranger.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.provider.is_empty()
    }

    /// Who it names, as they were; `None` if it is nobody.
    pub(crate) fn into_identity(self) -> Option<Identity> {
        if self.provider.is_empty() || self.name.is_empty() {
            return None;
        }
        let who = Identity::authenticated(&self.provider, &self.name, self.groups);
        Some(who.with_extra(self.uid, self.extra))
    }
}
