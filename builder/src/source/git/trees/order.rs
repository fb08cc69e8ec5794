//! The order of a tree's entries.

/// The names that came so far, of which each is behind the last and none is there twice, neither as a folder and something else
/// (`base_name_compare` of git's `tree.c`; `treeNotSorted` and `duplicateEntries` of git-fsck(1)).
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The last one.
    name: Vec<u8>,
    is_folder: bool,
    /// Lengths, rising, of what it begins with that was the name of something other than a folder.
    others: Vec<usize>,
}

impl Order {
    /// Whether the next name may follow, and takes it. It has no `/` and no NUL in it.
    pub(super) fn takes(&mut self, name: &[u8], is_folder: bool) -> bool {
        let same = self.name.iter().zip(name).take_while(|(a, b)| a == b);
        let same = same.count();
        // A folder's name ends with `/` where names are compared: other names may lie between it and the same name of a file.
        let at = |name: &[u8], is_folder| match name.get(same) {
            Some(byte) => *byte,
            None if is_folder => b'/',
            None => 0,
        };
        if at(&self.name, self.is_folder) >= at(name, is_folder) {
            return false;
        }
        while self.others.pop_if(|length| *length > same).is_some() {}
        if !is_folder {
            self.others.push(name.len());
        } else if self.others.last() == Some(&name.len()) {
            return false;
        }
        self.name.truncate(same);
        self.name.extend_from_slice(&name[same..]);
        self.is_folder = is_folder;
        true
    }
}
