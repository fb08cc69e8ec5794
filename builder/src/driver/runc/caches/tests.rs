use std::fs;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::{Begin, Cache, Caches, name_of};

const MOST: u64 = 1 << 30;

fn take(caches: &Caches, id: &str, from: Option<&str>) -> Cache {
    begin(caches, id, as_copy_of(from))
}

fn begin(caches: &Caches, id: &str, begin: Begin<'_>) -> Cache {
    let never = CancellationToken::new();
    let taken = caches.take("shop", id, begin, || (), &never);
    taken.unwrap().unwrap()
}

fn as_copy_of(from: Option<&str>) -> Begin<'_> {
    from.map_or(Begin::AsLeft, |from| Begin::AsCopyOf(from, MOST))
}

fn write(caches: &Caches, id: &str, bytes: usize) {
    let cache = take(caches, id, None);
    fs::write(cache.files().join("file"), vec![b'x'; bytes]).unwrap();
    cache.settle().unwrap();
}

fn is_there(caches: &Caches, id: &str) -> bool {
    caches
        .root
        .join("entries")
        .join(name_of("shop", id))
        .exists()
}

#[test]
fn what_a_killed_run_with_secrets_left_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    write(&caches, "pip", 10);
    let names = |cache: &Cache| fs::read_dir(cache.files()).unwrap().count();
    let used = take(&caches, "pip", None);
    used.mark_unsearched().unwrap();
    drop(used);
    // Nor is it copied.
    let copy = take(&caches, "pip-branch", Some("pip"));
    assert_eq!(names(&copy), 0);
    let again = take(&caches, "pip", None);
    assert_eq!(names(&again), 0);
    fs::write(again.files().join("file"), b"x").unwrap();
    again.mark_unsearched().unwrap();
    again.settle().unwrap();
    let again = take(&caches, "pip", None);
    assert_eq!(names(&again), 1, "it was searched");
    caches.empty(again).unwrap();
    assert_eq!(names(&take(&caches, "pip", None)), 0);
}

#[test]
fn a_cache_is_there_again_for_its_namespace_alone() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    write(&caches, "pip", 10);
    let again = take(&caches, "pip", None);
    assert_eq!(fs::read(again.files().join("file")).unwrap(), [b'x'; 10]);
    let never = CancellationToken::new();
    let other = caches
        .take("other", "pip", Begin::AsLeft, || (), &never)
        .unwrap()
        .unwrap();
    assert_eq!(fs::read_dir(other.files()).unwrap().count(), 0);
}

#[test]
fn a_cache_begins_empty_for_who_wants_it_so_and_keeps_what_comes_then() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    write(&caches, "main", 10);
    write(&caches, "pip", 10);
    for id in ["pip", "new"] {
        let empty = begin(&caches, id, Begin::Empty);
        assert_eq!(fs::read_dir(empty.files()).unwrap().count(), 0, "{id}");
        fs::write(empty.files().join("next"), "x").unwrap();
        empty.settle().unwrap();
        let next = take(&caches, id, Some("main"));
        let names = fs::read_dir(next.files())
            .unwrap()
            .map(|e| e.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["next"], "{id}");
    }
    assert_eq!(
        fs::read_dir(folder.path().join("trash")).unwrap().count(),
        0
    );
    // Killed while it was emptied.
    let entry = caches.root.join("entries").join(name_of("shop", "pip"));
    fs::remove_dir_all(entry.join("files")).unwrap();
    let again = take(&caches, "pip", None);
    assert_eq!(fs::read_dir(again.files()).unwrap().count(), 0);
}

/// Also whoever empties it: it would be emptied under who has it.
#[test]
fn who_wants_a_cache_waits_for_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    for (begin, left) in [(Begin::AsLeft, 1), (Begin::Empty, 0)] {
        let used = take(&caches, "pip", None);
        let file = used.files().join("file");
        fs::write(&file, "x").unwrap();
        let never = CancellationToken::new();
        std::thread::scope(|scope| {
            let (says, said) = std::sync::mpsc::channel();
            let waits = move || says.send(()).unwrap();
            let wait = || caches.take("shop", "pip", begin, waits, &never);
            let waiting = scope.spawn(wait);
            said.recv().unwrap();
            assert!(file.exists());
            drop(used);
            let next = waiting.join().unwrap().unwrap().unwrap();
            assert_eq!(fs::read_dir(next.files()).unwrap().count(), left);
        });
    }
    let _held = take(&caches, "pip", None);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let waited = caches.take("shop", "pip", Begin::AsLeft, || (), &cancel);
    assert!(waited.unwrap().is_none());
}

