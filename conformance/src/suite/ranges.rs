//! Parts of blobs, and blobs that the client has already (RFC 9110 §13, §14).

use std::sync::Arc;

use oci::Algorithm;

use super::steps::{get, push};
use crate::clause::{Clause, Context, Step, Stop, clause, demand};
use crate::content::Blob;

const SIZE: usize = 1_000;

pub(super) fn clauses() -> Vec<Clause> {
    let mut clauses = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        for (range, wanted) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=100-199", Some(100..200)),
            ("bytes=500-", Some(500..SIZE)),
            ("bytes=-10", Some(SIZE - 10..SIZE)),
            ("bytes=900-5000", Some(900..SIZE)),
            ("bytes=1000-", None),
            ("bytes=500-0", None),
        ] {
            let name = format!("{} blobs/range requests/{range}", algorithm.as_str());
            clauses.push(clause(name, "end-2, RFC 9110 §14", move |context| {
                part(context, algorithm, range, wanted.clone())
            }));
        }
    }
    clauses.push(clause(
        "caching/If-None-Match",
        "RFC 9110 §13.1.2",
        not_modified,
    ));
    clauses
}

async fn part(
    context: Arc<Context>,
    algorithm: Algorithm,
    range: &'static str,
    wanted: Option<std::ops::Range<usize>>,
) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, SIZE));
    push(&context, &repo, &blob).await?;
    let ask = get(format!("/v2/{repo}/blobs/{}", blob.digest)).header("range", range);
    let answer = context.client.send(ask).await?;
    if answer.status == http::StatusCode::OK {
        return Err(Stop::Skip(format!(
            "{range} is ignored, as RFC 9110 allows"
        )));
    }
    let Some(wanted) = wanted else {
        answer.expect(&[416])?;
        return Ok(());
    };
    let answer = answer.expect(&[206])?;
    let told = format!("bytes {}-{}/{SIZE}", wanted.start, wanted.end - 1);
    answer.expect_header("content-range", &told)?;
    demand(answer.body == blob.bytes[wanted], || {
        format!("{}: {range}: other bytes", answer.asked)
    })
}

async fn not_modified(context: Arc<Context>) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(Algorithm::Sha256, SIZE));
    push(&context, &repo, &blob).await?;
    let path = format!("/v2/{repo}/blobs/{}", blob.digest);
    let answer = context.client.send(get(&*path)).await?.expect(&[200])?;
    let etag = answer.header("etag").to_owned();
    if etag.is_empty() {
        return Err(Stop::Skip("no ETag".into()));
    }
    let again = get(path).header("if-none-match", etag);
    let answer = context.client.send(again).await?.expect(&[304])?;
    demand(answer.body.is_empty(), || "304 with a body".into())
}
