//! What is said about an image beside it: signatures, bills of materials, attestations.

use bytes::Bytes;
use oci::{Algorithm, Descriptor, Digest, Manifest, MediaType, Reference, Tag};
use serde_json::json;

use super::store::Store;

/// What cosign puts behind the digest in the tags that it used before there were referrers.
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];

/// The tags beside an image that are about it, as cosign's older signatures are.
pub(super) fn cosign_tags(subject: Digest) -> Vec<Tag> {
    let name = |end: &str| format!("{}-{}.{end}", subject.algorithm().as_str(), subject.hex());
    COSIGN
        .iter()
        .filter_map(|end| Tag::parse(&name(end)).ok())
        .collect()
}

/// Lists `about` under the tag that stands for the list where a registry knows no referrers (distribution-spec, "Referrers
/// tag schema").
pub(super) async fn list_by_tag(store: &Store, about: &Manifest) -> anyhow::Result<()> {
    let Some(subject) = about.subject() else {
        return Ok(());
    };
    let tag = Reference::Tag(Tag::referrers_of(&subject.digest));
    let listed = store.manifest(&tag).await?;
    let mut entries: Vec<Descriptor> = listed
        .map(|list| list.children().to_vec())
        .unwrap_or_default();
    if entries.iter().any(|entry| entry.digest == about.digest()) {
        return Ok(());
    }
    entries.push(about.descriptor());
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX.as_str(),
        "manifests": entries,
    });
    let index = Manifest::parse(
        Bytes::from(index.to_string()),
        Some(&MediaType::OCI_INDEX),
        Algorithm::Sha256,
    )?;
    store.put_manifest(&tag, &index).await?;
    Ok(())
}
