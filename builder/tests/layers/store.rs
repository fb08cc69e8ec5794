//! The store: each layer unpacked once, none half, none lost, whoever is killed.

use std::fs;
use std::io::{self, BufRead as _, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use builder::rootfs::{Blob, LayerStore, Rootfs, UnpackError};
use builder::{Compression, IdMap, Marks};
use oci::{Algorithm, Digest};
use tokio_util::sync::CancellationToken;

use crate::archive::Archive;
use crate::lab::{Lab, blob, exported, in_mount, limits, options, path};
use crate::survey::survey;

fn numbered(number: usize) -> Archive {
    Archive::new()
        .directory("d/")
        .file(format!("d/{number}"), vec![b'x'; 100_000])
        .file("last", number.to_string())
}

fn blobs(archives: &[Archive]) -> Vec<Blob<'static>> {
    let blob = |archive: &Archive| {
        let bytes = archive.bytes();
        let diff_id = Digest::of(Algorithm::Sha256, &bytes);
        let bytes: &'static [u8] = bytes.leak();
        blob(bytes, Compression::Plain, diff_id)
    };
    archives.iter().map(blob).collect()
}

/// How many files and folders a folder of the store has.
fn count(store: &Path, folder: &str) -> usize {
    let marks = Marks::of_this_process().unwrap().as_str();
    fs::read_dir(store.join(marks).join(folder))
        .unwrap()
        .count()
}

/// Counts who reads from the beginning.
struct Told(io::Cursor<Vec<u8>>, Arc<AtomicUsize>);

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.position() == 0 {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
        self.0.read(buffer)
    }
}

#[test]
fn a_layer_is_unpacked_once_whoever_asks() {
    let lab = Lab::new();
    let bytes = numbered(1).bytes();
    let read = Arc::new(AtomicUsize::new(0));
    let blob = Blob {
        digest: Digest::of(Algorithm::Sha256, &bytes),
        diff_id: Digest::of(Algorithm::Sha256, &bytes),
        compression: Compression::Plain,
        open: Box::new(|| {
            let cursor = io::Cursor::new(bytes.clone());
            Ok(Box::new(Told(cursor, Arc::clone(&read))))
        }),
    };
    let never = CancellationToken::new();
    // Another process would open the store by itself.
    let other = LayerStore::open(&lab.path().join("store"), IdMap::identity()).unwrap();
    std::thread::scope(|scope| {
        for store in [&lab.store, &other, &lab.store, &other, &lab.store] {
            let (blob, never) = (&blob, &never);
            scope.spawn(move || store.layer(blob, &limits(), UNIX_EPOCH, never).unwrap());
        }
    });
    assert_eq!(read.load(Ordering::SeqCst), 1);
}

#[test]
fn a_layer_that_is_there_is_only_for_who_may_read_its_blob() {
    let lab = Lab::new();
    let secret = numbered(1).bytes();
    let diff_id = Digest::of(Algorithm::Sha256, &secret);
    let never = CancellationToken::new();
    let take = |blob: &Blob<'_>| lab.store.layer(blob, &limits(), UNIX_EPOCH, &never);
    take(&blob(&secret, Compression::Plain, diff_id)).unwrap();

    // A configuration that names it beside a blob of one's own: that one is unpacked, and is another.
    let own = numbered(2).bytes();
    let error = take(&blob(&own, Compression::Plain, diff_id)).unwrap_err();
    assert!(matches!(error, UnpackError::WrongContent { .. }), "{error}");

    // A manifest that names its blob too, which its author may not read.
    let mut foreign = blob(&secret, Compression::Plain, diff_id);
    foreign.open = Box::new(|| Err(io::ErrorKind::PermissionDenied.into()));
    let error = take(&foreign).unwrap_err();
    assert!(matches!(error, UnpackError::Source(_)), "{error}");

    take(&blob(&secret, Compression::Plain, diff_id)).unwrap();
}

#[test]
fn layers_come_in_their_order_and_an_error_is_the_first_reason() {
    let lab = Lab::new();
    let archives: Vec<_> = (0..12).map(numbered).collect();
    let never = CancellationToken::new();
    let layers = lab
        .store
        .layers(&blobs(&archives), &limits(), UNIX_EPOCH, &never)
        .unwrap();
    let expected: Vec<_> = archives
        .iter()
        .map(|archive| Digest::of(Algorithm::Sha256, &archive.bytes()))
        .collect();
    let found: Vec<_> = layers.iter().map(|layer| *layer.diff_id()).collect();
    assert_eq!(found, expected);
    let rootfs = lab.rootfs(layers, &[]).unwrap();
    in_mount(&rootfs, |root| {
        assert_eq!(fs::read_to_string(root.join("last")).unwrap(), "11");
        assert_eq!(fs::read_dir(root.join("d")).unwrap().count(), 12);
    });
    let mut blobs = blobs(&(20..40).map(numbered).collect::<Vec<_>>());
    blobs[13].open = Box::new(|| Err(io::ErrorKind::ConnectionReset.into()));
    let error = lab
        .store
        .layers(&blobs, &limits(), UNIX_EPOCH, &never)
        .unwrap_err();
    assert!(matches!(error, UnpackError::Source(_)), "{error}");
    assert!(!never.is_cancelled());
}

