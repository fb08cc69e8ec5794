//! The way from a command to a server's API: which server, how it is reached, and as whom.

mod authfile;
mod challenge;
mod credhelper;
mod events;
pub(crate) mod failure;
pub(crate) mod images;
mod last;
mod logins;
mod reach;
mod refresh;
mod server;
mod unreachable;

pub(crate) use authfile::{AuthFiles, Login};
pub(crate) use challenge::{Challenge, Hosts, may_see};
pub(crate) use events::Event;
pub(crate) use last::Last;
pub(crate) use logins::{ByKubeconfig, Kept, Logins};
use reach::streams;
pub(crate) use reach::{http, reach, stayed, transfers};
pub(crate) use server::Server;
pub(crate) use unreachable::explain;

use anyhow::Context as _;
use auth::Secret;
use reqwest::header::{ACCEPT, IF_MATCH};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::RwLock;

use crate::cli::{Remote, Transport};

/// Most bytes of an answer.
const MAX_ANSWER: usize = 32 << 20;

/// The scope by which a kept login acts as its person.
pub(crate) const ACCOUNT: &str = "registry:account:*";

/// A server whose API commands speak to, as whoever is logged in to it.
pub(crate) struct Client {
    http: reqwest::Client,
    transport: Transport,
    server: Server,
    base: Url,
    login: Option<Login>,
    /// What was got by the login, where that is a refresh token; it ends sooner than that.
    bearer: RwLock<Option<Secret>>,
    scope: Option<String>,
}

impl Client {
    /// The server that was named, or the one of the last `slipway login`; with the login that the files hold for it, or
    /// as a stranger. A login that is a refresh token is exchanged for a token for `scope`; others need none.
    pub(crate) async fn connect(remote: Remote, scope: Option<&str>) -> anyhow::Result<Self> {
        let last = Last::load()?;
        let (server, last) = if let Some(text) = &remote.server {
            let server = Server::parse(text)?;
            let last = last.filter(|last| last.server == server.name());
            (server, last)
        } else {
            let last = last.context(
                "which server? Give --server or SLIPWAY_SERVER, or log in: slipway login SERVER",
            )?;
            (Server::parse(&last.server)?, Some(last))
        };
        let transport = remembered(remote.transport, last);
        let http = http(&transport)?;
        let bases = server.bases(&transport)?;
        let base = match &bases[..] {
            [only] => only.clone(),
            several => reach(&http, several).await?.0,
        };
        let login = AuthFiles::find(remote.auth_file.authfile)?.get(server.name())?;
        let bearer = match &login {
            Some(login) if login.is_refresh() => {
                Some(refresh::exchange(&http, &server, &base, login, scope).await?)
            }
            _ => None,
        };
        Ok(Self {
            http,
            transport,
            server,
            base,
            login,
            bearer: RwLock::new(bearer),
            scope: scope.map(str::to_owned),
        })
    }

    /// The answer to `GET path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.read(self.request(Method::GET, path)?).await
    }

    /// The answer to `POST path` with this body.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.read(self.request(Method::POST, path)?.json(body))
            .await
    }

    /// The answer to `GET path`; `None` where there is no such thing.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let answer = self.reply_to(self.request(Method::GET, path)?).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let (status, body) = self.checked(answer).await?;
        self.understood(status, &body).map(Some)
    }

    /// The answer to `PUT path` with this body; with a `revision` only if it is of that.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        revision: Option<u64>,
    ) -> anyhow::Result<T> {
        let mut request = self.request(Method::PUT, path)?.json(body);
        if let Some(revision) = revision {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        self.read(request).await
    }

    /// Does `DELETE path`.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        let request = self.request(Method::DELETE, path)?;
        self.send(request).await.map(drop)
    }

    /// Whether it is plain HTTP.
    pub(crate) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// How the server is reached.
    pub(crate) fn transport(&self) -> Transport {
        Transport {
            plain_http: self.is_plain(),
            ca_file: self.transport.ca_file.clone(),
        }
    }

    /// The server that it speaks to.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let request = self.http.request(method, self.base.join(path)?);
        let request = request.header(ACCEPT, "application/json");
        Ok(request)
    }

    /// The request as whoever is logged in.
    async fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match (&*self.bearer.read().await, &self.login) {
            (Some(bearer), _) => request.bearer_auth(bearer.expose()),
            (None, Some(login)) => request.basic_auth(&login.user, Some(login.password.expose())),
            (None, None) => request,
        }
    }

    /// The reply; where what was got by a refresh token has ended, by a new one.
    async fn reply_to(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let again = request.try_clone();
        let sent = self.signed(request).await.send().await;
        let answer = sent.map_err(|error| explain(&self.base, &error))?;
        let login = self.login.as_ref().filter(|login| login.is_refresh());
        let (StatusCode::UNAUTHORIZED, Some(again), Some(login)) = (answer.status(), again, login)
        else {
            return Ok(answer);
        };
        let scope = self.scope.as_deref();
        let new = refresh::exchange(&self.http, &self.server, &self.base, login, scope).await?;
        *self.bearer.write().await = Some(new);
        let sent = self.signed(again).await.send().await;
        sent.map_err(|error| explain(&self.base, &error))
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let (status, body) = self.send(request).await?;
        self.understood(status, &body)
    }

    fn understood<T: DeserializeOwned>(
        &self,
        status: StatusCode,
        body: &[u8],
    ) -> anyhow::Result<T> {
        serde_json::from_slice(body)
            .with_context(|| format!("{}: {status} with what is no answer", self.server))
    }

    /// The answer, if it is none of an error.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let answer = self.reply_to(request).await?;
        self.checked(answer).await
    }

    async fn checked(&self, mut answer: Response) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let body = whole(&mut answer)
            .await
            .with_context(|| self.server.to_string())?;
        if answer.status().is_success() {
            return Ok((answer.status(), body));
        }
        if answer.status() == StatusCode::UNAUTHORIZED {
            let server = &self.server;
            return Err(match &self.login {
                None => anyhow::anyhow!("{server}: not logged in: slipway login {server}"),
                Some(login) => spent(server, login),
            });
        }
        Err(failure::explain(&self.server, &answer, &body))
    }
}

fn spent(server: &Server, login: &Login) -> anyhow::Error {
    let whose = if login.is_refresh() {
        String::new()
    } else {
        format!(" as {}", login.user)
    };
    anyhow::anyhow!("{server}: the login{whose} is no longer good: slipway login {server}")
}

/// The body of an answer, of bounded size.
pub(crate) async fn whole(answer: &mut Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        anyhow::ensure!(
            body.len() + chunk.len() <= MAX_ANSWER,
            "the answer is too large"
        );
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// How the server was reached at the last login, where nothing else is said.
pub(crate) fn remembered(asked: Transport, last: Option<Last>) -> Transport {
    let Some(last) = last else { return asked };
    Transport {
        plain_http: asked.plain_http || last.plain_http,
        ca_file: asked.ca_file.or(last.ca_file),
    }
}
