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

/// Lines of others, without what would move the terminal. False when nobody reads any more.
pub(super) fn tame(text: &[u8]) -> anyhow::Result<bool> {
    let text = String::from_utf8_lossy(text);
    let kept = |char: &char| matches!(char, '\n' | '\t') || !char.is_control();
    let text: String = text.chars().filter(kept).collect();
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}

/// Text that has its line breaks already.
pub(super) fn whole(text: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