#[test]
fn what_is_cancelled_ends_and_leaves_nothing() {
    /// A source that never ends, and is cancelled meanwhile.
    struct Endless(CancellationToken, u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += buffer.len() as u64;
            if self.1 > 4 << 20 {
                self.0.cancel();
            }
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    let lab = Lab::new();
    let token = CancellationToken::new();
    let source = token.clone();
    let mut header = crate::archive::Header::new(b'0', "endless");
    header.size = 1 << 32;
    let header = header.bytes();
    let endless = Blob {
        digest: Digest::of(Algorithm::Sha256, b"blob"),
        diff_id: Digest::of(Algorithm::Sha256, b""),
        compression: Compression::Plain,
        open: Box::new(move || {
            let zeros = Endless(source.clone(), 0);
            Ok(Box::new(io::Cursor::new(header).chain(zeros)))
        }),
    };
    let error = lab
        .store
        .layer(&endless, &limits(), UNIX_EPOCH, &token)
        .unwrap_err();
    assert!(matches!(error, UnpackError::Cancelled), "{error}");
    for folder in ["incoming", "layers", "trash"] {
        assert_eq!(count(&lab.path().join("store"), folder), 0, "{folder}");
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing() {
    let lab = Lab::new();
    let small = lab.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = rustix::mount::mount(
        "tmpfs",
        &small,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        Some(c"size=4m"),
    );
    mounted.unwrap();
    let store = LayerStore::open(&small, IdMap::identity()).unwrap();
    let never = CancellationToken::new();
    let take = |archive: &Archive| {
        let blobs = blobs(std::slice::from_ref(archive));
        store.layer(&blobs[0], &limits(), UNIX_EPOCH, &never)
    };
    let error = take(&Archive::new().file("large", vec![b'x'; 8 << 20])).unwrap_err();
    let UnpackError::Disk { path, source } = &error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(path, "/large of the layer");
    for folder in ["incoming", "layers", "trash"] {
        assert_eq!(count(&small, folder), 0, "{folder}");
    }
    // What another test starts has our files open until it has become its program.
    let mut again = take(&numbered(1)).map(drop);
    for _ in 0..6_000 {
        let Err(UnpackError::Disk { .. }) = again else {
            break;
        };
        std::thread::sleep(Duration::from_millis(10));
        again = take(&numbered(1)).map(drop);
    }
    assert!(again.is_ok(), "there is room again: {again:?}");
    drop(store);
    rustix::mount::unmount(&small, rustix::mount::UnmountFlags::DETACH).unwrap();
}

#[test]
fn the_longest_unused_layers_are_swept_and_used_ones_are_not() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    let archives: Vec<_> = (0..5).map(numbered).collect();
    let size = archives[0].bytes().len() as u64;
    let blobs = blobs(&archives);
    let use_at = |index: usize, second: u64| {
        let now = UNIX_EPOCH + Duration::from_secs(second);
        lab.store
            .layer(&blobs[index], &limits(), now, &never)
            .unwrap()
    };
    let held = use_at(0, 1);
    let folders = [0, 1, 2, 3, 4].map(|index| use_at(index, 1).path().to_owned());
    for (index, second) in [(1, 50), (2, 20), (3, 40), (4, 30), (2, 60)] {
        drop(use_at(index, second));
    }
    let swept = lab.store.sweep(3 * size).whole().unwrap();
    assert_eq!(
        (swept.layers, swept.bytes, swept.kept),
        (2, 2 * size, 3 * size)
    );
    assert_eq!(
        folders.map(|folder| folder.exists()),
        [true, true, true, false, false]
    );
    drop(held);
    let lie = Archive::new().file("../x", "");
    lab.unpack(&lie).unwrap_err();
    // What cannot be removed keeps nothing else from going.
    let store = lab.path().join("store");
    let marks = Marks::of_this_process().unwrap().as_str();
    let stuck = ["incoming/stuck", "locks/stuck"].map(|path| store.join(marks).join(path));
    for path in &stuck {
        fs::create_dir(path).unwrap();
    }
    let swept = lab.store.sweep(0);
    swept.failed.unwrap_err();
    assert_eq!(swept.kept.layers, 3);
    for path in &stuck {
        fs::remove_dir(path).unwrap();
    }
    assert_eq!(count(&lab.path().join("store"), "locks"), 0);
    drop(use_at(0, 70));
}

#[test]
fn a_layer_that_a_crash_of_the_machine_may_have_damaged_is_unpacked_again() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    let blobs = blobs(&[numbered(1)]);
    let take = || {
        lab.store
            .layer(&blobs[0], &limits(), UNIX_EPOCH, &never)
            .unwrap()
    };
    let folder = take().path().parent().unwrap().to_owned();
    let damage = || fs::write(folder.join("tree/d/1"), "").unwrap();
    let is_damaged = || fs::metadata(folder.join("tree/d/1")).unwrap().len() == 0;
    damage();
    drop(take());
    assert!(is_damaged(), "within one boot it is not looked at again");
    // What a crash leaves of the mark's own content.
    for of_another_boot in ["", "25bee3b2-0f0a-4ac0-8d1c-000000000000\n"] {
        fs::write(folder.join("unsynced"), of_another_boot).unwrap();
        damage();
        drop(take());
        assert!(!is_damaged());
    }
    assert!(folder.join("unsynced").exists());
    lab.store.settle().unwrap();
    assert!(!folder.join("unsynced").exists());
    damage();
    drop(take());
    assert!(is_damaged(), "synced, it is trusted");
}

/// Names have reached the disk, and the content of files has not, or not the files either.
#[test]
fn what_a_loss_of_power_leaves_of_a_layer_is_in_nobodys_way() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    let blobs = blobs(&[numbered(1)]);
    let take = || {
        let layer = lab.store.layer(&blobs[0], &limits(), UNIX_EPOCH, &never);
        layer.unwrap().path().parent().unwrap().to_owned()
    };
    let folder = take();
    let cut = |name: &str| fs::write(folder.join(name), "").unwrap();
    let both = || ["record", "unsynced"].into_iter().for_each(cut);
    let record = || cut("record");
    let no_record = || fs::remove_file(folder.join("record")).unwrap();
    let damages: [&dyn Fn(); 3] = [&both, &record, &no_record];
    for damage in damages {
        damage();
        let store = LayerStore::open(&lab.path().join("store"), IdMap::identity()).unwrap();
        let swept = store.sweep(u64::MAX).whole().unwrap();
        assert_eq!((swept.leftovers, swept.kept), (1, 0));
        for folder in ["layers", "locks", "trash"] {
            assert_eq!(count(&lab.path().join("store"), folder), 0, "{folder}");
        }
        take();
        // Wanted before it is swept.
        damage();
        take();
        assert!(fs::metadata(folder.join("record")).unwrap().len() > 0);
        assert_eq!(store.sweep(u64::MAX).whole().unwrap().leftovers, 0);
    }
}

