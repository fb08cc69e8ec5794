//! Results as text.

use indicatif::{BinaryBytes, HumanCount};
use storage::fsck::{Checked, Findings, Severity};
use storage::reindex::Progress;
use storage::stats::Stats;

use crate::commands::print::line;

/// Each finding, and under it how to mend it.
pub(super) fn findings(findings: &Findings) -> anyhow::Result<()> {
    for found in &findings.list {
        let severity = match found.severity {
            Severity::Error => "error",
            Severity::Note => "note",
        };
        line(&format!("{severity} {found}\n    {}", found.mend))?;
    }
    let left_out = (findings.errors + findings.notes).saturating_sub(findings.list.len() as u64);
    if left_out > 0 {
        line(&format!("and {} more", HumanCount(left_out)))?;
    }
    for (kind, count) in &findings.kinds {
        line(&format!("{kind}: {}", HumanCount(*count)))?;
    }
    Ok(())
}

pub(super) fn verdict(findings: &Findings) -> anyhow::Result<()> {
    let notes = match findings.notes {
        0 => String::new(),
        1 => " (1 note)".to_owned(),
        notes => format!(" ({} notes)", HumanCount(notes)),
    };
    line(&match findings.errors {
        0 => format!("clean{notes}"),
        1 => format!("1 error{notes}"),
        errors => format!("{} errors{notes}", HumanCount(errors)),
    })
}

pub(super) fn checked(checked: &Checked) -> String {
    format!(
        "checked {} blobs, {} links to them, {} manifests, {} tags, {} objects, {} hashed",
        HumanCount(checked.blobs),
        HumanCount(checked.layers),
        HumanCount(checked.manifests),
        HumanCount(checked.tags),
        HumanCount(checked.objects),
        BinaryBytes(checked.hashed_bytes),
    )
}

pub(super) fn recorded(recorded: &Progress) -> String {
    format!(
        "recorded {} blobs, {} repositories, {} links to blobs, {} manifests, {} tags, {} rows of the audit record, \
         {} records of builds, {} hashed",
        HumanCount(recorded.blobs),
        HumanCount(recorded.repositories),
        HumanCount(recorded.layers),
        HumanCount(recorded.manifests),
        HumanCount(recorded.tags),
        HumanCount(recorded.audit_rows),
        HumanCount(recorded.records),
        BinaryBytes(recorded.hashed_bytes),
    )
}

pub(super) fn stats(stats: &Stats) -> anyhow::Result<()> {
    let counted = |name: &str, count: u64| line(&format!("{name:<14}{}", HumanCount(count)));
    let sized = |name: &str, bytes: u64, count: u64, of: &str| {
        let (bytes, count) = (BinaryBytes(bytes), HumanCount(count));
        line(&format!("{name:<14}{bytes} in {count} {of}"))
    };
    counted("repositories", stats.repositories)?;
    counted("manifests", stats.manifests)?;
    counted("tags", stats.tags)?;
    sized("stored", stats.stored_bytes, stats.blobs, "blobs")?;
    line(&format!(
        "{:<14}{}",
        "unshared",
        BinaryBytes(stats.logical_bytes)
    ))?;
    sized("unheld", stats.unheld_bytes, stats.unheld_blobs, "blobs")?;
    sized("uploads", stats.upload_bytes, stats.uploads, "sessions")?;
    counted("links to sync", stats.journal)?;
    if !stats.largest.is_empty() {
        line("\nlargest repositories")?;
    }
    for repo in &stats.largest {
        let bytes = BinaryBytes(repo.bytes).to_string();
        let (manifests, tags) = (HumanCount(repo.manifests), HumanCount(repo.tags));
        let name = repo.name.as_str();
        line(&format!(
            "{bytes:>12}  {name} ({manifests} manifests, {tags} tags)"
        ))?;
    }
    Ok(())
}
