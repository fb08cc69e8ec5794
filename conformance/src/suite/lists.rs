//! Lists that lead to their end, in order (groups of this suite).

use std::sync::Arc;

use oci::Algorithm;
use serde_json::Value;

use super::steps::{delete, get, push, push_image, put_manifest};
use crate::clause::{Clause, Context, Step, Stop, clause, demand};
use crate::client::Ask;
use crate::content::{Manifest, OCI_INDEX, sets};

pub(super) fn clauses() -> Vec<Clause> {
    vec![
        clause("enumeration/tags by page", "end-8b", tags_by_page),
        clause("enumeration/tags after last", "end-8b", tags_after_last),
        clause(
            "enumeration/catalog by page",
            "Distribution's HTTP API V2",
            catalog,
        ),
        clause(
            "enumeration/fall-back tag",
            "Referrers Tag Schema",
            fallback_tag,
        ),
        clause(
            "enumeration/digest frees its tags",
            "end-9",
            digest_frees_tags,
        ),
        clause(
            "enumeration/tag leaves its digest",
            "end-9",
            tag_leaves_digest,
        ),
    ]
}

const TAGS: [&str; 9] = ["10", "9", "A", "_", "a", "a-1", "a.1", "a1", "z"];

async fn tagged(context: &Context) -> Step<String> {
    let repo = context.fresh();
    let manifest = empty_index();
    for tag in TAGS {
        put_manifest(context, &repo, tag, &manifest)
            .await?
            .expect(&[201])?;
    }
    Ok(repo)
}

fn empty_index() -> Manifest {
    let json = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
    Manifest::of(Algorithm::Sha256, OCI_INDEX, &json)
}

/// Follows `Link` to the end.
async fn pages(context: &Context, path: String, key: &str, n: usize) -> Step<Vec<String>> {
    let mut all = Vec::new();
    let mut next = Some(path);
    while let Some(path) = next {
        let ask = match key {
            "repositories" => listing(path),
            _ => get(path),
        };
        let answer = context.client.send(ask).await?.expect(&[200])?;
        let json = answer.json()?;
        let page = json[key].as_array().cloned().unwrap_or_default();
        demand(page.len() <= n, || {
            format!("{}: a page of {}", answer.asked, page.len())
        })?;
        all.extend(page.iter().filter_map(Value::as_str).map(str::to_owned));
        demand(all.len() < 100_000, || "the pages never end".into())?;
        next = answer.next();
    }
    Ok(all)
}

fn ordered(entries: &[String]) -> bool {
    let lexical = entries.is_sorted();
    lexical || entries.is_sorted_by_key(|entry| entry.to_lowercase())
}

async fn tags_by_page(context: Arc<Context>) -> Step {
    let repo = tagged(&context).await?;
    for n in [1, 2, 4, 100] {
        let path = format!("/v2/{repo}/tags/list?n={n}");
        let tags = pages(&context, path, "tags", n).await?;
        demand(ordered(&tags), || format!("out of order: {tags:?}"))?;
        let mut sorted = tags.clone();
        sorted.sort();
        demand(sorted == TAGS, || format!("pages of {n} hold {tags:?}"))?;
    }
    let path = format!("/v2/{repo}/tags/list?n=0");
    let answer = context.client.send(get(path)).await?.expect(&[200])?;
    let tags = answer.json()?["tags"].as_array().map_or(0, Vec::len);
    demand(tags == 0, || format!("n=0 gives {tags} tags"))
}

async fn tags_after_last(context: Arc<Context>) -> Step {
    let repo = tagged(&context).await?;
    // `last` need not exist.
    for (last, wanted) in [("a", &TAGS[5..]), ("a0", &TAGS[7..]), ("zz", &TAGS[9..])] {
        let path = format!("/v2/{repo}/tags/list?last={last}");
        let answer = context.client.send(get(path)).await?.expect(&[200])?;
        let json = answer.json()?;
        let tags = json["tags"].as_array().cloned().unwrap_or_default();
        demand(
            Value::from(tags.clone()) == serde_json::json!(wanted),
            || format!("after {last}: {tags:?} instead of {wanted:?}"),
        )?;
    }
    Ok(())
}

/// A request for the catalog, which tokens of repositories do not show.
fn listing(path: impl Into<String>) -> Ask {
    get(path).scope("registry:catalog:*")
}

