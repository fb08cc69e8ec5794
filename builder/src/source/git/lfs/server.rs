//! The server of a repository's large files.

use std::collections::BTreeMap;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::source::git::credential::Credential;
use crate::source::git::url::{GitUrl, Scheme};
use crate::source::web::client;
use crate::source::{Fault, FaultClass, SourceNetwork};

/// Bytes of a server's answer to a batch.
const MAX_ANSWER: usize = 4 << 20;

const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// The LFS server of a repository.
pub(super) struct Server<'a> {
    pub(super) url: &'a GitUrl,
    network: &'a SourceNetwork,
    authorization: Option<HeaderValue>,
}

/// Where a server says an object is.
#[derive(Debug, Deserialize)]
pub(super) struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Answer {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: u64,
    #[serde(default)]
    actions: BTreeMap<String, Action>,
    #[serde(default)]
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct ObjectError {
    code: i64,
}

impl<'a> Server<'a> {
    /// The server of the repository at `url`, shown `credential`.
    pub(super) fn of(
        url: &'a GitUrl,
        credential: Option<&Credential>,
        network: &'a SourceNetwork,
    ) -> Result<Self, Fault> {
        if url.scheme() != Scheme::Https {
            return Err(Fault::new(
                FaultClass::GitError,
                format!(
                    "{url}: files of Git LFS are fetched over https only: name the repository by its https URL"
                ),
            ));
        }
        Ok(Self {
            url,
            network,
            authorization: credential.and_then(Credential::header),
        })
    }

    /// Asks where objects are.
    pub(super) async fn batch(
        &self,
        objects: &[(&str, u64)],
    ) -> Result<Vec<(String, u64, Action)>, Fault> {
        let base = self.url.with_suffix();
        let base = base.as_ref().unwrap_or(self.url);
        let endpoint = format!(
            "{}/info/lfs/objects/batch",
            base.to_string().trim_end_matches('/')
        );
        let wanted = objects
            .iter()
            .map(|(id, size)| serde_json::json!({"oid": id, "size": size}));
        let question = serde_json::json!({
            "operation": "download",
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "objects": wanted.collect::<Vec<_>>(),
        });
        let mut request = client(self.url.host(), self.url.port(), self.network)
            .await?
            .post(&endpoint)
            .header(ACCEPT, MEDIA_TYPE)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .body(question.to_string());
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let response = self.accepted(response)?;
        let answer = self.read(response).await?;
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|error| self.fault(&format!("the LFS server's answer is none: {error}")))?;
        let answered = answer.objects.into_iter();
        let mut answered: BTreeMap<String, Object> = answered
            .map(|object| (object.oid.clone(), object))
            .collect();
        let mut found = Vec::new();
        for (id, size) in objects {
            let Some(mut object) = answered.remove(*id) else {
                return Err(self.fault(&format!("the LFS server does not know {id}")));
            };
            if let Some(error) = object.error {
                return Err(self.fault(&format!(
                    "the LFS server has no content for {id} (error {})",
                    error.code
                )));
            }
            let action = object.actions.remove("download");
            let action = action.filter(|_| object.size == *size);
            let action = action
                .ok_or_else(|| self.fault(&format!("the LFS server offers no download of {id}")))?;
            found.push(((*id).to_owned(), *size, action));
        }
        Ok(found)
    }

    /// Begins a download.
    pub(super) async fn get(&self, action: &Action) -> Result<Response, Fault> {
        let parsed: Result<reqwest::Url, _> = action.href.parse();
        let place = parsed.ok().filter(|place| place.scheme() == "https");
        let host = place.as_ref().and_then(reqwest::Url::host_str);
        let (Some(place), Some(host)) = (&place, host) else {
            return Err(self.fault("the LFS server names a place that is not https"));
        };
        let port = place.port_or_known_default().unwrap_or(443);
        // A URL of a repository at that server: the same checks, the same binding to what was checked.
        let at: Result<GitUrl, _> = format!("https://{host}:{port}/lfs").parse();
        let at = at.map_err(|_| self.fault("the LFS server names a place that is none"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &action.header {
            let name: Result<HeaderName, _> = name.parse();
            let value: Result<HeaderValue, _> = value.parse();
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        if let Some(value) = &self.authorization
            && at.same_server(self.url)
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let request = client(at.host(), at.port(), self.network)
            .await?
            .get(place.clone())
            .headers(headers);
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        self.accepted(response)
    }

    fn accepted(&self, response: Response) -> Result<Response, Fault> {
        let class = match response.status() {
            status if status.is_success() => return Ok(response),
            StatusCode::UNAUTHORIZED if self.authorization.is_none() => {
                FaultClass::GitRemoteRepositoryPrivate
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                FaultClass::GitAuthInvalidUserOrPass
            }
            StatusCode::NOT_FOUND => FaultClass::GitRemoteRepositoryNotFound,
            _ => FaultClass::GitError,
        };
        let message = format!("{}: the LFS server answers {}", self.url, response.status());
        Err(Fault::new(class, message))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.broken(&error))?
        {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(Fault::too_large(
                    "the LFS server says more than is read of it",
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    pub(super) fn broken(&self, error: &reqwest::Error) -> Fault {
        // The URL may carry a signature.
        let cause = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
        self.fault(&format!("the LFS server cannot be asked: {cause}"))
    }

    fn fault(&self, what: &str) -> Fault {
        Fault::new(FaultClass::GitError, format!("{}: {what}", self.url))
    }
}
