//! Archives of people who mean harm (T70, T33): refused or harmless, and nothing outside of the store is touched.

use std::fs;
use std::io::{Cursor, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use builder::rootfs::{Blob, Devices, Limits, StoredLayer, UnpackError};
use builder::{Compression, Marks};
use oci::{Algorithm, Digest};
use rustix::fs::makedev;
use tokio_util::sync::CancellationToken;

use crate::archive::{Archive, Header};
use crate::lab::{Lab, in_mount, limits, list};
use crate::survey::{Survey, difference, survey};

/// A lab whose surroundings are watched.
struct Watched {
    lab: Lab,
    /// Beside the store: what `../..` and the like would reach.
    canaries: PathBuf,
    before: Survey,
}

impl Watched {
    fn new() -> Self {
        let lab = Lab::new();
        let canaries = lab.path().join("canaries");
        fs::create_dir(&canaries).unwrap();
        fs::write(canaries.join("file"), "untouched").unwrap();
        fs::create_dir(canaries.join("folder")).unwrap();
        fs::write(canaries.join("folder/file"), "untouched").unwrap();
        let before = survey(&canaries);
        Self {
            lab,
            canaries,
            before,
        }
    }

    /// The way to the canaries as a link would name it.
    fn outside(&self, name: &str) -> String {
        self.canaries.join(name).to_str().unwrap().to_owned()
    }

    /// What comes of an archive; the canaries are as they were, and a refused layer leaves nothing.
    fn unpack(&self, archive: &Archive) -> Result<StoredLayer, UnpackError> {
        self.checked(self.lab.unpack(archive))
    }

    fn checked(
        &self,
        result: Result<StoredLayer, UnpackError>,
    ) -> Result<StoredLayer, UnpackError> {
        let differs = difference(&self.before, &survey(&self.canaries));
        assert_eq!(differs, [""; 0]);
        if result.is_err() {
            let marks = Marks::of_this_process().unwrap().as_str();
            for folder in ["incoming", "trash"] {
                let left = fs::read_dir(self.lab.path().join("store").join(marks).join(folder));
                assert_eq!(left.unwrap().count(), 0, "{folder} is empty");
            }
        }
        result
    }

    fn refused(&self, archive: &Archive, why: &str) {
        match self.unpack(archive) {
            Err(UnpackError::Refused(told)) => assert!(told.contains(why), "{told} / {why}"),
            other => panic!("{other:?} instead of a refusal: {why}"),
        }
    }

    /// The files that are seen when the layer is mounted.
    fn seen(&self, archive: &Archive) -> Survey {
        let layer = self.unpack(archive).unwrap();
        self.mounted(vec![layer])
    }

    fn mounted(&self, layers: Vec<StoredLayer>) -> Survey {
        let rootfs = self.lab.rootfs(layers, &[]).unwrap();
        let mut seen = None;
        in_mount(&rootfs, |root| seen = Some(survey(root)));
        seen.unwrap()
    }
}

fn file(content: &str) -> String {
    let digest = Digest::of(Algorithm::Sha256, content.as_bytes());
    format!("{} {digest}", content.len())
}

#[test]
fn t70_paths_that_lead_out_are_refused() {
    let watched = Watched::new();
    let depth = "../".repeat(40);
    for name in [
        "../x",
        "a/../../x",
        "..",
        "a/..",
        "./../x",
        "a/../x",
        &format!("{depth}tmp/x"),
    ] {
        watched.refused(&Archive::new().file(name, "x"), "..");
        watched.refused(&Archive::new().directory(name), "..");
        watched.refused(&Archive::new().symlink(name, "x"), "..");
        watched.refused(&Archive::new().file("f", "").hard_link("x", name), "..");
        let long = Archive::new().pax(&[(b"path", name.as_bytes())]);
        watched.refused(&long.file("innocent", "x"), "..");
    }
}

#[test]
fn t70_absolute_paths_are_below_the_root() {
    let watched = Watched::new();
    let outside = watched.outside("file");
    let seen = watched.seen(&Archive::new().file(&outside, "x").file("//a//./b", "y"));
    assert_eq!(
        seen[outside.trim_start_matches('/').as_bytes()].content,
        file("x")
    );
    assert_eq!(seen[&b"a/b"[..]].content, file("y"));
}

#[test]
fn t70_what_is_written_through_a_link_stays_inside() {
    let watched = Watched::new();
    let up = format!("{}{}", "../".repeat(60), &watched.outside("folder")[1..]);
    for target in [
        &watched.outside("folder"),
        &up,
        "/",
        "/proc/self/root",
        "/proc/self/cwd",
    ] {
        let archive = Archive::new()
            .symlink("link", target)
            .file("link/file", "through")
            .directory("link/made/")
            .symlink("link/other", "x")
            .file("link/.wh.file", "");
        // The target is not there inside: nothing is made in its name.
        if target == "/" {
            let seen = watched.seen(&archive);
            assert_eq!(seen[&b"file"[..]].content, file("through"));
        } else {
            watched.refused(&archive, "a link to nowhere");
        }
    }
    // Where it leads to something inside, that is meant, as with every engine.
    let archive = Archive::new()
        .directory("usr/")
        .directory("usr/lib/")
        .symlink("lib", "usr/lib")
        .symlink("abs", "/usr/lib")
        .file("lib/a", "1")
        .file("abs/b", "2");
    let seen = watched.seen(&archive);
    assert_eq!(seen[&b"usr/lib/a"[..]].content, file("1"));
    assert_eq!(seen[&b"usr/lib/b"[..]].content, file("2"));
}

#[test]
fn t70_links_in_circles_are_refused() {
    let watched = Watched::new();
    let archive = Archive::new().symlink("a", "b").symlink("b", "a");
    watched.refused(&archive.file("a/x", ""), "circle");
}

#[test]
fn t70_the_last_name_is_never_followed() {
    let watched = Watched::new();
    let outside = watched.outside("file");
    let folder = watched.outside("folder");
    let mode = |header: &mut Header| {
        header.mode = 0o777;
        header.uid = 7;
    };
    let archive = Archive::new()
        // A file, a directory, a fifo where a link to the outside was; and chmod, chown and a time through it.
        .symlink("file", &outside)
        .file_with("file", "mine", mode)
        .symlink("folder", &folder)
        .directory_with("folder", mode)
        .file("folder/file", "mine")
        .symlink("pipe", &outside)
        .entry(&Header::new(b'6', "pipe"), b"")
        .symlink("again", &outside)
        .symlink("again", "elsewhere")
        .symlink("linked", &outside)
        .hard_link("hard", "linked")
        .pax(&[(b"SCHILY.xattr.user.x", b"y")])
        .file_with("hard", "mine", mode)
        .symlink("white", &folder)
        .file(".wh.white", "");
    let seen = watched.seen(&archive);
    assert_eq!(seen[&b"file"[..]].content, file("mine"));
    assert_eq!(seen[&b"folder/file"[..]].content, file("mine"));
    assert_eq!(seen[&b"hard"[..]].content, file("mine"));
    assert_eq!(seen[&b"linked"[..]].kind, "link");
    assert_eq!(seen[&b"again"[..]].content, "elsewhere");
    assert_eq!(
        seen[&b"white"[..]].kind,
        "link",
        "whiteouts are for lower layers"
    );
}

#[test]
fn t70_hard_links_lead_to_files_of_the_layer() {
    let watched = Watched::new();
    for target in [
        &watched.outside("file"),
        "missing",
        "etc/missing",
        "folder/../x",
    ] {
        let archive = Archive::new()
            .directory("folder/")
            .hard_link("link", target);
        let error = watched.unpack(&archive).unwrap_err();
        assert!(matches!(error, UnpackError::Refused(_)), "{error}");
    }
    let archive = Archive::new()
        .directory("folder/")
        .hard_link("link", "folder");
    watched.refused(&archive, "a hard link to a directory");
    watched.refused(
        &Archive::new().hard_link("link", "/"),
        "a hard link to the root",
    );
    watched.refused(&Archive::new().hard_link("link", "link"), "does not have");
    let archive = Archive::new()
        .file(".wh.gone", "")
        .hard_link("link", "gone");
    watched.refused(&archive, "does not have");
    // Through a link to the outside: inside, that is nowhere.
    let archive = Archive::new()
        .symlink("way", watched.outside(""))
        .hard_link("link", "way/file");
    watched.refused(&archive, "does not have");
    // To a link, and to itself.
    let archive = Archive::new()
        .symlink("soft", watched.outside("file"))
        .hard_link("hard", "soft")
        .file("self", "s")
        .hard_link("self", "self");
    let seen = watched.seen(&archive);
    assert_eq!(seen[&b"hard"[..]].kind, "link");
    assert_eq!(seen[&b"hard"[..]].first_name, seen[&b"soft"[..]].first_name);
    assert_eq!(seen[&b"self"[..]].content, file("s"));
}

#[test]
fn the_root_stays_a_directory() {
    let watched = Watched::new();
    for name in [".", "./", "/", "./."] {
        let link = Archive::new().symlink(name, watched.outside("folder"));
        let link = link.file("file", "x");
        watched.refused(&link, "named as a directory");
        watched.refused(&Archive::new().file(name, "x"), "named as a directory");
    }
    let seen = watched.seen(&Archive::new().directory_with("./", |header| header.mode = 0o711));
    assert_eq!(seen[&b""[..]].mode, 0o711);
}

#[test]
fn t70_whiteouts_hide_names_of_lower_layers_and_nothing_else() {
    let watched = Watched::new();
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh..."] {
        watched.refused(
            &Archive::new().directory("a/").file(name, ""),
            "it hides no name",
        );
    }
    watched.refused(
        &Archive::new().file(".wh.a/b", ""),
        "a whiteout is no directory",
    );
    watched.refused(
        &Archive::new().directory(".wh.a/"),
        "a whiteout is no directory",
    );
    let below = || {
        let archive = Archive::new()
            .directory("d/")
            .file("d/x", "x")
            .file("d/y", "y")
            .file("f", "f")
            .directory("e/")
            .file("e/z", "z");
        watched.unpack(&archive).unwrap()
    };
    let names = |survey: &Survey| {
        let names = survey
            .keys()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        names.filter(|name| !name.is_empty()).collect::<Vec<_>>()
    };
    // Before and after what the same layer has there, in any order.
    for archive in [
        Archive::new()
            .file("d/.wh..wh..opq", "")
            .file("d/new", "n")
            .file(".wh.f", ""),
        Archive::new()
            .file("d/new", "n")
            .file("d/.wh..wh..opq", "")
            .file(".wh.f", ""),
        Archive::new()
            .file(".wh.d", "")
            .file("d/new", "n")
            .file(".wh.f", ""),
        Archive::new()
            .directory("d/")
            .file("d/new", "n")
            .file(".wh.f", "")
            .file(".wh.d", ""),
        Archive::new()
            .file(".wh.d", "")
            .directory("d/")
            .file("d/new", "n")
            .file(".wh.f", ""),
    ] {
        let above = watched.unpack(&archive).unwrap();
        let seen = watched.mounted(vec![below(), above]);
        assert_eq!(names(&seen), ["d", "d/new", "e", "e/z"]);
    }
    let all = watched.unpack(&Archive::new().file(".wh..wh..opq", "").file("new", "n"));
    let seen = watched.mounted(vec![below(), all.unwrap()]);
    assert_eq!(names(&seen), ["new"]);
    let aufs = Archive::new()
        .file(".wh..wh.plnk", "")
        .file(".wh..wh.aufs", "");
    let seen = watched.mounted(vec![below(), watched.unpack(&aufs).unwrap()]);
    assert_eq!(seen.len(), 7);
}

