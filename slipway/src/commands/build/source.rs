//! A folder or an archive of this machine on its way to the server: an artifact in the namespace's `sources/`, by digest.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use builder::records::SourceSpec;
use builder::s2i::IgnoreMode;
use builder::source::upload::{archive, directory};
use builder::source::{self, ARTIFACT_TYPE, CONFIG_TYPE, Snapshot, SourceLimits};
use oci::{Algorithm, Digest, RepoName};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::images::human;
use crate::cli::AuthFile;
use crate::client::Client;
use crate::client::images::{ImageName, Place, Plan, Repository, Session, copy};

/// Sends the folder, or the tar, with the rights that the login has there, and says how a spec names it. `-` is a tar on standard input.
pub(super) async fn upload(
    client: &Client,
    auth_file: AuthFile,
    repository: RepoName,
    from: &Path,
    ignore: IgnoreMode,
) -> anyhow::Result<SourceSpec> {
    let is_there = from == Path::new("-") || from.is_dir() || from.is_file();
    anyhow::ensure!(
        is_there,
        "{}: neither folder nor file: --dir names the folder to build, or a tar of it",
        from.display()
    );
    let transport = client.transport();
    // Before it is packed: that takes its time.
    let session = Session::open(client.server(), &auth_file, &transport).await?;
    let there = Repository::new(Arc::new(session), repository.clone(), "pull,push");
    there.may_push().await.context("sending the source")?;
    let layout = tempfile::tempdir().context("a temporary folder")?;
    let (read, to) = (from.to_owned(), layout.path().to_owned());
    let packed = tokio::task::spawn_blocking(move || pack(&read, ignore, &to)).await??;
    for warning in packed.snapshot.warnings() {
        eprintln!("note: {warning}");
    }
    eprintln!("{}", line(from, &packed));
    let reference = format!("{repository}@{}", packed.manifest);
    let plan = Plan {
        from: Place::Layout {
            dir: layout.path().to_owned(),
            name: None,
        },
        to: Place::Registry(ImageName::parse(&reference, Some(client.server()))?),
        platform: None,
        is_demanded: false,
        referrers: false,
        jobs: 2,
        auth_file,
        source: transport.clone(),
        target: transport,
    };
    copy(plan).await.context("sending the source")?;
    Ok(SourceSpec::Image { reference })
}

struct Packed {
    snapshot: Snapshot,
    manifest: Digest,
    /// Bytes of the layer as it is sent.
    size: u64,
}

/// What is about to be sent, for people.
fn line(from: &Path, packed: &Packed) -> String {
    let files = match packed.snapshot.files() {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    let size = human(packed.size);
    let by = if from.is_dir() {
        ".gitignore and .s2iignore"
    } else {
        ".s2iignore"
    };
    let left_out = match packed.snapshot.left_out() {
        0 => String::new(),
        count => format!(" ({count} left out by {by})"),
    };
    let from = from.display();
    format!("source: {files} of {from}, {size} to send{left_out}")
}

/// The snapshot of a folder, or of a tar.
fn snapshot(from: &Path, mode: IgnoreMode, scratch: &Path) -> anyhow::Result<Snapshot> {
    let limits = SourceLimits::default();
    let never = CancellationToken::new();
    if from == Path::new("-") {
        let input = std::io::stdin().lock();
        return Ok(archive(input, mode, limits, scratch, &never)?);
    }
    if from.is_dir() {
        return Ok(directory(from, mode, limits, scratch)?);
    }
    let place = || from.display().to_string();
    let file = File::open(from).with_context(place)?;
    archive(file, mode, limits, scratch, &never).with_context(place)
}

/// Makes the snapshot of a folder, or of a tar, an image in the OCI layout, below the folder `to`.
fn pack(from: &Path, ignore: IgnoreMode, to: &Path) -> anyhow::Result<Packed> {
    let snapshot = snapshot(from, ignore, to)?;
    let blobs = to.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let packed = to.join("layer");
    let (_, layer) = source::pack(snapshot.open()?, File::create_new(&packed)?)?;
    fs::rename(&packed, blob(&blobs, layer.digest))?;
    let put = |bytes: &[u8]| {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        fs::write(blob(&blobs, digest), bytes).map(|()| digest)
    };
    let config = source::config(&snapshot, ignore)?;
    let described = put(&config)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": described, "size": config.len()},
        "layers": [layer],
    });
    let manifest = serde_json::to_vec(&manifest)?;
    let digest = put(&manifest)?;
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": manifest.len(),
        }],
    });
    fs::write(to.join("index.json"), index.to_string())?;
    fs::write(to.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(Packed {
        snapshot,
        manifest: digest,
        size: layer.size,
    })
}

