//! Referrers from two sources: the index, and the tag schema of clients that are older than the
//! referrers API (distribution-spec §Referrers Tag Schema).

use std::collections::HashSet;

use oci::{Algorithm, Descriptor, Digest, Manifest};

use super::StoredManifest;
use crate::Referrers;
use crate::index::MAX_REFERRERS_BYTES;

/// Which entries of the fall-back tag's index are wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    subject: Digest,
    artifact_type: Option<String>,
    after: Option<String>,
    /// The index's page ends here and goes on later: what comes after this one belongs to a later page.
    until: Option<String>,
    /// The index knows these better.
    known: HashSet<Digest>,
}

impl Wanted {
    /// Those that belong to the page of which `indexed` is what the index knows.
    pub(super) fn of(
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        indexed: &Referrers,
    ) -> Self {
        let last = indexed.entries.last().filter(|_| indexed.more);
        Self {
            subject: *subject,
            artifact_type: artifact_type.map(str::to_owned),
            after: after.map(ToString::to_string),
            until: last.map(|last| last.digest.to_string()),
            known: indexed.entries.iter().map(|known| known.digest).collect(),
        }
    }

    /// The wanted entries in order, each once. Whatever else somebody may have put under such a tag lists nothing.
    pub(super) fn listed(&self, list: &StoredManifest) -> Vec<Descriptor> {
        let bytes = list.bytes.clone();
        let Ok(manifest) = Manifest::parse(bytes, Some(&list.media_type), Algorithm::Sha256) else {
            return Vec::new();
        };
        let children = manifest.children().iter();
        let mut listed: Vec<Descriptor> = children
            .filter(|child| self.has_place_for(child))
            .cloned()
            .collect();
        listed.sort_by_cached_key(|child| child.digest.to_string());
        listed.dedup_by_key(|child| child.digest);
        listed
    }

    fn has_place_for(&self, child: &Descriptor) -> bool {
        let kind = self.artifact_type.as_ref();
        let name = child.digest.to_string();
        child.digest != self.subject
            && (kind.is_none() || kind == child.artifact_type.as_ref())
            && !self.known.contains(&child.digest)
            && self.after.as_ref().is_none_or(|after| name > *after)
            && self.until.as_ref().is_none_or(|until| name < *until)
    }
}

/// Both in one order, as many as a page may have and weigh.
pub(super) fn merge(indexed: Referrers, listed: Vec<Descriptor>, limit: usize) -> Referrers {
    if listed.is_empty() {
        return indexed;
    }
    let Referrers { mut entries, more } = indexed;
    entries.extend(listed);
    entries.sort_by_cached_key(|referrer| referrer.digest.to_string());
    let mut weight = 0;
    let fit = entries.iter().take(limit).take_while(|entry| {
        weight += json_length(entry);
        weight <= MAX_REFERRERS_BYTES
    });
    let fit = fit.count().max(limit.min(1));
    let more = more || fit < entries.len();
    entries.truncate(fit);
    Referrers { entries, more }
}

fn json_length(descriptor: &Descriptor) -> usize {
    // Strings and numbers under string keys, which JSON can always say.
    serde_json::to_vec(descriptor).map_or(0, |json| json.len() + 1)
}
