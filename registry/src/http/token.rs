//! `/auth/token`: a short-lived token for credentials, in the Docker token protocol (`GET`) and
//! in its OAuth 2 form (`POST`), which containerd tries first; and, for a client that wants to keep a
//! login, a refresh token, which the OAuth 2 form takes in place of the password.
//! <https://distribution.github.io/distribution/spec/auth/oauth/>

use auth::{Credential, Scope, Secret, TokenId};
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use oci::ErrorCode;
use serde::{Deserialize, Serialize};
use storage::ByteStream;

use super::Body;
use super::admission::Budget;
use super::audit::Presented;
use super::hall::Hall;
use super::incoming::{Unread, whole};
use super::problem::Problem;
use super::reply::json;

/// Where tokens are to be had: our own path, and the one that clients of OpenShift's registry have written down.
pub(super) const PATHS: [&str; 2] = ["/auth/token", "/openshift/token"];

/// Bytes of a form that anybody may send.
const MAX_FORM: usize = 16 << 10;

/// The answer of the Docker token protocol; `access_token` is its OAuth 2 name.
#[derive(Serialize)]
struct Granted<'a> {
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// What the OAuth 2 form may hold; what else clients put in is of no use here.
#[derive(Deserialize)]
struct Form {
    grant_type: String,
    username: Option<String>,
    password: Option<String>,
    refresh_token: Option<String>,
    access_type: Option<String>,
    client_id: Option<String>,
    scope: Option<String>,
}

/// What is asked for, before anybody is identified.
pub(super) struct Wanted {
    proof: Proof,
    scopes: Vec<Scope>,
    /// What the client that wants to be remembered calls itself.
    remember: Option<String>,
}

impl Wanted {
    /// What the audit record says of how the client shows who it is.
    pub(super) fn presented(&self) -> Presented {
        match &self.proof {
            Proof::Credential(credential) => Presented::of(credential.as_ref(), None),
            Proof::Refresh(_) => Presented::refresh(),
        }
    }
}

/// By what the client shows who it is.
enum Proof {
    Credential(Option<Credential>),
    Refresh(Secret),
}

/// Reads what is asked for.
pub(super) async fn wanted(
    hall: &Hall,
    parts: &http::request::Parts,
    body: ByteStream,
) -> Result<Wanted, Problem> {
    match parts.method {
        Method::GET => from_query(&parts.headers, parts.uri.query()),
        Method::POST => from_form(body, &hall.admission.bodies).await,
        _ => Err(Problem::method_not_allowed("GET, POST")),
    }
}

/// What was given.
pub(super) struct Issued {
    pub(super) who: auth::Identity,
    /// The id of the refresh token among it.
    pub(super) refresh: Option<TokenId>,
    pub(super) response: Response<Body>,
}

/// Issues it.
pub(super) async fn issue(
    hall: &Hall,
    wanted: &Wanted,
    client: std::net::IpAddr,
    now: std::time::SystemTime,
) -> Result<Issued, Problem> {
    let gate = hall.registry.gate();
    let who = match &wanted.proof {
        Proof::Credential(credential) => {
            gate.identify(credential.as_ref(), Some(client), now)
                .await?
        }
        Proof::Refresh(refresh) => gate.redeem(refresh, Some(client), now).await?,
    };
    let issued = gate.issue(&who, &wanted.scopes, now).await?;
    let refresh = match &wanted.remember {
        None => None,
        Some(name) => gate.remember(&who, name, now).await?,
    };
    let mut reply = json(&Granted {
        token: issued.token(),
        access_token: issued.token(),
        expires_in: issued.expires_in().as_secs(),
        issued_at: humantime::format_rfc3339_seconds(issued.issued_at()).to_string(),
        refresh_token: refresh.as_ref().map(Secret::expose),
    })?;
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Issued {
        who,
        refresh: refresh.as_ref().and_then(TokenId::of),
        response: reply,
    })
}

fn from_query(headers: &HeaderMap, query: Option<&str>) -> Result<Wanted, Problem> {
    let credential = credential(headers)?;
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query.unwrap_or_default()).map_err(|error| bad(&error))?;
    let scopes = pairs
        .iter()
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value.as_str());
    let first = |name: &str| {
        let pair = pairs.iter().find(|(given, _)| given == name);
        pair.map(|(_, value)| value.as_str())
    };
    let client = first("client_id").unwrap_or_default();
    Ok(Wanted {
        proof: Proof::Credential(credential),
        scopes: Scope::parse_all(scopes).map_err(|error| bad(&error))?,
        remember: (first("offline_token") == Some("true")).then(|| client.to_owned()),
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
    let scopes = Scope::parse_all(form.scope.as_deref()).map_err(|error| bad(&error))?;
    let is_offline = form.access_type.as_deref() == Some("offline");
    let client = form.client_id.unwrap_or_default();
    match form.grant_type.as_str() {
        "password" => {
            let (Some(user), Some(password)) = (form.username, form.password) else {
                return Err(bad(&"grant_type=password needs username and password"));
            };
            let credential = Credential::basic(&user, Secret::new(password))?;
            Ok(Wanted {
                proof: Proof::Credential(Some(credential)),
                scopes,
                remember: is_offline.then_some(client),
            })
        }
        "refresh_token" => {
            let refresh = form.refresh_token;
            let refresh =
                refresh.ok_or_else(|| bad(&"grant_type=refresh_token needs refresh_token"))?;
            Ok(Wanted {
                proof: Proof::Refresh(Secret::new(refresh)),
                scopes,
                remember: None,
            })
        }
        _ => Err(bad(&"grant_type must be password or refresh_token")),
    }
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