#[test]
fn an_opaque_mark_through_a_link_does_not_leave_the_layer() {
    let watched = Watched::new();
    let archive = Archive::new()
        .symlink("d", watched.outside("folder"))
        .file("d/.wh..wh..opq", "");
    watched.refused(&archive, "a link to nowhere");
}

#[test]
fn what_overlayfs_would_read_as_its_own_is_not_taken_from_archives() {
    let watched = Watched::new();
    let device = |kind| {
        let mut header = Header::new(kind, "f");
        header.device = (0, 0);
        Archive::new().entry(&header, b"")
    };
    let keep = Limits {
        devices: Devices::Keep,
        ..limits()
    };
    let kept = watched
        .lab
        .unpack_bytes(&device(b'3').bytes(), Compression::Plain, &keep);
    assert!(matches!(
        watched.checked(kept),
        Err(UnpackError::Refused(_))
    ));
    let below = Archive::new()
        .file("f", "f")
        .directory("d/")
        .file("d/x", "x");
    for space in ["trusted", "user"] {
        let names: Vec<_> = ["opaque", "redirect", "metacopy", "origin"]
            .map(|mark| format!("SCHILY.xattr.{space}.overlay.{mark}"))
            .into();
        let records: Vec<_> = names
            .iter()
            .map(|name| (name.as_bytes(), &b"y"[..]))
            .collect();
        let above = Archive::new().pax(&records).directory("d/");
        let layers = [&below, &above].map(|archive| watched.unpack(archive).unwrap());
        let seen = watched.mounted(layers.into());
        assert_eq!(seen[&b"d/x"[..]].content, file("x"), "nothing is hidden");
        assert!(seen[&b"d"[..]].xattrs.is_empty());
    }
}

