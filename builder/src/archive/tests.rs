use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::{Device, Entry, Kind, Mtime, Reader, Writer};
use crate::tree::TreePath;

fn path() -> impl Strategy<Value = TreePath> {
    let name = prop_oneof!["[a-z.]{1,8}", "[a-zé ]{60,90}",];
    let text = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    text.prop_filter_map("a path", |text| {
        let path = TreePath::parse(text.as_bytes()).ok()?;
        (!path.is_root()).then_some(path)
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    let device = (0..4096_u32, 0..1_048_576_u32);
    let device = device.prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        (0..2000_u64).prop_map(Kind::File),
        Just(Kind::Directory),
        prop::collection::vec(1..=255_u8, 1..300).prop_map(Kind::Symlink),
        path().prop_map(Kind::HardLink),
        device.clone().prop_map(Kind::CharDevice),
        device.prop_map(Kind::BlockDevice),
        Just(Kind::Fifo),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let xattr = ("[a-z.]{1,20}", prop::collection::vec(any::<u8>(), 1..50));
    let xattrs = prop::collection::vec(xattr, 0..3);
    let ids = (0..u32::MAX, 0..u32::MAX);
    (
        path(),
        kind(),
        0..0o10000_u32,
        ids,
        0..i64::from(u32::MAX),
        xattrs,
    )
        .prop_map(|(path, kind, mode, (uid, gid), seconds, xattrs)| Entry {
            path,
            kind,
            mode,
            uid,
            gid,
            mtime: Mtime {
                seconds,
                nanoseconds: 0,
            },
            xattrs: xattrs
                .into_iter()
                .map(|(name, value)| (format!("user.{name}").into_bytes(), value))
                .collect(),
        })
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    for entry in entries {
        writer.header(entry).unwrap();
        if let Kind::File(size) = entry.kind {
            let content = vec![b'c'; usize::try_from(size).unwrap()];
            writer.content(&content).unwrap();
            writer.pad(size).unwrap();
        }
    }
    let (_, count) = writer.finish().unwrap();
    assert_eq!(count, entries.len() as u64);
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in prop::collection::vec(entry(), 0..6), skipped in any::<bool>()) {
        let bytes = written(&entries);
        let mut reader = Reader::new(&bytes[..]);
        for entry in &entries {
            let read = reader.next().unwrap();
            prop_assert_eq!(read.as_ref(), Some(entry));
            if let Kind::File(size) = entry.kind && !skipped {
                let mut content = Vec::new();
                reader.read_to_end(&mut content).unwrap();
                prop_assert_eq!(content.len() as u64, size);
            }
        }
        prop_assert!(reader.next().unwrap().is_none());
        prop_assert!(reader.into_inner().is_empty(), "all was read, to be hashed");
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..3000), seed in 0..600_usize) {
        // Mostly sound headers, or nothing behind the first check is reached.
        if bytes.len() >= 512 {
            let mut sum = 256;
            bytes[257..265].copy_from_slice(b"ustar\x0000");
            bytes[156] = b"0125xLKg"[seed % 8];
            bytes[124..136].copy_from_slice(b"00000000100\0");
            for (at, byte) in bytes[..512].iter().enumerate() {
                if !(148..156).contains(&at) {
                    sum += u32::from(*byte);
                }
            }
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let mut reader = Reader::new(&bytes[..]);
        while let Ok(Some(_)) = reader.next() {}
    }
}

/// GNU tar and Python read what is written, byte for byte.
#[test]
fn others_read_what_is_written() {
    let long = "n".repeat(200);
    let name = format!("{long}/größe");
    let entries = [
        Entry {
            path: TreePath::parse(name.as_bytes()).unwrap(),
            kind: Kind::File(3),
            mode: 0o4711,
            uid: 4_294_967_294,
            gid: 2_097_152,
            mtime: Mtime {
                seconds: 1_600_000_000,
                nanoseconds: 0,
            },
            xattrs: BTreeMap::from([(b"user.x".to_vec(), b"a=b\n\0".to_vec())]),
        },
        Entry {
            path: TreePath::parse(b"link").unwrap(),
            kind: Kind::Symlink(long.clone().into_bytes()),
            mode: 0o777,
            uid: 0,
            gid: 0,
            mtime: Mtime::default(),
            xattrs: BTreeMap::new(),
        },
    ];
    let bytes = written(&entries);
    let ask = |program: &str, arguments: &[&str]| {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let gnu = ask(
        "tar",
        &[
            "-tv",
            "--numeric-owner",
            "--utc",
            "--full-time",
            "--quoting-style=literal",
        ],
    );
    assert_eq!(
        gnu,
        format!(
            "-rws--x--x 4294967294/2097152 3 2020-09-13 12:26:40 {name}\n\
             lrwxrwxrwx 0/0                0 1970-01-01 00:00:00 link -> {long}\n"
        )
    );
    let script = "import sys,tarfile\n\
        for e in tarfile.open(fileobj=sys.stdin.buffer,mode='r|'):\n \
        print(e.name,e.uid,e.gid,e.size,e.linkname,repr(e.pax_headers.get('SCHILY.xattr.user.x')))";
    let python = ask("python3", &["-c", script]);
    assert_eq!(
        python,
        format!("{name} 4294967294 2097152 3  'a=b\\n\\x00'\nlink 0 0 0 {long} None\n")
    );
}

/// The bytes themselves: another release of a library, or a careless change here, must not change every digest unnoticed.
#[test]
fn the_bytes_are_these() {
    let entry = Entry {
        path: TreePath::parse(b"etc/motd").unwrap(),
        kind: Kind::File(3),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Mtime {
            seconds: 1_600_000_000,
            nanoseconds: 0,
        },
        xattrs: BTreeMap::new(),
    };
    let digest = oci::Digest::of(oci::Algorithm::Sha256, &written(&[entry]));
    assert_eq!(
        digest.to_string(),
        "sha256:97c69a25692d81513563bd0e253d14a00c7d61072ce18d028f3896fdfe950ed6"
    );
}
