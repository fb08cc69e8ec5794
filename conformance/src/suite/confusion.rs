//! Manifests that two readers could understand in two ways (CVE-2021-41190 and its family).

use std::sync::Arc;

use oci::Algorithm;

use super::steps::{get, push_image, put_manifest};
use crate::clause::{Clause, Context, Step, clause, demand};
use crate::content::{Blob, Manifest, OCI_INDEX, OCI_MANIFEST};

pub(super) fn clauses() -> Vec<Clause> {
    let mut clauses: Vec<Clause> = BAD
        .iter()
        .map(|(name, spoil)| {
            clause(
                format!("confusion/{name}"),
                "CVE-2021-41190",
                move |context| refused(context, *spoil),
            )
        })
        .collect();
    clauses.push(clause("confusion/exact bytes", "end-3", exact_bytes));
    clauses.push(clause(
        "confusion/other media type",
        "end-7a",
        other_media_type,
    ));
    clauses
}

type Spoil = fn(&str) -> String;

const BAD: [(&str, Spoil); 6] = [
    ("image that is an index too", |text| {
        text.replacen("\"layers\"", "\"manifests\":[],\"layers\"", 1)
    }),
    ("key given twice", |text| {
        text.replacen('{', &format!("{{\"mediaType\":\"{OCI_INDEX}\","), 1)
    }),
    ("trailing data", |text| format!("{text}{{}}")),
    ("byte order mark", |text| format!("\u{feff}{text}")),
    ("no JSON", |_| "{\"schemaVersion\":".to_owned()),
    ("no object", |_| "[]".to_owned()),
];

async fn refused(context: Arc<Context>, spoil: Spoil) -> Step {
    let repo = context.fresh();
    let good = push_image(&context, &repo, "good").await?;
    let text = String::from_utf8_lossy(&good.blob.bytes).into_owned();
    let bad = Manifest {
        blob: Blob::of(Algorithm::Sha256, spoil(&text)),
        ..good
    };
    let answer = put_manifest(&context, &repo, "bad", &bad)
        .await?
        .expect(&[400])?;
    let code = answer.error_code()?;
    demand(code == "MANIFEST_INVALID", || {
        format!("{code} instead of MANIFEST_INVALID")
    })
}

async fn other_media_type(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    let good = push_image(&context, &repo, "good").await?;
    let bad = Manifest {
        media_type: OCI_INDEX.to_owned(),
        ..good
    };
    put_manifest(&context, &repo, "bad", &bad)
        .await?
        .expect(&[400])?;
    Ok(())
}

/// White space and the order of keys are content.
async fn exact_bytes(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    let good = push_image(&context, &repo, "good").await?;
    let text = String::from_utf8_lossy(&good.blob.bytes).replace(',', " ,\n\t");
    let spaced = Manifest {
        blob: Blob::of(Algorithm::Sha256, format!("\n{text}\n")),
        ..good
    };
    put_manifest(&context, &repo, "spaced", &spaced)
        .await?
        .expect(&[201])?;
    let path = format!("/v2/{repo}/manifests/spaced");
    let ask = get(path).header("accept", OCI_MANIFEST);
    let answer = context.client.send(ask).await?.expect(&[200])?;
    demand(answer.body == spaced.blob.bytes, || {
        "other bytes than were pushed".into()
    })
}
