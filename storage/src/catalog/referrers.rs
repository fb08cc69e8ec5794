//! Referrers from two sources: the index, and the tag schema of clients that are older than the
//! referrers API (distribution-spec §Referrers Tag Schema).

use oci::{Algorithm, Descriptor, Digest, Manifest};

use super::StoredManifest;

/// What the fall-back tag's index lists: of `artifact_type`, after `after`, in order. Whatever
/// else somebody may have put under such a tag lists nothing.
pub(super) fn listed(
    list: &StoredManifest,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: Option<&Digest>,
) -> Vec<Descriptor> {
    let bytes = list.bytes.clone();
    let Ok(manifest) = Manifest::parse(bytes, Some(&list.media_type), Algorithm::Sha256) else {
        return Vec::new();
    };
    let after = after.map(ToString::to_string);
    let mut listed: Vec<Descriptor> = manifest
        .children()
        .iter()
        .filter(|child| child.digest != *subject)
        .filter(|child| {
            let kind = child.artifact_type.as_deref();
            artifact_type.is_none_or(|wanted| kind == Some(wanted))
        })
        .filter(|child| {
            after
                .as_ref()
                .is_none_or(|after| child.digest.to_string() > *after)
        })
        .cloned()
        .collect();
    listed.sort_by_key(|child| child.digest.to_string());
    listed.dedup_by_key(|child| child.digest);
    listed
}

/// Both in one order, each manifest once: the index knows it better than the list.
pub(super) fn merge(
    indexed: Vec<Descriptor>,
    listed: Vec<Descriptor>,
    limit: usize,
) -> Vec<Descriptor> {
    if listed.is_empty() {
        return indexed;
    }
    let mut merged = indexed;
    merged.extend(listed);
    // Stable: of two with one digest, the indexed one stays.
    merged.sort_by_key(|referrer| referrer.digest.to_string());
    merged.dedup_by_key(|referrer| referrer.digest);
    merged.truncate(limit);
    merged
}
