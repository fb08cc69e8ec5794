//! What others got wrong when they made layers of what a build changed, one test each.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;

use builder::layer::{ExportError, Options};
use builder::rootfs::{LayerStore, Rootfs};
use builder::{Compression, IdMap, Marks, Range};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::lab::{self, Lab, exported, in_mount, list, options, path};
use crate::survey::{difference, survey};

fn base() -> Archive {
    Archive::new()
        .directory("etc/")
        .file("etc/hosts", "127.0.0.1 localhost\n")
        .file("etc/motd", "welcome\n")
        .directory("opt/")
        .directory("opt/app/")
        .file("opt/app/one", "1")
        .file("opt/app/two", "2")
        .directory("opt/app/deep/")
        .file("opt/app/deep/three", "3")
}

/// What is built on [`base`], and again on the layer that came of it: the merged tree must be the same.
fn applied(lab: &Lab, base: &Archive, change: impl FnOnce(&Path)) -> Vec<String> {
    let layer = lab.unpack(base).unwrap();
    let rootfs = lab.rootfs(vec![layer], &[]).unwrap();
    let mut expected = None;
    in_mount(&rootfs, |root| {
        change(root);
        expected = Some(survey(root));
    });
    let built = exported(&rootfs, &options()).unwrap();
    let layers = vec![
        lab.unpack(base).unwrap(),
        lab.unpack_bytes(&built.bytes, Compression::Plain, &lab::limits())
            .unwrap(),
    ];
    let again = lab.rootfs(layers, &[]).unwrap();
    in_mount(&again, |root| {
        let differs = difference(&expected.unwrap(), &survey(root));
        assert_eq!(differs, [""; 0]);
    });
    list(&built.bytes)
}

#[test]
fn p01_what_is_gone_is_a_whiteout_if_the_base_had_it() {
    let lab = Lab::new();
    let listed = applied(&lab, &base(), |root| {
        fs::remove_file(root.join("etc/motd")).unwrap();
        fs::write(root.join("etc/new"), "n").unwrap();
        // Made and removed again: overlayfs keeps a device 0:0 for a name that was also below only.
        fs::write(root.join("etc/passing"), "p").unwrap();
        fs::remove_file(root.join("etc/passing")).unwrap();
    });
    assert_eq!(listed, ["etc/", "etc/.wh.motd", "etc/new"]);
}

