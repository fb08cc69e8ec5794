//! What registries list, page by page: repositories, tags, referrers.

use anyhow::Context as _;
use oci::{Descriptor, Digest, Reference, Tag};
use reqwest::header::LINK;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::failure::{Failure, persist};
use super::repository::{Repository, whole};
use super::session::Session;

/// Most bytes of a page.
const MAX_PAGE: usize = 32 << 20;

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Vec<String>,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Vec<Descriptor>,
}

/// The repositories of a registry, as many as the caller may see.
pub(crate) async fn repositories(session: &Session) -> anyhow::Result<Vec<String>> {
    let scopes = ["registry:catalog:*".to_owned()];
    let mut all = Vec::new();
    let mut next = Some(session.url("_catalog")?);
    while let Some(url) = next {
        let (page, link): (Catalog, _) =
            persist(async || list(session, &url, &scopes).await).await?;
        all.extend(page.repositories);
        next = link;
    }
    Ok(all)
}

impl Repository {
    /// Every tag, in the registry's order.
    pub(crate) async fn tags(&self) -> anyhow::Result<Vec<String>> {
        let mut all = Vec::new();
        let mut next = Some(self.url("tags/list")?);
        while let Some(url) = next {
            let (page, link): (Tags, _) = self.list(&url).await?;
            all.extend(page.tags.unwrap_or_default());
            next = link;
        }
        Ok(all)
    }

    /// The manifests that name `subject`: by the registry's list, or by the tag that stands in for it.
    pub(super) async fn referrers(&self, subject: Digest) -> anyhow::Result<Vec<Descriptor>> {
        let mut all = Vec::new();
        let mut next = Some(self.url(&format!("referrers/{subject}"))?);
        while let Some(url) = next {
            let (page, link): (Option<Referrers>, _) = self.list(&url).await?;
            let Some(page) = page else {
                let tag = Reference::Tag(Tag::referrers_of(&subject));
                let index = self.manifest(&tag).await?;
                return Ok(index
                    .map(|index| index.children().to_vec())
                    .unwrap_or_default());
            };
            all.extend(page.manifests);
            next = link;
        }
        Ok(all)
    }

    /// A page of a list, and where the next one is.
    async fn list<T: FromList>(&self, url: &Url) -> anyhow::Result<(T, Option<Url>)> {
        persist(async || list(&self.session, url, &self.scopes).await).await
    }
}

/// What a list is read into.
trait FromList: Sized {
    /// `None` stands for "there is no such list".
    fn read(body: Option<&[u8]>) -> Option<Self>;
}

impl FromList for Tags {
    fn read(body: Option<&[u8]>) -> Option<Self> {
        serde_json::from_slice(body?).ok()
    }
}

impl FromList for Catalog {
    fn read(body: Option<&[u8]>) -> Option<Self> {
        serde_json::from_slice(body?).ok()
    }
}

impl FromList for Option<Referrers> {
    fn read(body: Option<&[u8]>) -> Option<Self> {
        match body {
            None => Some(None),
            Some(body) => serde_json::from_slice(body).ok().map(Some),
        }
    }
}

async fn list<T: FromList>(
    session: &Session,
    url: &Url,
    scopes: &[String],
) -> Result<(T, Option<Url>), Failure> {
    let answer = session
        .send(Method::GET, url, scopes, |request| request)
        .await?;
    let missing = answer.status() == StatusCode::NOT_FOUND;
    if missing && let Some(none) = T::read(None) {
        return Ok((none, None));
    }
    if !answer.status().is_success() {
        return Err(session.failed(answer).await);
    }
    let link = answer
        .headers()
        .get(LINK)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split_once('<')?.1.split_once('>'))
        .map(|(path, _)| url.join(path))
        .transpose()
        .map_err(|error| anyhow::anyhow!("{url}: the next page: {error}"))?;
    let body = whole(url, answer, MAX_PAGE).await?;
    let page = T::read(Some(&body)).with_context(|| format!("{url}: no list in the answer"))?;
    Ok((page, link))
}