#[test]
fn devices_are_skipped_kept_or_refused() {
    let watched = Watched::new();
    let is_initial = Marks::of_this_process().unwrap() == Marks::Trusted;
    for (kind, what) in [(b'3', "char"), (b'4', "block")] {
        let mut header = Header::new(kind, "node");
        header.device = (1, 3);
        let archive = Archive::new().entry(&header, b"").bytes();
        let with = |devices| {
            let limits = Limits {
                devices,
                ..limits()
            };
            let result = watched
                .lab
                .unpack_bytes(&archive, Compression::Plain, &limits);
            watched.checked(result)
        };
        assert!(matches!(
            with(Devices::Refuse),
            Err(UnpackError::Refused(_))
        ));
        match with(Devices::Keep) {
            Ok(layer) => {
                let seen = watched.mounted(vec![layer]);
                assert_eq!(seen[&b"node"[..]].kind, what);
                assert_eq!(seen[&b"node"[..]].content, makedev(1, 3).to_string());
            }
            Err(error) => assert!(!is_initial, "{error}"),
        }
        watched.lab.store.sweep(0).whole().unwrap();
        assert!(
            !watched
                .mounted(vec![with(Devices::Skip).unwrap()])
                .contains_key(&b"node"[..])
        );
        watched.lab.store.sweep(0).whole().unwrap();
    }
}

