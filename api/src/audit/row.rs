//! A row as JSON.

use humantime::format_rfc3339_millis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::audit::Row;

/// What the record says of one thing. What is not there is left out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Its number, which grows in the order in which rows came.
    pub id: i64,
    /// When it was asked for (RFC 3339).
    pub time: String,
    /// The request's id, as in the log and in the reply's `x-request-id`; of what a build does, its run: `NAMESPACE/RUN`.
    pub request_id: String,
    /// The user; of a refused login the name that was claimed, if there is such a user; else empty.
    pub user: String,
    /// Who vouches for the user, such as `htpasswd`; empty when nobody does.
    pub provider: String,
    /// What the provider tells namesakes apart by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<String>,
    /// The user's groups, without `system:authenticated`: as many as there is room for. For whoever may read the whole record.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub groups: Vec<String>,
    /// How many more they are in.
    #[serde(skip_serializing_if = "is_none", default)]
    pub groups_left_out: u32,
    /// How the caller said who they are: none, basic, token (issued here for a while), bearer, refresh, run (a build's), unreadable.
    pub credential: String,
    /// The API token, or the login, by which they came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credential_id: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<String>,
    /// What the client says it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_agent: Option<String>,
    /// push, retag, delete, mount, upload, pull, list, login, admin or omitted.
    pub verb: String,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repository: Option<String>,
    /// The tag; of `admin`, method and path.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// The content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// What the tag pointed to before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<String>,
    /// allowed, denied or failed.
    pub outcome: String,
    /// HTTP status of the reply; 0 where there is none.
    pub status: u16,
    /// Why, or what else there is to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none(number: &u32) -> bool {
    *number == 0
}

impl AuditRow {
    /// The row in these words.
    pub fn of(row: &Row) -> Self {
        let Row { id, entry } = row;
        let (origin, place) = (&entry.origin, &entry.place);
        Self {
            id: *id,
            time: format_rfc3339_millis(origin.time).to_string(),
            request_id: origin.request_id.clone(),
            user: origin.user.clone(),
            provider: origin.provider.clone(),
            uid: origin.uid.clone(),
            groups: origin.groups.names.clone(),
            groups_left_out: origin.groups.more,
            credential: origin.credential.to_string(),
            credential_id: origin.credential_id.clone(),
            client: origin.client.map(|client| client.to_string()),
            user_agent: origin.user_agent.clone(),
            verb: entry.verb.to_string(),
            namespace: place.namespace().map(str::to_owned),
            repository: place.repository().map(ToString::to_string),
            reference: entry.reference.clone(),
            digest: entry.digest.map(|digest| digest.to_string()),
            previous: entry.previous.map(|digest| digest.to_string()),
            outcome: entry.outcome.to_string(),
            status: entry.status,
            reason: entry.reason.clone(),
        }
    }

    /// The same for somebody who may read the record of a namespace only: a directory's groups are none of their business.
    pub(super) fn without_groups(self) -> Self {
        Self {
            groups: Vec::new(),
            groups_left_out: 0,
            ..self
        }
    }
}
