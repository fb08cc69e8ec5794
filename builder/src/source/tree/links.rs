//! Where links of a source lead.

use std::collections::VecDeque;

use super::{Node, Tree};

/// Links on one way, as the kernel counts them.
const MAX_LINKS: usize = 40;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// A file of the source, at this path, which has no link in it.
    File(Vec<u8>),
    /// The path is that of a folder, or there is nothing.
    Nothing,
    /// The link at this path leads to no file: out of the source, to a folder, in a circle, or to nothing.
    Astray(Vec<u8>),
}

impl<C> Tree<C> {
    /// Follows the links in `path` as far as they stay in the source, whose root is not the machine's: an absolute one leads out of it.
    pub(crate) fn reach(&self, path: &[u8]) -> Reached {
        // What is still to go, each name with the link that it came of.
        let mut names: VecDeque<(&[u8], Option<Vec<u8>>)> =
            names_of(path).map(|name| (name, None)).collect();
        let mut at: Vec<u8> = Vec::new();
        let mut last = None;
        let mut links = 0;
        while let Some((name, of)) = names.pop_front() {
            let astray = |link: Option<Vec<u8>>| link.map_or(Reached::Nothing, Reached::Astray);
            match name {
                b"" | b"." => continue,
                b".." if at.is_empty() => return astray(of),
                b".." => {
                    let end = at.iter().rposition(|byte| *byte == b'/');
                    at.truncate(end.unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let above = at.len();
            if !at.is_empty() {
                at.push(b'/');
            }
            at.extend_from_slice(name);
            match self.get(&at) {
                Some(Node::Folder) => last = of,
                Some(Node::File { .. }) if names.is_empty() => return Reached::File(at),
                Some(Node::File { .. }) | None => return astray(of),
                Some(Node::Link { target }) => {
                    links += 1;
                    if links > MAX_LINKS || target.first() == Some(&b'/') {
                        return Reached::Astray(at);
                    }
                    let link = at.clone();
                    at.truncate(above);
                    for name in names_of(target).rev() {
                        names.push_front((name, Some(link.clone())));
                    }
                    last = Some(link);
                }
            }
        }
        last.map_or(Reached::Nothing, Reached::Astray)
    }
}

fn names_of(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}
