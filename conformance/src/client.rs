//! Requests to the registry, and answers that clauses can ask about.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use crate::auth::{self, Challenge};
use crate::clause::{Step, Stop};

const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a raw connection may be silent before its answer counts as whole.
const SILENCE: Duration = Duration::from_millis(700);

/// A client of one registry.
pub(crate) struct Client {
    pub(crate) base: Url,
    pub(crate) login: Option<(String, String)>,
    /// Trusts the authorities that the suite was told to.
    pub(crate) http: reqwest::Client,
    /// What the last challenge was answered with.
    token: Mutex<Option<String>>,
}

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// The user that the suite was given, if any.
    User,
    /// Nobody.
    Stranger,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) asked: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A request to make.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// Send the body in chunks, without its length.
    chunked: bool,
    who: As,
    /// What the token must be for, where the challenge alone would not say it.
    scopes: Vec<String>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            chunked: false,
            who: As::User,
            scopes: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = bytes.into();
        self
    }

    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Asks with a token for this and nothing else, as clients do that need more than one repository for a
    /// request (Docker tokens: one `scope` each).
    pub(crate) fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    pub(crate) fn stranger(mut self) -> Self {
        self.who = As::Stranger;
        self
    }
}

impl Client {
    pub(crate) fn new(
        base: &Url,
        login: Option<(String, String)>,
        ca_file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .http1_only()
            .redirect(reqwest::redirect::Policy::limited(3));
        if let Some(path) = ca_file {
            for certificate in reqwest::Certificate::from_pem_bundle(&std::fs::read(path)?)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            base: base.clone(),
            login,
            http: builder.build()?,
            token: Mutex::new(None),
        })
    }

    /// A path, or a `Location` of an answer, as a URL of the registry.
    pub(crate) fn url(&self, path: &str) -> Step<Url> {
        self.base
            .join(path)
            .map_err(|error| Stop::Fail(format!("{path:?} is no URL: {error}")))
    }

    /// Sends a request; when challenged, gets a token and sends it again, as clients do.
    pub(crate) async fn send(&self, ask: Ask) -> Step<Answer> {
        let authorization = match ask.who {
            As::Stranger => None,
            As::User if ask.scopes.is_empty() => self.known(),
            As::User => {
                let base = self.once(&Ask::new(Method::GET, "/v2/"), None).await?;
                self.authorize(&base, &ask.scopes).await?
            }
        };
        let answer = self.once(&ask, authorization).await?;
        if answer.status != StatusCode::UNAUTHORIZED || ask.who == As::Stranger {
            return Ok(answer);
        }
        match self.authorize(&answer, &ask.scopes).await? {
            None => Ok(answer),
            authorization => self.once(&ask, authorization).await,
        }
    }

    /// What the login gets for the challenge in `answer`, if there are both.
    async fn authorize(&self, answer: &Answer, scopes: &[String]) -> Step<Option<String>> {
        let Some((user, password)) = &self.login else {
            return Ok(None);
        };
        let header = answer.header(WWW_AUTHENTICATE.as_str());
        let authorization = match Challenge::parse(header) {
            None => return Ok(None),
            Some(Challenge::Basic) => auth::basic(user, password),
            Some(Challenge::Bearer(parameters)) => {
                let login = Some((user.as_str(), password.as_str()));
                let token = auth::token(&self.http, &parameters, scopes, login).await?;
                format!("Bearer {token}")
            }
        };
        if let Ok(mut known) = self.token.lock() {
            *known = Some(authorization.clone());
        }
        Ok(Some(authorization))
    }

    fn known(&self) -> Option<String> {
        self.token.lock().ok()?.clone()
    }

    /// Sends a request with exactly this authorization.
    pub(crate) async fn once(&self, ask: &Ask, authorization: Option<String>) -> Step<Answer> {
        let mut request = self.http.request(ask.method.clone(), self.url(&ask.path)?);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request = if ask.chunked {
            let frames: Vec<_> = ask
                .body
                .chunks(64 << 10)
                .map(Bytes::copy_from_slice)
                .collect();
            let frames = frames.into_iter().map(Ok::<_, std::io::Error>);
            request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(
                frames,
            )))
        } else if ask.body.is_empty() && ask.method == Method::GET {
            request
        } else {
            request.body(ask.body.clone())
        };
        let response = request.send().await?;
        Ok(Answer {
            asked: format!("{} {}", ask.method, ask.path),
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }

    /// The header line, if any, that the last request of the user was let in by: for requests by hand that are to
    /// be refused for what they are, not for who sends them.
    pub(crate) fn authorization_line(&self) -> String {
        let line = |authorization| format!("authorization: {authorization}\r\n");
        self.known().map(line).unwrap_or_default()
    }

    /// Sends bytes as they are and reads what comes until the registry closes or is silent. Afterwards the
    /// registry must still answer: one that has died or hangs is no refusal.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Step<String> {
        if self.base.scheme() != "http" {
            return Err(Stop::Skip("raw requests are made without TLS only".into()));
        }
        let address = self.base.socket_addrs(|| None)?;
        let mut stream = tokio::net::TcpStream::connect(address.as_slice()).await?;
        // A registry may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 8192];
        while let Ok(Ok(read)) = tokio::time::timeout(SILENCE, stream.read(&mut buffer)).await {
            if read == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..read]);
        }
        let alive = self.send(Ask::new(Method::GET, "/v2/")).await;
        match alive {
            Ok(answer) => answer.expect(&[200]).map(drop)?,
            Err(Stop::Error(why)) => {
                return Err(Stop::Fail(format!("it does not answer any more: {why}")));
            }
            Err(stop) => return Err(stop),
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// The status of a raw answer, or nothing when there was none.
pub(crate) fn status_of(raw: &str) -> Option<u16> {
    raw.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Fails unless the status is one of these.
    pub(crate) fn expect(self, statuses: &[u16]) -> Step<Self> {
        if statuses.contains(&self.status.as_u16()) {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(300).collect();
        Err(Stop::Fail(format!(
            "{}: {} instead of {statuses:?}: {body}",
            self.asked, self.status
        )))
    }

    /// Skips when the registry says, as it may, that it does not offer this.
    pub(crate) fn unless(self, statuses: &[u16]) -> Step<Self> {
        if statuses.contains(&self.status.as_u16()) {
            let status = self.status;
            return Err(Stop::Skip(format!("{}: {status}: not offered", self.asked)));
        }
        Ok(self)
    }

    pub(crate) fn expect_header(&self, name: &str, wanted: &str) -> Step {
        crate::clause::demand(self.header(name) == wanted, || {
            format!(
                "{}: {name} is {:?} instead of {wanted:?}",
                self.asked,
                self.header(name)
            )
        })
    }

    pub(crate) fn location(&self) -> Step<String> {
        match self.header(LOCATION.as_str()) {
            "" => Err(Stop::Fail(format!("{}: no Location", self.asked))),
            location => Ok(location.to_owned()),
        }
    }

    pub(crate) fn json(&self) -> Step<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Stop::Fail(format!("{}: no JSON: {error}", self.asked)))
    }

    /// The code of the OCI error body, which every 4xx must have.
    pub(crate) fn error_code(&self) -> Step<String> {
        let json = self.json()?;
        let code = json["errors"][0]["code"].as_str();
        code.map(str::to_owned)
            .ok_or_else(|| Stop::Fail(format!("{}: no OCI error body: {json}", self.asked)))
    }

    /// The page behind this one.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.header("link");
        let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
        rest.contains("next").then(|| target.to_owned())
    }

    pub(crate) fn media_type(&self) -> &str {
        self.header(CONTENT_TYPE.as_str())
    }
}