#[test]
fn set_user_id_and_owners_are_kept() {
    let watched = Watched::new();
    let seen = watched.seen(&Archive::new().file_with("su", "", |header| {
        header.mode = 0o6755;
        header.uid = 12;
        header.gid = 34;
    }));
    assert_eq!(seen[&b"su"[..]].mode, 0o6755);
    assert_eq!(seen[&b"su"[..]].owner, (12, 34));
}

#[test]
fn the_store_is_closed_to_others() {
    let watched = Watched::new();
    let marks = Marks::of_this_process().unwrap().as_str();
    let folder = watched.lab.path().join("store").join(marks);
    assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn entries_of_one_name() {
    let watched = Watched::new();
    let archive = Archive::new()
        .file("f", "first")
        .hard_link("other", "f")
        .file("f", "second")
        .directory("empty/")
        .file("empty", "file")
        .file("g", "")
        .directory("g/")
        .file("g/x", "x")
        .directory("g/");
    let seen = watched.seen(&archive);
    assert_eq!(seen[&b"f"[..]].content, file("second"));
    assert_eq!(
        seen[&b"other"[..]].content,
        file("first"),
        "not written through"
    );
    assert_eq!(seen[&b"empty"[..]].kind, "file");
    assert_eq!(seen[&b"g/x"[..]].content, file("x"));
    let archive = Archive::new().file("d/x", "x").file("d", "file");
    watched.refused(&archive, "not empty");
    // The directory that was open is another by then.
    let archive = Archive::new()
        .directory("d/")
        .file("d/x", "x")
        .symlink("s", "d")
        .file("s/y", "y")
        .directory("s/")
        .file("s/z", "z");
    let seen = watched.seen(&archive);
    assert!(seen.contains_key(&b"d/y"[..]) && seen.contains_key(&b"s/z"[..]));
    assert!(!seen.contains_key(&b"d/z"[..]));
    watched.refused(
        &Archive::new().file("f", "").file("f/x", ""),
        "needs a directory",
    );
}

#[test]
fn t70_names_of_any_bytes_and_of_any_length() {
    let watched = Watched::new();
    let long = |length| "n".repeat(length);
    let named = |name: &str| {
        Archive::new()
            .pax(&[(b"path", name.as_bytes())])
            .file("x", "")
    };
    assert!(
        watched
            .seen(&named(&long(255)))
            .contains_key(long(255).as_bytes())
    );
    watched.refused(&named(&long(256)), "255");
    watched.refused(&named(&long(4096)), "longer than");
    watched.refused(&named(&long(100_000)), "longer than");
    let deep = vec!["d"; 2047].join("/");
    watched.unpack(&named(&deep)).unwrap();
    watched.refused(&named(&vec!["d"; 2049].join("/")), "4095");
    let gnu = |kind, name: &[u8]| {
        let mut header = Header::new(kind, "././@LongLink");
        header.size = name.len() as u64;
        Archive::new().entry(&header, name)
    };
    let seen = watched.seen(&gnu(b'L', b"gnu/long\0").file("x", ""));
    assert!(seen.contains_key(&b"gnu/long"[..]));
    watched.refused(
        &gnu(b'L', &vec![b'l'; 100_000]).file("x", ""),
        "longer than",
    );
    watched.refused(&gnu(b'L', &vec![b'l'; 2 << 20]).file("x", ""), "1 MiB");
    let seen = watched.seen(&Archive::new().file(b"\xff\xfe\\ \n", "bytes"));
    assert_eq!(seen[&b"\xff\xfe\\ \n"[..]].content, file("bytes"));
    let seen = watched.seen(&Archive::new().file("..\\..\\windows", "x").file("...", "y"));
    assert!(seen.contains_key(&b"..\\..\\windows"[..]) && seen.contains_key(&b"..."[..]));
    watched.refused(
        &Archive::new().pax(&[(b"path", b"a\0b")]).file("x", ""),
        "malformed",
    );
}

#[test]
fn t70_sizes_that_lie() {
    let watched = Watched::new();
    let with_size = |size| {
        let mut header = Header::new(b'0', "f");
        header.size = size;
        Archive::new().entry(&header, b"short")
    };
    watched.refused(&with_size(10_000), "in the middle");
    watched.refused(&with_size(0o77_777_777_777), "in the middle");
    let two = Archive::new().pax(&[(b"size", b"3")]).file("f", "12345");
    watched.refused(&two, "two sizes");
    let huge = Archive::new().pax(&[(b"size", b"9223372036854775808")]);
    watched.refused(&huge.entry(&Header::new(b'0', "f"), b""), "too large");
    let mut header = Header::new(b'5', "d/");
    header.size = 512;
    watched.refused(&Archive::new().entry(&header, &[b'x'; 512]), "has a size");
    for (kind, name) in [(b'2', "s"), (b'1', "h"), (b'6', "p")] {
        let mut header = Header::new(kind, name);
        header.size = 512;
        header.link = b"f".to_vec();
        let archive = Archive::new().file("f", "").entry(&header, &[0; 512]);
        watched.refused(&archive, "has a size");
    }
}

#[test]
fn t70_what_readers_disagree_on_is_refused() {
    let watched = Watched::new();
    let pax = |records: &[(&[u8], &[u8])]| Archive::new().pax(records);
    let file = |archive: Archive| archive.file("f", "x");
    watched.refused(&file(pax(&[(b"path", b"a"), (b"path", b"b")])), "twice");
    watched.refused(
        &file(pax(&[(b"path", b"a")]).pax(&[(b"path", b"b")])),
        "two extended",
    );
    watched.refused(&pax(&[(b"path", b"a")]), "not followed");
    watched.refused(&file(pax(&[(b"GNU.sparse.map", b"0,1")])), "sparse");
    watched.refused(&file(pax(&[(b"uid", b"4294967295")])), "owner");
    watched.refused(&file(pax(&[(b"uid", b"-1")])), "number");
    watched.refused(&file(pax(&[(b"mtime", b"1e9")])), "time");
    for (kind, why) in [
        (b'S', "sparse"),
        (b'V', "type"),
        (b'M', "type"),
        (b'A', "type"),
    ] {
        watched.refused(&Archive::new().entry(&Header::new(kind, "f"), b""), why);
    }
    let mut star = Header::new(b'0', "f").bytes();
    star[508..].copy_from_slice(b"tar\0");
    let sum: u32 = star.iter().map(|byte| u32::from(*byte)).sum();
    let sum = sum
        - star[148..156]
            .iter()
            .map(|byte| u32::from(*byte))
            .sum::<u32>()
        + 256;
    star[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    watched.refused(&Archive::new().raw(&star), "star");
    let mut broken = Header::new(b'0', "f").bytes();
    broken[0] ^= 1;
    watched.refused(&Archive::new().raw(&broken), "check sum");
    let twice = Archive::new()
        .raw(&Archive::new().file("a", "").bytes())
        .file("b", "");
    watched.refused(&twice, "behind the end");
    let mut global = Header::new(b'g', "pax_global_header");
    let comment = b"52 comment=0123456789012345678901234567890123456789\n";
    global.size = comment.len() as u64;
    watched.seen(&Archive::new().entry(&global, comment).file("f", ""));
    let path = b"10 path=x\n";
    global.size = path.len() as u64;
    watched.refused(&Archive::new().entry(&global, path).file("f", ""), "global");
    for record in [
        &b"5 a\n"[..],
        b"99 a=b\n",
        b"6 a=b",
        b" a=b\n",
        b"0 a=b\n",
        b"6 =ab\n",
        b"-6 a=b\n",
    ] {
        let mut header = Header::new(b'x', "x");
        header.size = record.len() as u64;
        watched.refused(&file(Archive::new().entry(&header, record)), "malformed");
    }
    let slash = Archive::new().file("f/", "content");
    watched.refused(&slash, "named as a directory");
    watched.refused(&Archive::new().symlink("f/", "x"), "named as a directory");
    watched.refused(&Archive::new().file("", "x"), "empty");
}

/// Whatever is in an archive, this program, GNU tar and Python see the same, or this program refuses it.
#[test]
fn t70_other_readers_see_the_same_entries() {
    let watched = Watched::new();
    let mut random = fastrand::Rng::with_seed(33);
    let mut taken = 0;
    for _ in 0..150 {
        let mut archive = Archive::new();
        for number in 0..random.usize(1..4) {
            if random.u8(0..3) == 0 {
                let name = format!("p{number}");
                let records: [(&[u8], &[u8]); 4] = [
                    (b"path", name.as_bytes()),
                    (b"size", b"0"),
                    (b"mtime", b"5.5"),
                    (b"comment", b"x"),
                ];
                archive = archive.pax(&records[..random.usize(1..=4)]);
            }
            let mut header = Header::new(b"01235"[random.usize(..5)], format!("n{number}"));
            header.link = b"n0".to_vec();
            header.device = (1, 3);
            header.magic = [*b"ustar\x0000", *b"ustar  \0", [0; 8]][random.usize(..3)];
            if random.bool() && header.magic == *b"ustar\x0000" || random.u8(..20) == 0 {
                header.prefix = b"pre/fix".to_vec();
            }
            let mut content = vec![];
            if header.kind == b'0' {
                content = vec![b'c'; [0, 1, 512, 700][random.usize(..4)]];
            }
            header.size = content.len() as u64;
            if random.u8(..20) == 0 {
                header.size = 512;
            }
            archive = archive.entry(&header, &content);
        }
        let Ok(layer) = watched.unpack(&archive) else {
            continue;
        };
        taken += 1;
        let seen = watched.mounted(vec![layer]);
        let bytes = archive.bytes();
        let script = "import sys,tarfile\nfor e in tarfile.open(fileobj=sys.stdin.buffer,mode='r|'): print(e.name)";
        let python = crate::lab::filter("python3", &["-c", script], &bytes);
        let python = String::from_utf8(python).unwrap();
        let gnu = list(&bytes);
        let gnu: Vec<_> = gnu.iter().map(|name| name.trim_end_matches('/')).collect();
        assert_eq!(gnu, python.lines().collect::<Vec<_>>());
        let is_device = |node: &str| !seen.contains_key(node.as_bytes());
        let missing: Vec<_> = gnu.iter().filter(|name| is_device(name)).collect();
        assert!(
            missing.is_empty() || Marks::of_this_process().unwrap() == Marks::User,
            "{missing:?}"
        );
    }
    assert!(taken > 30, "{taken} of 150 were taken");
}

#[test]
fn t33_bombs_are_noticed_before_they_fill_anything() {
    let watched = Watched::new();
    let never = CancellationToken::new();
    let limits = Limits {
        bytes: 1 << 30,
        ..limits()
    };
    let too_large = |blob: &Blob<'_>| {
        let result = watched
            .lab
            .store
            .layer(blob, &limits, std::time::UNIX_EPOCH, &never);
        match watched.checked(result) {
            Err(UnpackError::TooLarge(told)) => told,
            other => panic!("{other:?}"),
        }
    };
    let diff_id = Digest::of(Algorithm::Sha256, b"whatever");
    let mut header = Header::new(b'0', "zeros");
    header.size = 7 << 30;
    let header = header.bytes();
    // A thousand to one; the blob is 2 MiB.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    bomb.write_all(&header).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..512 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let told = too_large(&crate::lab::blob(&bomb, Compression::Gzip, diff_id));
    assert!(told.contains("times"), "{told}");
    // Without end: frames of zeros, and no ratio that would tell in the first quarter of a gigabyte.
    let frame = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
    let bomb = [
        zstd::bulk::compress(&header, 3).unwrap(),
        frame.repeat(1000),
    ]
    .concat();
    let told = too_large(&crate::lab::blob(&bomb, Compression::Zstd, diff_id));
    assert!(told.contains("times"), "{told}");
    // Not compressed at all.
    let endless = Blob {
        digest: diff_id,
        diff_id,
        compression: Compression::Plain,
        open: Box::new(move || Ok(Box::new(Cursor::new(header).chain(std::io::repeat(0))))),
    };
    let told = too_large(&endless);
    assert!(told.contains("bytes"), "{told}");
    // A window of 16 MiB, and of 2 GiB, that the reader should keep.
    for window in [24, 31] {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window).unwrap();
        encoder.write_all(&header).unwrap();
        let frame = encoder.finish().unwrap();
        let blob = crate::lab::blob(&frame, Compression::Zstd, diff_id);
        let result = watched
            .lab
            .store
            .layer(&blob, &limits, std::time::UNIX_EPOCH, &never);
        let error = watched.checked(result).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, UnpackError::Refused(_)), "{told}");
        assert!(told.contains("decompressed"), "{told}");
    }
}

