//! `…/secrets`: files that builds use. Their content comes in and never goes out.

use std::collections::BTreeMap;
use std::fmt;

use auth::BuildRight;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use builder::builds::{Recorded, SecretContent};
use builder::driver::SecretFiles;
use builder::records::{self, SecretUse};
use http::StatusCode;
use http::header::LOCATION;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

use super::definitions::names;
use super::view::BuildSecret;
use super::{Building, CHANGED, FULL, made_or_changed, problem};
use crate::{Body, Builder, Caller, Listed, Page, Permission, Query, Reply, Route};

const SECRETS: &str = "/api/v1/namespaces/{namespace}/secrets";
const SECRET: &str = "/api/v1/namespaces/{namespace}/secrets/{name}";

/// Most bytes of a request: 1 MiB of content in base64, and names.
const MAX_CONTENT: usize = 1_500 << 10;
/// Secrets that are being set at a time: each holds its content in memory.
pub(super) const AT_ONCE: usize = 8;

pub(super) fn routes(building: &Building) -> Vec<Route> {
    let may = Permission::Build;
    let state = || building.clone();
    vec![
        Route::get(
            SECRETS,
            "list-build-secrets",
            may(BuildRight::ListSecrets),
            list,
            state(),
        )
        .summary("The secrets of a namespace, without what is in them")
        .query::<Page>()
        .reply::<Listed<BuildSecret>>(StatusCode::OK),
        Route::put(
            SECRET,
            "set-build-secret",
            may(BuildRight::CreateSecrets),
            set,
            state(),
        )
        .summary("Set a secret, also one that is there. Nobody is ever shown it again")
        .body::<NewSecret>()
        .reply::<BuildSecret>(StatusCode::OK)
        .may_create()
        .or(StatusCode::CONFLICT, FULL),
        Route::delete(
            SECRET,
            "delete-build-secret",
            may(BuildRight::DeleteSecrets),
            delete,
            state(),
        )
        .summary("Remove a secret. Runs that name it will fail")
        .no_content()
        .or(StatusCode::CONFLICT, CHANGED),
    ]
}

/// The secret to set.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "NewBuildSecret")]
struct NewSecret {
    /// What it may be used for.
    #[serde(default)]
    used_for: SecretUse,
    /// The files: their content in base64 by name; 1 MiB together.
    files: BTreeMap<String, Content>,
}

/// The content of a file.
#[derive(JsonSchema)]
#[schemars(with = "String", inline, extend("contentEncoding" = "base64"))]
struct Content(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Base64;
        impl de::Visitor<'_> for Base64 {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file's content in base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
                let content = STANDARD.decode(text).map(Zeroizing::new);
                // The error of the decoder would say what stands there.
                let text = de::Unexpected::Other("text");
                let content = content.map_err(|_| E::invalid_value(text, &self))?;
                Ok(Content(content))
            }
        }
        from.deserialize_str(Base64)
    }
}

async fn list(
    State(building): State<Building>,
    may: Builder,
    Query(page): Query<Page>,
) -> Result<Reply<Listed<BuildSecret>>, Problem> {
    let page = names(&page)?;
    let found = building.builds.secrets(may.namespace(), &page).await;
    let found = found.map_err(problem)?;
    let last = found.items.last().filter(|_| found.more);
    let shown = |secret| shown(&building, secret);
    let listed = Listed {
        r#continue: last.map(|last| last.value.metadata.name.clone()),
        items: found.items.into_iter().map(shown).collect(),
    };
    Ok(Reply(StatusCode::OK, listed))
}

async fn set(
    State(building): State<Building>,
    may: Builder,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let place = building.setting.try_acquire();
    let _place = place
        .map_err(|_| Problem::too_many_of("other secrets are being set, try again in 1 s", 1))?;
    let Body(new) = Body::<NewSecret, MAX_CONTENT>::from_request(request, &()).await?;
    let files = new.files.into_iter();
    let content = SecretContent {
        used_for: new.used_for,
        files: SecretFiles(files.map(|(name, content)| (name, content.0)).collect()),
    };
    let set = building
        .builds
        .put_secret(may.namespace(), &name, &content, caller.now())
        .await
        .map_err(problem)?;
    let status = made_or_changed(&set);
    let answer = Reply(status, shown(&building, set));
    if status == StatusCode::OK {
        return Ok(answer.into_response());
    }
    let place = [(LOCATION, super::place(may.namespace(), "secrets", &name))];
    Ok((place, answer).into_response())
}

fn shown(building: &Building, secret: Recorded<records::Secret>) -> BuildSecret {
    let hosts = building.builds.secret_hosts(&secret.value);
    BuildSecret::of(secret, hosts)
}

async fn delete(
    State(building): State<Building>,
    may: Builder,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let removed = building.builds.remove_secret(may.namespace(), &name).await;
    removed.map_err(problem)?;
    Ok(StatusCode::NO_CONTENT)
}