fn blob(blobs: &Path, digest: Digest) -> PathBuf {
    let text = digest.to_string();
    blobs.join(text.trim_start_matches("sha256:"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use builder::s2i::IgnoreMode;
    use oci::{Expected, Manifest, MediaType};

    use super::{ARTIFACT_TYPE, blob, line, pack};

    #[test]
    fn a_folder_is_one_artifact_and_the_same_one_each_time() {
        let from = tempfile::tempdir().unwrap();
        fs::write(from.path().join("a.txt"), "a").unwrap();
        fs::write(from.path().join("secret.env"), "s").unwrap();
        fs::write(from.path().join(".gitignore"), "*.env\n").unwrap();
        let mut digests = Vec::new();
        for _ in 0..2 {
            let to = tempfile::tempdir().unwrap();
            let packed = pack(from.path(), IgnoreMode::default(), to.path()).unwrap();
            let blobs = to.path().join("blobs/sha256");
            let bytes = fs::read(blob(&blobs, packed.manifest)).unwrap();
            let kind: Option<&MediaType> = None;
            let manifest =
                Manifest::parse(bytes.into(), kind, Expected::Digest(packed.manifest)).unwrap();
            assert_eq!(manifest.artifact_type(), Some(ARTIFACT_TYPE));
            let layer = &manifest.layers()[0];
            let sent = fs::read(blob(&blobs, layer.digest)).unwrap();
            assert_eq!(sent.len() as u64, packed.size);
            let tar = zstd::decode_all(&*sent).unwrap();
            let mut archive = tar::Archive::new(&*tar);
            let names: Vec<_> = archive
                .entries()
                .unwrap()
                .map(|entry| entry.unwrap().path().unwrap().display().to_string())
                .collect();
            assert_eq!(names, [".gitignore", "a.txt"]);
            let said = line(from.path(), &packed);
            assert!(said.starts_with("source: 2 files of /"), "{said}");
            let end = " to send (1 left out by .gitignore and .s2iignore)";
            assert!(said.ends_with(end), "{said}");
            digests.push(packed.manifest);
        }
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn an_archive_is_what_the_folder_is_that_it_was_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("app");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("a.txt"), "a").unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_dir_all(".", &from).unwrap();
        let tar = tar.into_inner().unwrap();
        let zstd = zstd::encode_all(&*tar, 1).unwrap();
        let packed = |from: &Path| {
            let to = tempfile::tempdir().unwrap();
            let packed = pack(from, IgnoreMode::default(), to.path())?;
            let said = line(from, &packed);
            assert!(said.starts_with("source: 1 file of /"), "{said}");
            assert!(said.ends_with("B to send"), "{said}");
            Ok::<_, anyhow::Error>(packed.manifest)
        };
        let expected = packed(&from).unwrap();
        let file = folder.path().join("app.tar");
        for bytes in [tar, zstd] {
            fs::write(&file, bytes).unwrap();
            assert_eq!(packed(&file).unwrap(), expected);
        }
        fs::write(&file, "no tar at all").unwrap();
        let error = format!("{:#}", packed(&file).unwrap_err());
        assert!(
            error.contains("app.tar: the archive cannot be read"),
            "{error}"
        );
    }
}
