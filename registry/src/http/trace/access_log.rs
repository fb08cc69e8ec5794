//! One line a request, on standard error.
//!
//! Lines are put together by hand and written in batches by a thread of their own: a general
//! logging stack costs more than serving a manifest does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Record, told};

/// A line waits at most this long.
const LINGER: Duration = Duration::from_millis(100);
/// Bytes after which the writer is woken early.
const BATCH: usize = 64 << 10;
/// Bytes that may wait for a standard error that nobody reads; more lines are dropped, and
/// counted in the next line that gets through.
const BACKLOG: usize = 8 << 20;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-20T10:00:00.000Z GET /v2/a/b/manifests/c 200 …`
    Text,
    /// A JSON object.
    Json,
    /// No lines.
    Off,
}

/// The access log.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    lines: Arc<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: String,
    dropped: u64,
    closed: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic while appending leaves a text that can still be written.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessLog {
    /// Starts the writer.
    pub fn start(format: Format) -> std::io::Result<Self> {
        let lines = Arc::<Lines>::default();
        if format != Format::Off {
            let lines = Arc::clone(&lines);
            std::thread::Builder::new()
                .name("access-log".into())
                .spawn(move || write_out(&lines))?;
        }
        Ok(Self { format, lines })
    }

    pub(super) fn write(&self, record: &Record, took: Duration) {
        if self.format == Format::Off {
            return;
        }
        let mut waiting = self.lines.lock();
        if waiting.text.len() > BACKLOG {
            waiting.dropped += 1;
            return;
        }
        let before = waiting.text.len();
        // Writing to a String cannot fail.
        let _ = match self.format {
            Format::Json => json(&mut waiting.text, record, took),
            Format::Text | Format::Off => text(&mut waiting.text, record, took),
        };
        if before < BATCH && waiting.text.len() >= BATCH {
            self.lines.wake.notify_one();
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let mut waiting = self.lines.lock();
        waiting.closed = true;
        let rest = std::mem::take(&mut waiting.text);
        let _ = std::io::stderr().write_all(rest.as_bytes());
        self.lines.wake.notify_one();
    }
}

fn write_out(lines: &Lines) {
    let mut batch = String::new();
    loop {
        let mut waiting = lines.lock();
        if waiting.text.len() < BATCH && !waiting.closed {
            waiting = lines
                .wake
                .wait_timeout(waiting, LINGER)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        batch.clear();
        std::mem::swap(&mut batch, &mut waiting.text);
        let dropped = std::mem::take(&mut waiting.dropped);
        let closed = waiting.closed;
        drop(waiting);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "access log lines were dropped: standard error is too slow"
            );
        }
        // A standard error that is gone must not end the server.
        let _ = std::io::stderr().write_all(batch.as_bytes());
        if closed {
            return;
        }
    }
}

fn text(line: &mut String, record: &Record, took: Duration) -> std::fmt::Result {
    write!(
        line,
        "{} {:>5} {} {} {} operation={} duration_ms={:.3} bytes={} client={} request={}",
        humantime::format_rfc3339_millis(record.at),
        level(record),
        record.method,
        told::address(record.uri.path()),
        record.status.as_u16(),
        record.operation,
        took.as_secs_f64() * 1e3,
        record.sent,
        record.client,
        record.id,
    )?;
    if let Some(user) = &record.user {
        write!(line, " user=")?;
        quoted(line, user.name())?;
        if let Some(token) = user.token() {
            write!(line, " token={token}")?;
        }
    }
    if let Some((code, cause)) = &record.error {
        write!(line, " error={code}")?;
        if let Some(cause) = cause {
            write!(line, " cause=")?;
            quoted(line, &told::cut(cause))?;
        }
    }
    line.push('\n');
    Ok(())
}

/// What somebody should look at is said aloud: the server failed, not the client.
fn level(record: &Record) -> &'static str {
    if record.status.is_server_error() {
        "ERROR"
    } else {
        "INFO"
    }
}

fn json(line: &mut String, record: &Record, took: Duration) -> std::fmt::Result {
    write!(
        line,
        r#"{{"timestamp":"{}","level":"{}","message":"request","http.method":"{}","http.path":"#,
        humantime::format_rfc3339_millis(record.at),
        level(record),
        record.method,
    )?;
    quoted(line, &told::address(record.uri.path()))?;
    write!(
        line,
        r#","http.status":{},"operation":"{}","duration_ms":{:.3},"bytes":{},"client.address":"{}","request.id":"{}""#,
        record.status.as_u16(),
        record.operation,
        took.as_secs_f64() * 1e3,
        record.sent,
        record.client,
        record.id,
    )?;
    if let Some(user) = &record.user {
        write!(line, r#","user.name":"#)?;
        quoted(line, user.name())?;
        if let Some(token) = user.token() {
            write!(line, r#","token.id":"{token}""#)?;
        }
    }
    if let Some((code, cause)) = &record.error {
        write!(line, r#","error.code":"{code}""#)?;
        if let Some(cause) = cause {
            write!(line, r#","error.cause":"#)?;
            quoted(line, &told::cut(cause))?;
        }
    }
    line.push_str("}\n");
    Ok(())
}

/// A JSON string, which also keeps what strangers send from forging lines of the text format.
fn quoted(line: &mut String, value: &str) -> std::fmt::Result {
    line.push('"');
    for char in value.chars() {
        match char {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            char if char.is_control() => write!(line, "\\u{:04x}", char as u32)?,
            char => line.push(char),
        }
    }
    line.push('"');
    Ok(())
}
