//! Is this a registry, and what does it say of what is not there?

use oci::{Algorithm, Digest};

use super::steps::get;
use crate::clause::{Clause, clause, demand};
use crate::content::OCI_INDEX;

pub(super) fn clauses() -> Vec<Clause> {
    vec![
        clause("ping", "distribution-spec end-1", async |context| {
            context.client.send(get("/v2/")).await?.expect(&[200])?;
            Ok(())
        }),
        clause(
            "empty/tag-list",
            "distribution-spec end-8a",
            async |context| {
                let path = format!("/v2/{}/tags/list", context.fresh());
                context.client.send(get(path)).await?.expect(&[200, 404])?;
                Ok(())
            },
        ),
        clause(
            "empty/referrers",
            "distribution-spec end-12a",
            async |context| {
                let digest = Digest::of(Algorithm::Sha256, b"nobody refers to this");
                let path = format!("/v2/{}/referrers/{digest}", context.fresh());
                let answer = context.client.send(get(path)).await?.expect(&[200])?;
                demand(answer.media_type() == OCI_INDEX, || {
                    format!(
                        "Content-Type {:?} instead of {OCI_INDEX}",
                        answer.media_type()
                    )
                })?;
                let json = answer.json()?;
                demand(
                    json["schemaVersion"] == 2 && json["mediaType"] == OCI_INDEX,
                    || format!("this is no index: {json}"),
                )?;
                demand(json["manifests"] == serde_json::json!([]), || {
                    format!("not empty: {json}")
                })
            },
        ),
        clause(
            "missing-manifest",
            "distribution-spec end-3",
            async |context| {
                let repo = context.fresh();
                let digest = Digest::of(Algorithm::Sha256, b"nobody has pushed this");
                for reference in ["missing".to_owned(), digest.to_string()] {
                    let path = format!("/v2/{repo}/manifests/{reference}");
                    let answer = context.client.send(get(path)).await?.expect(&[404])?;
                    let code = answer.error_code()?;
                    demand(
                        matches!(&*code, "MANIFEST_UNKNOWN" | "NAME_UNKNOWN"),
                        || format!("{}: {code}", answer.asked),
                    )?;
                }
                Ok(())
            },
        ),
    ]
}
