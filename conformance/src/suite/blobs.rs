//! Pushing blobs in one or two requests, mounting them, deleting them.

use std::sync::Arc;

use oci::Algorithm;

use super::steps::{delete, holds, lacks, post, push, put, start, with_digest};
use crate::Edition;
use crate::clause::{Clause, Context, Step, clause, demand};
use crate::client::Ask;
use crate::content::Blob;

pub(super) fn clauses(edition: Edition) -> Vec<Clause> {
    let mut clauses = Vec::new();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let name = |test: &str| format!("{} blobs/{test}", algorithm.as_str());
        clauses.extend([
            clause(name("get missing"), "end-2", move |c| missing(c, algorithm)),
            clause(name("post only"), "end-4b", move |c| {
                post_only(c, algorithm)
            }),
            clause(name("post+put"), "end-4a, end-6", move |c| {
                post_put(c, algorithm)
            }),
            clause(name("mount"), "end-11", move |c| mount(c, algorithm)),
            clause(name("mount missing"), "end-11", move |c| {
                mount_missing(c, algorithm)
            }),
            clause(name("empty blob"), "end-6", move |c| {
                whole(c, Blob::of(algorithm, ""))
            }),
            clause(name("emptyJSON"), "end-6", move |c| {
                whole(c, Blob::of(algorithm, "{}"))
            }),
            clause(name("bad digest post only"), "end-4b", move |c| {
                bad_post(c, algorithm)
            }),
            clause(name("bad digest post+put"), "end-6", move |c| {
                bad_put(c, algorithm)
            }),
            clause(name("delete"), "end-10", move |c| deleted(c, algorithm)),
        ]);
        if edition >= Edition::Dev {
            clauses.push(clause(name("mount anonymous"), "end-11", move |c| {
                mount_anonymous(c, algorithm)
            }));
        }
    }
    clauses
}

async fn missing(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let blob = Blob::random(algorithm, 100);
    lacks(&context, &context.fresh(), &blob.digest).await
}

async fn post_only(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, 2000));
    let ask = post(format!("/v2/{repo}/blobs/uploads/?digest={}", blob.digest))
        .header("content-type", "application/octet-stream")
        .body(blob.bytes.clone());
    let answer = context
        .client
        .send(ask)
        .await?
        .unless(&[202])?
        .expect(&[201])?;
    answer.location()?;
    holds(&context, &repo, &blob).await
}

async fn whole(context: Arc<Context>, blob: Blob) -> Step {
    let repo = context.fresh();
    push(&context, &repo, &blob).await?;
    holds(&context, &repo, &blob).await
}

async fn post_put(context: Arc<Context>, algorithm: Algorithm) -> Step {
    whole(context, Blob::random(algorithm, 5000)).await
}

/// A mount may be had by who may pull there and push here.
fn mounting(path: String, from: &str, into: &str) -> Ask {
    post(path)
        .scope(format!("repository:{from}:pull"))
        .scope(format!("repository:{into}:pull,push"))
}

async fn mount(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (from, into) = (context.fresh(), context.fresh());
    let blob = Blob::random(algorithm, 3000);
    push(&context, &from, &blob).await?;
    let path = format!(
        "/v2/{into}/blobs/uploads/?mount={}&from={from}",
        blob.digest
    );
    let ask = mounting(path, &from, &into);
    let answer = context.client.send(ask).await?;
    answer.unless(&[202])?.expect(&[201])?.location()?;
    holds(&context, &into, &blob).await
}

async fn mount_anonymous(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (from, into) = (context.fresh(), context.fresh());
    let blob = Blob::random(algorithm, 3000);
    push(&context, &from, &blob).await?;
    let path = format!("/v2/{into}/blobs/uploads/?mount={}", blob.digest);
    let ask = mounting(path, &from, &into);
    let answer = context.client.send(ask).await?;
    answer.unless(&[202])?.expect(&[201])?;
    holds(&context, &into, &blob).await
}

/// What cannot be mounted is an upload, which then is finished.
async fn mount_missing(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (from, into) = (context.fresh(), context.fresh());
    let blob = Blob::random(algorithm, 3000);
    let path = format!(
        "/v2/{into}/blobs/uploads/?mount={}&from={from}",
        blob.digest
    );
    let ask = mounting(path, &from, &into);
    let answer = context.client.send(ask).await?.expect(&[202])?;
    let location = answer.location()?;
    let finish = put(with_digest(&location, &blob.digest))
        .header("content-type", "application/octet-stream")
        .body(blob.bytes.clone());
    context.client.send(finish).await?.expect(&[201])?;
    holds(&context, &into, &blob).await
}

async fn bad_post(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let repo = context.fresh();
    let (told, sent) = (Blob::random(algorithm, 100), Blob::random(algorithm, 100));
    let ask = post(format!("/v2/{repo}/blobs/uploads/?digest={}", told.digest))
        .header("content-type", "application/octet-stream")
        .body(sent.bytes.clone());
    let answer = context
        .client
        .send(ask)
        .await?
        .unless(&[202])?
        .expect(&[400])?;
    digest_invalid(&answer)?;
    lacks(&context, &repo, &told.digest).await
}

async fn bad_put(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let repo = context.fresh();
    let (told, sent) = (Blob::random(algorithm, 100), Blob::random(algorithm, 100));
    let location = start(&context, &repo).await?;
    let ask = put(with_digest(&location, &told.digest))
        .header("content-type", "application/octet-stream")
        .body(sent.bytes.clone());
    let answer = context.client.send(ask).await?.expect(&[400])?;
    digest_invalid(&answer)?;
    lacks(&context, &repo, &told.digest).await
}

pub(super) fn digest_invalid(answer: &crate::client::Answer) -> Step {
    let code = answer.error_code()?;
    demand(code == "DIGEST_INVALID", || {
        format!("{}: {code} instead of DIGEST_INVALID", answer.asked)
    })
}

async fn deleted(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let (repo, blob) = (context.fresh(), Blob::random(algorithm, 100));
    push(&context, &repo, &blob).await?;
    let path = format!("/v2/{repo}/blobs/{}", blob.digest);
    let answer = context.client.send(delete(&*path)).await?;
    answer.unless(&[405])?.expect(&[202])?;
    lacks(&context, &repo, &blob.digest).await?;
    context.client.send(delete(path)).await?.expect(&[404])?;
    Ok(())
}
