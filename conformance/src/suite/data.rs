//! Every kind of manifest: pushed, listed, read, referred to, deleted.

use std::sync::Arc;

use http::Method;
use oci::{Algorithm, Digest};

use super::steps::{delete, get, holds, push, put_manifest};
use crate::Edition;
use crate::clause::{Clause, Context, Step, Stop, clause, demand};
use crate::client::Ask;
use crate::content::{DataSet, Manifest, OCI_INDEX, sets};

pub(super) fn clauses(edition: Edition) -> Vec<Clause> {
    let mut clauses = Vec::new();
    for set in sets() {
        for (step, source, run) in STEPS {
            let set = set.clone();
            let name = format!("{}/{step}", set.name);
            clauses.push(clause(name, source, move |context| {
                run(context, set.clone())
            }));
        }
    }
    if edition >= Edition::Dev {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let name = format!("tag-param-{}/push", algorithm.as_str());
            clauses.push(clause(name, "end-7b", move |context| {
                tag_param(context, algorithm)
            }));
        }
    }
    clauses.push(clause("bad-digest-image/push", "end-7a", bad_digest));
    clauses.push(clause(
        "invalid-digest-format",
        "end-3, end-7a",
        invalid_digest,
    ));
    clauses
}

type Run = fn(Arc<Context>, DataSet) -> futures_util::future::BoxFuture<'static, Step>;

const STEPS: [(&str, &str, Run); 5] = [
    ("push", "end-7a", |c, set| Box::pin(pushed(c, set))),
    ("tag-list", "end-8a", |c, set| Box::pin(listed(c, set))),
    ("pull", "end-3, end-2", |c, set| Box::pin(pulled(c, set))),
    ("referrers", "end-12a, end-12b", |c, set| {
        Box::pin(referred(c, set))
    }),
    ("delete", "end-9, end-10", |c, set| {
        Box::pin(deleted(c, set))
    }),
];

/// Pushes the set: manifests of sha256 by tag and digest, others by digest, which is the only way
/// to name them.
async fn push_set(context: &Context, set: &DataSet) -> Step<String> {
    let repo = context.fresh();
    for blob in &set.blobs {
        push(context, &repo, blob).await?;
    }
    for (number, manifest) in set.manifests.iter().enumerate() {
        let digest = manifest.blob.digest;
        let answer = put_manifest(context, &repo, &digest.to_string(), manifest).await?;
        if set.name == "sparse" {
            // distribution-spec lets a registry refuse what names missing content.
            if answer.status == http::StatusCode::NOT_FOUND
                || answer.status == http::StatusCode::BAD_REQUEST
            {
                return Err(Stop::Skip(
                    "sparse manifests are refused, as they may be".into(),
                ));
            }
        }
        let answer = answer.expect(&[201])?;
        answer.location()?;
        answer.expect_header("docker-content-digest", &digest.to_string())?;
        if let Some(subject) = &manifest.subject {
            answer.expect_header("oci-subject", &subject.to_string())?;
        }
        if digest.algorithm() == Algorithm::Sha256 {
            let tag = tag(number);
            put_manifest(context, &repo, &tag, manifest)
                .await?
                .expect(&[201])?;
        }
    }
    Ok(repo)
}

fn tag(number: usize) -> String {
    format!("v{number}")
}

async fn pushed(context: Arc<Context>, set: DataSet) -> Step {
    push_set(&context, &set).await.map(drop)
}

async fn listed(context: Arc<Context>, set: DataSet) -> Step {
    let repo = push_set(&context, &set).await?;
    let wanted: Vec<String> = set
        .manifests
        .iter()
        .enumerate()
        .filter(|(_, manifest)| manifest.blob.digest.algorithm() == Algorithm::Sha256)
        .map(|(number, _)| tag(number))
        .collect();
    let path = format!("/v2/{repo}/tags/list");
    let answer = context.client.send(get(path)).await?.expect(&[200])?;
    let json = answer.json()?;
    demand(json["name"] == *repo, || {
        format!("the name is {}", json["name"])
    })?;
    let tags = json["tags"].as_array().cloned().unwrap_or_default();
    demand(
        serde_json::Value::from(tags.clone()) == serde_json::json!(wanted),
        || format!("{tags:?} instead of {wanted:?}"),
    )
}

