//! Other programs apply our layers, and get the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::layer::Options;
use oci::{Algorithm, Digest};

use crate::archive::Archive;
use crate::lab::{Built, Lab, exported, in_mount, options};
use crate::survey::{Survey, difference, survey};

/// The files that umoci makes of an image of a base and what was built on it. It wants to be root of the machine: in
/// a user namespace it unpacks as somebody else than it is.
pub(crate) fn by_umoci(folder: &Path, base: &Archive, built: &[Built]) -> Survey {
    tests::toolbox::needs(&["umoci"]);
    let layout = image(folder, base, built);
    let to = folder.join("umoci");
    let _ = fs::remove_dir_all(&to);
    run(Command::new("umoci")
        .args(["raw", "unpack", "--image"])
        .arg(format!("{}:tag", layout.display()))
        .arg(&to));
    survey(&to)
}

/// The files that buildah shows, by way of containers/storage's overlays.
fn by_buildah(folder: &Path, base: &Archive, built: &[Built]) -> Survey {
    tests::toolbox::needs(&["buildah"]);
    image(folder, base, built);
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command
            .arg("--root")
            .arg(folder.join("buildah"))
            .arg("--runroot")
            .arg(folder.join("buildah-run"))
            .args(["--storage-driver", "overlay"])
            .args(arguments)
            // A path would be part of the image's name.
            .current_dir(folder);
        command
    };
    let container = run(&mut buildah(&["from", "oci:layout:tag"]));
    let at = run(&mut buildah(&["mount", container.trim()]));
    let seen = survey(Path::new(at.trim()));
    run(&mut buildah(&["umount", container.trim()]));
    run(&mut buildah(&["rm", container.trim()]));
    // What it keeps mounted for all containers.
    let _ = Command::new("umount")
        .arg(folder.join("buildah/overlay"))
        .output();
    seen
}

/// An image in an OCI layout (image-spec `image-layout.md`).
fn image(folder: &Path, base: &Archive, built: &[Built]) -> PathBuf {
    let layout = folder.join("layout");
    let _ = fs::remove_dir_all(&layout);
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        (digest, bytes.len())
    };
    let base = base.bytes();
    let (digest, size) = put(&base);
    let oci = "application/vnd.oci.image";
    let mut diff_ids = vec![format!(r#""{digest}""#)];
    let mut layers = vec![format!(
        r#"{{"mediaType":"{oci}.layer.v1.tar","digest":"{digest}","size":{size}}}"#
    )];
    for Built { layer, bytes } in built {
        let (digest, size) = put(bytes);
        let media_type = layer.media_type.as_str();
        diff_ids.push(format!(r#""{}""#, layer.diff_id));
        layers.push(format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#
        ));
    }
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let (config, config_size) = put(config.as_bytes());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{oci}.manifest.v1+json",
        "config":{{"mediaType":"{oci}.config.v1+json","digest":"{config}","size":{config_size}}},
        "layers":[{}]}}"#,
        layers.join(",")
    );
    let (manifest, manifest_size) = put(manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{oci}.manifest.v1+json","digest":"{manifest}",
        "size":{manifest_size},"annotations":{{"org.opencontainers.image.ref.name":"tag"}}}}]}}"#
    );
    fs::write(layout.join("index.json"), index).unwrap();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    layout
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {why}");
    String::from_utf8(output.stdout).unwrap()
}

