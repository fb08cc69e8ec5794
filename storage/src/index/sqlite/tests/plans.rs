//! How SQLite means to answer: by an index, without sorting, for everything that a request asks. A plan is the same on
//! every machine; a time is not.

use rusqlite::Connection;

use crate::index::sqlite::{lists, open};

/// Steps of the plan that read a whole table or sort.
fn slow_steps(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let parameters = vec![""; statement.parameter_count()];
    let steps: Vec<String> = statement
        .query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(!steps.is_empty());
    steps
        .into_iter()
        .filter(|step| step.starts_with("SCAN") || step.contains("TEMP B-TREE"))
        .collect()
}

#[test]
fn what_requests_ask_is_answered_by_indexes() {
    let connection = open::memory().unwrap();
    for sql in [
        lists::TAGS,
        lists::REPOSITORIES,
        lists::REFERRERS,
        lists::REFERRERS_BY_TYPE,
        crate::index::sqlite::blobs::HOLDERS,
        crate::index::sqlite::blobs::SIZE,
        crate::index::sqlite::blobs::IS_NEEDED,
        crate::index::sqlite::manifests::BY_TAG,
        crate::index::sqlite::manifests::BY_DIGEST,
        crate::index::sqlite::uploads::IDLE,
        crate::index::sqlite::uploads::OF_OWNER,
        crate::index::sqlite::journal::ROWS_OF_LINK,
        crate::index::sqlite::audit::BY_TIME,
        crate::index::sqlite::audit::BY_USER,
        crate::index::sqlite::audit::BY_NAMESPACE,
        crate::index::sqlite::audit::BY_REPOSITORY,
        crate::index::sqlite::audit::BOUND,
        crate::index::sqlite::audit::EXPIRED,
        crate::index::sqlite::tokens::LIVE_OF_OWNER,
        crate::index::sqlite::tokens::OF_OWNER,
        crate::index::sqlite::tokens::OF_ALL,
        crate::index::sqlite::tokens::ALL,
        crate::index::sqlite::records::ONE,
        crate::index::sqlite::records::REVISION,
        crate::index::sqlite::records::LIST,
        crate::index::sqlite::records::BRIEFS,
        crate::index::sqlite::records::OPEN,
        crate::index::sqlite::records::EVERY,
        crate::index::sqlite::records::NAMESPACE,
        crate::index::sqlite::records::COUNT,
        crate::index::sqlite::tokens::REVOKED_OF_OWNER,
    ] {
        assert_eq!(slow_steps(&connection, sql), [""; 0], "{sql}");
    }
}

#[test]
fn a_slow_plan_would_be_seen() {
    let connection = open::memory().unwrap();
    assert_eq!(
        slow_steps(&connection, "SELECT * FROM tags ORDER BY moved").len(),
        2
    );
}

/// The plan of a filtered list reads only entries of that type.
#[test]
fn the_type_of_referrers_is_part_of_the_search() {
    let connection = open::memory().unwrap();
    let sql = format!("EXPLAIN QUERY PLAN {}", lists::REFERRERS_BY_TYPE);
    let plan: String = connection
        .query_row(&sql, ["", "", "", "", ""], |row| row.get(3))
        .unwrap();
    assert!(plan.contains("referrers_by_type"), "{plan}");
    assert!(plan.contains("artifact_type=?"), "{plan}");
}

/// Rows have the bodies, which are long: none is read.
#[test]
fn briefs_are_in_an_index_of_their_own() {
    let connection = open::memory().unwrap();
    let sql = format!(
        "EXPLAIN QUERY PLAN {}",
        crate::index::sqlite::records::BRIEFS
    );
    let plan: String = connection
        .query_row(&sql, ["", "", "", ""], |row| row.get(3))
        .unwrap();
    assert!(plan.contains("COVERING INDEX briefs"), "{plan}");
}