#[test]
fn p01_what_one_layer_hides_of_another_needs_no_whiteout() {
    let lab = Lab::new();
    let hiding = Archive::new()
        .directory("opt/")
        .directory("opt/app/")
        .file("opt/app/.wh..wh..opq", "")
        .file("opt/app/four", "4")
        .file("etc/.wh.motd", "");
    let layers = [base(), hiding].map(|archive| lab.unpack(&archive).unwrap());
    let built = lab.build(layers.into(), |root| {
        fs::remove_dir_all(root.join("opt/app")).unwrap();
        fs::create_dir(root.join("opt/app")).unwrap();
        // Not the file of the lowest layer, which is hidden.
        fs::write(root.join("opt/app/one"), "1").unwrap();
        fs::remove_dir_all(root.join("etc")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
    });
    let mut listed = list(&built.unwrap().bytes);
    listed.sort();
    let expected = [
        "./",
        "etc/",
        "etc/.wh.hosts",
        "opt/",
        "opt/app/",
        "opt/app/.wh.four",
        "opt/app/one",
    ];
    assert_eq!(listed, expected);
}

#[test]
fn p01_a_whiteout_of_what_the_base_lacks_is_left_out() {
    let lab = Lab::new();
    let base = lab.unpack(&base()).unwrap();
    let rootfs = lab.rootfs(vec![base], &[]).unwrap();
    let upper = rootfs.mountpoint().with_file_name("upper");
    let kind = FileType::CharacterDevice;
    let nowhere = upper.join("nowhere");
    mknodat(CWD, nowhere, kind, Mode::empty(), makedev(0, 0)).unwrap();
    let built = exported(&rootfs, &options()).unwrap();
    assert!(
        !list(&built.bytes)
            .iter()
            .any(|name| name.contains("nowhere"))
    );
}

#[test]
fn p01_a_file_where_a_directory_was_hides_it_without_whiteouts_below() {
    let lab = Lab::new();
    let listed = applied(&lab, &base(), |root| {
        fs::remove_dir_all(root.join("opt/app")).unwrap();
        symlink("elsewhere", root.join("opt/app")).unwrap();
    });
    assert_eq!(listed, ["opt/", "opt/app"]);
}

#[test]
fn p01_a_whiteout_by_attribute_is_one_too() {
    let lab = Lab::new();
    let base = lab.unpack(&base()).unwrap();
    let rootfs = lab.rootfs(vec![base], &[]).unwrap();
    let etc = rootfs.mountpoint().with_file_name("upper").join("etc");
    let marks = Marks::of_this_process().unwrap().as_str();
    let set = |path: &Path, mark: &str, value: &[u8]| {
        let name = format!("{marks}.overlay.{mark}");
        lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
    };
    fs::create_dir(&etc).unwrap();
    set(&etc, "opaque", b"x");
    fs::write(etc.join("motd"), "").unwrap();
    set(&etc.join("motd"), "whiteout", b"");
    let built = exported(&rootfs, &options()).unwrap();
    assert_eq!(list(&built.bytes), ["./", "etc/", "etc/.wh.motd"]);
}

#[test]
fn p02_an_opaque_directory_is_whiteouts_of_what_it_hides() {
    let lab = Lab::new();
    let listed = applied(&lab, &base(), |root| {
        fs::remove_dir_all(root.join("opt/app")).unwrap();
        fs::create_dir_all(root.join("opt/app/deep")).unwrap();
        fs::write(root.join("opt/app/two"), "other").unwrap();
        fs::write(root.join("opt/app/zero"), "0").unwrap();
    });
    let expected = [
        "opt/",
        "opt/app/",
        "opt/app/deep/",
        "opt/app/deep/.wh.three",
        "opt/app/.wh.one",
        "opt/app/two",
        "opt/app/zero",
    ];
    let sorted = |names: &[&str]| {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    };
    let mut found = listed.clone();
    found.sort();
    assert_eq!(found, sorted(&expected), "{listed:?}");
}

#[test]
fn p02_a_directory_made_again_as_it_was_is_no_change() {
    let lab = Lab::new();
    let listed = lab.changes(&base(), |root| {
        let made = Command::new("sh")
            .arg("-c")
            .arg(
                "set -e; cp -a opt/app saved; rm -r opt/app; mkdir opt/app; cp -a saved/. opt/app/; \
                 rm -r saved; touch -d @1000000000 opt .",
            )
            .current_dir(root)
            .status()
            .unwrap();
        assert!(made.success());
    });
    assert_eq!(
        listed,
        ["./"],
        "only the root, which had no time of its own"
    );
}

#[test]
fn p03_what_the_overlay_keeps_elsewhere_is_refused() {
    let lab = Lab::new();
    let marks = Marks::of_this_process().unwrap().as_str();
    for (mark, at) in [("redirect", "etc"), ("metacopy", "motd")] {
        let base = lab.unpack(&base()).unwrap();
        let rootfs = lab.rootfs(vec![base], &[]).unwrap();
        let at = rootfs.mountpoint().with_file_name("upper").join(at);
        if mark == "redirect" {
            fs::create_dir(&at).unwrap();
        } else {
            fs::write(&at, "").unwrap();
        }
        let name = format!("{marks}.overlay.{mark}");
        lsetxattr(&at, name, b"/opt", XattrFlags::empty()).unwrap();
        let refused = exported(&rootfs, &options()).err().unwrap();
        assert!(matches!(refused, ExportError::Refused { .. }), "{refused}");
        assert!(refused.to_string().contains(mark), "{refused}");
    }
}

#[test]
fn p03_a_mount_leaves_no_redirects() {
    let lab = Lab::new();
    let listed = applied(&lab, &base(), |root| {
        // rename(2) of a directory of a lower layer is refused without redirects; programs then copy.
        let renamed = fs::rename(root.join("opt/app"), root.join("opt/moved"));
        assert_eq!(renamed.unwrap_err().raw_os_error(), Some(18), "EXDEV");
        let moved = Command::new("mv")
            .args(["opt/app", "opt/moved"])
            .current_dir(root)
            .status();
        assert!(moved.unwrap().success());
        fs::set_permissions(root.join("etc/motd"), PermissionsExt::from_mode(0o600)).unwrap();
    });
    assert!(listed.contains(&"opt/.wh.app".to_owned()), "{listed:?}");
    assert!(
        listed.contains(&"opt/moved/deep/three".to_owned()),
        "{listed:?}"
    );
}

#[test]
fn p04_marks_of_the_machine_stay_and_capabilities_go_along() {
    let lab = Lab::new();
    // VFS_CAP_REVISION_2, effective, cap_net_bind_service.
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let base = lab.unpack(&base()).unwrap();
    let built = lab.build(vec![base], |root| {
        let file = root.join("opt/app/server");
        fs::write(&file, "").unwrap();
        let set = |name: &str, value: &[u8]| lsetxattr(&file, name, value, XattrFlags::empty());
        set("security.capability", &capability).unwrap();
        set("user.origin", b"a\0b=c\n").unwrap();
        // Nobody but the overlay itself should say so; on some kernels nobody else can.
        let _ = set("user.overlay.opaque", b"y");
        let _ = set("trusted.overlay.opaque", b"y");
        fs::create_dir(root.join("opt/app/hidden")).unwrap();
    });
    let built = built.unwrap();
    let text = built.bytes.escape_ascii().to_string();
    assert!(
        text.contains("SCHILY.xattr.user.origin=a\\x00b=c\\n"),
        "{text}"
    );
    assert!(!text.contains("overlay"), "{text}");
    let record = [b"SCHILY.xattr.security.capability=", &capability[..], b"\n"].concat();
    assert!(
        built.bytes.windows(record.len()).any(|part| part == record),
        "{text}"
    );
}

#[test]
fn p05_names_of_one_file_are_links_and_a_copied_up_one_is_a_file() {
    let lab = Lab::new();
    let base = base().hard_link("opt/app/uno", "opt/app/one");
    let listed = applied(&lab, &base, |root| {
        fs::write(root.join("opt/b"), "linked").unwrap();
        fs::hard_link(root.join("opt/b"), root.join("etc/a")).unwrap();
        fs::hard_link(root.join("opt/b"), root.join("opt/c")).unwrap();
        // Copied up with the same content, it is a link no more.
        let same = fs::metadata(root.join("opt/app/one"))
            .unwrap()
            .permissions();
        fs::set_permissions(root.join("opt/app/one"), same).unwrap();
    });
    assert_eq!(
        listed,
        [
            "etc/",
            "etc/a",
            "opt/",
            "opt/app/",
            "opt/app/one",
            "opt/b",
            "opt/c"
        ]
    );
}

#[test]
fn p06_holes_are_zeros() {
    let lab = Lab::new();
    let size = 3 << 20;
    let base = lab.unpack(&base()).unwrap();
    let built = lab.build(vec![base], |root| {
        let file = fs::File::create(root.join("sparse")).unwrap();
        file.set_len(size).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", size / 2).unwrap();
    });
    let built = built.unwrap();
    assert!(built.layer.unpacked > size);
    assert!(!built.bytes.escape_ascii().to_string().contains("sparse."));
    let content = lab::filter("tar", &["--extract", "--to-stdout", "sparse"], &built.bytes);
    assert_eq!(content.len() as u64, size);
    assert_eq!(content.iter().filter(|byte| **byte != 0).count(), 1);
}

#[test]
fn p07_sockets_are_left_out_and_other_files_are_not() {
    let lab = Lab::new();
    let is_initial = Marks::of_this_process().unwrap() == Marks::Trusted;
    let base = lab.unpack(&base()).unwrap();
    let built = lab.build(vec![base], |root| {
        // A name that the base has: it must not come back.
        fs::remove_file(root.join("etc/motd")).unwrap();
        let make = |name: &str, kind, device| {
            mknodat(CWD, root.join(name), kind, Mode::RUSR, device).unwrap();
        };
        make("etc/motd", FileType::Socket, 0);
        make("etc/pipe", FileType::Fifo, 0);
        if is_initial {
            make("etc/null", FileType::CharacterDevice, makedev(1, 3));
            make("etc/disk", FileType::BlockDevice, makedev(259, 1_048_575));
        }
    });
    let built = built.unwrap();
    let mut expected = vec!["etc/", "etc/disk", "etc/.wh.motd", "etc/null", "etc/pipe"];
    if !is_initial {
        expected.retain(|name| !matches!(*name, "etc/disk" | "etc/null"));
    }
    assert_eq!(list(&built.bytes), expected);
    let layer = lab.unpack_bytes(&built.bytes, Compression::Plain, &lab::limits());
    let layer = layer.unwrap();
    let tree = lab
        .path()
        .join("store")
        .join(Marks::of_this_process().unwrap().as_str());
    assert!(layer.path().starts_with(tree.join("layers")));
    let etc = layer.path().join("etc");
    assert!(
        fs::metadata(etc.join("pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    if is_initial {
        assert_eq!(
            fs::metadata(etc.join("disk")).unwrap().rdev(),
            makedev(259, 1_048_575)
        );
    }
}

#[test]
fn p08_long_names_bytes_and_large_ids_survive() {
    use std::os::unix::ffi::OsStrExt as _;
    let lab = Lab::new();
    let is_initial = Marks::of_this_process().unwrap() == Marks::Trusted;
    let long = "l".repeat(255);
    let hidden = "h".repeat(255);
    let base = base().pax(&[(b"path", hidden.as_bytes())]).file("x", "");
    let listed = applied(&lab, &base, |root| {
        let deep = (0..10).fold(root.to_path_buf(), |path, _| path.join("d".repeat(200)));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join(&long), "deep").unwrap();
        symlink("t".repeat(3000), root.join("far")).unwrap();
        let bytes = std::ffi::OsStr::from_bytes(b"not \xff utf-8 \n\x01");
        fs::write(root.join(bytes), "").unwrap();
        fs::write(root.join("größe"), "").unwrap();
        // Its whiteout is four bytes longer than a file could be called.
        fs::remove_file(root.join(&hidden)).unwrap();
        if is_initial {
            fs::write(root.join("owned"), "").unwrap();
            chown(root.join("owned"), Some(4_294_967_294), Some(2_097_152)).unwrap();
        }
    });
    assert!(listed.contains(&format!(".wh.{hidden}")), "{listed:?}");
    let latin = listed
        .iter()
        .any(|name| name.contains("not \\377 utf-8 \\n\\001"));
    assert!(latin, "{listed:?}");
}

#[test]
fn p09_the_same_changes_are_the_same_bytes() {
    let lab = Lab::new();
    let noise: Vec<u8> = {
        let mut random = fastrand::Rng::with_seed(7);
        (0..9 << 20).map(|_| random.u8(b'a'..=b'p')).collect()
    };
    let names = ["z", "a", "m/x", "m/b", "A", "m.d", "m-d"];
    let build = |order: &[&str], options: &Options| {
        let base = lab.unpack(&base()).unwrap();
        let rootfs = lab.rootfs(vec![base], &[]).unwrap();
        in_mount(&rootfs, |root| {
            fs::create_dir(root.join("m")).unwrap();
            for name in order {
                fs::write(root.join(name), name).unwrap();
            }
            fs::write(root.join("noise"), &noise).unwrap();
        });
        exported(&rootfs, options).unwrap()
    };
    let reversed: Vec<_> = names.iter().rev().copied().collect();
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        let with = |threads| Options {
            compression,
            threads,
            ..options()
        };
        let first = build(&names, &with(1));
        for threads in [1, 2, 7] {
            let other = build(&reversed, &with(threads));
            assert_eq!(
                first.layer, other.layer,
                "{compression:?} on {threads} threads"
            );
        }
        if compression == Compression::Plain {
            let listed = lab::filter("tar", &["-tv", "--utc", "--full-time"], &first.bytes);
            let listed = String::from_utf8(listed).unwrap();
            assert_eq!(listed.lines().count(), 10);
            for line in listed.lines() {
                assert!(line.contains("2020-09-13 12:26:40"), "the epoch: {line}");
                assert!(line.contains(" 0/0 "), "numbers, no names: {line}");
            }
            let order = list(&first.bytes);
            let expected = [
                "./", "A", "a", "m/", "m/b", "m/x", "m-d", "m.d", "noise", "z",
            ];
            assert_eq!(order, expected);
        }
    }
}

#[test]
fn p09_times_before_the_epoch_stay() {
    let lab = Lab::new();
    let listed = applied(&lab, &base(), |root| {
        for (name, time) in [("old", 86_400), ("older", -5)] {
            let file = fs::File::create(root.join(name)).unwrap();
            let time = rustix::fs::Timespec {
                tv_sec: time,
                tv_nsec: 5,
            };
            let times = rustix::fs::Timestamps {
                last_access: time,
                last_modification: time,
            };
            rustix::fs::futimens(file, &times).unwrap();
        }
    });
    assert_eq!(listed, ["./", "old", "older"]);
}

#[test]
fn p10_what_the_runtime_mounts_on_is_not_in_the_layer() {
    let lab = Lab::new();
    let base = base().symlink("var", "opt");
    let points = [
        "proc",
        "sys",
        "dev",
        "run/secrets/token",
        "etc/hosts",
        "var/x",
        "etc/motd/x",
    ];
    let points = points.map(path);
    let layer = lab.unpack(&base).unwrap();
    let rootfs = lab.rootfs(vec![layer], &points).unwrap();
    in_mount(&rootfs, |root| {
        for point in ["proc", "sys", "dev", "run/secrets/token"] {
            assert!(root.join(point).is_dir(), "{point}");
        }
        assert!(root.join("etc/hosts").is_file());
        let mounted = rustix::mount::mount(
            "tmpfs",
            root.join("dev"),
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            None::<&std::ffi::CStr>,
        );
        mounted.unwrap();
        fs::write(root.join("dev/null"), "").unwrap();
        rustix::mount::unmount(root.join("dev"), rustix::mount::UnmountFlags::DETACH).unwrap();
    });
    let built = exported(&rootfs, &options()).unwrap();
    assert_eq!(list(&built.bytes), [""; 0]);
    assert_eq!(built.layer.entries, 0);
}

#[test]
fn p11_files_of_an_image_are_read_inside_it_and_not_without_end() {
    let lab = Lab::new();
    let canary = lab.path().join("canary");
    fs::write(&canary, "outside").unwrap();
    let base = base()
        .file("etc/real", "root:x:0:0::/root:/bin/sh\n")
        .symlink("etc/passwd", "/etc/real")
        .symlink("etc/group", canary.to_str().unwrap())
        .symlink("etc/shadow", "../../../../../../../../etc/real")
        .symlink("etc/loop", "loop")
        .entry(&crate::archive::Header::new(b'6', "etc/fifo"), b"")
        .file("etc/huge", vec![b'x'; 5000]);
    let layer = lab.unpack(&base).unwrap();
    let rootfs = lab.rootfs(vec![layer], &[]).unwrap();
    let mount = rootfs.mount().unwrap();
    let read = |name: &str| mount.read(&path(name), 4096);
    assert_eq!(read("etc/passwd").unwrap(), b"root:x:0:0::/root:/bin/sh\n");
    assert_eq!(read("etc/shadow").unwrap(), b"root:x:0:0::/root:/bin/sh\n");
    assert_eq!(
        read("etc/loop").unwrap_err().raw_os_error(),
        Some(40),
        "ELOOP"
    );
    for (name, kind) in [
        ("etc/group", std::io::ErrorKind::NotFound),
        ("etc/huge", std::io::ErrorKind::FileTooLarge),
        ("etc/fifo", std::io::ErrorKind::InvalidInput),
        ("etc", std::io::ErrorKind::InvalidInput),
    ] {
        assert_eq!(read(name).unwrap_err().kind(), kind, "{name}");
    }
}

#[test]
fn p12_as_many_layers_as_any_image_has_are_mounted() {
    let lab = Lab::new();
    let count = 200;
    let layer = |number: usize| {
        let archive = Archive::new()
            .file(format!("f{number}"), "x")
            .file("last", number.to_string());
        lab.unpack(&archive).unwrap()
    };
    let rootfs = lab.rootfs((0..count).map(layer).collect(), &[]).unwrap();
    in_mount(&rootfs, |root| {
        assert_eq!(fs::read_dir(root).unwrap().count(), count + 1);
        assert_eq!(fs::read_to_string(root.join("last")).unwrap(), "199");
        fs::remove_file(root.join("f0")).unwrap();
    });
    let built = exported(&rootfs, &options()).unwrap();
    assert_eq!(list(&built.bytes), ["./", ".wh.f0"]);
}

#[test]
fn p13_a_directory_whose_metadata_changed_is_a_change_and_others_are_not() {
    let lab = Lab::new();
    let listed = applied(&lab, &base(), |root| {
        fs::set_permissions(root.join("opt"), PermissionsExt::from_mode(0o700)).unwrap();
        chown(root.join("etc"), Some(7), None).unwrap();
        // Copied up and put back.
        let deep = root.join("opt/app/deep");
        let same = fs::metadata(&deep).unwrap().permissions();
        fs::set_permissions(&deep, PermissionsExt::from_mode(0o700)).unwrap();
        fs::set_permissions(&deep, same).unwrap();
        // Opened for writing, and nothing written.
        drop(fs::File::options().append(true).open(root.join("etc/motd")));
    });
    assert_eq!(listed, ["etc/", "opt/"]);
}

#[test]
fn p13_directories_above_a_change_are_there_with_their_metadata() {
    let lab = Lab::new();
    let base = Archive::new()
        .directory_with("var/", |header| header.mode = 0o2775)
        .directory_with("var/tmp/", |header| {
            header.mode = 0o1777;
            header.gid = 50;
        })
        .file("var/tmp/f", "f");
    let listed = applied(&lab, &base, |root| {
        fs::write(root.join("var/tmp/f"), "g").unwrap();
    });
    assert_eq!(listed, ["var/", "var/tmp/", "var/tmp/f"]);
}

#[test]
fn p14_a_file_that_is_still_written_to_fails_the_layer() {
    let lab = Lab::new();
    let base = lab.unpack(&base()).unwrap();
    let rootfs = lab.rootfs(vec![base], &[]).unwrap();
    in_mount(&rootfs, |root| {
        let file = fs::File::create(root.join("growing")).unwrap();
        file.set_len(256 << 20).unwrap();
    });
    let file = rootfs.mountpoint().with_file_name("upper").join("growing");
    let never = CancellationToken::new();
    let made = builder::layer::export(&rootfs.changes(), &options(), &mut Cutting(file), &never);
    let error = made.unwrap_err().to_string();
    assert_eq!(
        error,
        "/growing: it became shorter while it was read: something still writes to it"
    );
}

#[test]
fn p15_a_layer_with_other_content_than_named_is_not_kept() {
    let lab = Lab::new();
    let other = lab.unpack(&Archive::new().file("x", "")).unwrap();
    let bytes = base().bytes();
    let refused = lab.unpack_packed(
        &bytes,
        Compression::Plain,
        oci::Digest::of(oci::Algorithm::Sha256, b""),
        &lab::limits(),
    );
    let error = refused.unwrap_err();
    assert!(
        matches!(error, builder::rootfs::UnpackError::WrongContent { .. }),
        "{error}"
    );
    drop(other);
}

#[test]
fn p16_a_name_that_looks_like_a_whiteout_fails_the_build() {
    let lab = Lab::new();
    for name in ["etc/.wh.motd", "etc/.wh..wh..opq", ".wh."] {
        let base = lab.unpack(&base()).unwrap();
        let refused = lab.build(vec![base], |root| fs::write(root.join(name), "").unwrap());
        let error = refused.err().unwrap();
        assert!(matches!(error, ExportError::Refused { .. }), "{error}");
        assert!(
            error.to_string().starts_with(&format!("/{name}: ")),
            "{error}"
        );
    }
}

#[test]
fn ids_outside_of_a_namespace_are_called_what_they_are_inside() {
    let lab = Lab::new();
    let range = Range {
        inside: 0,
        outside: 100_000,
        length: 65_536,
    };
    let options = Options {
        ids: IdMap::new(vec![range]).unwrap(),
        ..options()
    };
    // VFS_CAP_REVISION_3 of the root that is 100000 outside.
    let mut capability = vec![1, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    capability.extend(100_000_u32.to_le_bytes());
    let rootfs = lab.rootfs(vec![], &[]).unwrap();
    let upper = rootfs.mountpoint().with_file_name("upper");
    chown(&upper, Some(100_000), Some(100_000)).unwrap();
    chown(
        upper.with_file_name("scaffold"),
        Some(100_000),
        Some(100_000),
    )
    .unwrap();
    fs::write(upper.join("owned"), "").unwrap();
    chown(upper.join("owned"), Some(101_001), Some(100_007)).unwrap();
    let set = |name: &str, value: &[u8]| {
        lsetxattr(upper.join("owned"), name, value, XattrFlags::empty()).unwrap();
    };
    set("security.capability", &capability);
    let access = [
        &[2, 0, 0, 0][..],
        &[1, 0, 6, 0, 255, 255, 255, 255],
        &[2, 0, 4, 0],
        &101_002_u32.to_le_bytes(),
        &[4, 0, 4, 0, 255, 255, 255, 255],
        &[16, 0, 4, 0, 255, 255, 255, 255],
        &[32, 0, 4, 0, 255, 255, 255, 255],
    ];
    set("system.posix_acl_access", &access.concat());
    let built = exported(&rootfs, &options).unwrap();
    let listed = lab::filter("tar", &["-tv", "--numeric-owner"], &built.bytes);
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains(" 1001/7 "), "{listed}");
    let layer = lab
        .unpack_bytes(&built.bytes, Compression::Plain, &lab::limits())
        .unwrap();
    let rootfs = lab.rootfs(vec![layer], &[]).unwrap();
    in_mount(&rootfs, |root| {
        let found = survey(root).remove(&b"owned"[..]).unwrap();
        let capability = &found.xattrs[&b"security.capability"[..]];
        assert_eq!(capability.len(), 20, "revision 2: {capability:?}");
        let access = &found.xattrs[&b"system.posix_acl_access"[..]];
        assert_eq!(access[16..20], 1002_u32.to_le_bytes(), "{access:?}");
    });
    let rootfs = lab.rootfs(vec![], &[]).unwrap();
    fs::write(rootfs.mountpoint().with_file_name("upper/strange"), "").unwrap();
    let refused = exported(&rootfs, &options).err().unwrap();
    assert!(
        refused.to_string().contains("none of the container's"),
        "{refused}"
    );
}

/// A store for containers of other ids: on the disk all belongs to those, in the layer nothing does.
#[test]
fn a_store_of_shifted_ids_gives_the_same_layers() {
    let lab = Lab::new();
    let range = Range {
        inside: 0,
        outside: 1 << 30,
        length: 65_536,
    };
    let ids = IdMap::new(vec![range]).unwrap();
    let store = LayerStore::open(&lab.path().join("store"), ids.clone()).unwrap();
    let access = |user: u32| {
        let rest: [&[u8]; 4] = [
            &user.to_le_bytes(),
            &[4, 0, 4, 0, 255, 255, 255, 255],
            &[16, 0, 4, 0, 255, 255, 255, 255],
            &[32, 0, 4, 0, 255, 255, 255, 255],
        ];
        [
            &[2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0][..],
            &rest.concat(),
        ]
        .concat()
    };
    let base = base()
        .pax(&[(b"SCHILY.xattr.system.posix_acl_access", &access(33))])
        .file_with("opt/shared", "s", |header| header.uid = 1001)
        .file("implicit/file", "i");
    let change = |root: &Path, outside: u32| {
        fs::write(root.join("opt/new"), "n").unwrap();
        chown(root.join("opt/new"), Some(outside + 1001), Some(outside)).unwrap();
        fs::write(root.join("implicit/more"), "m").unwrap();
        chown(root.join("implicit/more"), Some(outside), Some(outside)).unwrap();
        fs::write(root.join("opt/shared"), "t").unwrap();
    };
    let plain = lab.unpack(&base).unwrap();
    let plain = lab.build(vec![plain], |root| change(root, 0)).unwrap();
    let bytes = base.bytes();
    let diff_id = oci::Digest::of(oci::Algorithm::Sha256, &bytes);
    let blob = lab::blob(&bytes, Compression::Plain, diff_id);
    let never = CancellationToken::new();
    let layer = store
        .layer(&blob, &lab::limits(), UNIX_EPOCH, &never)
        .unwrap();
    let rootfs = Rootfs::prepare(&store, "shifted", vec![layer], &[path("proc")]).unwrap();
    in_mount(&rootfs, |root| {
        let before = survey(root);
        for (name, node) in &before {
            let inside = if name == b"opt/shared" { 1001 } else { 0 };
            let expected = ((1 << 30) + inside, 1 << 30);
            assert_eq!(node.owner, expected, "{}", name.escape_ascii());
        }
        let list = &before[&b"opt/shared"[..]].xattrs[&b"system.posix_acl_access"[..]];
        assert_eq!(*list, access((1 << 30) + 33));
        change(root, 1 << 30);
    });
    let shifted = exported(&rootfs, &Options { ids, ..options() }).unwrap();
    assert_eq!(plain.layer, shifted.layer);
    // Whoever mounts it elsewhere gets the same.
    let folders = rootfs.folders().unwrap();
    let lower: Vec<_> = folders
        .lower
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let at = rootfs.mountpoint();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off,index=off",
        lower.join(":"),
        folders.upper.display(),
        folders.work.display()
    );
    let mut mount = Command::new("mount");
    let mounted = mount
        .args(["-t", "overlay", "-o", &options, "overlay"])
        .arg(&at)
        .status();
    assert!(mounted.unwrap().success());
    assert_eq!(fs::read_to_string(at.join("opt/shared")).unwrap(), "t");
    rustix::mount::unmount(&at, rustix::mount::UnmountFlags::DETACH).unwrap();
    let strange = Archive::new()
        .file_with("f", "", |header| header.gid = 65_536)
        .bytes();
    let diff_id = oci::Digest::of(oci::Algorithm::Sha256, &strange);
    let blob = lab::blob(&strange, Compression::Plain, diff_id);
    let refused = store
        .layer(&blob, &lab::limits(), UNIX_EPOCH, &never)
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("beyond those that containers have"),
        "{refused}"
    );
}

