//! Requests to one registry, as whoever is logged in to it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use auth::Secret;
use oci::RepoName;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::super::failure::is_out_of_scope;
use super::super::{
    AuthFiles, Challenge, Hosts, Login, Server, http, in_spite_of, may_see, reach, stayed,
    transfers,
};
use super::failure::{Failure, persist};
use super::repository::whole;
use crate::cli::{AuthFile, Transport};

/// How long a token is taken to live where nothing is said (distribution, "Token Authentication").
const DEFAULT_LIFETIME: u64 = 60;
/// The longest that one is taken to live: what a server says is added to times.
const MAX_LIFETIME: u64 = 24 * 3600;
/// Most bytes of an answer with a token in it.
const MAX_TOKEN_ANSWER: usize = 1 << 20;

/// The way to a registry.
pub(crate) struct Session {
    /// For what has a login in it: follows no redirects.
    http: reqwest::Client,
    transfers: reqwest::Client,
    server: Server,
    base: Url,
    login: Option<Login>,
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<Vec<String>, Token>>,
    /// Held while a token is asked for: those who need the same one wait for it.
    asking: tokio::sync::Mutex<()>,
}

/// By what a request showed who it is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// A token that was there, and may have ended.
    Earlier,
    /// A password, or a token that was asked for just now: asking again changes nothing.
    New,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Session {
    /// Finds the registry and the login for it.
    pub(crate) async fn open(
        server: &Server,
        auth_file: &AuthFile,
        transport: &Transport,
    ) -> anyhow::Result<Self> {
        let http = http(transport)?;
        let reached = reach(&http, &server.bases(transport)?).await;
        let ca_file = transport.ca_file.as_deref();
        let (base, answer) = reached.map_err(|error| in_spite_of(error, ca_file))?;
        let key = match server.name() {
            "registry-1.docker.io" => "index.docker.io/v1/",
            name => name,
        };
        Ok(Self {
            challenge: Mutex::new(Challenge::of(&base, &answer)),
            http,
            transfers: transfers(transport)?,
            server: server.clone(),
            base,
            login: AuthFiles::find(auth_file.authfile.clone())?.get(key)?,
            tokens: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Whether it is plain HTTP.
    pub(crate) fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// Whether it is the same registry, asked as the same person.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.base == other.base
    }

    /// Waits until the registry can say what the caller may do, or fails with its words: for programs that would wait without
    /// a word.
    pub(crate) async fn ready(&self, repository: &RepoName, actions: &str) -> anyhow::Result<()> {
        let scopes = [format!("repository:{repository}:{actions}")];
        persist(async || self.authorization(&scopes).await.map(drop)).await
    }

    /// A URL below `/v2/`, or one that the registry gave, which may be relative.
    pub(super) fn url(&self, path: &str) -> anyhow::Result<Url> {
        let url = self.base.join(path);
        url.with_context(|| format!("{}: {path} is no address", self.server))
    }

    /// Sends what `made` makes, with the rights that `scopes` name, and once more where that may help: the registry says only
    /// now what it asks for, or a token from before has ended. A refusal is asked for once.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        scopes: &[String],
        made: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let (answer, shown) = self.attempt(&method, url, scopes, &made).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(challenge) = Challenge::of(&self.base, &answer) else {
            return Ok(answer);
        };
        let before = locked(&self.challenge).replace(challenge.clone());
        let is_news = before.as_ref() != Some(&challenge)
            && (self.login.is_some() || challenge != Challenge::Basic);
        let has_ended = shown == Shown::Earlier && !is_out_of_scope(&answer);
        if !is_news && !has_ended {
            return Ok(answer);
        }
        locked(&self.tokens).remove(scopes);
        self.once(&method, url, scopes, &made).await
    }

    /// As [`Session::send`], where a body can be sent but once.
    pub(super) async fn once(
        &self,
        method: &Method,
        url: &Url,
        scopes: &[String],
        made: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let (answer, _) = self.attempt(method, url, scopes, made).await?;
        Ok(answer)
    }

    async fn attempt(
        &self,
        method: &Method,
        url: &Url,
        scopes: &[String],
        made: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(Response, Shown), Failure> {
        let mut request = made(self.transfers.request(method.clone(), url.clone()));
        let mut shown = Shown::Nothing;
        // Where uploads and downloads are sent elsewhere, that place has credentials in its URL.
        let is_here = url.origin() == self.base.origin();
        if is_here && let Some((header, how)) = self.authorization(scopes).await? {
            request = request.header(AUTHORIZATION, header);
            shown = how;
        }
        let sent = request.send().await;
        let answer = sent.map_err(|error| Failure::unanswered(url, &error))?;
        Ok((answer, shown))
    }

    /// Why the registry did not do what it was asked for.
    pub(super) async fn failed(&self, answer: Response) -> Failure {
        let at = answer.url().origin();
        if answer.status() == StatusCode::UNAUTHORIZED && at != self.base.origin() {
            return Failure::Lasting(anyhow::anyhow!(
                "{}: it sends this request to {}, which wants a login of its own (401)",
                self.server,
                at.ascii_serialization()
            ));
        }
        Failure::answered(&self.server, self.login.as_ref(), answer).await
    }

    async fn authorization(
        &self,
        scopes: &[String],
    ) -> Result<Option<(HeaderValue, Shown)>, Failure> {
        let challenge = locked(&self.challenge).clone();
        match (challenge, &self.login) {
            (None, _) | (Some(Challenge::Basic), None) => Ok(None),
            (Some(Challenge::Basic), Some(login)) if login.is_refresh() => {
                Err(Failure::Lasting(anyhow::anyhow!(
                    "{0}: the login is a refresh token, and the registry has no token endpoint: \
                     slipway login {0}",
                    self.server
                )))
            }
            (Some(Challenge::Basic), Some(login)) => Ok(Some((basic(login)?, Shown::New))),
            (Some(Challenge::Bearer { realm, service }), login) => {
                if let Some(kept) = self.kept(scopes) {
                    return Ok(Some((kept, Shown::Earlier)));
                }
                let _turn = self.asking.lock().await;
                // Whoever had the turn before may have asked for the same.
                if let Some(kept) = self.kept(scopes) {
                    return Ok(Some((kept, Shown::Earlier)));
                }
                let token = self
                    .token(realm, service.as_deref(), scopes, login.as_ref())
                    .await?;
                let header = token.header.clone();
                locked(&self.tokens).insert(scopes.to_vec(), token);
                Ok(Some((header, Shown::New)))
            }
        }
    }

    /// The token for these rights, until shortly before its end.
    fn kept(&self, scopes: &[String]) -> Option<HeaderValue> {
        let tokens = locked(&self.tokens);
        let token = tokens.get(scopes)?;
        (token.until > Instant::now()).then(|| token.header.clone())
    }

    async fn token(
        &self,
        mut realm: Url,
        service: Option<&str>,
        scopes: &[String],
        login: Option<&Login>,
    ) -> Result<Token, Failure> {
        if login.is_some() {
            may_see(&self.base, &realm, Hosts::OfTokens)?;
        }
        let request = match login {
            Some(login) if login.is_refresh() => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", "slipway"),
                    ("service", service.unwrap_or_default()),
                    ("scope", &scopes.join(" ")),
                    ("refresh_token", login.password.expose()),
                ];
                let body = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(form)
                    .finish();
                self.http
                    .post(realm.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body)
            }
            login => {
                for scope in scopes {
                    realm.query_pairs_mut().append_pair("scope", scope);
                }
                if let Some(service) = service {
                    realm.query_pairs_mut().append_pair("service", service);
                }
                let request = self.http.get(realm.clone());
                match login {
                    None => request,
                    Some(login) => request.header(AUTHORIZATION, basic(login)?),
                }
            }
        };
        let begun = Instant::now();
        let sent = request.send().await;
        let answer = sent.map_err(|error| Failure::unanswered(&realm, &error))?;
        stayed(&answer)?;
        if !answer.status().is_success() {
            return Err(Failure::answered(&self.server, login, answer).await);
        }
        let body = whole(&realm, answer, MAX_TOKEN_ANSWER).await?;
        // What is wrong with it is told without what is in it.
        let granted = serde_json::from_slice::<Granted>(&body).ok();
        let granted =
            granted.with_context(|| format!("{}: no token in the answer", self.server))?;
        let token = granted.token.or(granted.access_token);
        let token = Secret::new(token.with_context(|| format!("{}: no token", self.server))?);
        // A little before its end, so that it does not end on the way.
        let lifetime = granted.expires_in.unwrap_or(DEFAULT_LIFETIME);
        let lifetime = lifetime.min(MAX_LIFETIME);
        Ok(Token {
            header: sensitive(format!("Bearer {}", token.expose()))?,
            until: begun + Duration::from_secs(lifetime) * 3 / 4,
        })
    }
}

fn basic(login: &Login) -> anyhow::Result<HeaderValue> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let pair = format!("{}:{}", login.user, login.password.expose());
    sensitive(format!("Basic {}", STANDARD.encode(pair)))
}

fn sensitive(text: String) -> anyhow::Result<HeaderValue> {
    let mut header =
        HeaderValue::try_from(text).map_err(|_| anyhow::anyhow!("the token is no token"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
