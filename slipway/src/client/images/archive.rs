//! An OCI layout in one file: a tar archive.

use std::fs;
use std::path::{Component, Path};

use anyhow::Context as _;
use tempfile::TempDir;

/// Unpacks what belongs to a layout, and nothing else, into a folder beside the archive.
pub(super) fn unpack(file: &Path) -> anyhow::Result<TempDir> {
    let place = || file.display().to_string();
    let dir = beside(file)?;
    let mut archive = tar::Archive::new(fs::File::open(file).with_context(place)?);
    let (mut is_layout, mut is_docker) = (false, false);
    for (number, entry) in archive.entries().with_context(place)?.enumerate() {
        let mut entry = match entry {
            Err(_) if number == 0 => anyhow::bail!("{}: is no tar archive", place()),
            entry => entry.with_context(place)?,
        };
        let path = entry.path().with_context(place)?.into_owned();
        is_layout |= path.ends_with("oci-layout");
        is_docker |= path.ends_with("manifest.json");
        if entry.header().entry_type().is_file() && belongs(&path) {
            let target = dir.path().join(&path);
            fs::create_dir_all(target.parent().with_context(place)?).with_context(place)?;
            let mut out = fs::File::create(&target).with_context(place)?;
            std::io::copy(&mut entry, &mut out).with_context(place)?;
        }
    }
    // Docker's newer archives are both.
    anyhow::ensure!(
        is_layout || !is_docker,
        "{}: is an archive in Docker's own form; `podman save --format oci-archive` makes one in OCI's",
        place()
    );
    anyhow::ensure!(
        is_layout,
        "{}: is no archive of an OCI layout, which has a file oci-layout",
        place()
    );
    Ok(dir)
}

/// A folder for a layout that is to become the archive.
pub(super) fn beside(file: &Path) -> anyhow::Result<TempDir> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".oci-archive-")
        .tempdir_in(folder)
        .with_context(|| folder.display().to_string())
}

/// Writes the layout in `dir` to the file, which is there when it is whole.
pub(super) fn pack(dir: &Path, file: &Path) -> anyhow::Result<()> {
    let place = || file.display().to_string();
    let folder = dir.parent().with_context(place)?;
    let made = tempfile::NamedTempFile::new_in(folder).with_context(place)?;
    let mut archive = tar::Builder::new(made.as_file());
    archive.mode(tar::HeaderMode::Deterministic);
    // Readers of streams want to know first what it is.
    for name in ["oci-layout", "index.json"] {
        let added = archive.append_path_with_name(dir.join(name), name);
        added.with_context(place)?;
    }
    archive
        .append_dir_all("blobs", dir.join("blobs"))
        .with_context(place)?;
    archive.finish().with_context(place)?;
    drop(archive);
    made.as_file().sync_all().with_context(place)?;
    made.persist(file).with_context(place)?;
    Ok(())
}

/// `oci-layout`, `index.json` and `blobs/ALGORITHM/HEX`, perhaps behind `./`.
fn belongs(path: &Path) -> bool {
    let parts: Vec<_> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    let is_plain = parts
        .iter()
        .all(|part| matches!(part, Component::Normal(_)));
    let first = parts.first().map(|part| part.as_os_str());
    let is_named = |name: &str| parts.len() == 1 && first.is_some_and(|part| part == name);
    is_plain
        && (is_named("oci-layout")
            || is_named("index.json")
            || parts.len() == 3 && first.is_some_and(|part| part == "blobs"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn what_an_archive_is_not_is_said_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image.tar");
        let said = || super::unpack(&file).unwrap_err().to_string();
        for (name, words) in [
            ("manifest.json", "podman save"),
            ("x", "no archive of an OCI"),
        ] {
            let mut archive = tar::Builder::new(std::fs::File::create(&file).unwrap());
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            archive.append_data(&mut header, name, &b"[]"[..]).unwrap();
            archive.finish().unwrap();
            assert!(said().contains(words), "{}", said());
            assert!(said().starts_with(file.to_str().unwrap()), "{}", said());
        }
        std::fs::write(&file, "no tar\n".repeat(200)).unwrap();
        assert!(said().ends_with("is no tar archive"), "{}", said());
        std::fs::write(&file, "short").unwrap();
        assert!(said().ends_with("is no tar archive"), "{}", said());
    }

    #[test]
    fn only_what_a_layout_has_is_unpacked() {
        for path in ["oci-layout", "./index.json", "blobs/sha256/ab"] {
            assert!(super::belongs(Path::new(path)), "{path}");
        }
        for path in [
            "../index.json",
            "/index.json",
            "blobs/../../x",
            "manifest.json",
            "blobs/x",
        ] {
            assert!(!super::belongs(Path::new(path)), "{path}");
        }
    }
}