#[test]
fn an_image_may_have_a_layer_twice() {
    let lab = Lab::new();
    let twice = Archive::new().file("f", "twice").file(".wh.gone", "");
    let between = Archive::new()
        .file("f", "between")
        .file("gone", "")
        .file("g", "");
    let layers = [&twice, &between, &twice].map(|archive| lab.unpack(archive).unwrap());
    let rootfs = lab.rootfs(layers.into(), &[]).unwrap();
    in_mount(&rootfs, |root| {
        assert_eq!(fs::read_to_string(root.join("f")).unwrap(), "twice");
        assert_eq!(fs::read_dir(root).unwrap().count(), 2);
    });
}

#[test]
fn a_build_has_a_name_of_its_own_and_mounts_again() {
    let lab = Lab::new();
    let rootfs = Rootfs::prepare(&lab.store, "build-1", vec![], &[]).unwrap();
    let taken = Rootfs::prepare(&lab.store, "build-1", vec![], &[]).unwrap_err();
    assert!(matches!(taken, UnpackError::Disk { .. }), "{taken}");
    for name in ["", "..", "a/b", "a.lock", "a\n", &"n".repeat(201)] {
        let refused = Rootfs::prepare(&lab.store, name, vec![], &[]).unwrap_err();
        assert!(matches!(refused, UnpackError::Refused(_)), "{refused}");
    }
    in_mount(&rootfs, |root| fs::write(root.join("one"), "1").unwrap());
    in_mount(&rootfs, |root| {
        assert!(root.join("one").exists());
        fs::write(root.join("two"), "2").unwrap();
    });
    assert_eq!(
        lab.store.sweep(0).whole().unwrap().leftovers,
        0,
        "it is in use"
    );
    assert_eq!(exported(&rootfs, &options()).unwrap().layer.entries, 3);
    let at = rootfs.mountpoint();
    rootfs.remove().unwrap();
    assert!(!at.exists());
    Rootfs::prepare(&lab.store, "build-1", vec![], &[]).unwrap();
}