#[test]
fn a_layer_is_given_up_when_it_is_cancelled_too_large_or_not_taken() {
    let lab = Lab::new();
    let rootfs = lab.rootfs(vec![], &[]).unwrap();
    in_mount(&rootfs, |root| {
        let file = fs::File::create(root.join("large")).unwrap();
        file.set_len(64 << 20).unwrap();
    });
    let never = CancellationToken::new();
    let full = builder::layer::export(&rootfs.changes(), &options(), &mut Full, &never);
    assert!(
        matches!(&full, Err(ExportError::Sink(error)) if error.kind() == std::io::ErrorKind::StorageFull),
        "{full:?}"
    );
    let small = Options {
        limit: 63 << 20,
        ..options()
    };
    let large = exported(&rootfs, &small).err().unwrap();
    assert!(matches!(large, ExportError::TooLarge { .. }), "{large}");
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let ended = builder::layer::export(&rootfs.changes(), &options(), &mut Vec::new(), &cancelled);
    assert!(matches!(ended, Err(ExportError::Cancelled)), "{ended:?}");
}

#[test]
fn links_out_of_the_tree_are_links_in_the_layer() {
    let lab = Lab::new();
    let canaries = lab.path().join("canaries");
    fs::create_dir(&canaries).unwrap();
    fs::write(canaries.join("secret"), "of the machine").unwrap();
    let base = lab.unpack(&base()).unwrap();
    let built = lab.build(vec![base], |root| {
        symlink(&canaries, root.join("folder")).unwrap();
        symlink(canaries.join("secret"), root.join("file")).unwrap();
        fs::remove_dir_all(root.join("opt")).unwrap();
        // What the base has as a directory.
        symlink(&canaries, root.join("opt")).unwrap();
    });
    let built = built.unwrap();
    assert_eq!(list(&built.bytes), ["./", "file", "folder", "opt"]);
    assert!(
        !built
            .bytes
            .windows(14)
            .any(|part| part == b"of the machine")
    );
}

