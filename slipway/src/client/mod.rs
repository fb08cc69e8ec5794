//! The way from a command to a server's API: which server, how it is reached, and as whom.

mod authfile;
mod challenge;
mod credhelper;
mod events;
pub(crate) mod failure;
pub(crate) mod images;
mod logins;
mod reach;
mod reached;
mod refresh;
mod server;
mod unreachable;

pub(crate) use authfile::{AuthFiles, Login};
pub(crate) use challenge::{Challenge, Hosts, may_see};
pub(crate) use events::Event;
pub(crate) use logins::{ByKubeconfig, Kept, Logins};
pub(crate) use reach::{http, reach, stayed, transfers};
use reach::{patient, streamed};
pub(crate) use reached::{How, forget, last_server, remember, remembered};
pub(crate) use server::Server;
use unreachable::is_away;
pub(crate) use unreachable::{explain, in_spite_of};

use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The server has taken it before, so that a no means that it has ended.
    was_taken: AtomicBool,
    scope: Option<String>,
}

impl Client {
    /// The server that was named, or the one of the last `slipway login`; with the login that the files hold for it, or
    /// as a stranger. A login that is a refresh token is exchanged for a token for `scope`; others need none.
    pub(crate) async fn connect(remote: Remote, scope: Option<&str>) -> anyhow::Result<Self> {
        let server = if let Some(text) = &remote.server {
            Server::parse(text)?
        } else {
            last_server()?.context(
                "which server? Give --server or SLIPWAY_SERVER, or log in: slipway login SERVER",
            )?
        };
        let transport = remembered(remote.transport, &server)?;
        let http = http(&transport)?;
        let bases = server.bases(&transport)?;
        let base = match &bases[..] {
            [only] => only.clone(),
            several => {
                let reached = reach(&http, several).await;
                let ca_file = transport.ca_file.as_deref();
                reached.map_err(|error| in_spite_of(error, ca_file))?.0
            }
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
            was_taken: AtomicBool::new(false),
            scope: scope.map(str::to_owned),
        })
    }

    /// The answer to `GET path`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.read(self.request(Method::GET, path)?).await
    }

    /// The same; `None`: the server, which was there before, is away, and may answer in a while. The error is for what will not
    /// pass.
    pub(crate) async fn poll<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let request = self.request(Method::GET, path)?;
        let read = async {
            let answer = self.reply_to(request).await?;
            if may_pass(answer.status()) {
                return Ok(None);
            }
            let (status, body) = self.checked(answer).await?;
            self.understood(status, &body).map(Some)
        };
        match read.await {
            Err(error) if self.was_taken.load(Ordering::Relaxed) && is_away(&error) => Ok(None),
            other => other,
        }
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

    /// The same; `None` where there is nothing to post to.
    pub(crate) async fn post_found<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<Option<T>> {
        let request = self.request(Method::POST, path)?.json(body);
        self.found(request).await
    }

    /// The answer to `GET path`, for which the server waits for others.
    pub(crate) async fn get_patiently<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request = self.request(Method::GET, path)?;
        self.read(patient(request)).await
    }

    /// The answer to `POST path` with this body, for which the server waits for others.
    pub(crate) async fn post_patiently<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.request(Method::POST, path)?.json(body);
        self.read(patient(request)).await
    }

    /// The answer to `GET path`; `None` where there is no such thing.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        self.found(self.request(Method::GET, path)?).await
    }

    async fn found<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> anyhow::Result<Option<T>> {
        let answer = self.reply_to(request).await?;
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

    /// The same; false where there is no such thing.
    pub(crate) async fn remove(&self, path: &str) -> anyhow::Result<bool> {
        let answer = self.reply_to(self.request(Method::DELETE, path)?).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        self.checked(answer).await.map(|_| true)
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

    /// The URL of a path at the server.
    pub(crate) fn url(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.base.join(path)?.into())
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
        let answer = sent.map_err(|error| self.unreached(&error))?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            self.was_taken.store(true, Ordering::Relaxed);
            return Ok(answer);
        }
        let was_taken = self.was_taken.load(Ordering::Relaxed);
        let login = self.login.as_ref();
        let login = login.filter(|login| was_taken && login.is_refresh());
        let (Some(again), Some(login)) = (again, login) else {
            return Ok(answer);
        };
        let scope = self.scope.as_deref();
        let new = refresh::exchange(&self.http, &self.server, &self.base, login, scope).await?;
        *self.bearer.write().await = Some(new);
        let sent = self.signed(again).await.send().await;
        sent.map_err(|error| self.unreached(&error))
    }

    fn unreached(&self, error: &reqwest::Error) -> anyhow::Error {
        let ca_file = self.transport.ca_file.as_deref();
        in_spite_of(explain(&self.base, error), ca_file)
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
        let is_login = self.login.is_none() || !failure::is_out_of_scope(&answer);
        if answer.status() == StatusCode::UNAUTHORIZED && is_login {
            let said = failure::words(&answer, &body);
            let login = self.login.as_ref();
            return Err(failure::login_wanted(&self.server, login, &said));
        }
        Err(failure::explain(&self.server, &answer, &body))
    }
}

/// Whether the same request may be answered otherwise in a while.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
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
