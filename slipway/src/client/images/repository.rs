//! One repository of a registry (distribution-spec).

use std::sync::Arc;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::RepoName;
use oci::{Algorithm, Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, MediaType, Reference};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::failure::{Failure, persist};
use super::pilot::Pilot;
use super::session::Session;
use super::store::ByteStream;

/// Every kind of manifest that is understood.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, */*;q=0.1";

/// A repository, as somebody who needs certain rights in it.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(super) session: Arc<Session>,
    name: RepoName,
    pub(super) scopes: Vec<String>,
    looking: Arc<Pilot>,
    pub(super) writing: Arc<Pilot>,
}

impl Repository {
    /// `actions` are what is to be done there, as the token protocol names it: `pull`, `pull,push`, `delete`.
    pub(crate) fn new(session: Arc<Session>, name: RepoName, actions: &str) -> Self {
        let scopes = vec![format!("repository:{name}:{actions}")];
        Self {
            session,
            name,
            scopes,
            looking: Arc::default(),
            writing: Arc::default(),
        }
    }

    pub(crate) fn name(&self) -> &RepoName {
        &self.name
    }

    /// A manifest with the bytes that it has there; `None` where there is none.
    pub(crate) async fn manifest(&self, reference: &Reference) -> anyhow::Result<Option<Manifest>> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let (answer, body) = persist(async || {
            let answer = self
                .session
                .send(Method::GET, &url, &self.scopes, |request| {
                    request.header(ACCEPT, MANIFESTS)
                })
                .await?;
            match answer.status() {
                StatusCode::OK => {
                    let media_type = media_type(&answer);
                    Ok((
                        media_type,
                        Some(whole(&url, answer, MAX_MANIFEST_BYTES).await?),
                    ))
                }
                StatusCode::NOT_FOUND => Ok((None, None)),
                _ => Err(self.failed(answer).await),
            }
        })
        .await?;
        let Some(body) = body else { return Ok(None) };
        let expected = match reference {
            Reference::Digest(digest) => oci::Expected::Digest(*digest),
            Reference::Tag(_) => oci::Expected::Algorithm(Algorithm::Sha256),
        };
        let manifest = Manifest::parse(body, answer.as_ref(), expected);
        manifest.map(Some).with_context(|| self.place(reference))
    }

    /// Stores a manifest; says whether the registry knows to list it among its subject's referrers.
    pub(crate) async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
    ) -> anyhow::Result<bool> {
        let url = self.url(&format!("manifests/{reference}"))?;
        persist(async || {
            let answer = self
                .session
                .send(Method::PUT, &url, &self.scopes, |request| {
                    request
                        .header(CONTENT_TYPE, manifest.media_type().as_str())
                        .body(manifest.bytes().clone())
                })
                .await?;
            if answer.status().is_success() {
                return Ok(answer.headers().contains_key("oci-subject"));
            }
            Err(self.failed(answer).await)
        })
        .await
    }

    /// Deletes a tag, or a manifest with all its tags; false where there is none.
    pub(crate) async fn delete(&self, reference: &Reference) -> anyhow::Result<bool> {
        let url = self.url(&format!("manifests/{reference}"))?;
        persist(async || {
            let answer = self
                .session
                .send(Method::DELETE, &url, &self.scopes, |request| request)
                .await?;
            match answer.status() {
                status if status.is_success() => Ok(true),
                StatusCode::NOT_FOUND => Ok(false),
                _ => Err(self.failed(answer).await),
            }
        })
        .await
    }

    pub(super) async fn has_blob(&self, digest: Digest) -> anyhow::Result<bool> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let looked = persist(async || {
            let answer = self
                .session
                .send(Method::HEAD, &url, &self.scopes, |request| request)
                .await?;
            match answer.status() {
                StatusCode::OK => Ok(true),
                StatusCode::NOT_FOUND => Ok(false),
                _ => Err(self.failed(answer).await),
            }
        });
        self.looking.after(looked).await
    }

    /// The bytes of a blob from `offset` on.
    pub(super) async fn open_blob(
        &self,
        digest: Digest,
        offset: u64,
    ) -> Result<ByteStream, Failure> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let answer = self
            .session
            .send(Method::GET, &url, &self.scopes, |request| match offset {
                0 => request,
                offset => request.header(RANGE, format!("bytes={offset}-")),
            })
            .await?;
        let skip = match answer.status() {
            StatusCode::PARTIAL_CONTENT => 0,
            // Not every registry knows ranges.
            StatusCode::OK => offset,
            _ => return Err(self.failed(answer).await),
        };
        let stream = answer
            .bytes_stream()
            .map_err(move |error| Failure::unanswered(&url, &error));
        Ok(skipped(stream.boxed(), skip))
    }

    /// Ends an upload that nobody goes on with. Where that fails the registry forgets it by itself.
    async fn abandon(&self, begun: &Response, at: &Url) {
        let location = begun.headers().get(LOCATION);
        let url = location.and_then(|location| at.join(location.to_str().ok()?).ok());
        if let Some(url) = url {
            let ended = self
                .session
                .once(&Method::DELETE, &url, &self.scopes, |request| request);
            drop(ended.await);
        }
    }

    /// A blob that is small enough to be read as a whole, such as a configuration; checked.
    pub(crate) async fn small_blob(&self, blob: &Descriptor) -> anyhow::Result<Bytes> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let bytes = persist(async || {
            let answer = self
                .session
                .send(Method::GET, &url, &self.scopes, |request| request)
                .await?;
            match answer.status() {
                StatusCode::OK => whole(&url, answer, MAX_MANIFEST_BYTES).await,
                _ => Err(self.failed(answer).await),
            }
        })
        .await?;
        let found = Digest::of(blob.digest.algorithm(), &bytes);
        anyhow::ensure!(
            found == blob.digest,
            "{url}: other content under this digest"
        );
        Ok(bytes)
    }

    /// Takes a blob over from another repository of the registry; false where it does not do that.
    pub(super) async fn mount(&self, digest: Digest, from: &RepoName) -> anyhow::Result<bool> {
        let mut url = self.url("blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", &digest.to_string())
            .append_pair("from", from.as_str());
        let mut scopes = self.scopes.clone();
        scopes.push(format!("repository:{from}:pull"));
        let mounted = persist(async || {
            let answer = self
                .session
                .send(Method::POST, &url, &scopes, |request| request)
                .await?;
            match answer.status() {
                StatusCode::CREATED => Ok(true),
                // An upload was begun instead, as if nothing could be mounted.
                StatusCode::ACCEPTED => {
                    self.abandon(&answer, &url).await;
                    Ok(false)
                }
                _ => Err(self.failed(answer).await),
            }
        });
        self.writing.after(mounted).await
    }

    /// Fails in the registry's words where one may not push: an upload is begun and ended. For whoever would make much ready first.
    pub(crate) async fn may_push(&self) -> anyhow::Result<()> {
        let url = self.url("blobs/uploads/")?;
        let asked = persist(async || {
            let answer = self
                .session
                .send(Method::POST, &url, &self.scopes, |request| request)
                .await?;
            match answer.status() {
                StatusCode::ACCEPTED => {
                    self.abandon(&answer, &url).await;
                    Ok(())
                }
                _ => Err(self.failed(answer).await),
            }
        });
        self.writing.after(asked).await
    }

    pub(super) fn url(&self, path: &str) -> anyhow::Result<Url> {
        self.session.url(&format!("{}/{path}", self.name))
    }

    pub(super) async fn failed(&self, answer: Response) -> Failure {
        self.session.failed(answer).await
    }

    pub(super) fn place(&self, reference: &Reference) -> String {
        let mark = if reference.tag().is_some() { ':' } else { '@' };
        format!("{}/{}{mark}{reference}", self.session.server(), self.name)
    }
}