/// Each layer would be taken by itself. Which of them are there already makes no difference.
#[test]
fn an_image_of_many_layers_has_no_more_room_than_one_of_one() {
    let watched = Watched::new();
    let never = CancellationToken::new();
    let archives: Vec<_> = (0..8)
        .map(|n| {
            let archive = Archive::new().file("which", n.to_string());
            archive.file("a", vec![n; 100_000]).file("b", "").bytes()
        })
        .collect();
    let blobs = archives.iter().map(|bytes| {
        let diff_id = Digest::of(Algorithm::Sha256, bytes);
        crate::lab::blob(bytes, Compression::Plain, diff_id)
    });
    let blobs: Vec<_> = blobs.collect();
    let bytes: u64 = archives.iter().map(|bytes| bytes.len() as u64).sum();
    let entries = 3 * archives.len() as u64;
    let unpack = |bytes, entries| {
        let limits = Limits {
            bytes,
            entries,
            ..limits()
        };
        let store = &watched.lab.store;
        store.layers(&blobs, &limits, std::time::UNIX_EPOCH, &never)
    };
    let too_much = |bytes, entries| match unpack(bytes, entries) {
        Err(UnpackError::TooLarge(told)) => assert!(told.contains("limit"), "{told}"),
        other => panic!("{other:?}"),
    };
    for _is_there in [false, true] {
        too_much(bytes - 1, entries);
        too_much(bytes, entries - 1);
        assert_eq!(unpack(bytes, entries).unwrap().len(), archives.len());
    }
}