/// A build as people do it: packages appear, others go, a directory becomes a link, files change.
#[test]
fn umoci_and_buildah_make_the_same_files_of_a_layer() {
    let lab = Lab::new();
    let base = Archive::new()
        .directory("./")
        .directory_with("tmp/", |header| header.mode = 0o1777)
        .directory("etc/")
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        .file("etc/removed", "x")
        .directory("usr/")
        .directory("usr/lib/")
        .file("usr/lib/libone.so.1", vec![1; 100_000])
        .symlink("usr/lib/libone.so", "libone.so.1")
        .hard_link("usr/lib/libother.so", "usr/lib/libone.so.1")
        .directory("lib/")
        .file("lib/module", "m")
        .directory("opt/")
        .directory("opt/old/")
        .file("opt/old/a", "a")
        .file("opt/old/b", "b");
    let script = r#"
        set -e
        rm etc/removed
        echo app:x:1001:0::/opt/app: >> etc/passwd
        rm -r lib; ln -s usr/lib lib
        rm -r opt/old; mkdir opt/old; echo c > opt/old/c; echo a2 > opt/old/a
        mkdir -p opt/app/node_modules/.bin
        echo '#!/bin/sh' > opt/app/node_modules/run; chmod 755 opt/app/node_modules/run
        ln -s ../run opt/app/node_modules/.bin/run
        ln opt/app/node_modules/run opt/app/run
        head -c 3000000 /dev/urandom > opt/app/blob
        truncate -s 1000000 opt/app/sparse
        chown -R 1001:0 opt/app; chmod -R g=u opt/app; chmod 2775 opt/app
        chmod 1770 tmp; touch -d @1234567890 opt/app/blob
        mkfifo opt/app/pipe
        n=$(printf 'long%.0s' $(seq 40)); mkdir "$n"; echo x > "$n/$n"
    "#;
    for compression in [
        builder::Compression::Plain,
        builder::Compression::Gzip,
        builder::Compression::Zstd,
    ] {
        let rootfs = lab.rootfs(vec![lab.unpack(&base).unwrap()], &[]).unwrap();
        let mut expected = None;
        in_mount(&rootfs, |root| {
            run(Command::new("sh").args(["-c", script]).current_dir(root));
            expected = Some(survey(root));
        });
        let expected = expected.unwrap();
        let options = Options {
            compression,
            ..options()
        };
        let built = exported(&rootfs, &options).unwrap();
        // Debian's umoci is older than zstd layers.
        if compression != builder::Compression::Zstd {
            let found = by_umoci(lab.path(), &base, std::slice::from_ref(&built));
            assert_eq!(difference(&expected, &found), [""; 0]);
        }
        if compression != builder::Compression::Plain {
            let mut found = by_buildah(lab.path(), &base, std::slice::from_ref(&built));
            // containers/storage gives the root of every image this mode.
            found.get_mut(&b""[..]).unwrap().mode = expected[&b""[..]].mode;
            assert_eq!(difference(&expected, &found), [""; 0]);
        }
    }
}

/// A whole Debian, and what its own programs do to it.
#[test]
fn a_debian_that_was_worked_on_is_the_same_by_umoci() {
    let lab = Lab::new();
    let bytes = fs::read(tests::image::minbase(&tests::Lab::new("minbase"))).unwrap();
    let base = Archive::default().raw(&bytes);
    let layer = lab.unpack_bytes(&bytes, builder::Compression::Gzip, &crate::lab::limits());
    let rootfs = lab.rootfs(vec![layer.unwrap()], &[]).unwrap();
    let script = r"
        set -e
        groupadd --gid 1001 app
        useradd --uid 1001 --gid 1001 --create-home app
        rm -rf /usr/share/doc /var/cache/apt/archives
        dpkg --purge --force-depends --force-remove-essential hostname >/dev/null
        cp -a /usr/share/zoneinfo /opt/zones || cp -a /usr/share/perl5 /opt/perl
        find /usr/share -type d -empty -delete
        chmod -R g=u /home/app
        ln -sfn /opt /srv/link
        install -d -m 2775 -o 1001 -g 0 /opt/app-root/src
        echo 'echo hello' > /opt/app-root/src/run
    ";
    let mut expected = None;
    in_mount(&rootfs, |root| {
        run(Command::new("chroot")
            .arg(root)
            .args(["/bin/sh", "-c", script]));
        expected = Some(survey(root));
    });
    let options = Options {
        compression: builder::Compression::Gzip,
        ..options()
    };
    let built = exported(&rootfs, &options).unwrap();
    assert!(
        built.layer.size < 32 << 20,
        "only what changed: {:?}",
        built.layer
    );
    let again = exported(&rootfs, &options).unwrap();
    assert_eq!(built.layer, again.layer);
    let found = by_umoci(lab.path(), &base, std::slice::from_ref(&built));
    assert_eq!(difference(&expected.unwrap(), &found), [""; 0]);
}
