//! `/api/v1/tokens`: API tokens and logins. Their owner makes, sees and revokes them; an administrator sees and revokes
//! everybody's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auth::opaque::{CreateError, Limits, NewToken, OpaqueTokens, Token};
use auth::{AdminRight, Refusal, TokenId};
use axum::Extension;
use axum::extract::{Path, State};
use http::StatusCode;
use humantime::format_rfc3339_seconds;
use registry::Registry;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::MadeId;
use crate::{Body, Caller, Listed, Page, Permission, Query, Reply, Route};

const TOKENS: &str = "/api/v1/tokens";
const TOKEN: &str = "/api/v1/tokens/{id}";

pub(crate) fn routes(registry: &Arc<Registry>) -> Vec<Route> {
    let state = || Arc::clone(registry);
    vec![
        Route::post(TOKENS, "create-token", Permission::Named, create, state())
            .summary("Make an API token for oneself; its text is shown this once")
            .body::<Wanted>()
            .reply::<Made>(StatusCode::CREATED),
        Route::get(TOKENS, "list-tokens", Permission::Named, list, state())
            .summary("One's own API tokens and logins, or everybody's")
            .query::<Which>()
            .reply::<Listed<Shown>>(StatusCode::OK),
        Route::delete(TOKEN, "revoke-token", Permission::Named, revoke, state())
            .summary("Take an API token or a login away")
            .no_content(),
    ]
}

/// The token to make.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewToken")]
struct Wanted {
    /// What it is for: up to 256 bytes on one line.
    #[serde(default)]
    description: String,
    /// Where it may be used: `team` is every repository of the namespace, `team/app` that one and those below it. Empty:
    /// wherever its owner may.
    #[serde(default)]
    namespaces: Vec<String>,
    /// What it may be used for: `pull`, `push` (adding and moving tags), `delete`, or the verbs of rules; `build` in whole
    /// namespaces.
    verbs: Vec<String>,
    /// How long it lives, in seconds. Absent: 90 days, or the longest that the server allows.
    expires_in: Option<u64>,
}

/// A new token.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "MadeToken")]
struct Made {
    /// The token. It is in no other place from now on.
    token: String,
    #[serde(flatten)]
    shown: Shown,
}

/// A token without its text.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Token")]
struct Shown {
    /// Its name, which is part of its text and is in the log.
    id: String,
    /// `api`, or `login`: what a client keeps of a login.
    kind: &'static str,
    /// Whose it is.
    user: String,
    /// Who vouched for them when it was made.
    provider: String,
    /// The user's groups when it was made, which it acts with.
    groups: Vec<String>,
    /// What it is for; of a login, what the client calls itself.
    description: String,
    /// Where it may be used; empty: wherever its owner may.
    namespaces: Vec<String>,
    /// What it may be used for.
    verbs: Vec<&'static str>,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it ends (RFC 3339).
    expires_at: String,
    /// Whether it has ended.
    expired: bool,
    /// When it was last used, to about a minute (RFC 3339); absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
}

impl Shown {
    fn of(token: &Token, now: SystemTime) -> Self {
        let time = |time| format_rfc3339_seconds(time).to_string();
        let limits = token.limits();
        Self {
            id: token.id().to_string(),
            kind: token.kind().as_str(),
            user: token.owner().name().to_owned(),
            provider: token.owner().provider().to_owned(),
            groups: token.owner().groups().map(str::to_owned).collect(),
            description: token.description().to_owned(),
            namespaces: limits
                .namespaces()
                .iter()
                .map(ToString::to_string)
                .collect(),
            verbs: limits.verbs().collect(),
            created_at: time(token.created()),
            expires_at: time(token.expires()),
            expired: token.expires() <= now,
            last_used_at: token.used().map(time),
        }
    }
}

/// Which tokens.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Which {
    /// Everybody's, for whoever has the right `list tokens` over the registry.
    all: bool,
    /// Entries in the answer at most: 1 to 1000, usually 100.
    limit: Option<u32>,
    /// Where to go on: what the page before said under `continue`.
    r#continue: Option<String>,
}

async fn create(
    State(registry): State<Arc<Registry>>,
    caller: Caller,
    Body(wanted): Body<Wanted>,
) -> Result<(Extension<MadeId>, Reply<Made>), Problem> {
    let limits = Limits::new(&wanted.namespaces, &wanted.verbs);
    let new = NewToken {
        description: wanted.description,
        limits: limits.map_err(|error| Problem::invalid(error.to_string()))?,
        lifetime: wanted.expires_in.map(Duration::from_secs),
    };
    let (text, token) = tokens(&registry)?
        .create(&caller.who, new, caller.now())
        .await
        .map_err(not_created)?;
    let made = Made {
        token: text.expose().to_owned(),
        shown: Shown::of(&token, caller.now()),
    };
    let id = MadeId(made.shown.id.clone());
    Ok((Extension(id), Reply(StatusCode::CREATED, made)))
}

async fn list(
    State(registry): State<Arc<Registry>>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Result<Reply<Listed<Shown>>, Problem> {
    by_no_token(&caller)?;
    if which.all {
        let gate = registry.gate();
        gate.permit_admin(&caller.who, AdminRight::ListTokens)
            .await?;
    }
    let owner = (!which.all).then_some(&caller.who);
    let page = Page::new(which.limit, which.r#continue);
    let limit = page.limit()?;
    let found = tokens(&registry)?.list(owner, page.after(), limit).await?;
    let listed = Listed {
        r#continue: found.next,
        items: found
            .tokens
            .iter()
            .map(|token| Shown::of(token, caller.now()))
            .collect(),
    };
    Ok(Reply(StatusCode::OK, listed))
}

/// Somebody else's token is answered as one that is not there (but to an administrator).
async fn revoke(
    State(registry): State<Arc<Registry>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    by_no_token(&caller)?;
    let absent = || Problem::not_found("you have no token of this id");
    let id = TokenId::parse(&id).ok_or_else(absent)?;
    let tokens = tokens(&registry)?;
    if tokens.revoke(Some(&caller.who), &id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let gate = registry.gate();
    match gate
        .permit_admin(&caller.who, AdminRight::RevokeTokens)
        .await
    {
        Ok(_) if tokens.revoke(None, &id).await? => Ok(StatusCode::NO_CONTENT),
        Ok(_) | Err(Refusal::Forbidden(_)) => Err(absent()),
        Err(refusal) => Err(refusal.into()),
    }
}

fn tokens(registry: &Registry) -> Result<&Arc<OpaqueTokens>, Problem> {
    let tokens = registry.gate().opaque();
    tokens.ok_or_else(|| Problem::denied("this server has no API tokens"))
}

/// A program's token is for images. One that got into wrong hands must not take away its owner's others, nor show them.
fn by_no_token(caller: &Caller) -> Result<(), Problem> {
    if !caller.who.is_in_person() {
        return Err(Problem::denied(
            "tokens are not managed by a token: use the password, or what you log in with",
        ));
    }
    Ok(())
}

fn not_created(error: CreateError) -> Problem {
    match error {
        CreateError::NotForYou(_) | CreateError::TooMany(_) => Problem::denied(error.to_string()),
        CreateError::Invalid(_) => Problem::invalid(error.to_string()),
        CreateError::Refused(refusal) => refusal.into(),
    }
}