/// The kernel does not answer for `..` while anything is renamed, by whomever.
#[test]
fn what_an_image_has_is_found_while_others_rename() {
    let lab = Lab::new();
    let image = Archive::new()
        .file("share/s2i/assemble", "found")
        .symlink("bin/assemble", "../share/../share/s2i/assemble");
    let rootfs = lab.rootfs(vec![lab.unpack(&image).unwrap()], &[]).unwrap();
    let mount = rootfs.mount().unwrap();
    let is_done = CancellationToken::new();
    let rename = |number: usize| {
        let [one, two] = ["one", "two"].map(|name| lab.path().join(format!("{name}{number}")));
        fs::create_dir(&one).unwrap();
        while !is_done.is_cancelled() {
            fs::rename(&one, &two).unwrap();
            fs::rename(&two, &one).unwrap();
        }
    };
    let link = path("bin/assemble");
    std::thread::scope(|scope| {
        for number in 0..2 {
            let rename = &rename;
            scope.spawn(move || rename(number));
        }
        let _done = is_done.clone().drop_guard();
        for _ in 0..20_000 {
            assert!(mount.has(&link).unwrap());
            assert_eq!(mount.read(&link, 100).unwrap(), b"found");
        }
    });
}

const VICTIM: &str = "SLIPWAY_TEST_VICTIM";

/// Not a test of its own: what the next kills.
#[test]
#[ignore = "started by a_killed_process_leaves_no_half_layer_mount_or_folder"]
fn victim() {
    let folder = PathBuf::from(std::env::var_os(VICTIM).unwrap());
    let store = LayerStore::open(&folder, IdMap::identity()).unwrap();
    let never = CancellationToken::new();
    println!("{VICTIM} works");
    for round in 0.. {
        let blobs = blobs(&[victims_layer()]);
        let layers = store.layers(&blobs, &limits(), UNIX_EPOCH, &never).unwrap();
        let rootfs = Rootfs::prepare(&store, &format!("run-{round}"), layers, &[]).unwrap();
        in_mount(&rootfs, |root| {
            fs::write(root.join("new"), vec![1; 1 << 20]).unwrap();
            exported(&rootfs, &options()).unwrap();
        });
        rootfs.remove().unwrap();
        store.sweep(0).whole().unwrap();
    }
}

fn victims_layer() -> Archive {
    (0..60).fold(Archive::new(), |archive, number| {
        archive.file(format!("d{}/f{number}", number % 7), "content")
    })
}

#[test]
fn a_killed_process_leaves_no_half_layer_mount_or_folder() {
    let lab = Lab::new();
    let never = CancellationToken::new();
    let mut random = fastrand::Rng::with_seed(100);
    let folder = lab.path().join("killed");
    let store = LayerStore::open(&folder, IdMap::identity()).unwrap();
    let (mut halves, mut mounts, mut leftovers) = (0, 0, 0);
    for round in 0..1_000 {
        // Where the disk is slow, pauses must be longer for a kill to meet all of it.
        if round >= 100 && halves > 0 && mounts > 0 && leftovers > 0 {
            break;
        }
        let longest = 150 * (1 + round / 100);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::victim", "--ignored", "--nocapture"])
            .env(VICTIM, &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told = io::BufReader::new(child.stdout.take().unwrap());
        let is_up = told
            .lines()
            .any(|line| line.is_ok_and(|line| line.contains(VICTIM)));
        assert!(is_up);
        std::thread::sleep(Duration::from_millis(random.u64(0..longest)));
        assert!(
            child.try_wait().unwrap().is_none(),
            "it works until it is killed"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let below = |table: &str| table.matches(folder.to_str().unwrap()).count();
        mounts += below(&table);
        halves += count(&folder, "incoming");
        // What is there counts as whole, so it must be.
        let blobs = blobs(&[victims_layer()]);
        let layers = store.layers(&blobs, &limits(), UNIX_EPOCH, &never).unwrap();
        let rootfs = Rootfs::prepare(&store, "look", layers, &[]).unwrap();
        in_mount(&rootfs, |root| assert_eq!(survey(root).len(), 1 + 7 + 60));
        rootfs.remove().unwrap();
        // Nothing stays that would have to be synced a hundred times.
        leftovers += store.sweep(0).whole().unwrap().leftovers;
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert_eq!(below(&table), 0);
        for name in ["runs", "incoming", "trash"] {
            assert_eq!(count(&folder, name), 0, "{name}");
        }
    }
    assert!(
        halves > 0 && mounts > 0 && leftovers > 0,
        "the kills met something: {halves}, {mounts}, {leftovers}"
    );
}

/// Two that need a new layer: one unpacks it, and the other has it as soon as it is there, not when the first is done with it.
#[test]
fn a_new_layer_is_shared_at_once() {
    let lab = Lab::new();
    for number in 0..20 {
        let archive = Archive::new().file(format!("file-{number}"), "x");
        let both = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    both.wait();
                    let _held = lab.unpack(&archive).unwrap();
                    both.wait();
                });
            }
        });
    }
}
