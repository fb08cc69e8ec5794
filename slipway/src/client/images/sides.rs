//! The two sides of a copy.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use oci::{Digest, Reference};
use tempfile::TempDir;

use super::super::{Server, remembered};
use super::archive;
use super::copy::Plan;
use super::layout::Layout;
use super::place::Place;
use super::ref_name::RefName;
use super::repository::Repository;
use super::session::Session;
use super::store::Store;
use crate::cli::Transport;

/// One side.
pub(super) struct Side {
    pub(super) store: Store,
    pub(super) reference: Option<Reference>,
    /// What the image is called in the layout that is the target.
    pub(super) name: Option<RefName>,
    /// What the target is said to become.
    pub(super) digest: Option<Digest>,
    /// The layout of an archive, and the archive that it becomes.
    unpacked: Option<TempDir>,
    archive: Option<PathBuf>,
}

impl Side {
    fn of(store: Store, reference: Option<Reference>) -> Self {
        Self {
            store,
            reference,
            name: None,
            digest: None,
            unpacked: None,
            archive: None,
        }
    }

    /// Makes the archive of its layout, if it is one.
    pub(super) fn close(self) -> anyhow::Result<()> {
        match (&self.unpacked, &self.archive) {
            (Some(dir), Some(file)) => archive::pack(dir.path(), file),
            _ => Ok(()),
        }
    }
}

pub(super) async fn open_source(
    plan: &Plan,
    sessions: &mut Vec<Arc<Session>>,
) -> anyhow::Result<Side> {
    match &plan.from {
        Place::Registry(name) => {
            let session = session(sessions, name.server(), plan, &plan.source).await?;
            let repository = Repository::new(session, name.repository().clone(), "pull");
            let store = Store::Repository(repository);
            Ok(Side::of(store, Some(name.reference()?)))
        }
        Place::Layout { dir, name } => {
            let layout = Layout::open(dir)?;
            let reference = layout.find(name.as_ref())?;
            Ok(Side::of(Store::Layout(layout), Some(reference)))
        }
        Place::Archive { file, name } => {
            let dir = archive::unpack(file)?;
            let layout = Layout::open(dir.path()).with_context(|| plan.from.to_string())?;
            let reference = layout.find(name.as_ref());
            let reference = reference.with_context(|| plan.from.to_string())?;
            Ok(Side {
                unpacked: Some(dir),
                ..Side::of(Store::Layout(layout), Some(reference))
            })
        }
    }
}

pub(super) async fn open_target(
    plan: &Plan,
    sessions: &mut Vec<Arc<Session>>,
) -> anyhow::Result<Side> {
    // A layout's image keeps the tag that it had, and containerd the whole name.
    let (had, whole) = match &plan.from {
        Place::Registry(name) => {
            let tag = name.tag();
            (tag.map(RefName::from), tag.map(|_| name.to_string()))
        }
        Place::Layout { name, .. } | Place::Archive { name, .. } => (name.clone(), None),
    };
    let named = |name: &Option<RefName>| name.clone().or(had);
    match &plan.to {
        Place::Registry(name) => {
            let session = session(sessions, name.server(), plan, &plan.target).await?;
            let repository = Repository::new(session, name.repository().clone(), "pull,push");
            let reference = match (name.tag(), name.digest()) {
                (Some(tag), _) => Some(tag.clone().into()),
                (None, Some(digest)) => Some(digest.into()),
                (None, None) => Some(name.reference()?),
            };
            Ok(Side {
                digest: name.digest(),
                ..Side::of(Store::Repository(repository), reference)
            })
        }
        Place::Layout { dir, name } => {
            let layout = Layout::create(dir, whole)?;
            Ok(Side {
                name: named(name),
                ..Side::of(Store::Layout(layout), None)
            })
        }
        Place::Archive { file, name } => {
            let dir = archive::beside(file)?;
            let layout = Layout::create(dir.path(), whole)?;
            Ok(Side {
                name: named(name),
                unpacked: Some(dir),
                archive: Some(file.clone()),
                ..Side::of(Store::Layout(layout), None)
            })
        }
    }
}

/// The way to a registry; one for both sides where they are the same, so that it is asked for tokens once.
async fn session(
    sessions: &mut Vec<Arc<Session>>,
    server: &Server,
    plan: &Plan,
    transport: &Transport,
) -> anyhow::Result<Arc<Session>> {
    if let Some(known) = sessions.iter().find(|known| known.server() == server) {
        return Ok(Arc::clone(known));
    }
    let transport = remembered(transport.clone(), server)?;
    let opened = Arc::new(Session::open(server, &plan.auth_file, &transport).await?);
    sessions.push(Arc::clone(&opened));
    Ok(opened)
}
