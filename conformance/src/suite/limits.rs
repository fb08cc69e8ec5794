//! Bounds of what strangers may send (CVE-2017-11468, CVE-2023-2253), and the form of refusals.

use std::sync::Arc;

use bytes::Bytes;

use super::steps::{get, push_image, put};
use crate::clause::{Clause, Context, Step, clause, demand};
use crate::client::status_of;
use crate::content::OCI_MANIFEST;

pub(super) fn clauses() -> Vec<Clause> {
    let mut clauses = vec![
        clause("limits/manifest of 64 MiB", "CVE-2017-11468", |c| {
            manifest(c, false)
        }),
        clause(
            "limits/manifest of 64 MiB in chunks",
            "CVE-2017-11468",
            |c| manifest(c, true),
        ),
        clause("limits/header of 1 MiB", "RFC 6585 §5", header),
        clause(
            "errors/OCI body on every refusal",
            "distribution-spec §Error Codes",
            bodies,
        ),
    ];
    clauses.extend(["-1", "abc", "1e3", "0x10"].map(|n| {
        clause(format!("limits/n={n}"), "CVE-2023-2253", move |c| {
            page(c, n, &[400])
        })
    }));
    clauses.extend(
        ["2147483648", "9223372036854775808", "99999999999999999999"].map(|n| {
            clause(format!("limits/n={n}"), "CVE-2023-2253", move |c| {
                page(c, n, &[200, 400])
            })
        }),
    );
    clauses
}

async fn page(context: Arc<Context>, n: &'static str, statuses: &'static [u16]) -> Step {
    let repo = context.fresh();
    push_image(&context, &repo, "v1").await?;
    let path = format!("/v2/{repo}/tags/list?n={n}");
    context.client.send(get(path)).await?.expect(statuses)?;
    Ok(())
}

async fn manifest(context: Arc<Context>, chunked: bool) -> Step {
    let repo = context.fresh();
    let mut ask = put(format!("/v2/{repo}/manifests/v1"))
        .header("content-type", OCI_MANIFEST)
        .body(Bytes::from(vec![b' '; 64 << 20]));
    if chunked {
        ask = ask.chunked();
    }
    // Closing the connection before everything was read is a refusal too.
    match context.client.send(ask).await {
        Ok(answer) => answer.expect(&[400, 413]).map(drop),
        Err(crate::clause::Stop::Error(_)) => {
            context.client.send(get("/v2/")).await?.expect(&[200])?;
            Ok(())
        }
        Err(stop) => Err(stop),
    }
}

async fn header(context: Arc<Context>) -> Step {
    context.client.send(get("/v2/")).await?.expect(&[200])?;
    let who = context.client.authorization_line();
    let raw = format!(
        "GET /v2/ HTTP/1.1\r\nhost: x\r\n{who}x: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let answer = context.client.raw(raw.as_bytes()).await?;
    // Closing without a word is a refusal too; `raw` has seen that the next request is answered.
    demand(
        matches!(status_of(&answer), None | Some(400 | 413 | 431)),
        || format!("{:?}", answer.lines().next().unwrap_or_default()),
    )
}

async fn bodies(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    push_image(&context, &repo, "v1").await?;
    for path in [
        format!("/v2/{repo}/manifests/none"),
        format!("/v2/{repo}/blobs/sha256:{}", "0".repeat(64)),
        format!("/v2/{repo}/blobs/uploads/00000000-0000-4000-8000-000000000000"),
        format!("/v2/{repo}-none/tags/list"),
        format!("/v2/{repo}/tags/list?n=-1"),
    ] {
        let answer = context.client.send(get(path)).await?.expect(&[400, 404])?;
        answer.error_code()?;
        demand(answer.media_type().starts_with("application/json"), || {
            format!("{}: {:?}", answer.asked, answer.media_type())
        })?;
    }
    Ok(())
}
