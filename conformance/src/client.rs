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
    http: reqwest::Client,
    /// The last token, and what it was asked for.
    token: Mutex<Option<(String, String)>>,
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
            As::User => self.known(),
        };
        let answer = self.once(&ask, authorization).await?;
        if answer.status != StatusCode::UNAUTHORIZED || ask.who == As::Stranger {
            return Ok(answer);
        }
        let Some((user, password)) = &self.login else {
            return Ok(answer);
        };
        let Some(challenge) = Challenge::parse(answer.header(WWW_AUTHENTICATE.as_str())) else {
            return Ok(answer);
        };
        let authorization = match challenge {
            Challenge::Basic => auth::basic(user, password),
            Challenge::Bearer(parameters) => {
                let token = auth::token(&self.http, &parameters, Some((user, password))).await?;
                format!("Bearer {token}")
            }
        };
        if let Ok(mut token) = self.token.lock() {
            *token = Some((ask.path.clone(), authorization.clone()));
        }
        self.once(&ask, Some(authorization)).await
    }

    fn known(&self) -> Option<String> {
        let token = self.token.lock().ok()?;
        token
            .as_ref()
            .map(|(_, authorization)| authorization.clone())
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

    /// Sends bytes as they are and reads what comes until the registry closes or is silent.
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
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
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