#[test]
fn nothing_is_unpacked_onto_a_disk_that_is_nearly_full() {
    let watched = Watched::new();
    let archive = Archive::new().file("a", vec![1; 100_000]).bytes();
    let unpack = |min_free| {
        let limits = Limits {
            min_free,
            ..limits()
        };
        watched
            .lab
            .unpack_bytes(&archive, Compression::Plain, &limits)
    };
    match watched.checked(unpack(u64::MAX)) {
        Err(UnpackError::NoRoom(no_room)) => {
            assert!(no_room.free < no_room.keep, "{no_room:?}");
            let told = no_room.to_string();
            assert!(told.contains("builder.minFreeBytes"), "{told}");
        }
        other => panic!("{other:?}"),
    }
    unpack(1).unwrap();
}

#[test]
fn more_entries_than_the_limit_are_refused() {
    let watched = Watched::new();
    let limits = Limits {
        entries: 1000,
        ..limits()
    };
    let unpack = |archive: &Archive| {
        let result = watched
            .lab
            .unpack_bytes(&archive.bytes(), Compression::Gzip, &limits);
        watched.checked(result)
    };
    let files = |count| {
        (0..count).fold(Archive::new(), |archive, n| {
            archive.file(format!("f{n}"), "")
        })
    };
    assert!(unpack(&files(1000)).is_ok());
    assert!(matches!(
        unpack(&files(1001)),
        Err(UnpackError::TooLarge(_))
    ));
    // Directories that no entry names are as many inodes.
    let deep = vec!["d"; 1001].join("/");
    let deep = Archive::new()
        .pax(&[(b"path", deep.as_bytes())])
        .file("x", "");
    assert!(matches!(unpack(&deep), Err(UnpackError::TooLarge(_))));
    // And their paths are longer together than all else.
    let deep = |number: usize| {
        let path = format!("{number}/{}", vec!["d"; 2040].join("/"));
        Archive::new()
            .pax(&[(b"path", path.as_bytes())])
            .file("x", "")
            .blocks()
    };
    let deep = (0..17).fold(Archive::new(), |archive, number| archive.raw(&deep(number)));
    let result = watched.lab.unpack(&deep);
    assert!(matches!(
        watched.checked(result),
        Err(UnpackError::TooLarge(_))
    ));
    let whiteouts = (0..1001).fold(Archive::new(), |archive, n| {
        archive.file(format!(".wh.{n}"), "")
    });
    assert!(matches!(unpack(&whiteouts), Err(UnpackError::TooLarge(_))));
}

