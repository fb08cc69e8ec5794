//! Repositories do not leak into each other (CVE-2024-39897, CVE-2026-35172, CVE-2026-32589).

use std::sync::Arc;

use oci::Algorithm;

use super::steps::{delete, get, holds, lacks, patch, push, start};
use crate::clause::{Clause, Context, Step, Stop, clause, demand};
use crate::content::Blob;

pub(super) fn clauses() -> Vec<Clause> {
    vec![
        clause(
            "isolation/blob of another repository",
            "CVE-2024-39897",
            elsewhere,
        ),
        clause(
            "isolation/blob deleted here and held there",
            "CVE-2026-35172",
            deleted_here,
        ),
        clause(
            "isolation/upload of another repository",
            "CVE-2026-32589",
            upload,
        ),
        clause(
            "isolation/one blob pushed by many at once",
            "end-6",
            at_once,
        ),
    ]
}

async fn elsewhere(context: Arc<Context>) -> Step {
    let (here, there) = (context.fresh(), context.fresh());
    let blob = Blob::random(Algorithm::Sha256, 1000);
    push(&context, &here, &blob).await?;
    push(&context, &there, &Blob::random(Algorithm::Sha256, 10)).await?;
    lacks(&context, &there, &blob.digest).await
}

async fn deleted_here(context: Arc<Context>) -> Step {
    let (here, there) = (context.fresh(), context.fresh());
    let blob = Blob::random(Algorithm::Sha256, 1000);
    for repo in [&here, &there] {
        push(&context, repo, &blob).await?;
        holds(&context, repo, &blob).await?;
    }
    let path = format!("/v2/{here}/blobs/{}", blob.digest);
    context
        .client
        .send(delete(path))
        .await?
        .unless(&[405])?
        .expect(&[202])?;
    lacks(&context, &here, &blob.digest).await?;
    holds(&context, &there, &blob).await?;
    lacks(&context, &here, &blob.digest).await
}

async fn upload(context: Arc<Context>) -> Step {
    let (here, there) = (context.fresh(), context.fresh());
    let location = start(&context, &here).await?;
    let url = context.client.url(&location)?;
    demand(url.path().contains(&here), || {
        format!("{location} does not name its repository")
    })?;
    let stolen = location.replacen(&here, &there, 1);
    for ask in [get(&*stolen), patch(&*stolen).body("x"), delete(&*stolen)] {
        context.client.send(ask).await?.expect(&[400, 404])?;
    }
    context.client.send(get(location)).await?.expect(&[204])?;
    Ok(())
}

async fn at_once(context: Arc<Context>) -> Step {
    let blob = Blob::random(Algorithm::Sha256, 200_000);
    let mut pushes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (context, blob, repo) = (Arc::clone(&context), blob.clone(), context.fresh());
        pushes.spawn(async move {
            push(&context, &repo, &blob).await?;
            holds(&context, &repo, &blob).await
        });
    }
    while let Some(pushed) = pushes.join_next().await {
        pushed.map_err(|error| Stop::Error(error.to_string()))??;
    }
    Ok(())
}
