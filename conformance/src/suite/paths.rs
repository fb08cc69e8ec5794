//! Paths that a lenient reader would take for another repository's (CVE-2026-33186 and its
//! family), digests and names that are none.

use std::sync::Arc;

use super::steps::{get, push_image};
use crate::clause::{Clause, Context, Step, clause, demand};
use crate::client::status_of;
use crate::content::OCI_MANIFEST;

pub(super) fn clauses() -> Vec<Clause> {
    let mut clauses: Vec<Clause> = SMUGGLED
        .iter()
        .map(|(name, form)| {
            clause(format!("paths/{name}"), "CVE-2026-33186", move |context| {
                smuggled(context, form)
            })
        })
        .collect();
    clauses.extend(DIGESTS.iter().map(|digest| {
        clause(
            format!("digests/{digest:.40}"),
            "CVE-2024-3727",
            move |context| no_digest(context, digest),
        )
    }));
    clauses.extend(NAMES.iter().map(|name| {
        clause(
            format!("names/{name:.40}"),
            "distribution-spec §Pull",
            move |context| no_name(context, name),
        )
    }));
    clauses.push(clause(
        "names/deep and odd but valid",
        "distribution-spec §Pull",
        odd_names,
    ));
    clauses
}

/// `REPO` stands for a repository that exists.
const SMUGGLED: [(&str, &str); 9] = [
    ("two slashes", "/v2//REPO/manifests/v1"),
    ("a dot", "/v2/./REPO/manifests/v1"),
    ("two dots", "/v2/x/../REPO/manifests/v1"),
    ("encoded dots", "/v2/x/%2e%2e/REPO/manifests/v1"),
    ("encoded slash", "/v2/SLASHED/manifests/v1"),
    ("twice encoded slash", "/v2/TWICE/manifests/v1"),
    ("slash at the end", "/v2/REPO/manifests/v1/"),
    ("parameters", "/v2/REPO/manifests/v1;x=y"),
    ("upper case", "/v2/UPPER/manifests/v1"),
];

async fn smuggled(context: Arc<Context>, form: &str) -> Step {
    let repo = context.fresh();
    push_image(&context, &repo, "v1").await?;
    let path = form
        .replace("REPO", &repo)
        .replace("SLASHED", &repo.replace('/', "%2f"))
        .replace("TWICE", &repo.replace('/', "%252f"))
        .replace("UPPER", &repo.to_uppercase());
    // The plain form is let in, so what is refused below is the form.
    let plain = get(format!("/v2/{repo}/manifests/v1")).header("accept", OCI_MANIFEST);
    context.client.send(plain).await?.expect(&[200])?;
    // By hand: a client library would normalise it.
    let host = context.client.base.host_str().unwrap_or_default();
    let who = context.client.authorization_line();
    let raw = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: {OCI_MANIFEST}\r\n{who}connection: close\r\n\r\n"
    );
    let answer = context.client.raw(raw.as_bytes()).await?;
    let refused = |status| (300..500).contains(&status) && !matches!(status, 401 | 403);
    demand(status_of(&answer).is_some_and(refused), || {
        format!("{path}: {:?}", answer.lines().next().unwrap_or_default())
    })
}

const DIGESTS: [&str; 7] = [
    "sha256:abc",
    "sha256:..%2F..%2F..%2Fetc%2Fpasswd",
    "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85%00",
];

async fn no_digest(context: Arc<Context>, digest: &str) -> Step {
    let path = format!("/v2/{}/blobs/{digest}", context.fresh());
    let answer = context.client.send(get(path)).await?.expect(&[400, 404])?;
    answer.error_code().map(drop)
}

const NAMES: [&str; 6] = ["Upper", "a..b", "a__-b", "-a", "a%20b", "a_"];

async fn no_name(context: Arc<Context>, name: &str) -> Step {
    let path = format!("/v2/{}/{name}/manifests/v1", context.fresh());
    let answer = context.client.send(get(path)).await?.expect(&[400, 404])?;
    answer.error_code().map(drop)
}

/// Paths are read from the right: these are repositories.
async fn odd_names(context: Arc<Context>) -> Step {
    for name in [
        "a/b/c/d/e/f/g/h",
        "a__b/c--d/e.f",
        "x/blobs/y",
        "x/manifests/y",
        "x/tags/y",
    ] {
        let repo = format!("{}/{name}", context.fresh());
        push_image(&context, &repo, "v1").await?;
        let ask = get(format!("/v2/{repo}/manifests/v1")).header("accept", OCI_MANIFEST);
        context.client.send(ask).await?.expect(&[200])?;
    }
    Ok(())
}