#[test]
fn a_tree_that_is_deeper_than_a_path_is_refused_and_removed() {
    let lab = Lab::new();
    let base = lab.unpack(&base()).unwrap();
    let rootfs = lab.rootfs(vec![base], &[]).unwrap();
    in_mount(&rootfs, |root| {
        let script = "import os\nfor i in range(5000):\n os.mkdir('d')\n os.chdir('d')\n";
        let made = Command::new("python3")
            .args(["-c", script])
            .current_dir(root)
            .status();
        assert!(made.unwrap().success());
    });
    let refused = exported(&rootfs, &options()).err().unwrap();
    assert!(matches!(refused, ExportError::Refused { .. }), "{refused}");
    let folder = rootfs.mountpoint().with_file_name("");
    rootfs.remove().unwrap();
    assert!(!folder.exists());
}

#[test]
fn the_metadata_of_a_directory_that_a_layer_does_not_speak_of_is_that_of_the_layer_below() {
    let lab = Lab::new();
    let below = Archive::new()
        .directory_with("tmp/", |header| header.mode = 0o1777)
        .directory_with("srv/", |header| header.uid = 33)
        .directory_with("srv/www/", |header| header.gid = 34)
        .file("srv/www/index", "i");
    let above = Archive::new().file("tmp/x", "x").file("srv/www/more", "m");
    let layers = vec![lab.unpack(&below).unwrap(), lab.unpack(&above).unwrap()];
    let rootfs = lab.rootfs(layers, &[]).unwrap();
    in_mount(&rootfs, |root| {
        let survey = survey(root);
        assert_eq!(survey[&b"tmp"[..]].mode, 0o1777);
        assert_eq!(survey[&b"srv"[..]].owner, (33, 0));
        assert_eq!(survey[&b"srv/www"[..]].owner, (0, 34));
        assert_eq!(survey[&b"srv/www"[..]].mtime, 1_000_000_000);
        assert!(survey.contains_key(&b"srv/www/index"[..]));
    });
    let built = exported(&rootfs, &options()).unwrap();
    assert_eq!(built.layer.entries, 0, "{:?}", list(&built.bytes));
}

/// Who takes the first bytes of the layer cuts the file.
struct Cutting(std::path::PathBuf);
impl std::io::Write for Cutting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        fs::File::create(&self.0)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Who takes nothing.
struct Full;
impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
