//! A row as one line.

use std::fmt::Write as _;

use api::AuditRow;

/// Characters of a digest that are shown: enough to tell contents apart at a glance, `--output json` has the rest.
const DIGEST: usize = "sha256:".len() + 12;

/// Time, outcome, verb, user, what, and the rest in words.
pub(super) fn line(row: &AuditRow) -> String {
    let user = if row.user.is_empty() { "-" } else { &row.user };
    let what = what(row);
    let mut line = format!(
        "{}  {:<7}  {:<7}  {}  {}",
        row.time, row.outcome, row.verb, user, what
    );
    // Writing to a String cannot fail.
    if let Some(token) = &row.credential_id {
        let _ = write!(line, "  token {token}");
    }
    if let Some(previous) = &row.previous {
        let _ = write!(line, "  was {}", short(previous));
    }
    if let Some(client) = &row.client {
        let _ = write!(line, "  from {client}");
    }
    // The program and its version, and not all that it says of itself.
    let agent = row.user_agent.as_deref().unwrap_or_default();
    if let Some(program) = agent.split_whitespace().next() {
        let _ = write!(line, " by {program}");
    }
    if let Some(reason) = &row.reason {
        let _ = write!(line, "  ({reason})");
    }
    harmless(&line)
}

fn what(row: &AuditRow) -> String {
    let place = row.repository.as_ref().or(row.namespace.as_ref());
    let mut what = place.cloned().unwrap_or_default();
    if let Some(reference) = &row.reference {
        let separator = match row.repository {
            Some(_) => ":",
            None if what.is_empty() => "",
            None => " ",
        };
        let _ = write!(what, "{separator}{reference}");
    }
    if let Some(digest) = &row.digest {
        let _ = write!(what, "@{}", short(digest));
    }
    if what.is_empty() {
        "-".to_owned()
    } else {
        what
    }
}

fn short(digest: &str) -> &str {
    digest.get(..DIGEST).unwrap_or(digest)
}

/// Names and user agents are what strangers sent: nothing of it may move a terminal's cursor or turn its text round.
fn harmless(text: &str) -> String {
    let plain = |char: char| matches!(char, '"' | '\'' | '\\');
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if plain(char) {
            line.push(char);
        } else {
            line.extend(char.escape_debug());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::line;
    use api::AuditRow;

    fn row() -> AuditRow {
        let row = serde_json::json!({
            "id": 1, "time": "2026-11-20T10:00:00.000Z", "requestId": "0-1", "user": "ada", "provider": "htpasswd",
            "credential": "basic", "client": "127.0.0.1", "verb": "retag", "namespace": "team",
            "repository": "team/app", "reference": "v1", "digest": format!("sha256:{}", "a".repeat(64)),
            "previous": format!("sha256:{}", "b".repeat(64)), "outcome": "allowed", "status": 201,
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_row_is_a_line() {
        assert_eq!(
            line(&row()),
            "2026-11-20T10:00:00.000Z  allowed  retag    ada  team/app:v1@sha256:aaaaaaaaaaaa  \
             was sha256:bbbbbbbbbbbb  from 127.0.0.1"
        );
        let robot = AuditRow {
            credential_id: Some("5qz3k7w2mvh4aybd".to_owned()),
            ..row()
        };
        assert!(line(&robot).contains("aaa  token 5qz3k7w2mvh4aybd  was "));
        let by = AuditRow {
            user_agent: Some("podman/5 (linux; amd64)".to_owned()),
            ..row()
        };
        assert!(line(&by).ends_with("  from 127.0.0.1 by podman/5"));
        let login = AuditRow {
            verb: "login".to_owned(),
            outcome: "denied".to_owned(),
            user: String::new(),
            namespace: None,
            repository: None,
            reference: None,
            digest: None,
            previous: None,
            reason: Some("these \"credentials\" are not valid".to_owned()),
            ..row()
        };
        assert_eq!(
            line(&login),
            "2026-11-20T10:00:00.000Z  denied   login    -  -  from 127.0.0.1  \
             (these \"credentials\" are not valid)"
        );
    }

    #[test]
    fn what_strangers_sent_stays_text() {
        let odd = AuditRow {
            user: "a\n\u{1b}[31m\u{9b}2J\u{202e}é".to_owned(),
            ..row()
        };
        let line = line(&odd);
        assert!(line.contains(r"a\n\u{1b}[31m\u{9b}2J\u{202e}é"), "{line}");
    }
}
