//! Files of Git LFS: pointers in the repository, content on a server (git-lfs `docs/spec.md`, `docs/api/batch.md`).
//!
//! The server is the repository's own, at the place that its URL says; a submodule's files are its own server's. What a repository would like otherwise
//! (`.lfsconfig`) is not read: it would send us, and our credential, anywhere. Where the server says content is,
//! the same rules hold as for any connection, and the credential goes there only if it is the same server.

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write};

use oci::{Algorithm, Hasher};

use self::server::{Action, Server};
use super::gather::Content;
use super::job::Job;
use super::process::timed_out;
use super::url::GitUrl;
use crate::room::Written;
use crate::source::Fault;
use crate::source::tree::{Node, Tree};

#[cfg(test)]
mod tests;

/// Bytes of a pointer file, at most (the specification's bound).
pub(super) const MAX_POINTER: u64 = 1023;

/// Bytes of a `.gitattributes` that is looked into.
pub(super) const MAX_ATTRIBUTES: u64 = 256 << 10;

/// Objects that are asked for at once.
const BATCH: usize = 100;

/// What stands in a repository for a large file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// The content's SHA-256, in lower-case hex.
    id: Box<str>,
    size: u64,
    executable: bool,
}

impl Pointer {
    /// Reads a pointer; `None` if the text is none.
    pub(super) fn parse(text: &[u8], executable: bool) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines();
        if lines.next()? != "version https://git-lfs.github.com/spec/v1" {
            return None;
        }
        let fields: BTreeMap<&str, &str> = lines.filter_map(|l| l.split_once(' ')).collect();
        let id = fields.get("oid")?.strip_prefix("sha256:")?;
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let fits = id.len() == 64 && id.bytes().all(is_hex);
        fits.then_some(Self {
            id: id.into(),
            size: fields.get("size")?.parse().ok()?,
            executable,
        })
    }

    /// The file that it stands for, in one of the source's repositories.
    pub(super) fn node(self, repository: u32) -> Node<Content> {
        Node::File {
            executable: self.executable,
            size: self.size,
            content: Content::Lfs {
                repository,
                id: self.id,
            },
        }
    }
}

/// Each pointer's repository, content and size.
fn pointers(tree: &Tree<Content>) -> impl Iterator<Item = (u32, &str, u64)> {
    tree.iter().filter_map(|(_, node)| match node {
        Node::File {
            size,
            content: Content::Lfs { repository, id },
            ..
        } => Some((*repository, &**id, *size)),
        _ => None,
    })
}

/// Content that was brought, one after the other in an unnamed temporary file.
#[derive(Debug)]
pub(super) struct Files {
    spool: File,
    at: BTreeMap<String, u64>,
    written: Written,
}

impl Files {
    /// Brings what the tree's pointers stand for, out of repositories at `urls`.
    pub(super) async fn bring(
        tree: &Tree<Content>,
        urls: &[GitUrl],
        job: &Job<'_>,
    ) -> Result<Self, Fault> {
        let Job {
            source, mirrors, ..
        } = job;
        let spool = tempfile::tempfile_in(mirrors.root())
            .map_err(|error| Fault::machine("a temporary file for LFS", &error))?;
        let mut files = Self {
            spool,
            at: BTreeMap::new(),
            written: mirrors.written().clone(),
        };
        let wanted: BTreeSet<(&str, u64)> =
            pointers(tree).map(|(_, id, size)| (id, size)).collect();
        let sum = wanted
            .iter()
            .fold(0u64, |sum, (_, size)| sum.saturating_add(*size));
        if sum > job.limits.fetched_bytes {
            return Err(Fault::too_large(
                "the files of Git LFS are larger than builds may fetch",
            ));
        }
        let bring = async {
            for (repository, url) in urls.iter().enumerate() {
                // That one's server has the content, and is the only one asked.
                let of_it = pointers(tree).filter(|(of, _, _)| *of as usize == repository);
                let wanted: BTreeSet<(&str, u64)> = of_it.map(|(_, id, size)| (id, size)).collect();
                if wanted.is_empty() {
                    continue;
                }
                let credential = source.credential.as_ref();
                let credential = credential.filter(|_| url.same_server(&source.url));
                let server = Server::of(url, credential, &job.network)?;
                let all: Vec<(&str, u64)> = wanted.into_iter().collect();
                for batch in all.chunks(BATCH) {
                    // Asked even for what another repository has brought: whether it may be had is this server's to say.
                    for (id, size, action) in server.batch(batch).await? {
                        if !files.at.contains_key(&id) {
                            files.download(&server, &id, size, action).await?;
                        }
                    }
                }
            }
            Ok(())
        };
        let until = tokio::time::Instant::from_std(job.until);
        match tokio::time::timeout_at(until, bring).await {
            Ok(result) => result.map(|()| files),
            Err(_) => Err(timed_out()),
        }
    }

    async fn download(
        &mut self,
        server: &Server<'_>,
        id: &str,
        size: u64,
        action: Action,
    ) -> Result<(), Fault> {
        let failed = |error: std::io::Error| Fault::machine("a temporary file for LFS", &error);
        let mut response = server.get(&action).await?;
        let begin = self.spool.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| server.broken(&error))?
        {
            hasher.update(&chunk);
            if hasher.written() > size {
                break;
            }
            self.spool.write_all(&chunk).map_err(failed)?;
            self.written.add(chunk.len() as u64);
        }
        if hasher.written() != size || hasher.finish().hex() != id {
            return Err(Fault::hostile(format!(
                "{}: the LFS server's content for {id} is not what its pointer says",
                server.url
            )));
        }
        self.at.insert(id.to_owned(), begin);
        Ok(())
    }
}

impl Files {
    /// Writes a file's content.
    pub(super) fn copy(&mut self, id: &str, size: u64, to: &mut dyn Write) -> Result<(), Fault> {
        let failed = |error: std::io::Error| Fault::machine("a temporary file for LFS", &error);
        let Some(begin) = self.at.get(id) else {
            return Ok(());
        };
        self.spool.seek(SeekFrom::Start(*begin)).map_err(failed)?;
        let mut content = std::io::Read::take(&mut self.spool, size);
        std::io::copy(&mut content, to).map_err(failed)?;
        Ok(())
    }
}
