//! A line in the log for each row, read back from the record: the log is what the record says, in its order.

use storage::audit::{Groups, Row};
use storage::{Audit, StorageError};

/// Rows read at a time.
const ROWS: usize = 1_000;

/// Writes the lines of rows that came since it was made.
#[derive(Debug)]
pub(super) struct Lines {
    audit: Audit,
    /// The last row that has its line.
    after: i64,
    is_failing: bool,
}

impl Lines {
    pub(super) async fn of(audit: Audit) -> Result<Self, StorageError> {
        Ok(Self {
            after: audit.last().await?,
            audit,
            is_failing: false,
        })
    }

    /// Writes what is due.
    pub(super) async fn catch_up(&mut self) {
        let caught_up = self.write_out().await;
        if let Err(error) = &caught_up
            && !self.is_failing
        {
            tracing::warn!(%error, "the audit record cannot be read for the log; its lines come later");
        }
        self.is_failing = caught_up.is_err();
    }

    async fn write_out(&mut self) -> Result<(), StorageError> {
        loop {
            let rows = self.audit.since(self.after, ROWS).await?;
            rows.iter().for_each(line);
            match rows.last() {
                Some(last) => self.after = last.id,
                None => return Ok(()),
            }
        }
    }
}

/// A JSON array, since names come from elsewhere and may have any separator in them.
fn listed(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

/// Texts are quoted and escaped by the formats, so that no name or header can forge a line.
fn line(row: &Row) {
    let entry = &row.entry;
    let origin = &entry.origin;
    let digest = entry.digest.map(|digest| digest.to_string());
    let previous = entry.previous.map(|digest| digest.to_string());
    let client = origin.client.map(|client| client.to_string());
    let Groups { names, more } = &origin.groups;
    let groups = (!names.is_empty()).then(|| listed(names));
    let more_groups = (*more > 0).then_some(*more);
    tracing::info!(
        target: "audit",
        id = row.id,
        time = humantime::format_rfc3339_millis(origin.time).to_string(),
        verb = entry.verb.as_str(),
        outcome = entry.outcome.as_str(),
        user.name = origin.user,
        user.provider = origin.provider,
        user.uid = origin.uid,
        user.groups = groups,
        user.groups_left_out = more_groups,
        credential = origin.credential.as_str(),
        credential.id = origin.credential_id,
        client.address = client,
        user_agent = origin.user_agent,
        namespace = entry.place.namespace(),
        repository = entry.place.repository().map(oci::RepoName::as_str),
        reference = entry.reference,
        digest,
        previous,
        http.status = entry.status,
        reason = entry.reason,
        request.id = origin.request_id,
        "audit"
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_name_of_a_group_makes_two_of_it() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (groups, expected) in [
            (names(&["a,system:masters"]), r#"["a,system:masters"]"#),
            (names(&["a\",\"b", "c"]), r#"["a\",\"b","c"]"#),
        ] {
            assert_eq!(super::listed(&groups), expected);
        }
    }
}
