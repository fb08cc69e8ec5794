//! Sending a blob, from where the last attempt broke off (distribution-spec, "Pushing a blob in chunks").

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use oci::Descriptor;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Body, Method, Response, StatusCode, Url};

use super::failure::{Failure, persist};
use super::progress::Progress;
use super::repository::Repository;
use super::store::Store;

/// An upload: where it goes on, and from which byte.
#[derive(Clone)]
struct Begun {
    url: Url,
    offset: u64,
}

impl Repository {
    /// Streams a blob from `source` here. The registry checks that it is what its digest says.
    pub(super) async fn upload(
        &self,
        blob: &Descriptor,
        source: &Store,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let mut begun = None;
        persist(async || {
            let mut session = self.resume(begun.as_ref()).await?;
            begun = Some(session.clone());
            let sent = progress.part(session.offset);
            if session.offset < blob.size {
                let stream = source.open_blob(blob.digest, session.offset).await?;
                let stream = stream
                    .inspect_ok({
                        let sent = sent.clone();
                        move |chunk| sent.add(chunk.len())
                    })
                    // A source that breaks ends the request, which goes on later like any other that ended.
                    .map_err(|failure| failure.into_error().into_boxed_dyn_error());
                let (first, last) = (session.offset, blob.size - 1);
                let answer = self
                    .session
                    .once(&Method::PATCH, &session.url, &self.scopes, |request| {
                        let request = match first {
                            0 => request,
                            _ => request.header(CONTENT_RANGE, format!("{first}-{last}")),
                        };
                        request
                            .header(CONTENT_TYPE, "application/octet-stream")
                            .header(CONTENT_LENGTH, blob.size - first)
                            .body(Body::wrap_stream(stream))
                    })
                    .await?;
                if first > 0 && answer.status().is_client_error() {
                    // It stands elsewhere than it said.
                    begun = None;
                    let error = self.failed(answer).await.into_error();
                    return Err(Failure::Passing(error));
                }
                if !answer.status().is_success() {
                    return Err(self.failed(answer).await);
                }
                session.url = self.next(&answer, &session.url)?;
                session.offset = blob.size;
            }
            let mut url = session.url.clone();
            url.query_pairs_mut()
                .append_pair("digest", &blob.digest.to_string());
            let answer = self
                .session
                .send(Method::PUT, &url, &self.scopes, |request| {
                    request.header(CONTENT_LENGTH, 0)
                })
                .await?;
            if !answer.status().is_success() {
                return Err(self.failed(answer).await);
            }
            sent.keep();
            Ok(())
        })
        .await
        .with_context(|| format!("{}@{}", self.name(), blob.digest))
    }

    /// Where an upload stands that broke off; a new one where there was none, or it is gone, or nothing came of it.
    async fn resume(&self, begun: Option<&Begun>) -> Result<Begun, Failure> {
        if let Some(Begun { url, .. }) = begun {
            let answer = self
                .session
                .send(Method::GET, url, &self.scopes, |request| request)
                .await?;
            let offset = received(&answer);
            if answer.status() == StatusCode::NO_CONTENT && offset > 0 {
                let url = self.next(&answer, url)?;
                return Ok(Begun { url, offset });
            }
        }
        let url = self.url("blobs/uploads/")?;
        let first = async {
            let answer = self
                .session
                .send(Method::POST, &url, &self.scopes, |request| {
                    request.header(CONTENT_LENGTH, 0)
                })
                .await?;
            match answer.status() {
                StatusCode::ACCEPTED => Ok(answer),
                _ => Err(self.failed(answer).await),
            }
        };
        let answer = self.writing.after(first).await?;
        Ok(Begun {
            url: self.next(&answer, &url)?,
            offset: 0,
        })
    }

    /// Where the registry says that it goes on; relative to where it was.
    fn next(&self, answer: &Response, at: &Url) -> anyhow::Result<Url> {
        match answer.headers().get(LOCATION) {
            None => Ok(at.clone()),
            Some(location) => location
                .to_str()
                .ok()
                .and_then(|location| at.join(location).ok())
                .with_context(|| {
                    format!("{}: an upload without an address", self.session.server())
                }),
        }
    }
}

/// How many bytes the registry has: the end of `Range: 0-N` is the last one. `0-0` stands for none as well as for one, so
/// it counts as none.
fn received(answer: &Response) -> u64 {
    let range = answer.headers().get(RANGE);
    let last = range
        .and_then(|value| value.to_str().ok())
        .and_then(|text| {
            text.trim_start_matches("bytes=")
                .split_once('-')?
                .1
                .parse()
                .ok()
        });
    match last {
        None | Some(0) => 0,
        Some(last) => u64::saturating_add(last, 1),
    }
}
