//! `/auth/token`: a short-lived token for credentials, in the Docker token protocol (`GET`) and
//! in its OAuth 2 form (`POST`, `grant_type=password`), which containerd tries first.

use auth::{Credential, Scope, Secret};
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use oci::ErrorCode;
use serde::{Deserialize, Serialize};
use storage::ByteStream;

use super::Body;
use super::admission::Budget;
use super::hall::Hall;
use super::incoming::{Unread, whole};
use super::problem::Problem;
use super::reply::json;

/// Bytes of a form that anybody may send.
const MAX_FORM: usize = 16 << 10;

/// The answer of the Docker token protocol; `access_token` is its OAuth 2 name.
#[derive(Serialize)]
struct Granted<'a> {
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
    issued_at: String,
}

/// What the OAuth 2 form may hold; what else clients put in is of no use here.
#[derive(Deserialize)]
struct Form {
    grant_type: String,
    username: Option<String>,
    password: Option<String>,
    scope: Option<String>,
}

/// What is asked for, before anybody is identified.
struct Wanted {
    credential: Option<Credential>,
    scopes: Vec<Scope>,
}

pub(super) async fn token(
    hall: &Hall,
    parts: &http::request::Parts,
    client: std::net::IpAddr,
    body: ByteStream,
    now: std::time::SystemTime,
) -> Result<(auth::Identity, Response<Body>), Problem> {
    let wanted = match parts.method {
        Method::GET => from_query(&parts.headers, parts.uri.query())?,
        Method::POST => from_form(body, &hall.admission.bodies).await?,
        _ => return Err(Problem::method_not_allowed("GET, POST")),
    };
    let gate = hall.registry.gate();
    let who = gate
        .identify(wanted.credential.as_ref(), Some(client), now)
        .await?;
    let issued = gate.issue(&who, &wanted.scopes, now).await?;
    let mut reply = json(&Granted {
        token: issued.token(),
        access_token: issued.token(),
        expires_in: issued.expires_in().as_secs(),
        issued_at: humantime::format_rfc3339_seconds(issued.issued_at()).to_string(),
    })?;
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok((who, reply))
}

fn from_query(headers: &HeaderMap, query: Option<&str>) -> Result<Wanted, Problem> {
    let credential = credential(headers)?;
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query.unwrap_or_default()).map_err(|error| bad(&error))?;
    let scopes = pairs
        .iter()
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value.as_str());
    Ok(Wanted {
        credential,
        scopes: Scope::parse_all(scopes).map_err(|error| bad(&error))?,
    })
}

async fn from_form(body: ByteStream, budget: &Budget) -> Result<Wanted, Problem> {
    let (bytes, _share) = whole(body, MAX_FORM, budget)
        .await
        .map_err(|unread| match unread {
            Unread::Busy(problem) => problem,
            Unread::TooLarge | Unread::Broken(_) => {
                bad(&"the form is too large or did not arrive whole")
            }
        })?;
    let form: Form = serde_urlencoded::from_bytes(&bytes).map_err(|error| bad(&error))?;
    if form.grant_type != "password" {
        return Err(bad(&"grant_type must be password"));
    }
    let (Some(user), Some(password)) = (form.username, form.password) else {
        return Err(bad(&"grant_type=password needs username and password"));
    };
    Ok(Wanted {
        credential: Some(Credential::basic(&user, Secret::new(password))?),
        scopes: Scope::parse_all(form.scope.as_deref()).map_err(|error| bad(&error))?,
    })
}

fn bad(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        ErrorCode::Unsupported,
        format!("token request: {error}"),
    )
}

/// The caller's `Authorization`, parsed; two of them are an error, since a proxy may go by the one and this server by the
/// other.
pub fn credential(headers: &HeaderMap) -> Result<Option<Credential>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(bad(&"more than one Authorization header"));
    }
    match first {
        None => Ok(None),
        Some(value) => Ok(Credential::parse(value.as_bytes())?),
    }
}
