//! `slipway audit`.

mod source;
mod text;

use std::io::{self, ErrorKind, Write as _};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use api::AuditRow;
use oci::RepoName;
use storage::audit::Query;

use crate::cli::{Audit, Output};
use source::Source;

/// Between two looks at what has come.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(args: Audit) -> anyhow::Result<()> {
    let query = query(&args, SystemTime::now())?;
    let (limit, follow, form) = (args.limit, args.follow, args.printing.form());
    let source = Source::open(args.config.as_deref(), args.remote).await?;
    // Asked before the rows that are there: one that comes between is among both, and none is missed.
    let mut after = if follow {
        source.news(&query, None).await?.1
    } else {
        0
    };
    let mut rows = source.newest(&query, limit).await?;
    if follow {
        rows.retain(|row| row.id <= after);
        rows.reverse();
    }
    loop {
        for row in &rows {
            if !put(row, form)? {
                return Ok(());
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
        (rows, after) = source.news(&query, Some(after)).await?;
    }
}

fn query(args: &Audit, now: SystemTime) -> anyhow::Result<Query> {
    let repository = args.repository.as_deref().map(RepoName::parse).transpose();
    Ok(Query {
        user: args.user.clone(),
        token: args.token.clone(),
        namespace: args.namespace.clone(),
        repository: repository.context("--repository")?,
        verbs: args.verb.clone(),
        outcome: args.outcome,
        since: time(args.since.as_deref(), now).context("--since")?,
        until: time(args.until.as_deref(), now).context("--until")?,
    })
}

/// A time, or how long ago.
fn time(text: Option<&str>, now: SystemTime) -> anyhow::Result<Option<SystemTime>> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(ago) = humantime::parse_duration(text) {
        // Nothing is older than 1970.
        let then = now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        return Ok(Some(then.max(SystemTime::UNIX_EPOCH)));
    }
    let time = humantime::parse_rfc3339_weak(text);
    let time = time.map_err(|_| {
        anyhow::anyhow!("{text:?} is no time: write 2026-11-20T10:00:00Z, or how long ago: 24h")
    });
    time.map(Some)
}

/// Prints a row; false when nobody reads any more.
fn put(row: &AuditRow, form: Output) -> anyhow::Result<bool> {
    let line = match form {
        Output::Text => text::line(row),
        Output::Json => serde_json::to_string(row)?,
    };
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => Ok(written.map(|()| true)?),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::time;

    #[test]
    fn times_are_absolute_or_how_long_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let of = |text| time(Some(text), now);
        assert_eq!(of("90s").unwrap(), now.checked_sub(Duration::from_secs(90)));
        assert_eq!(of("100y").unwrap(), Some(SystemTime::UNIX_EPOCH));
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        assert_eq!(of("1970-01-01T00:01:00Z").unwrap(), Some(later));
        for wrong in ["", "yesterday", "24", "-1h"] {
            let said = of(wrong).unwrap_err().to_string();
            assert!(said.contains("how long ago"), "{said}");
        }
        assert_eq!(time(None, now).unwrap(), None);
    }
}
