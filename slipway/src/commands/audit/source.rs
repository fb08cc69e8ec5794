//! Where the record is read: by a server's API, or from the index on this machine.

use std::path::Path;
use std::sync::Arc;

use api::{AuditRow, Listed};
use humantime::format_rfc3339_millis;
use oci::RepoName;
use serde::Deserialize;
use storage::audit::{Outcome, Query, Verb};
use storage::{Audit, Index, SqliteIndex};
use url::form_urlencoded::Serializer;

use crate::cli::Remote;
use crate::client::{ACCOUNT, Client};
use crate::config::load;
use crate::storage::index_file;

/// Rows asked for at a time: what the API gives at most.
const AT_ONCE: usize = 1_000;

pub(super) enum Source {
    Server(Box<Client>),
    Index(Audit),
}

/// What the API says of rows that came.
#[derive(Deserialize)]
struct News {
    items: Vec<AuditRow>,
    r#continue: i64,
}

impl Source {
    pub(super) async fn open(config: Option<&Path>, remote: Remote) -> anyhow::Result<Self> {
        if config.is_none() {
            return Ok(Self::Server(Box::new(
                Client::connect(remote, Some(ACCOUNT)).await?,
            )));
        }
        // Whom it is served to makes no difference here.
        let config = load(config, true)?;
        let index: Arc<dyn Index> =
            Arc::new(SqliteIndex::open_beside_server(&index_file(&config)?)?);
        Ok(Self::Index(Audit::of(&index)))
    }

    /// The newest rows, newest first.
    pub(super) async fn newest(
        &self,
        query: &Query,
        limit: usize,
    ) -> anyhow::Result<Vec<AuditRow>> {
        let (mut rows, mut from) = (Vec::new(), None::<String>);
        while rows.len() < limit {
            let some = (limit - rows.len()).min(AT_ONCE);
            let Listed { items, r#continue } = self.page(query, from.as_deref(), some).await?;
            rows.extend(items);
            from = r#continue;
            if from.is_none() {
                break;
            }
        }
        Ok(rows)
    }

    async fn page(
        &self,
        query: &Query,
        from: Option<&str>,
        limit: usize,
    ) -> anyhow::Result<Listed<AuditRow>> {
        match self {
            Self::Server(client) => {
                let mut parameters = parameters(query);
                parameters.append_pair("limit", &limit.to_string());
                if let Some(from) = from {
                    parameters.append_pair("continue", from);
                }
                let path = format!("/api/v1/audit?{}", parameters.finish());
                client.get(&path).await
            }
            Self::Index(audit) => {
                let before = from.map(str::parse).transpose()?;
                let page = audit.page(query, before, limit).await?;
                Ok(Listed {
                    items: page.rows.iter().map(AuditRow::of).collect(),
                    r#continue: page.next.map(|next| next.to_string()),
                })
            }
        }
    }

    /// Rows that came after a row, oldest first, and what to go on with. Without `after`, none and where to begin.
    pub(super) async fn news(
        &self,
        query: &Query,
        after: Option<i64>,
    ) -> anyhow::Result<(Vec<AuditRow>, i64)> {
        match (self, after) {
            (Self::Server(client), after) => {
                // It takes no times: what comes is new.
                let mut parameters = parameters(&Query {
                    since: None,
                    until: None,
                    ..query.clone()
                });
                if let Some(after) = after {
                    parameters.append_pair("after", &after.to_string());
                }
                let path = format!("/api/v1/audit/new?{}", parameters.finish());
                let News { items, r#continue } = client.get(&path).await?;
                Ok((items, r#continue))
            }
            (Self::Index(audit), None) => Ok((Vec::new(), audit.last().await?)),
            (Self::Index(audit), Some(after)) => {
                let rows = audit.since(after, AT_ONCE).await?;
                let last = rows.last().map_or(after, |row| row.id);
                let rows = rows.iter().filter(|row| query.admits(row));
                Ok((rows.map(AuditRow::of).collect(), last))
            }
        }
    }
}

/// The conditions as the API names them.
fn parameters(query: &Query) -> Serializer<'static, String> {
    let verbs: Vec<&str> = query.verbs.iter().map(|verb| Verb::as_str(*verb)).collect();
    let time = |time| format_rfc3339_millis(time).to_string();
    let conditions = [
        ("user", query.user.clone()),
        ("token", query.token.clone()),
        ("namespace", query.namespace.clone()),
        (
            "repository",
            query.repository.as_ref().map(RepoName::to_string),
        ),
        ("verb", (!verbs.is_empty()).then(|| verbs.join(","))),
        (
            "outcome",
            query
                .outcome
                .map(|outcome| Outcome::as_str(outcome).to_owned()),
        ),
        ("since", query.since.map(time)),
        ("until", query.until.map(time)),
    ];
    let mut parameters = Serializer::new(String::new());
    for (name, value) in conditions {
        if let Some(value) = value {
            parameters.append_pair(name, &value);
        }
    }
    parameters
}
