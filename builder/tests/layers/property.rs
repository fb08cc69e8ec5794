//! Whatever is done to a tree: its layer, put on the tree that it was, gives the tree that it became.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use builder::rootfs::StoredLayer;
use builder::{Compression, Marks};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat};

use crate::archive::{Archive, Header};
use crate::lab::{self, Built, Lab, exported, in_mount, options};
use crate::oracle::by_umoci;
use crate::survey::{difference, survey};

/// Something that happens to a place in the tree. What cannot be done there does nothing, as in life.
#[derive(Clone, Debug)]
enum Deed {
    Write(Place, Vec<u8>),
    Append(Place, u8),
    Truncate(Place, u16),
    /// Written again with the bytes that it has.
    Rewrite(Place),
    MakeDirectory(Place),
    Remove(Place),
    /// Removed and made again with all that was in it.
    Renew(Place),
    Link(Place, Place),
    HardLink(Place, Place),
    Rename(Place, Place),
    Mode(Place, u16),
    Owner(Place, u16, u16),
    Time(Place, i32),
    Attribute(Place, u8, Vec<u8>),
    Pipe(Place),
    Socket(Place),
}

/// A path of one to three of few names, so that deeds meet.
#[derive(Clone, Debug)]
struct Place(Vec<u8>);

const NAMES: [&[u8]; 7] = [b"a", b"b", b"c", b".w", b".whx", b"\xe9 \n", b"d"];

fn place() -> impl Strategy<Value = Place> {
    prop::collection::vec(0..NAMES.len(), 1..=3).prop_map(|names| {
        let names: Vec<_> = names.into_iter().map(|name| NAMES[name]).collect();
        Place(names.join(&b'/'))
    })
}

fn deed() -> impl Strategy<Value = Deed> {
    let content = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        4 => (place(), content()).prop_map(|(at, content)| Deed::Write(at, content)),
        1 => (place(), any::<u8>()).prop_map(|(at, byte)| Deed::Append(at, byte)),
        1 => (place(), any::<u16>()).prop_map(|(at, size)| Deed::Truncate(at, size)),
        1 => place().prop_map(Deed::Rewrite),
        4 => place().prop_map(Deed::MakeDirectory),
        4 => place().prop_map(Deed::Remove),
        2 => place().prop_map(Deed::Renew),
        2 => (place(), place()).prop_map(|(at, to)| Deed::Link(at, to)),
        2 => (place(), place()).prop_map(|(at, to)| Deed::HardLink(at, to)),
        3 => (place(), place()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => (place(), 0..0o10000_u16).prop_map(|(at, mode)| Deed::Mode(at, mode)),
        1 => (place(), any::<u16>(), any::<u16>()).prop_map(|(at, user, group)| Deed::Owner(at, user % 65_535, group % 65_535)),
        1 => (place(), any::<i32>()).prop_map(|(at, time)| Deed::Time(at, time)),
        1 => (place(), 0..3_u8, content()).prop_map(|(at, name, value)| Deed::Attribute(at, name, value)),
        1 => place().prop_map(Deed::Pipe),
        1 => place().prop_map(Deed::Socket),
    ]
}

impl Deed {
    fn act(&self, root: &Path) -> std::io::Result<()> {
        let at = |place: &Place| -> PathBuf { root.join(OsStr::from_bytes(&place.0)) };
        match self {
            Self::Write(place, content) => {
                let path = at(place);
                // Only regular files: a write to a pipe would wait for a reader.
                if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
                    return Ok(());
                }
                fs::write(path, content)
            }
            Self::Append(place, byte) => {
                let content = [regular(&at(place))?, vec![*byte]].concat();
                fs::write(at(place), content)
            }
            Self::Truncate(place, size) => {
                regular(&at(place))?;
                let file = fs::File::options().write(true).open(at(place))?;
                file.set_len(u64::from(*size))
            }
            Self::Rewrite(place) => fs::write(at(place), regular(&at(place))?),
            Self::MakeDirectory(place) => fs::create_dir_all(at(place)),
            Self::Remove(place) => match fs::remove_file(at(place)) {
                Err(_) => fs::remove_dir_all(at(place)),
                Ok(()) => Ok(()),
            },
            Self::Renew(place) => {
                let script = r#"test -d "$1" && cp -a "$1" .renewed && rm -r "$1" && mkdir "$1" && cp -a .renewed/. "$1/""#;
                let mut shell = std::process::Command::new("sh");
                shell.args(["-c", script, "sh"]).arg(at(place));
                let _ = shell
                    .current_dir(root)
                    .stderr(std::process::Stdio::null())
                    .status()?;
                match fs::remove_dir_all(root.join(".renewed")) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                }
            }
            Self::Link(place, target) => symlink(OsStr::from_bytes(&target.0), at(place)),
            Self::HardLink(place, target) => fs::hard_link(at(target), at(place)),
            Self::Rename(from, to) => fs::rename(at(from), at(to)),
            Self::Mode(place, mode) => {
                let mode = u32::from(*mode);
                // chmod(2) follows links, and those may lead anywhere.
                if fs::symlink_metadata(at(place))?.is_symlink() {
                    return Ok(());
                }
                fs::set_permissions(at(place), PermissionsExt::from_mode(mode))
            }
            Self::Owner(place, user, group) => {
                std::os::unix::fs::lchown(at(place), Some((*user).into()), Some((*group).into()))
            }
            Self::Time(place, seconds) => {
                let time = rustix::fs::Timespec {
                    tv_sec: i64::from(*seconds),
                    tv_nsec: 123_456_789,
                };
                let times = rustix::fs::Timestamps {
                    last_access: time,
                    last_modification: time,
                };
                let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                Ok(rustix::fs::utimensat(CWD, at(place), &times, flags)?)
            }
            Self::Attribute(place, name, value) => {
                let name = format!("user.{name}");
                Ok(lsetxattr(at(place), name, value, XattrFlags::empty())?)
            }
            Self::Pipe(place) => Ok(mknodat(CWD, at(place), FileType::Fifo, Mode::RUSR, 0)?),
            Self::Socket(place) => Ok(mknodat(CWD, at(place), FileType::Socket, Mode::RUSR, 0)?),
        }
    }
}

