//! Lists: tags, repositories, referrers.

use auth::{Identity, Permit, Pull};
use oci::{Descriptor, Digest, Page, RepoName, Tag};

use crate::{Error, Registry};

/// Entries of a page when the client names no size. Tags: all that real repositories have, because
/// many clients never follow `Link`.
const TAGS_PAGE: usize = 100_000;
const CATALOG_PAGE: usize = 1_000;
const REFERRERS_PAGE: usize = 1_000;
/// Most repositories that are read at a time while looking for those that the caller may see.
const CATALOG_STRIDE: usize = 1_000;

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries, in order.
    pub entries: Vec<T>,
    /// There is more after the last entry.
    pub more: bool,
}

/// One page of the catalog.
#[derive(Debug, PartialEq, Eq)]
pub struct CatalogPage {
    /// Those on it, in order.
    pub repositories: Vec<RepoName>,
    /// How many it has room for.
    pub size: usize,
    /// The `last` of the next page, if there is one.
    pub next: Option<String>,
}

impl<T> Listing<T> {
    /// Cuts `entries`, of which one more than `size` was asked for, to a page.
    fn cut(mut entries: Vec<T>, size: usize) -> Self {
        let more = entries.len() > size;
        entries.truncate(size);
        Self { entries, more }
    }
}

impl Registry {
    /// Tags in byte order after `page.last`.
    pub async fn tags(&self, permit: &Permit<Pull>, page: &Page) -> Result<Listing<Tag>, Error> {
        let size = size(page, TAGS_PAGE);
        let tags = self
            .storage
            .catalog
            .tags(permit.repo(), page.last(), size + 1)
            .await?
            .ok_or_else(|| Error::NameUnknown(permit.repo().clone()))?;
        Ok(Listing::cut(tags, size))
    }

    /// Repositories in byte order after `page.last`, only those that `who` may pull from: the
    /// same predicate as a pull, so the list tells nothing that a pull would not.
    ///
    /// A page may be short, or empty, and yet not the last: a request asks a policy that has to
    /// ask elsewhere only so much.
    pub async fn catalog(&self, who: &Identity, page: &Page) -> Result<CatalogPage, Error> {
        let size = size(page, CATALOG_PAGE);
        if size == 0 {
            return Ok(CatalogPage {
                repositories: Vec::new(),
                size,
                next: None,
            });
        }
        let mut sight = self.gate.sight(who);
        let mut last = match page.last() {
            None => None,
            Some(last) => Some(sight.position(last)?.ok_or(Error::PositionUnknown)?),
        };
        let mut repositories = Vec::new();
        // Whoever sees all is served by one read; who sees little of much costs few reads more.
        let mut stride = CATALOG_STRIDE.min(size + 1);
        loop {
            let names = self
                .storage
                .catalog
                .repositories(last.as_deref(), stride)
                .await?;
            let seen = sight.look(&names, size - repositories.len()).await?;
            repositories.extend(seen.repositories);
            let mut next = None;
            let full = repositories.len() > size;
            if full {
                repositories.truncate(size);
                next = repositories.last().map(ToString::to_string);
            } else if seen.looked_at < names.len() {
                // One that may not be seen, so no client is told its name.
                next = match seen.looked_at.checked_sub(1) {
                    Some(index) => Some(sight.seal(names[index].as_str())?),
                    None => last.as_deref().map(|last| sight.seal(last)).transpose()?,
                };
            } else if names.len() == stride {
                last = names.last().map(ToString::to_string);
                stride = CATALOG_STRIDE.min(stride * 4);
                continue;
            }
            return Ok(CatalogPage {
                repositories,
                size,
                next,
            });
        }
    }

    /// Manifests whose subject is `digest`, whether or not the subject exists.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        digest: &Digest,
        artifact_type: Option<&str>,
        page: &Page,
    ) -> Result<Listing<Descriptor>, Error> {
        let size = size(page, REFERRERS_PAGE).min(REFERRERS_PAGE);
        // A `last` that is no digest is none of ours, and no manifest comes after it.
        let after = match page.last().map(str::parse) {
            None => None,
            Some(Ok(digest)) => Some(digest),
            Some(Err(_)) => return Ok(Listing::cut(Vec::new(), size)),
        };
        let found = self
            .storage
            .catalog
            .referrers(permit.repo(), digest, artifact_type, after.as_ref(), size)
            .await?;
        Ok(Listing {
            entries: found.entries,
            more: found.more,
        })
    }
}

/// The size of a page, `default` where the client leaves it to us.
fn size(page: &Page, default: usize) -> usize {
    page.n()
        .map_or(default, |n| usize::try_from(n).unwrap_or(default))
}
