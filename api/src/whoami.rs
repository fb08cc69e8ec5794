//! `GET /api/v1/whoami`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use auth::{Access, Identity};
use http::StatusCode;
use humantime::format_rfc3339_seconds;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Caller, Permission, Reply, Route};

pub(crate) fn route() -> Route {
    Route::get(
        "/api/v1/whoami",
        "whoami",
        Permission::Known,
        async |caller: Caller| Reply(StatusCode::OK, Whoami::of(&caller.who)),
        (),
    )
    .summary("Who the caller is to this registry, and what their credential is limited to")
    .reply::<Whoami>(StatusCode::OK)
}

/// Who the caller is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Whoami {
    /// User name, as rules name it.
    name: String,
    /// Groups, as rules name them.
    groups: Vec<String>,
    /// What the cluster tells namesakes apart by.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    /// What else the cluster knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
    /// Who vouched for it, such as `htpasswd` or `kubernetes`; absent for a stranger.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// What the credential is limited to, whatever the user may do; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    limited_to: Option<LimitedTo>,
    /// The API token, or the login, that the credential is or was got by.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token>,
    /// When the credential ends (RFC 3339); absent when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// What a credential is limited to.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "WhoamiLimits")]
struct LimitedTo {
    /// Repositories, and what may be done there.
    repositories: Vec<Repository>,
    /// It lists the catalog.
    catalog: bool,
    /// It acts as the person with this API.
    account: bool,
}

/// An API token, or a login.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "WhoamiToken")]
struct Token {
    /// Its name.
    id: String,
    /// Where it may be used; empty: wherever its owner may.
    namespaces: Vec<String>,
    /// What it may be used for.
    verbs: Vec<&'static str>,
    /// When it ends (RFC 3339); what was got by it ends sooner.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WhoamiRepository")]
struct Repository {
    /// Its name.
    name: String,
    /// Verbs.
    verbs: Vec<&'static str>,
}

impl Whoami {
    fn of(who: &Identity) -> Self {
        Self {
            name: who.name().to_owned(),
            groups: who.groups().map(str::to_owned).collect(),
            uid: who.uid().map(str::to_owned),
            extra: who.extra().clone(),
            provider: (!who.is_anonymous()).then(|| who.provider().to_owned()),
            limited_to: who.access().map(LimitedTo::of),
            token: Token::of(who),
            expires_at: who.until().map(rfc3339),
        }
    }
}

fn rfc3339(time: SystemTime) -> String {
    format_rfc3339_seconds(time).to_string()
}

impl Token {
    fn of(who: &Identity) -> Option<Self> {
        let (id, limits) = (who.token()?, who.limits()?);
        Some(Self {
            id: id.to_string(),
            namespaces: limits
                .namespaces()
                .iter()
                .map(ToString::to_string)
                .collect(),
            verbs: limits.verbs().collect(),
            expires_at: who.token_until().map(rfc3339),
        })
    }
}

impl LimitedTo {
    fn of(access: &Access) -> Self {
        let repositories = access.repositories().iter();
        let repositories = repositories.map(|(name, actions)| Repository {
            name: name.to_string(),
            verbs: actions.iter().map(auth::Action::verb).collect(),
        });
        Self {
            repositories: repositories.collect(),
            catalog: access.catalog(),
            account: access.account(),
        }
    }
}
