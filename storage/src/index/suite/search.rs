//! How the audit record is searched and paged.

use oci::RepoName;

use super::Subject;
use super::audit::{note, noted};
use super::material::{at, repo};
use crate::audit::{Outcome, Page, Place, Query, Verb};

/// What is set in a query, and the rows that are found by it.
type Case<'a> = (&'a dyn Fn(&mut Query), &'a [i64]);

pub async fn the_record_is_searched_by_every_condition(index: Subject) {
    let (x, y) = (repo("team/x"), repo("team2/y"));
    let of = |repo: &RepoName| Place::Repository(repo.clone());
    note(
        &index,
        vec![
            noted("ada", 1, Verb::Push, of(&x), Outcome::Allowed),
            noted("bob", 2, Verb::Pull, of(&x), Outcome::Denied),
            noted("ada", 3, Verb::Pull, of(&y), Outcome::Denied),
            noted("ada", 4, Verb::Login, Place::Registry, Outcome::Denied),
            noted(
                "bob",
                5,
                Verb::Admin,
                Place::Namespace("team".into()),
                Outcome::Allowed,
            ),
        ],
    )
    .await;
    let ada = Some("ada".to_owned());
    let team = Some("team".to_owned());
    // One condition at a time, then all at once.
    let cases: [Case<'_>; 10] = [
        (&|_| (), &[5, 4, 3, 2, 1]),
        (&|query| query.user.clone_from(&ada), &[4, 3, 1]),
        (
            &|query| query.token = Some("robot".to_owned()),
            &[5, 4, 3, 2, 1],
        ),
        (&|query| query.token = Some("other".to_owned()), &[]),
        (&|query| query.namespace.clone_from(&team), &[5, 2, 1]),
        (&|query| query.repository = Some(x.clone()), &[2, 1]),
        (
            &|query| query.verbs = vec![Verb::Pull, Verb::Login],
            &[4, 3, 2],
        ),
        (&|query| query.outcome = Some(Outcome::Allowed), &[5, 1]),
        (&|query| query.since = Some(at(3)), &[5, 4, 3]),
        (&|query| query.until = Some(at(3)), &[2, 1]),
    ];
    for (set, expected) in cases {
        let mut query = Query::default();
        set(&mut query);
        assert_eq!(found(&index, &query).await, expected, "{query:?}");
    }
    let every = Query {
        user: ada,
        token: Some("robot".to_owned()),
        namespace: team,
        repository: Some(x),
        verbs: vec![Verb::Push],
        outcome: Some(Outcome::Allowed),
        since: Some(at(1)),
        until: Some(at(2)),
    };
    assert_eq!(found(&index, &every).await, [1]);
    let nobody = Query {
        user: Some("' OR 1=1 --".to_owned()),
        ..every
    };
    assert_eq!(found(&index, &nobody).await, [0; 0]);
}

/// Also where many rows have one time, and where rows came in another order than their times.
pub async fn pages_of_the_record_miss_nothing(index: Subject) {
    let times = [3, 3, 3, 1, 2, 3, 2, 9, 9, 1];
    let entries =
        times.map(|time| noted("ada", time, Verb::Pull, Place::Registry, Outcome::Denied));
    note(&index, entries.to_vec()).await;
    let mut sorted: Vec<(u64, i64)> = times.into_iter().zip(1..).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let whole: Vec<i64> = sorted.into_iter().map(|(_, id)| id).collect();
    for limit in 1..=11 {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = index
                .audit_page(&Query::default(), before, limit)
                .await
                .unwrap();
            assert!(page.rows.len() <= limit);
            seen.extend(page.rows.iter().map(|row| row.id));
            before = page.next.map(|next| next.to_string().parse().unwrap());
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, whole, "pages of {limit}");
    }
}

/// A question that few rows answer comes in several pages, some of them empty.
pub async fn a_long_search_goes_on_where_it_stopped(index: Subject) {
    let entry = |verb| noted("ada", 1, verb, Place::Registry, Outcome::Denied);
    note(&index, vec![entry(Verb::Push)]).await;
    note(&index, vec![entry(Verb::Pull); 20_000]).await;
    let query = Query {
        verbs: vec![Verb::Push],
        ..Query::default()
    };
    let (mut pages, mut seen, mut before) = (0, 0, None);
    loop {
        let Page { rows, next } = index.audit_page(&query, before, 10).await.unwrap();
        (pages, seen) = (pages + 1, seen + rows.len());
        if next.is_none() {
            break;
        }
        before = next;
    }
    assert_eq!(seen, 1);
    assert!(pages > 1, "one page looked at everything");
}

async fn found(index: &Subject, query: &Query) -> Vec<i64> {
    let page = index.audit_page(query, None, 100).await.unwrap();
    assert_eq!(page.next, None);
    page.rows.iter().map(|row| row.id).collect()
}
