//! The files of a source, before any of them is written anywhere.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::{Fault, SourceLimits};
use crate::s2i::{Ignore, IgnoreError, IgnoreMode, Script, SourceScripts, Warning};

mod links;
#[cfg(test)]
mod tests;

pub(crate) use links::Reached;

/// Files, folders and links by path, in byte order, so that a folder comes before what is in it. `C` says where a
/// file's content is.
///
/// Whatever a source claims to be, a tree has no path with `.`, `..`, an empty name or NUL in it, nothing named
/// `.git`, and nothing below a file or a link: nobody who unpacks it can be led out of the folder by its names.
#[derive(Clone, Debug)]
pub(crate) struct Tree<C> {
    nodes: BTreeMap<Box<[u8]>, Node<C>>,
    bytes: u64,
    /// Of paths and links' targets.
    names: u64,
    limits: SourceLimits,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node<C> {
    Folder,
    File {
        executable: bool,
        size: u64,
        content: C,
    },
    /// A symbolic link; [`Tree::reach`] looks where it leads.
    Link {
        target: Box<[u8]>,
    },
}

impl<C> Tree<C> {
    pub(crate) fn new(limits: SourceLimits) -> Self {
        Self {
            nodes: BTreeMap::new(),
            bytes: 0,
            names: 0,
            limits,
        }
    }

    /// Adds a node; folders above it that are not there come into being. A later file or link takes an earlier one's
    /// place, as in an archive.
    pub(crate) fn insert(&mut self, path: &[u8], node: Node<C>) -> Result<(), Fault> {
        check(path)?;
        self.insert_folders(path)?;
        match (self.nodes.get(path), &node) {
            (Some(Node::Folder), Node::Folder) => return Ok(()),
            (Some(Node::Folder), _) | (Some(_), Node::Folder) => {
                return Err(refused(path, "it is there twice, once as a folder"));
            }
            _ => {}
        }
        self.put(path, node)
    }

    /// The folders above a path. Looked for from below: what is there has all above it.
    fn insert_folders(&mut self, path: &[u8]) -> Result<(), Fault> {
        let above = |end: usize| path[..end].iter().rposition(|byte| *byte == b'/');
        let mut end = above(path.len());
        while let Some(at) = end {
            match self.nodes.get(&path[..at]) {
                Some(Node::Folder) => return Ok(()),
                Some(_) => return Err(refused(path, "something above it is no folder")),
                None => self.put(&path[..at], Node::Folder)?,
            }
            end = above(at);
        }
        Ok(())
    }

    fn put(&mut self, path: &[u8], node: Node<C>) -> Result<(), Fault> {
        self.names += path.len() as u64;
        self.count(&node)?;
        if let Some(old) = self.nodes.insert(path.into(), node) {
            self.names -= path.len() as u64;
            self.forget(&old);
        }
        if self.nodes.len() > self.limits.entries {
            return Err(Fault::too_large(format!(
                "the source has more than {} files and folders",
                self.limits.entries
            )));
        }
        Ok(())
    }

    fn count(&mut self, node: &Node<C>) -> Result<(), Fault> {
        match node {
            Node::File { size, .. } => self.bytes = self.bytes.saturating_add(*size),
            Node::Link { target } => self.names += target.len() as u64,
            Node::Folder => {}
        }
        if self.bytes > self.limits.bytes {
            return Err(Fault::too_large(format!(
                "the source's files have more than {} bytes",
                self.limits.bytes
            )));
        }
        if self.names > self.limits.names() {
            return Err(Fault::too_large(format!(
                "the paths and links' targets of the source have more than {} bytes together",
                self.limits.names()
            )));
        }
        Ok(())
    }

    fn forget(&mut self, node: &Node<C>) {
        match node {
            Node::File { size, .. } => self.bytes -= size,
            Node::Link { target } => self.names -= target.len() as u64,
            Node::Folder => {}
        }
    }

