//! What a guide tells its reader to do, as a script.

use tests::{OrFail, fail, toolbox};

/// The blocks of a section, in order: files to write, and commands.
#[derive(Clone, Debug)]
pub(crate) struct Section(Vec<String>);

impl Section {
    /// The section of this heading in a page below `docs/`.
    pub(crate) fn of(page: &str, heading: &str) -> Self {
        let path = toolbox::checkout().join("docs").join(page);
        let text = std::fs::read_to_string(path).or_fail(page);
        let heading = format!("\n## {heading}\n");
        let (_, section) = text.split_once(&heading).or_fail(&heading);
        let section = section.split("\n## ").next().unwrap_or(section);
        // Text and blocks take turns, and a block's first line says its kind.
        let blocks = section.split("\n```").skip(1).step_by(2);
        let blocks = blocks.filter_map(|block| block.split_once('\n'));
        Self(blocks.map(|(_, block)| format!("{block}\n")).collect())
    }

    /// What the reader does by the block in which `words` stand, which are in no other: a file is written, or what is at its end, and
    /// commands are run.
    #[track_caller]
    pub(crate) fn block(&self, words: &str) -> String {
        let mut found = self.0.iter().filter(|block| block.contains(words));
        let (Some(block), None) = (found.next(), found.next()) else {
            fail(format!("one block with {words:?}: {:#?}", self.0))
        };
        let first = block.lines().next().unwrap_or_default();
        let (path, how) = match first.strip_prefix("# at the end of ") {
            Some(path) => (path, ">>"),
            None => (first.trim_start_matches("# "), ">"),
        };
        if path.starts_with('/') {
            format!("mkdir -p \"$(dirname {path})\"\ncat {how} {path} <<'FILE'\n{block}FILE\n")
        } else {
            block.clone()
        }
    }
}