#[test]
fn a_new_branch_begins_with_the_default_branchs() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    let main = take(&caches, "main", None);
    fs::create_dir_all(main.files().join("deep/er")).unwrap();
    fs::write(main.files().join("deep/er/file"), "of main").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", main.files().join("link")).unwrap();
    main.settle().unwrap();
    let branch = take(&caches, "branch", Some("main"));
    assert_eq!(
        fs::read_to_string(branch.files().join("deep/er/file")).unwrap(),
        "of main"
    );
    let link = fs::read_link(branch.files().join("link")).unwrap();
    assert_eq!(
        link.to_str(),
        Some("/etc/passwd"),
        "a link is copied, not followed"
    );
    fs::write(branch.files().join("deep/er/file"), "of branch").unwrap();
    drop(branch);
    let main = take(&caches, "main", None);
    assert_eq!(
        fs::read_to_string(main.files().join("deep/er/file")).unwrap(),
        "of main"
    );
    // In use, gone or its own: an empty one.
    for from in ["main", "nowhere", "three"] {
        let empty = take(&caches, "three", Some(from));
        assert_eq!(fs::read_dir(empty.files()).unwrap().count(), 0, "{from}");
    }
}

#[test]
fn the_longest_unused_go_first_and_none_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 250_000).unwrap();
    for (id, ago) in [("used", 50), ("old", 40), ("older", 45), ("new", 10)] {
        write(&caches, id, 100_000);
        let lock = caches.root.join("locks").join(name_of("shop", id));
        let lock = fs::File::options().write(true).open(lock).unwrap();
        lock.set_modified(SystemTime::now() - Duration::from_secs(ago))
            .unwrap();
    }
    let lock = caches.root.join("locks").join(name_of("shop", "used"));
    let held = crate::rootfs::Lock::try_take(&lock, crate::rootfs::Mode::Shared).unwrap();
    caches.prune().whole().unwrap();
    let there = ["used", "old", "older", "new"].map(|id| is_there(&caches, id));
    assert_eq!(there, [true, false, false, true]);
    drop(held);
    assert_eq!(fs::read_dir(caches.root.join("trash")).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_removed_keeps_nothing_else_from_going() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 250_000).unwrap();
    write(&caches, "pip", 100_000);
    fs::create_dir_all(caches.root.join("incoming/stuck")).unwrap();
    fs::create_dir_all(caches.root.join("entries/stuck")).unwrap();
    fs::create_dir(caches.root.join("locks/stuck")).unwrap();
    fs::create_dir(caches.root.join("trash/1.2")).unwrap();
    let pruned = caches.prune_to(0);
    pruned.failed.unwrap_err();
    assert_eq!(pruned.kept, 0);
    assert!(!is_there(&caches, "pip"));
    assert!(!caches.root.join("trash/1.2").exists());
}

/// A process that was killed while it made one, used one, and removed one.
#[test]
fn what_a_killed_process_left_is_removed_or_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 150_000).unwrap();
    write(&caches, "pip", 10);
    let entry = caches.root.join("entries").join(name_of("shop", "pip"));
    fs::remove_file(entry.join("record")).unwrap();
    fs::write(entry.join("files/half"), vec![b'x'; 100_000]).unwrap();
    for part in ["incoming/abc/files", "trash/1.2/files"] {
        fs::create_dir_all(caches.root.join(part)).unwrap();
    }
    let caches = Caches::open(folder.path(), 150_000).unwrap();
    for part in ["incoming", "trash"] {
        assert_eq!(
            fs::read_dir(caches.root.join(part)).unwrap().count(),
            0,
            "{part}"
        );
    }
    assert!(is_there(&caches, "pip"));
    let caches = Caches::open(folder.path(), 50_000).unwrap();
    assert!(
        !is_there(&caches, "pip"),
        "its bytes are counted although nobody noted them"
    );
}

/// What a loss of power leaves: names without content, and of the mark nothing or another boot's.
#[test]
fn what_a_loss_of_power_may_have_damaged_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let mut caches = Caches::open(folder.path(), 1 << 30).unwrap();
    let entry = folder.path().join("entries").join(name_of("shop", "main"));
    let restart = |mark: &str| fs::write(entry.join("unsynced"), mark).unwrap();
    let names = |cache: Cache| fs::read_dir(cache.files()).unwrap().count();
    for of_another_boot in ["", "25bee3b2-0f0a-4ac0-8d1c-000000000000\n"] {
        write(&caches, "main", 10);
        let branch = take(&caches, "branch", Some("main"));
        assert_eq!(names(branch), 1, "within one boot it is whole");
        restart(of_another_boot);
        let other = format!("other{}", of_another_boot.len());
        assert_eq!(names(take(&caches, &other, Some("main"))), 0);
        assert_eq!(names(take(&caches, "main", None)), 0);
        // A new one begins as what is whole.
        write(&caches, "main", 10);
        restart(of_another_boot);
        let copy = take(&caches, "main", Some("branch"));
        assert_eq!(names(copy), 1);
        // Where nobody wants it, too.
        write(&caches, "main", 10);
        restart(of_another_boot);
        caches = Caches::open(folder.path(), 1 << 30).unwrap();
        assert!(!is_there(&caches, "main"));
        assert!(is_there(&caches, "branch"));
    }
}