fn media_type(answer: &Response) -> Option<MediaType> {
    let value = answer.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    // Some serve every file as this; then the manifest says itself what it is.
    let media_type = MediaType::from_content_type(value).ok()?;
    (!matches!(
        media_type.as_str(),
        "application/octet-stream" | "application/json"
    ))
    .then_some(media_type)
}

pub(super) async fn whole(url: &Url, mut answer: Response, limit: usize) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    loop {
        let chunk = answer.chunk().await;
        match chunk.map_err(|error| Failure::unanswered(url, &error))? {
            None => return Ok(body.freeze()),
            Some(chunk) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Some(_) => {
                let error = anyhow::anyhow!("{url}: the answer is larger than {limit} bytes");
                return Err(Failure::Lasting(error));
            }
        }
    }
}

/// The stream without its first bytes.
fn skipped(stream: ByteStream, skip: u64) -> ByteStream {
    if skip == 0 {
        return stream;
    }
    stream
        .scan(skip, |left, chunk| {
            let chunk = chunk.map(|mut chunk| {
                let cut = usize::try_from(*left).map_or(chunk.len(), |left| left.min(chunk.len()));
                *left -= cut as u64;
                chunk.split_off(cut)
            });
            std::future::ready(Some(chunk))
        })
        .boxed()
}
