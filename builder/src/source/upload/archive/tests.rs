use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::*;
use crate::source::FaultClass;

/// An archive whose entries say exactly this, however wrong.
#[derive(Default)]
struct Made(Vec<u8>);

impl Made {
    fn entry(mut self, path: &[u8], kind: EntryType, link: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.entry(path.as_bytes(), EntryType::Regular, b"", content.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn read_with(bytes: &[u8], limits: SourceLimits) -> Result<Snapshot, Fault> {
    let never = CancellationToken::new();
    archive(
        bytes,
        IgnoreMode::Classic,
        limits,
        &std::env::temp_dir(),
        &never,
    )
}

fn class(made: Made) -> FaultClass {
    let fault = read_with(&made.end(), SourceLimits::default()).unwrap_err();
    fault.class()
}

fn listed(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(snapshot.open().unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        (path, content)
    });
    entries.collect()
}

#[test]
fn an_archive_is_brought_to_its_plain_form() {
    let made = || {
        Made::default()
            .entry(b"./", EntryType::Directory, b"", b"")
            .file("./b", "2")
            .file("./a/x", "1")
            .entry(b"./a/hard", EntryType::Link, b"./a/x", b"")
            .file("./.git/config", "x")
            .file("./b", "3")
    };
    let snapshot = read_with(&made().end(), SourceLimits::default()).unwrap();
    let expected = [("a/", ""), ("a/hard", "1"), ("a/x", "1"), ("b", "3")];
    let expected = expected.map(|(path, content)| (path.to_owned(), content.to_owned()));
    assert_eq!(listed(&snapshot), expected, "the later of two files holds");

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&made().end()).unwrap();
    let again = read_with(&gzip.finish().unwrap(), SourceLimits::default()).unwrap();
    assert_eq!(again.digest(), snapshot.digest());
    let zstd = zstd::encode_all(&*made().end(), 1).unwrap();
    let again = read_with(&zstd, SourceLimits::default()).unwrap();
    assert_eq!(again.digest(), snapshot.digest());

    let mut bytes = Vec::new();
    snapshot.open().unwrap().read_to_end(&mut bytes).unwrap();
    let once_more = read_with(&bytes, SourceLimits::default()).unwrap();
    assert_eq!(
        once_more.digest(),
        snapshot.digest(),
        "a snapshot is its own snapshot"
    );
}

#[test]
fn what_leads_elsewhere_is_refused() {
    let made = Made::default;
    let link = |path: &[u8], target: &[u8]| made().entry(path, EntryType::Symlink, target, b"");
    for (name, hostile) in [
        ("above", made().file("../x", "x")),
        ("above within", made().file("a/../../x", "x")),
        ("through a link", link(b"a", b"/etc").file("a/passwd", "x")),
        ("through a link upwards", link(b"a", b"..").file("a/x", "x")),
        ("through a file", made().file("a", "x").file("a/b", "x")),
        (
            "a link for a folder",
            made()
                .file("a/b", "x")
                .entry(b"a", EntryType::Symlink, b"/", b""),
        ),
        (
            "hard link outside",
            made().entry(b"a", EntryType::Link, b"/etc/passwd", b""),
        ),
        (
            "hard link upwards",
            made().entry(b"a", EntryType::Link, b"../x", b""),
        ),
        (
            "hard link to a link",
            link(b"l", b"/etc/passwd").entry(b"a", EntryType::Link, b"l", b""),
        ),
        (
            "hard link ahead",
            made()
                .entry(b"a", EntryType::Link, b"b", b"")
                .file("b", "x"),
        ),
        ("device", made().entry(b"a", EntryType::Block, b"", b"")),
        (
            "character device",
            made().entry(b"a", EntryType::Char, b"", b""),
        ),
        ("pipe", made().entry(b"a", EntryType::Fifo, b"", b"")),
        ("sparse", made().entry(b"a", EntryType::GNUSparse, b"", b"")),
        (
            "unknown",
            made().entry(b"a", EntryType::new(b'Z'), b"", b""),
        ),
        ("git in capitals", made().file("a/.GIT/config", "x")),
        ("a link that leads nowhere", link(b"a", b"")),
        (
            "trailing slash on a file's link",
            link(b"a/", b"/etc").file("a/b", "x"),
        ),
    ] {
        assert_eq!(class(hostile), FaultClass::SourceRefused, "{name}");
    }
}

/// As in layers: slashes in front and names that say nothing change nothing.
#[test]
fn an_absolute_name_is_one_within_the_source() {
    let made = Made::default().file("/etc/passwd", "x").file("a/.//b", "y");
    let snapshot = read_with(&made.end(), SourceLimits::default()).unwrap();
    let paths: Vec<String> = listed(&snapshot)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(paths, ["a/", "a/b", "etc/", "etc/passwd"]);
}

#[test]
fn what_is_no_archive_is_refused() {
    for bytes in [
        &b"no tar at all, but long enough to be one".repeat(20)[..],
        &[0x1f, 0x8b, 1, 2],
    ] {
        let fault = read_with(bytes, SourceLimits::default()).unwrap_err();
        assert_eq!(fault.class(), FaultClass::SourceRefused);
    }
    let mut cut = Made::default().file("a", &"x".repeat(2000)).end();
    cut.truncate(1500);
    assert!(read_with(&cut, SourceLimits::default()).is_err());
}

#[test]
fn bombs_are_too_large() {
    let limits = SourceLimits {
        entries: 100,
        bytes: 1 << 20,
        ..SourceLimits::default()
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = Made::default().entry(b"a", EntryType::Regular, b"", &vec![0; 64 << 20]);
    gzip.write_all(&zeros.end()).unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let fault = read_with(&bomb, limits).unwrap_err();
    assert_eq!(fault.class(), FaultClass::SourceTooLarge);

    let many = (0..200).fold(Made::default(), |made, i| made.file(&format!("{i}"), ""));
    let fault = read_with(&many.end(), limits).unwrap_err();
    assert_eq!(fault.class(), FaultClass::SourceTooLarge);

    let huge_name = Made::default().entry(
        b"././@LongLink",
        EntryType::GNULongName,
        b"",
        &vec![b'n'; 2 << 20],
    );
    assert!(read_with(&huge_name.file("a", "").end(), limits).is_err());
}

/// What takes long although few bytes came: nobody waits for it, and nothing is read of what was sent.
#[test]
fn who_is_stopped_reads_no_more() {
    let stop = CancellationToken::new();
    let zeros = zstd::encode_all(std::io::repeat(0).take(1 << 30), 1).unwrap();
    assert!(zeros.len() < 1 << 20);
    stop.cancel();
    let (limits, scratch) = (SourceLimits::default(), std::env::temp_dir());
    archive(&*zeros, IgnoreMode::Classic, limits, &scratch, &stop).unwrap_err();
    archive(
        &*zeros,
        IgnoreMode::Classic,
        limits,
        &scratch,
        &CancellationToken::new(),
    )
    .unwrap();
}

#[test]
fn a_size_in_pax_is_the_size_for_everyone() {
    // RUSTSEC-2026-0068: a reader that believes the ustar size would find another entry inside the content.
    let inner = Made::default().file("evil", "x").0;
    let record = format!(" size={}\n", inner.len());
    let length = record.len() + 2;
    let made = Made::default().entry(
        b"pax",
        EntryType::XHeader,
        b"",
        format!("{length}{record}").as_bytes(),
    );
    let mut bytes = made.0;
    let mut header = Header::new_gnu();
    header.set_path("outer").unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&inner);
    bytes.extend_from_slice(&[0; 1024]);
    let snapshot = read_with(&bytes, SourceLimits::default()).unwrap();
    let mut archive = tar::Archive::new(snapshot.open().unwrap());
    let paths: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(paths, ["outer"]);
}
