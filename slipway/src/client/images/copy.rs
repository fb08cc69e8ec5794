//! Copying an image from one place to another: roots are read first and written last, so that whatever is at the target is
//! whole at any moment.

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _};
use oci::Manifest;
use serde::Serialize;
use serde_json::Value;

use super::found::Found;
use super::place::Place;
use super::platform::Platform;
use super::progress::Progress;
use super::sides::{Side, open_source, open_target};
use super::store::Arrived;
use crate::cli::{AuthFile, Transport};

/// What is to be copied, and how.
pub(crate) struct Plan {
    pub(crate) from: Place,
    pub(crate) to: Place,
    /// Only this one of an index.
    pub(crate) platform: Option<Platform>,
    /// An image that is in no index must be for that platform, too.
    pub(crate) is_demanded: bool,
    /// What is said about it, too.
    pub(crate) referrers: bool,
    /// Blobs under way at once.
    pub(crate) jobs: usize,
    pub(crate) auth_file: AuthFile,
    pub(crate) source: Transport,
    pub(crate) target: Transport,
}

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Copied {
    pub(crate) digest: String,
    pub(crate) manifests: usize,
    /// Blobs whose bytes were sent, that the registry took over from another repository, that were there.
    pub(crate) sent: usize,
    pub(crate) mounted: usize,
    pub(crate) present: usize,
    pub(crate) bytes_sent: u64,
}

/// Copies.
pub(crate) async fn copy(plan: Plan) -> anyhow::Result<Copied> {
    let mut sessions = Vec::new();
    let source = open_source(&plan, &mut sessions).await?;
    // Before a target is made: what is not to be had leaves nothing behind.
    let root = root(&source, &plan).await?;
    let target = open_target(&plan, &mut sessions).await?;
    let root_digest = root.digest();
    if let Some(digest) = target.digest {
        anyhow::ensure!(
            digest == root_digest,
            "{}: that is not the digest of {}, which is {root_digest}",
            plan.to,
            plan.from
        );
    }
    let mut found = Found::default();
    found.add(&source.store, root, 0).await?;
    if plan.referrers {
        found.add_referrers(&source.store).await?;
    }

    let progress = Progress::new();
    let blobs = found.blobs();
    let total = blobs.iter().map(|blob| blob.size).sum();
    progress.begin(plan.from.to_string(), total);
    let mut copied = Copied {
        digest: root_digest.to_string(),
        manifests: found.manifests.len(),
        sent: 0,
        mounted: 0,
        present: 0,
        bytes_sent: 0,
    };
    let mut arriving = futures_util::stream::iter(&blobs)
        .map(|blob| {
            let progress = &progress;
            let (source, target) = (&source.store, &target.store);
            async move {
                let arrived = target.take_blob(blob, source, progress).await?;
                match arrived {
                    Arrived::Sent => progress.arrived(blob.size),
                    Arrived::Present | Arrived::Mounted => progress.skip(blob.size),
                }
                anyhow::Ok(arrived)
            }
        })
        .buffer_unordered(plan.jobs.max(1));
    while let Some(arrived) = arriving.try_next().await? {
        match arrived {
            Arrived::Sent => copied.sent += 1,
            Arrived::Mounted => copied.mounted += 1,
            Arrived::Present => copied.present += 1,
        }
    }
    drop(arriving);
    found.write(&target, root_digest).await?;
    copied.bytes_sent = progress.finish();
    target.close()?;
    Ok(copied)
}

async fn root(source: &Side, plan: &Plan) -> anyhow::Result<Manifest> {
    let reference = source.reference.clone().context("which image?")?;
    let place = || source.store.place(&reference);
    let missing = || format!("{}: there is none, or it is not yours to see", place());
    let root = source.store.manifest(&reference).await?;
    let root = root.with_context(missing)?;
    let Some(platform) = &plan.platform else {
        return Ok(root);
    };
    if root.children().is_empty() {
        if plan.is_demanded {
            let own = own_platform(source, &root).await.with_context(place)?;
            anyhow::ensure!(
                platform.includes(&own),
                "{}: this is a single image, for {}, and not for {platform}",
                place(),
                Platform::written(&own)
                    .as_deref()
                    .unwrap_or("no platform that it names")
            );
        }
        return Ok(root);
    }
    let chosen = platform.of(&root).with_context(place)?;
    let child = source.store.manifest(&chosen.digest.into()).await?;
    child.with_context(|| source.store.place(&chosen.digest.into()))
}

/// What an image's configuration says of its platform (image-spec `config.md`); `null` where it is no image's.
async fn own_platform(source: &Side, image: &Manifest) -> anyhow::Result<Value> {
    match image.config() {
        Some(config) if config.media_type.as_str().ends_with("json") => {
            let bytes = source.store.small_blob(config).await?;
            Ok(serde_json::from_slice(&bytes).unwrap_or_default())
        }
        _ => Ok(Value::Null),
    }
}
