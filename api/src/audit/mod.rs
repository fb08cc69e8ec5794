//! `GET /api/v1/audit` and `/api/v1/audit/new`: the audit record, backwards from now, and as it grows.
//!
//! Whoever may `get audit` in a namespace reads its rows, whoever may everywhere reads all. Of a namespace that one may
//! not read nothing is looked up, so an answer does not tell whether there is such a namespace.

mod row;

pub use row::AuditRow;

use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use auth::AdminRight;
use axum::extract::State;
use http::StatusCode;
use oci::RepoName;
use registry::Registry;
use registry::http::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::audit::{Page as Rows, Position};

use crate::guard::is_namespace;
use crate::{Caller, Listed, Page, Permission, Query, Reply, Route};

/// Rows looked at for an answer to whoever follows.
const LOOKED_AT: usize = 10_000;
const AT_ONCE: usize = 1_000;

pub(crate) fn routes(registry: &Arc<Registry>) -> [Route; 2] {
    [
        Route::get(
            "/api/v1/audit",
            "list-audit",
            Permission::Permit,
            list,
            Arc::clone(registry),
        )
        .summary("Who did what, and who was refused what: newest first")
        .query::<Asked>()
        .reply::<Listed<AuditRow>>(StatusCode::OK),
        Route::get(
            "/api/v1/audit/new",
            "follow-audit",
            Permission::Permit,
            follow,
            Arc::clone(registry),
        )
        .summary("What came to the audit record after a row: oldest first")
        .query::<Following>()
        .reply::<News>(StatusCode::OK),
    ]
}

/// Which rows: those that meet every condition.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    /// Of this user.
    user: Option<String>,
    /// By the token with this id.
    token: Option<String>,
    /// Of this namespace. Whoever may read no more than a namespace names it.
    namespace: Option<String>,
    /// Of this repository, such as `team/app`.
    repository: Option<String>,
    /// With one of these verbs, by commas: push, retag, delete, mount, upload, pull, list, login, admin, omitted.
    verb: Option<String>,
    /// With this outcome: allowed, denied or failed.
    outcome: Option<String>,
    /// Not older than this time (RFC 3339).
    since: Option<String>,
    /// Older than this time (RFC 3339).
    until: Option<String>,
    /// Rows in the answer at most: 1 to 1000, usually 100. There may be fewer although more come after them.
    limit: Option<u32>,
    /// Where to go on: what the page before said under `continue`.
    r#continue: Option<String>,
}

/// Which rows of those that come.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Following {
    /// Of this user.
    user: Option<String>,
    /// By the token with this id.
    token: Option<String>,
    /// Of this namespace. Whoever may read no more than a namespace names it.
    namespace: Option<String>,
    /// Of this repository, such as `team/app`.
    repository: Option<String>,
    /// With one of these verbs, by commas.
    verb: Option<String>,
    /// With this outcome: allowed, denied or failed.
    outcome: Option<String>,
    /// What the answer before said under `continue`; without it the answer is empty and says where to begin.
    after: Option<i64>,
}

/// Rows that came since.
#[derive(Debug, Serialize, JsonSchema)]
struct News {
    /// Oldest first.
    items: Vec<AuditRow>,
    /// What to give as `after` next.
    r#continue: i64,
}

