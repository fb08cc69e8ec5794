//! Pushing blobs in chunks.

use std::sync::Arc;

use oci::Algorithm;

use super::blobs::digest_invalid;
use super::steps::{delete, get, holds, lacks, patch, put, start, with_digest};
use crate::Edition;
use crate::clause::{Clause, Context, Step, clause, demand};
use crate::client::Answer;
use crate::content::Blob;

const SIZE: usize = 9_000;
const CHUNK: usize = 3_000;

pub(super) fn clauses(edition: Edition) -> Vec<Clause> {
    let mut clauses = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let name = |test: &str| format!("{} blobs/{test}", algorithm.as_str());
        clauses.extend([
            clause(name("chunked single"), "end-5", move |c| {
                chunked(c, algorithm, SIZE, false)
            }),
            clause(name("chunked multi"), "end-5", move |c| {
                chunked(c, algorithm, CHUNK, false)
            }),
            clause(
                name("chunked multi and put chunk"),
                "end-5, end-6",
                move |c| chunked(c, algorithm, CHUNK, true),
            ),
            clause(name("stream"), "end-5", move |c| stream(c, algorithm)),
            clause(name("chunked out-of-order"), "end-5, end-13", move |c| {
                out_of_order(c, algorithm, false)
            }),
            clause(
                name("chunked out-of-order and put chunk"),
                "end-6, end-13",
                move |c| out_of_order(c, algorithm, true),
            ),
            clause(name("bad digest chunked"), "end-6", move |c| {
                bad_digest(c, algorithm)
            }),
            clause(name("finished is finished"), "end-6", move |c| {
                finished(c, algorithm)
            }),
        ]);
        if edition >= Edition::Dev {
            clauses.push(clause(name("post cancel"), "end-14", move |c| {
                cancel(c, algorithm)
            }));
        }
    }
    clauses
}

/// Sends the bytes from `from` to `to` as one chunk.
async fn chunk(
    context: &Context,
    location: &str,
    blob: &Blob,
    from: usize,
    to: usize,
) -> Step<Answer> {
    let ask = patch(location)
        .header("content-range", format!("{from}-{}", to - 1))
        .body(blob.bytes.slice(from..to));
    context.client.send(ask).await
}

fn received(answer: &Answer, to: usize) -> Step {
    answer.expect_header("range", &format!("0-{}", to - 1))
}

async fn chunked(
    context: Arc<Context>,
    algorithm: Algorithm,
    size: usize,
    last_in_put: bool,
) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, SIZE));
    let mut location = start(&context, &repo).await?;
    let mut from = 0;
    while from < SIZE {
        let to = from + size;
        if last_in_put && to == SIZE {
            break;
        }
        let answer = chunk(&context, &location, &blob, from, to)
            .await?
            .expect(&[202])?;
        received(&answer, to)?;
        location = answer.location()?;
        let state = context.client.send(get(&*location)).await?.expect(&[204])?;
        received(&state, to)?;
        from = to;
    }
    let mut finish = put(with_digest(&location, &blob.digest));
    if from < SIZE {
        finish = finish
            .header("content-type", "application/octet-stream")
            .header("content-range", format!("{from}-{}", SIZE - 1))
            .body(blob.bytes.slice(from..));
    }
    context
        .client
        .send(finish)
        .await?
        .expect(&[201])?
        .location()?;
    holds(&context, &repo, &blob).await
}

/// As docker and podman do it: one PATCH without length.
async fn stream(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, 300_000));
    let location = start(&context, &repo).await?;
    let ask = patch(location).body(blob.bytes.clone()).chunked();
    let answer = context.client.send(ask).await?.expect(&[202])?;
    let finish = put(with_digest(&answer.location()?, &blob.digest));
    context.client.send(finish).await?.expect(&[201])?;
    holds(&context, &repo, &blob).await
}

/// A chunk that does not follow is refused, and the upload goes on.
async fn out_of_order(context: Arc<Context>, algorithm: Algorithm, in_put: bool) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, SIZE));
    let location = start(&context, &repo).await?;
    let answer = chunk(&context, &location, &blob, 0, CHUNK)
        .await?
        .expect(&[202])?;
    let location = answer.location()?;
    let refused = if in_put {
        let ask = put(with_digest(&location, &blob.digest))
            .header("content-type", "application/octet-stream")
            .header("content-range", format!("{}-{}", 2 * CHUNK, SIZE - 1))
            .body(blob.bytes.slice(2 * CHUNK..));
        context.client.send(ask).await?
    } else {
        chunk(&context, &location, &blob, 2 * CHUNK, SIZE).await?
    };
    refused.expect(&[416])?;
    let state = context.client.send(get(&*location)).await?.expect(&[204])?;
    received(&state, CHUNK)?;
    let location = state.location()?;
    let answer = chunk(&context, &location, &blob, CHUNK, SIZE)
        .await?
        .expect(&[202])?;
    let finish = put(with_digest(&answer.location()?, &blob.digest));
    context.client.send(finish).await?.expect(&[201])?;
    holds(&context, &repo, &blob).await
}

async fn bad_digest(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, SIZE));
    let told = Blob::random(algorithm, SIZE);
    let location = start(&context, &repo).await?;
    let answer = chunk(&context, &location, &blob, 0, SIZE)
        .await?
        .expect(&[202])?;
    let finish = put(with_digest(&answer.location()?, &told.digest));
    digest_invalid(&context.client.send(finish).await?.expect(&[400])?)?;
    lacks(&context, &repo, &told.digest).await
}

async fn finished(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, SIZE));
    let location = start(&context, &repo).await?;
    let answer = chunk(&context, &location, &blob, 0, SIZE)
        .await?
        .expect(&[202])?;
    let location = answer.location()?;
    let finish = put(with_digest(&location, &blob.digest));
    context.client.send(finish).await?.expect(&[201])?;
    let answer = context.client.send(get(location)).await?.expect(&[404])?;
    let code = answer.error_code()?;
    demand(code == "BLOB_UPLOAD_UNKNOWN", || {
        format!("{}: {code}", answer.asked)
    })
}

async fn cancel(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, SIZE));
    let location = start(&context, &repo).await?;
    let answer = chunk(&context, &location, &blob, 0, CHUNK)
        .await?
        .expect(&[202])?;
    let location = answer.location()?;
    let answer = context.client.send(delete(&*location)).await?;
    answer.unless(&[405])?.expect(&[204])?;
    context.client.send(get(location)).await?.expect(&[404])?;
    Ok(())
}