async fn catalog(context: Arc<Context>) -> Step {
    let mut wanted = Vec::new();
    for _ in 0..5 {
        let repo = context.fresh();
        push_image(&context, &repo, "v1").await?;
        wanted.push(repo);
    }
    let path = "/v2/_catalog?n=3".to_owned();
    let answer = context.client.send(listing(&*path)).await?;
    if answer.status.is_client_error() {
        return Err(Stop::Skip(format!(
            "{}: {}: no catalog",
            answer.asked, answer.status
        )));
    }
    let found = pages(&context, path, "repositories", 3).await?;
    demand(ordered(&found), || "out of order".into())?;
    for repo in &wanted {
        let times = found.iter().filter(|name| *name == repo).count();
        demand(times == 1, || format!("{repo} is listed {times} times"))?;
    }
    // A repository without content is none.
    let repo = &wanted[0];
    for reference in ["v1"] {
        let path = format!("/v2/{repo}/manifests/{reference}");
        let answer = context.client.send(get(&*path)).await?.expect(&[200])?;
        let digest = answer.header("docker-content-digest").to_owned();
        let by_digest = format!("/v2/{repo}/manifests/{digest}");
        context
            .client
            .send(delete(by_digest))
            .await?
            .unless(&[405])?
            .expect(&[202])?;
    }
    let path = "/v2/_catalog?n=1000".to_owned();
    let left = pages(&context, path, "repositories", 1000).await?;
    demand(!left.contains(repo), || {
        format!("{repo} is listed after its last manifest went")
    })
}

/// Referrers that older clients put into an index under the subject's tag are referrers.
async fn fallback_tag(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    let subject = push_image(&context, &repo, "v1").await?.blob.digest;
    let Some(artifact) = sets().into_iter().find(|set| set.name == "artifact") else {
        return Err(Stop::Error("no data set is called artifact".into()));
    };
    for blob in &artifact.blobs {
        push(&context, &repo, blob).await?;
    }
    let manifest = &artifact.manifests[0];
    let digest = manifest.blob.digest.to_string();
    put_manifest(&context, &repo, &digest, manifest)
        .await?
        .expect(&[201])?;
    let list = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [{
            "mediaType": manifest.media_type,
            "digest": digest,
            "size": manifest.blob.bytes.len(),
            "artifactType": manifest.artifact_type,
        }],
    });
    let list = Manifest::of(Algorithm::Sha256, OCI_INDEX, &list);
    let tag = subject.to_string().replace(':', "-");
    put_manifest(&context, &repo, &tag, &list)
        .await?
        .expect(&[201])?;
    let path = format!("/v2/{repo}/referrers/{subject}");
    let answer = context.client.send(get(path)).await?.expect(&[200])?;
    let json = answer.json()?;
    let listed = json["manifests"].as_array().is_some_and(|manifests| {
        manifests
            .iter()
            .any(|descriptor| descriptor["digest"] == *digest)
    });
    if listed {
        Ok(())
    } else {
        Err(Stop::Skip("the fall-back tag is left to the client".into()))
    }
}

async fn digest_frees_tags(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    let manifest = push_image(&context, &repo, "v1").await?;
    put_manifest(&context, &repo, "v2", &manifest)
        .await?
        .expect(&[201])?;
    let path = format!("/v2/{repo}/manifests/{}", manifest.blob.digest);
    context
        .client
        .send(delete(path))
        .await?
        .unless(&[405])?
        .expect(&[202])?;
    for tag in ["v1", "v2"] {
        let path = format!("/v2/{repo}/manifests/{tag}");
        context.client.send(get(path)).await?.expect(&[404])?;
    }
    let path = format!("/v2/{repo}/tags/list");
    let answer = context.client.send(get(path)).await?.expect(&[200, 404])?;
    let left = answer.json()?["tags"].as_array().map_or(0, Vec::len);
    demand(left == 0, || format!("{left} tags are left"))
}

async fn tag_leaves_digest(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    let manifest = push_image(&context, &repo, "v1").await?;
    let answer = context
        .client
        .send(delete(format!("/v2/{repo}/manifests/v1")))
        .await?;
    answer.unless(&[405, 400])?.expect(&[202])?;
    let path = format!("/v2/{repo}/manifests/{}", manifest.blob.digest);
    context.client.send(get(&*path)).await?.expect(&[200])?;
    context.client.send(delete(path)).await?.expect(&[202])?;
    Ok(())
}