async fn pulled(context: Arc<Context>, set: DataSet) -> Step {
    let repo = push_set(&context, &set).await?;
    for (number, manifest) in set.manifests.iter().enumerate() {
        let mut references = vec![manifest.blob.digest.to_string()];
        if manifest.blob.digest.algorithm() == Algorithm::Sha256 {
            references.push(tag(number));
        }
        for reference in references {
            same(&context, &repo, &reference, manifest).await?;
        }
    }
    for blob in &set.blobs {
        holds(&context, &repo, blob).await?;
    }
    Ok(())
}

/// GET and HEAD give the manifest exactly as it was pushed.
async fn same(context: &Context, repo: &str, reference: &str, manifest: &Manifest) -> Step {
    let path = format!("/v2/{repo}/manifests/{reference}");
    for method in [Method::GET, Method::HEAD] {
        let ask = Ask::new(method.clone(), &*path).header("accept", &*manifest.media_type);
        let answer = context.client.send(ask).await?.expect(&[200])?;
        answer.expect_header("content-type", &manifest.media_type)?;
        let digest = manifest.blob.digest.to_string();
        answer.expect_header("docker-content-digest", &digest)?;
        let length = manifest.blob.bytes.len().to_string();
        answer.expect_header("content-length", &length)?;
        let whole = method == Method::HEAD || answer.body == manifest.blob.bytes;
        demand(whole, || {
            format!("{}: other bytes than were pushed", answer.asked)
        })?;
    }
    Ok(())
}

async fn referred(context: Arc<Context>, set: DataSet) -> Step {
    let repo = push_set(&context, &set).await?;
    let subjects = set.manifests.iter().filter_map(|manifest| manifest.subject);
    let mut subjects: Vec<Digest> = subjects.collect();
    subjects.dedup();
    if subjects.is_empty() {
        subjects.push(set.manifests[0].blob.digest);
    }
    for subject in subjects {
        let referrers: Vec<&Manifest> = set
            .manifests
            .iter()
            .filter(|manifest| manifest.subject == Some(subject))
            .collect();
        lists_referrers(&context, &repo, &subject, &referrers, None).await?;
        for referrer in &referrers {
            let kind = referrer.artifact_type.as_deref();
            let of_kind = referrers
                .iter()
                .filter(|r| r.artifact_type.as_deref() == kind);
            let of_kind: Vec<_> = of_kind.copied().collect();
            lists_referrers(&context, &repo, &subject, &of_kind, kind).await?;
        }
    }
    Ok(())
}

async fn lists_referrers(
    context: &Context,
    repo: &str,
    subject: &Digest,
    wanted: &[&Manifest],
    filter: Option<&str>,
) -> Step {
    let mut path = format!("/v2/{repo}/referrers/{subject}");
    if let Some(filter) = filter {
        path.push_str("?artifactType=");
        path.push_str(&filter.replace('/', "%2F").replace('+', "%2B"));
    }
    let answer = context.client.send(get(path)).await?.expect(&[200])?;
    answer.expect_header("content-type", OCI_INDEX)?;
    let filtered = answer
        .header("oci-filters-applied")
        .contains("artifactType");
    if filter.is_some() && !filtered {
        return Err(Stop::Skip("the filter is left to the client".into()));
    }
    let json = answer.json()?;
    let mut found: Vec<String> = Vec::new();
    for descriptor in json["manifests"].as_array().unwrap_or(&Vec::new()) {
        found.push(descriptor["digest"].as_str().unwrap_or_default().to_owned());
        let manifest = wanted
            .iter()
            .find(|manifest| descriptor["digest"] == manifest.blob.digest.to_string());
        let Some(manifest) = manifest else {
            return Err(Stop::Fail(format!("{}: lists {descriptor}", answer.asked)));
        };
        let kind = descriptor["artifactType"].as_str();
        demand(kind == manifest.artifact_type.as_deref(), || {
            format!("{}: artifactType {kind:?}", answer.asked)
        })?;
    }
    demand(found.len() == wanted.len(), || {
        format!(
            "{}: {} referrers instead of {}",
            answer.asked,
            found.len(),
            wanted.len()
        )
    })
}