#[test]
fn t70_damaged_and_cut_streams_are_refused() {
    let watched = Watched::new();
    let archive = Archive::new().file("f", vec![b'x'; 5000]).bytes();
    let diff_id = Digest::of(Algorithm::Sha256, &archive);
    let gzip = crate::lab::gzip(&archive);
    let zstd = zstd::bulk::compress(&archive, 3).unwrap();
    for (packed, compression) in [(gzip, Compression::Gzip), (zstd, Compression::Zstd)] {
        let unpack = |packed: &[u8]| {
            let result = watched
                .lab
                .unpack_packed(packed, compression, diff_id, &limits());
            watched.checked(result)
        };
        for cut in 0..packed.len() {
            assert!(
                unpack(&packed[..cut]).is_err(),
                "{compression:?} cut at {cut}"
            );
        }
        let mut damaged = packed.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0xff;
        assert!(unpack(&damaged).is_err());
        let extended = [&packed[..], b"more"].concat();
        assert!(unpack(&extended).is_err());
        assert!(unpack(&packed).is_ok());
        watched.lab.store.sweep(0).whole().unwrap();
    }
}

/// Bytes that are no archive at all, and archives with some bytes changed: no panic, no harm.
#[test]
fn t70_noise_is_refused() {
    let watched = Watched::new();
    let mut random = fastrand::Rng::with_seed(70);
    let good = Archive::new()
        .pax(&[(b"path", b"long/name"), (b"SCHILY.xattr.user.x", b"y")])
        .file("f", "content")
        .symlink("s", watched.outside("file"))
        .hard_link("h", "long/name")
        .bytes();
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        let result = watched
            .lab
            .unpack_bytes(&bytes, Compression::Plain, &limits());
        let _ = watched.checked(result);
    }
    let noise: Vec<u8> = (0..2048).map(|_| random.u8(..)).collect();
    let result = watched
        .lab
        .unpack_bytes(&noise, Compression::Plain, &limits());
    assert!(watched.checked(result).is_err());
}
