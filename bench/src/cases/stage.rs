//! Stages too large to be set by pushing: written to disk in the Distribution layout before the server starts.

use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result, ensure};

use crate::bench::{Bench, REPO};
use crate::load::{Extent, Get, Load, Session, Target};
use crate::material::Layout;
use crate::measure::{Aim, Measure, Unit};
use crate::peers::{Auth, Subject, reindex};
use crate::process::Server;

/// Writes the layout and starts each server that reads it; those that fail are left out, which the report says.
///
/// They share the one copy, as these cases only read: a million manifests are millions of files, and the page cache
/// would not hold three copies.
pub(super) fn started_on_layout(
    bench: &Bench,
    write: impl Fn(&Layout) -> Result<()>,
) -> Result<Vec<Server>> {
    let shared = bench.new_folder(Subject::Slipway).join("objects");
    write(&Layout::new(&shared))?;
    let start = |subject: Subject| {
        let folder = bench.new_folder(subject);
        std::fs::create_dir_all(&folder)?;
        symlink(&shared, folder.join("objects"))?;
        if subject == Subject::Slipway {
            reindex(&bench.setup(&folder, Auth::None, false)?)?;
        }
        bench.start_on(subject, &folder, Auth::None, false)
    };
    let present = bench.present(&Subject::LAYOUT).into_iter();
    let started = present.filter_map(|subject| {
        start(subject)
            .inspect_err(|error| bench.leave_out(subject, error))
            .ok()
    });
    Ok(started.collect())
}

/// A row about a list.
pub(super) struct Listing<'a> {
    /// What is listed, for the report.
    pub(super) name: String,
    /// The first page's path.
    pub(super) path: &'a str,
    /// The JSON field that holds the entries.
    pub(super) field: &'a str,
    /// How many entries there must be.
    pub(super) entries: usize,
    /// Follow `Link` to the end.
    pub(super) whole: bool,
    /// Connections.
    pub(super) connections: usize,
    /// Aims.
    pub(super) aims: &'a [Aim],
}

impl Listing<'_> {
    /// Measures it: in milliseconds with one connection, as a rate with more.
    pub(super) fn measure(&self, bench: &Bench, servers: &[Server]) -> Measure {
        let extent = if self.whole {
            Extent::Turns(bench.size(10, 4).max(self.connections as u64))
        } else {
            bench.window()
        };
        let load = Load::closed(self.connections, extent);
        let unit = if self.connections == 1 {
            Unit::Milliseconds
        } else {
            Unit::Requests
        };
        let mut measure = bench.measure(
            self.name.as_str(),
            unit,
            self.aims,
            servers,
            load,
            |server| {
                let (length, entries) = self.count(&server.target)?;
                // Distribution 2.8 knows no pages of tags and answers with the whole list.
                let unpaged = server.subject == Subject::DockerRegistry && entries > self.entries;
                ensure!(
                    entries == self.entries || unpaged,
                    "{entries} entries instead of {}",
                    self.entries
                );
                Ok(if self.whole {
                    Get::pages(&server.target, self.path, length)
                } else {
                    Get::new(&server.target, self.path, length)
                })
            },
        );
        for server in servers {
            if let Ok((_, entries)) = self.count(&server.target)
                && entries > self.entries
            {
                let note = format!("has no pages: answers with all {entries} entries");
                measure.notes.entry(server.subject).or_insert(note);
            }
        }
        measure
    }

    /// The bytes and entries that a server answers with.
    fn count(&self, target: &Target) -> Result<(u64, usize)> {
        let mut session = Session::new(target)?;
        let pages = if self.whole {
            session.pages(self.path)?
        } else {
            let (reply, body) = session.get(self.path)?;
            ensure!(
                reply.status == 200,
                "GET {}: status {}",
                self.path,
                reply.status
            );
            vec![body]
        };
        let (mut length, mut entries) = (0, 0);
        for page in pages {
            length += page.len() as u64;
            let page: serde_json::Value = serde_json::from_slice(&page)?;
            entries += page[self.field]
                .as_array()
                .with_context(|| format!("no {}", self.field))?
                .len();
        }
        Ok((length, entries))
    }
}

/// The path of [`REPO`]'s list of tags.
pub(super) fn tags_list() -> String {
    format!("/v2/{REPO}/tags/list")
}