/// Tags first, then manifests, then blobs; each is gone at once.
async fn deleted(context: Arc<Context>, set: DataSet) -> Step {
    let repo = push_set(&context, &set).await?;
    let client = &context.client;
    for (number, manifest) in set.manifests.iter().enumerate().rev() {
        let by_digest = format!("/v2/{repo}/manifests/{}", manifest.blob.digest);
        if manifest.blob.digest.algorithm() == Algorithm::Sha256 {
            let by_tag = format!("/v2/{repo}/manifests/{}", tag(number));
            let answer = client.send(delete(&*by_tag)).await?;
            answer.unless(&[405, 400])?.expect(&[202])?;
            client.send(get(by_tag)).await?.expect(&[404])?;
            client.send(get(&*by_digest)).await?.expect(&[200])?;
        }
        let answer = client.send(delete(&*by_digest)).await?;
        answer.unless(&[405, 400])?.expect(&[202, 404])?;
        client.send(get(by_digest)).await?.expect(&[404])?;
    }
    for blob in &set.blobs {
        let path = format!("/v2/{repo}/blobs/{}", blob.digest);
        // The same blob may stand in a set twice.
        let answer = client.send(delete(&*path)).await?;
        answer.unless(&[405])?.expect(&[202, 404])?;
        client.send(get(path)).await?.expect(&[404])?;
    }
    Ok(())
}

async fn tag_param(context: Arc<Context>, algorithm: Algorithm) -> Step {
    let repo = context.fresh();
    let manifest = Manifest::of(
        algorithm,
        OCI_INDEX,
        &serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }),
    );
    let tags: Vec<String> = (0..10).map(|number| format!("t{number}")).collect();
    let query = tags
        .iter()
        .map(|tag| format!("tag={tag}"))
        .collect::<Vec<_>>()
        .join("&");
    let reference = format!("{}?{query}", manifest.blob.digest);
    let answer = put_manifest(&context, &repo, &reference, &manifest).await?;
    let answer = answer.unless(&[414])?.expect(&[201])?;
    let confirmed = answer.headers.get_all("oci-tag").iter().count();
    if confirmed == 0 {
        return Err(Stop::Skip(
            "no OCI-Tag: tags in the query are not offered".into(),
        ));
    }
    demand(confirmed == tags.len(), || {
        format!("{confirmed} tags confirmed")
    })?;
    for tag in tags {
        same(&context, &repo, &tag, &manifest).await?;
    }
    Ok(())
}

async fn bad_digest(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    let json = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
    let manifest = Manifest::of(Algorithm::Sha256, OCI_INDEX, &json);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let other = Digest::of(algorithm, b"something else").to_string();
        put_manifest(&context, &repo, &other, &manifest)
            .await?
            .expect(&[400])?;
        let path = format!("/v2/{repo}/manifests/{other}");
        context.client.send(get(path)).await?.expect(&[404])?;
    }
    Ok(())
}

async fn invalid_digest(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    let json = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
    let manifest = Manifest::of(Algorithm::Sha256, OCI_INDEX, &json);
    let bad = "sha256:baddigeststring";
    put_manifest(&context, &repo, bad, &manifest)
        .await?
        .expect(&[400])?;
    let path = format!("/v2/{repo}/manifests/{bad}");
    context.client.send(get(path)).await?.expect(&[400, 404])?;
    Ok(())
}
