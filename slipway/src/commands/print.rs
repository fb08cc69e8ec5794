//! Results, for people and for programs. Who closes the pipe early, as `head` does, wants no more.

use std::io::{self, ErrorKind, Write as _};

use serde::Serialize;

/// One line of JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

pub(super) fn line(text: &str) -> anyhow::Result<()> {
    whole(format!("{text}\n").as_bytes())
}

/// Text that has its line breaks already.
pub(super) fn whole(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