#[test]
fn what_was_synced_after_its_last_use_outlives_a_loss_of_power() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    let mark = |id: &str| {
        let entry = folder.path().join("entries").join(name_of("shop", id));
        entry.join("unsynced").exists()
    };
    for id in ["unused", "used", "again"] {
        write(&caches, id, 10);
        assert!(mark(id), "{id}");
    }
    let used = take(&caches, "used", None);
    caches.settle().unwrap();
    assert_eq!(["unused", "used", "again"].map(mark), [false, true, false]);
    let again = take(&caches, "again", None);
    assert!(mark("again"), "before anything changes in it");
    for cache in [used, again] {
        cache.settle().unwrap();
    }
    caches.settle().unwrap();
    assert!(!mark("used") && !mark("again"));
    let left = take(&caches, "unused", None).files();
    assert_eq!(fs::read(left.join("file")).unwrap(), [b'x'; 10]);
}

#[test]
fn what_cannot_be_measured_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    let cache = take(&caches, "deep", None);
    let mut at = crate::tree::Tree::open(&cache.files()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(at.fd(), "d", rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY;
        let inner = rustix::fs::openat(at.fd(), "d", flags, rustix::fs::Mode::empty());
        at = crate::tree::Tree::of(inner.unwrap());
    }
    caches.prune().whole().unwrap();
    assert!(is_there(&caches, "deep"), "it is in use");
    assert!(cache.settle().is_err());
    caches.prune().whole().unwrap();
    assert!(!is_there(&caches, "deep"));
}

#[test]
fn two_that_find_none_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    for number in 0..20 {
        let id = number.to_string();
        let both = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for file in ["one", "two"] {
                let (caches, id, both) = (&caches, &id, &both);
                scope.spawn(move || {
                    both.wait();
                    let cache = take(caches, id, None);
                    fs::write(cache.files().join(file), "x").unwrap();
                    cache.settle().unwrap();
                });
            }
        });
        let files = take(&caches, &id, None).files();
        assert_eq!(fs::read_dir(files).unwrap().count(), 2, "{id}");
    }
}

#[test]
fn what_a_use_adds_is_counted_although_it_was_not_noted() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 50_000).unwrap();
    write(&caches, "pip", 10);
    // Killed in its next use, or not to be counted after it.
    let cache = take(&caches, "pip", None);
    fs::write(cache.files().join("more"), vec![b'x'; 100_000]).unwrap();
    drop(cache);
    caches.prune().whole().unwrap();
    assert!(!is_there(&caches, "pip"));
}

#[test]
fn a_cache_that_is_too_large_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let caches = Caches::open(folder.path(), 1 << 30).unwrap();
    write(&caches, "main", 100_000);
    let never = CancellationToken::new();
    for (id, most, copied) in [("small", 50_000, false), ("large", 200_000, true)] {
        let from = Begin::AsCopyOf("main", most);
        let cache = caches.take("shop", id, from, || (), &never);
        let cache = cache.unwrap().unwrap();
        let files: Vec<_> = fs::read_dir(cache.files()).unwrap().collect();
        assert_eq!(files.len() == 1, copied, "{id}: {files:?}");
    }
}

#[test]
fn a_copy_keeps_holes_and_times_and_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let (from, never) = (folder.path().join("from"), CancellationToken::new());
    fs::create_dir(&from).unwrap();
    let file = fs::File::create(from.join("file")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"begin", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 64 << 20).unwrap();
    file.set_len(100 << 20).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123_456_789);
    file.set_modified(then).unwrap();
    fs::File::open(&from).unwrap().set_modified(then).unwrap();
    let to = folder.path().join("to");
    assert!(crate::tree::copy_tree(&from, &to, MOST, &never).unwrap());
    let content = fs::read(to.join("file")).unwrap();
    assert!(content == fs::read(from.join("file")).unwrap());
    for copied in [to.join("file"), to.clone()] {
        assert_eq!(fs::metadata(copied).unwrap().modified().unwrap(), then);
    }
    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(to.join("file")).unwrap());
    assert!(blocks * 512 < 10 << 20, "{blocks}");
    let small = folder.path().join("small");
    crate::tree::copy_tree(&from, &small, 50 << 20, &never).unwrap_err();
}