/// The bytes of a regular file.
fn regular(path: &Path) -> std::io::Result<Vec<u8>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    fs::read(path)
}

/// A base of the same names: each place is a file, a directory, a link or another name of an earlier file. Every directory
/// has an entry: what engines make of one that has none differs.
fn base() -> impl Strategy<Value = Archive> {
    let places = prop::collection::btree_map(place().prop_map(|place| place.0), 0..6_u8, 0..14);
    places.prop_map(|places| {
        let mut archive = Archive::new().directory("./");
        let mut files: Vec<Vec<u8>> = Vec::new();
        let mut made = std::collections::BTreeMap::new();
        for (path, kind) in places {
            let slashes = (0..path.len()).filter(|at| path[*at] == b'/');
            let above: Vec<_> = slashes.map(|at| path[..at].to_vec()).collect();
            if above.iter().any(|above| made.get(above) == Some(&false)) {
                continue;
            }
            for above in above {
                if made.insert(above.clone(), true).is_none() {
                    archive = archive.directory(above);
                }
            }
            let is_directory = kind < 3;
            if made.contains_key(&path) {
                continue;
            }
            made.insert(path.clone(), is_directory);
            archive = match (kind, files.first()) {
                (0..=2, _) => archive.directory_with(&path, |header: &mut Header| {
                    header.mode = [0o755, 0o2775, 0o1777][usize::from(kind)];
                    header.gid = u32::from(kind);
                }),
                (4, _) => archive.symlink(&path, "a/b"),
                (5, Some(first)) => archive.hard_link(&path, first),
                _ => {
                    files.push(path.clone());
                    let content = [&b"base "[..], &path].concat();
                    archive.file_with(&path, content, |header| header.uid = 1001)
                }
            };
        }
        archive
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_layer_on_its_base_is_the_tree_that_was_made(
        base in base(),
        deeds in prop::collection::vec(prop::collection::vec(deed(), 0..25), 1..=2),
        is_oracle_asked in prop::bool::weighted(0.3),
    ) {
        let lab = Lab::new();
        let mut built: Vec<Built> = Vec::new();
        for deeds in &deeds {
            let rootfs = lab.rootfs(stack(&lab, &base, &built), &[]).unwrap();
            let mut expected = None;
            in_mount(&rootfs, |root| {
                for deed in deeds {
                    let _ = deed.act(root);
                }
                let mut survey = survey(root);
                survey.retain(|_, node| node.kind != "socket");
                // Archives cannot say these: a record without a value takes an attribute away.
                for node in survey.values_mut() {
                    node.xattrs.retain(|_, value| !value.is_empty());
                }
                expected = Some(survey);
            });
            let expected = expected.unwrap();
            let layer = exported(&rootfs, &options()).unwrap();
            let again = exported(&rootfs, &options()).unwrap();
            prop_assert_eq!(&layer.bytes, &again.bytes);
            built.push(layer);
            let applied = lab.rootfs(stack(&lab, &base, &built), &[]).unwrap();
            let mut found = None;
            in_mount(&applied, |root| found = Some(survey(root)));
            let differs = difference(&expected, &found.unwrap());
            prop_assert_eq!(differs, [""; 0]);
            if is_oracle_asked && Marks::of_this_process().unwrap() == Marks::Trusted {
                let differs = difference(&expected, &by_umoci(lab.path(), &base, &built));
                prop_assert_eq!(differs, [""; 0], "umoci");
            }
        }
    }
}

fn stack(lab: &Lab, base: &Archive, built: &[Built]) -> Vec<StoredLayer> {
    let built = built.iter().map(|built| {
        let layer = lab.unpack_bytes(&built.bytes, Compression::Plain, &lab::limits());
        layer.unwrap()
    });
    std::iter::once(lab.unpack(base).unwrap())
        .chain(built)
        .collect()
}
