//! One connection used step by step, for setting the stage and checking it.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, ensure};
use tokio::runtime::Runtime;

use super::put::put_manifest;
use super::tally::{Tally, Window};
use super::{Connection, Form, Payload, Reply, Target, push_blob};
use crate::material::{ACCEPT, Blob, Manifest, sha256};

/// Never set: nothing that a session does is counted.
static NEVER: OnceLock<Window> = OnceLock::new();

/// A blocking client.
pub(crate) struct Session {
    runtime: Runtime,
    connection: Connection,
}

impl Session {
    /// A client of `target`; it connects when it is used.
    ///
    /// # Errors
    /// No runtime could be made.
    pub(crate) fn new(target: &Target) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let tally = Rc::new(Tally::new(&NEVER));
        Ok(Self {
            runtime,
            connection: Connection::new(Arc::new(target.clone()), tally),
        })
    }

    /// GETs a path, whatever its status.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) fn get(&mut self, path: &str) -> Result<(Reply, Vec<u8>)> {
        let head = format!(
            "{}Accept: {ACCEPT}\r\n",
            self.connection.target.head("GET", path)
        );
        self.runtime
            .block_on(self.connection.fetch(head.as_bytes(), &Payload::Empty))
    }

    /// GETs a path and all pages after it: the pages' bodies.
    ///
    /// # Errors
    /// Any reply but 200.
    pub(crate) fn pages(&mut self, path: &str) -> Result<Vec<Vec<u8>>> {
        let (mut next, mut pages) = (Some(path.to_owned()), Vec::new());
        while let Some(path) = next {
            let (reply, body) = self.get(&path)?;
            ensure!(reply.status == 200, "GET {path}: status {}", reply.status);
            next = reply.next;
            pages.push(body);
        }
        Ok(pages)
    }

    /// GETs a path and checks that what comes has this digest: once, so that the measured runs need only count bytes.
    ///
    /// # Errors
    /// Another status, or other bytes.
    pub(crate) fn verify(&mut self, path: &str, digest: &str) -> Result<()> {
        let (reply, body) = self.get(path)?;
        ensure!(reply.status == 200, "GET {path}: status {}", reply.status);
        ensure!(
            sha256(&body) == digest,
            "GET {path}: other bytes than {digest}"
        );
        Ok(())
    }

    /// Pushes a blob.
    ///
    /// # Errors
    /// As [`push_blob`].
    pub(crate) fn push_blob(&mut self, repo: &str, blob: &Blob) -> Result<()> {
        let pushed = push_blob(&mut self.connection, repo, blob, Form::Put);
        self.runtime.block_on(pushed).map(|_| ())
    }

    /// Puts a manifest by tag or digest.
    ///
    /// # Errors
    /// Any reply but 201.
    pub(crate) fn put_manifest(
        &mut self,
        repo: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<()> {
        let put = put_manifest(&mut self.connection, repo, reference, manifest);
        self.runtime.block_on(put)
    }
}
