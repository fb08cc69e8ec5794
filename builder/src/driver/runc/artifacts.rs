//! What `save-artifacts` gives.

use std::fs::File;
use std::io::{self, BufReader, Seek as _};

/// A tar that a program wrote to its standard output. Nobody looked into it yet.
pub(super) struct Artifacts(File);

impl Artifacts {
    /// Takes what was written; `None` if it is nothing.
    pub(super) fn of(file: File) -> io::Result<Option<Self>> {
        let has_some = file.metadata()?.len() > 0;
        Ok(has_some.then_some(Self(file)))
    }

    /// The tar from its beginning.
    pub(super) fn open(&self) -> io::Result<BufReader<&File>> {
        let mut file = &self.0;
        file.rewind()?;
        Ok(BufReader::new(file))
    }
}