async fn list(
    State(registry): State<Arc<Registry>>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Reply<Listed<AuditRow>>, Problem> {
    let page = Page::new(asked.limit, asked.r#continue.clone());
    let before = page.after().map(Position::from_str).transpose();
    let before = before.map_err(|error| Problem::invalid(format!("continue: {error}")))?;
    let query = asked.query()?;
    let limit = page.limit()?;
    let reader = permit(&registry, &caller, &query).await?;
    let audit = &registry.storage().audit;
    let Rows { rows, next } = audit
        .page(&query, before, limit)
        .await
        .map_err(Problem::from)?;
    let listed = Listed {
        items: rows.iter().map(|row| reader.row(row)).collect(),
        r#continue: next.map(|next| next.to_string()),
    };
    Ok(Reply(StatusCode::OK, listed))
}

async fn follow(
    State(registry): State<Arc<Registry>>,
    caller: Caller,
    Query(asked): Query<Following>,
) -> Result<Reply<News>, Problem> {
    let (after, asked) = asked.parted();
    let query = asked.query()?;
    let reader = permit(&registry, &caller, &query).await?;
    let audit = &registry.storage().audit;
    let Some(mut after) = after else {
        let news = News {
            items: Vec::new(),
            r#continue: audit.last().await.map_err(Problem::from)?,
        };
        return Ok(Reply(StatusCode::OK, news));
    };
    let mut items = Vec::new();
    for _ in 0..LOOKED_AT / AT_ONCE {
        let rows = audit.since(after, AT_ONCE).await.map_err(Problem::from)?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        items.extend(
            rows.iter()
                .filter(|row| query.admits(row))
                .map(|row| reader.row(row)),
        );
        if items.len() >= AT_ONCE {
            break;
        }
    }
    let news = News {
        items,
        r#continue: after,
    };
    Ok(Reply(StatusCode::OK, news))
}

/// Who may read what.
#[derive(Clone, Copy)]
enum Reader {
    OfAll,
    OfNamespace,
}

impl Reader {
    fn row(self, row: &storage::audit::Row) -> AuditRow {
        let whole = AuditRow::of(row);
        match self {
            Self::OfAll => whole,
            Self::OfNamespace => whole.without_groups(),
        }
    }
}

/// The right to read what is asked for: of one namespace, or of all.
async fn permit(
    registry: &Registry,
    caller: &Caller,
    query: &storage::audit::Query,
) -> Result<Reader, Problem> {
    let of_repository = query.repository.as_ref().map(RepoName::namespace);
    let namespace = query.namespace.as_deref().or(of_repository);
    let gate = registry.gate();
    let may_read = async |namespace| {
        let right = AdminRight::ReadAudit;
        gate.permit_admin_in(&caller.who, right, namespace).await
    };
    may_read(namespace).await?;
    // Who asks for a namespace may be a reader of all nonetheless.
    let is_of_all = namespace.is_none() || may_read(None).await.is_ok();
    Ok(if is_of_all {
        Reader::OfAll
    } else {
        Reader::OfNamespace
    })
}

impl Following {
    fn parted(self) -> (Option<i64>, Asked) {
        let asked = Asked {
            user: self.user,
            token: self.token,
            namespace: self.namespace,
            repository: self.repository,
            verb: self.verb,
            outcome: self.outcome,
            ..Asked::default()
        };
        (self.after, asked)
    }
}

impl Asked {
    fn query(self) -> Result<storage::audit::Query, Problem> {
        let namespace = self.namespace.map(namespace).transpose()?;
        let repository = parsed("repository", self.repository.as_deref(), |text| {
            RepoName::parse(text).map_err(|error| error.to_string())
        })?;
        if let (Some(namespace), Some(repository)) = (&namespace, &repository)
            && repository.namespace() != namespace
        {
            let message = "repository: it is not in the namespace that is named beside it";
            return Err(Problem::invalid(message));
        }
        let verbs = self.verb.as_deref().map(|verbs| verbs.split(','));
        let verbs = verbs.into_iter().flatten().map(str::parse);
        Ok(storage::audit::Query {
            user: self.user,
            token: self.token,
            namespace,
            repository,
            verbs: verbs
                .collect::<Result<_, _>>()
                .map_err(|error| Problem::invalid(format!("verb: {error}")))?,
            outcome: parsed("outcome", self.outcome.as_deref(), |text| {
                text.parse()
                    .map_err(|error: storage::audit::UnknownWord| error.to_string())
            })?,
            since: parsed("since", self.since.as_deref(), time)?,
            until: parsed("until", self.until.as_deref(), time)?,
        })
    }
}

fn namespace(text: String) -> Result<String, Problem> {
    is_namespace(&text).map(|()| text)
}

fn parsed<T>(
    name: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Problem> {
    let parsed = text.map(parse).transpose();
    parsed.map_err(|error| Problem::invalid(format!("{name}: {error}")))
}

fn time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "write a time as 2026-11-20T10:00:00Z".to_owned())
}