    /// Puts another node in the place of each that `each` gives one for. Folders are not asked about.
    pub(crate) fn replace(
        &mut self,
        mut each: impl FnMut(&[u8], &Node<C>) -> Result<Option<Node<C>>, Fault>,
    ) -> Result<(), Fault> {
        let mut nodes = std::mem::take(&mut self.nodes);
        for (path, node) in &mut nodes {
            if !matches!(node, Node::Folder)
                && let Some(new) = each(path, node)?
            {
                self.forget(node);
                self.count(&new)?;
                *node = new;
            }
        }
        self.nodes = nodes;
        Ok(())
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<&Node<C>> {
        self.nodes.get(path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Node<C>)> {
        self.nodes.iter().map(|(path, node)| (&**path, node))
    }

    /// The scripts that the source brings. One, or a folder above it, may be a link within the source; one that leads to no
    /// file there is refused, lest the builder image's own script runs instead.
    pub(crate) fn scripts(&self) -> Result<SourceScripts, Fault> {
        let mut scripts = SourceScripts::default();
        for path in SourceScripts::paths() {
            match self.reach(path.as_bytes()) {
                Reached::Nothing => {}
                Reached::File(real) => {
                    let real = String::from_utf8(real);
                    scripts.note(
                        &path,
                        real.map_err(|error| {
                            refused(error.as_bytes(), "a script's path is no UTF-8")
                        })?,
                    );
                }
                Reached::Astray(link) => {
                    return Err(refused(
                        &link,
                        "it is a link that leads to no file of the source, so there is no script: make it a file, or let \
                         it lead to one that .s2iignore does not leave out",
                    ));
                }
            }
        }
        Ok(scripts)
    }

    /// Takes out what `.s2iignore` (its content) names, and says how many that were, a folder with all that is in it as one.
    /// Scripts stay: the program takes them out of the source before it looks at the file.
    pub(crate) fn ignore(
        &mut self,
        mode: IgnoreMode,
        file: &[u8],
        warnings: &mut Vec<Warning>,
        stop: &CancellationToken,
    ) -> Result<usize, Fault> {
        let unread = |error| match error {
            IgnoreError::Stopped => Fault::stopped(),
            error @ (IgnoreError::TooManyRules | IgnoreError::TooMuchWork) => {
                Fault::too_large(error.to_string())
            }
        };
        let ignore = Ignore::parse(mode, file, warnings).map_err(unread)?;
        let paths: Vec<&[u8]> = self.nodes.keys().map(|path| &**path).collect();
        let left_out = ignore.left_out(&paths, || stop.is_cancelled());
        let left_out = left_out.map_err(unread)?;
        let scripts: Vec<&[u8]> = paths
            .iter()
            .copied()
            .filter(|path| is_script(path))
            .collect();
        let holds_script = |folder: &[u8]| {
            scripts.iter().any(|script| {
                let rest = script.strip_prefix(folder);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            })
        };
        let asked = paths.iter().zip(left_out);
        let gone: Vec<bool> = asked
            .map(|(path, out)| out && !holds_script(path))
            .collect();
        let goes_with_folder = |path: &[u8]| {
            let end = path.iter().rposition(|byte| *byte == b'/');
            let folder = end.and_then(|end| paths.binary_search(&&path[..end]).ok());
            folder.is_some_and(|folder| gone[folder])
        };
        let first = paths.iter().zip(&gone);
        let first = first.filter(|(path, gone)| **gone && !goes_with_folder(path));
        let count = first.count();
        // In the order of their bytes, as they were asked about.
        let mut gone = gone.into_iter();
        self.nodes.retain(|_, _| gone.next() != Some(true));
        Ok(count)
    }
}

fn is_script(path: &[u8]) -> bool {
    [b".s2i/bin/", b".sti/bin/"].iter().any(|folder| {
        path.strip_prefix(*folder).is_some_and(|name| {
            Script::ALL
                .iter()
                .any(|script| script.name().as_bytes() == name)
        })
    })
}

/// Longest path in bytes, and longest name: Linux's.
const MAX_PATH: usize = 4000;
const MAX_NAME: usize = 255;

fn check(path: &[u8]) -> Result<(), Fault> {
    if path.len() > MAX_PATH {
        return Err(refused(&path[..64], "the path is longer than 4000 bytes"));
    }
    for name in path.split(|byte| *byte == b'/') {
        let why = match name {
            b"" => "a name in it is empty",
            b"." | b".." => "it has . or .. in it",
            _ if name.contains(&0) => "it has a NUL in it",
            _ if name.len() > MAX_NAME => "a name in it is longer than 255 bytes",
            _ if name.eq_ignore_ascii_case(b".git") => "nothing may be named .git",
            _ => continue,
        };
        return Err(refused(path, why));
    }
    Ok(())
}

fn refused(path: &[u8], why: &str) -> Fault {
    Fault::hostile(format!("the source has {}: {why}", path.escape_ascii()))
}
