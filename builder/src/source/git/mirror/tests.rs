use super::*;
use crate::source::FaultClass;
use crate::source::git::session::Session;

fn url(name: &str) -> GitUrl {
    format!("https://git.example.com/{name}").parse().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test]
async fn namespaces_share_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().join("cache"));
    let one = mirrors.take("a", &url("x"), soon()).await.unwrap();
    let two = mirrors.take("b", &url("x"), soon()).await.unwrap();
    let three = mirrors.take("a", &url("y"), soon()).await.unwrap();
    assert_ne!(one.folder(), two.folder());
    assert_ne!(one.folder(), three.folder());
    assert!(one.folder().join("HEAD").exists());
    assert!(
        !one.folder().join("hooks").exists(),
        "no template of the machine"
    );
}

#[tokio::test]
async fn one_run_at_a_time_fetches_into_a_mirror() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    let mut held = mirrors.take("a", &url("x"), soon()).await.unwrap();
    let fault = mirrors.take("a", &url("x"), Instant::now()).await;
    assert_eq!(fault.unwrap_err().class(), FaultClass::SourceTimedOut);
    held.fetched();
    mirrors.take("a", &url("x"), soon()).await.unwrap();
    assert!(held.folder().exists(), "both read it");
}

#[tokio::test]
async fn the_longest_unused_go_first_and_those_in_use_stay() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    let mut folders = Vec::new();
    for name in ["old", "used", "new"] {
        let mirror = mirrors.take("a", &url(name), soon()).await.unwrap();
        std::fs::write(mirror.folder().join("ballast"), vec![0; 100_000]).unwrap();
        folders.push(mirror.folder().to_path_buf());
    }
    let _used = mirrors.take("a", &url("used"), soon()).await.unwrap();
    let age = |index: usize, at: u64| {
        let lock = File::options()
            .append(true)
            .open(folders[index].with_extension("lock"));
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
        lock.unwrap().set_modified(at).unwrap();
    };
    age(0, 1);
    age(1, 2);
    age(2, 3);
    // A process that another test starts may have a copy of a lock for a moment.
    for unused in [&folders[0], &folders[2]] {
        let lock = File::open(unused.with_extension("lock")).unwrap();
        wait(|| lock.try_lock(), soon()).await.unwrap();
        lock.unlock().unwrap();
    }
    let left = mirrors
        .prune(250_000, SystemTime::UNIX_EPOCH)
        .whole()
        .unwrap();
    assert!(left <= 250_000, "{left}");
    assert_eq!(
        folders.iter().map(|f| f.exists()).collect::<Vec<_>>(),
        [false, true, true]
    );
    // What is no namespace's folder, and what cannot be looked at, is in nobody's way.
    let stuck = folders[0].with_file_name("stuck.lock");
    std::os::unix::fs::symlink("nowhere", &stuck).unwrap();
    std::fs::write(root.path().join("stray"), "").unwrap();
    let pruned = mirrors.prune(u64::MAX, SystemTime::now());
    pruned.failed.unwrap_err();
    std::fs::remove_file(&stuck).unwrap();
    assert_eq!(
        folders.iter().map(|f| f.exists()).collect::<Vec<_>>(),
        [false, true, false]
    );
    mirrors.take("a", &url("new"), soon()).await.unwrap();
    assert!(
        folders[2].join("HEAD").exists(),
        "it is made again when it is wanted"
    );
}

#[tokio::test]
async fn what_a_killed_run_left_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    let mirror = mirrors.take("a", &url("x"), soon()).await.unwrap();
    let folder = mirror.folder().to_path_buf();
    drop(mirror);
    std::fs::remove_file(folder.join("HEAD")).unwrap();
    std::fs::create_dir_all(folder.with_extension("new")).unwrap();
    let pack = folder.join("objects/pack/tmp_pack_x");
    std::fs::write(&pack, "half").unwrap();
    mirrors.take("a", &url("x"), soon()).await.unwrap();
    assert!(folder.join("HEAD").exists());
    assert!(!pack.exists());
}

#[tokio::test]
async fn credentials_that_a_killed_server_left_are_removed() {
    use crate::source::SourceNetwork;
    use crate::source::git::Credential;

    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    drop(mirrors.take("a", &url("x"), soon()).await.unwrap());
    let credential = Credential::basic("ann", "canary-of-a-password").unwrap();
    let network = SourceNetwork::default();
    let servers = vec!["192.0.2.1:443".parse().unwrap()];
    let accepted = mirrors.accepted_hosts("a").await.unwrap();
    let session = Session::remote(
        &url("x"),
        Path::new("/nowhere"),
        servers,
        Some(&credential),
        &network,
        &accepted,
        mirrors.sessions(),
    );
    // As a kill leaves it.
    std::mem::forget(session.unwrap());
    let holders = || -> usize {
        let found = walk(root.path()).into_iter();
        let texts = found.filter_map(|file| std::fs::read_to_string(file).ok());
        texts.filter(|text| text.contains("canary")).count()
    };
    assert_eq!(holders(), 1, "below the builder's own folder");
    mirrors.recover().unwrap();
    assert_eq!(holders(), 0);
    mirrors.recover().unwrap();
    assert!(
        mirrors
            .prune(u64::MAX, SystemTime::UNIX_EPOCH)
            .whole()
            .unwrap()
            > 0,
        "mirrors stay"
    );
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in read_dir(folder).unwrap() {
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[tokio::test]
async fn a_worn_mirror_is_made_anew_when_nobody_uses_it() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    let mut mirror = mirrors.take("a", &url("x"), soon()).await.unwrap();
    mirror.fetched();
    let pack = |i: usize| mirror.folder().join(format!("objects/pack/{i}.pack"));
    for i in 0..=MAX_PACKS {
        std::fs::write(pack(i), "").unwrap();
    }
    let (first, last) = (pack(0), pack(MAX_PACKS));
    drop(mirrors.take("a", &url("x"), soon()).await.unwrap());
    assert!(first.exists(), "it is in use");
    drop(mirror);
    // A process that another test starts may have a copy of the lock for a moment.
    for _ in 0..100 {
        drop(mirrors.take("a", &url("x"), soon()).await.unwrap());
        if !first.exists() {
            break;
        }
    }
    assert!(!first.exists() && !last.exists());
}

#[tokio::test]
async fn what_a_loss_of_power_left_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    for (name, text) in FILES {
        let mirror = mirrors.take("a", &url("x"), soon()).await.unwrap();
        let file = mirror.folder().join(name);
        let kept = mirror.folder().join("kept");
        drop(mirror);
        std::fs::write(&kept, "").unwrap();
        drop(mirrors.take("a", &url("x"), soon()).await.unwrap());
        assert!(kept.exists());
        std::fs::write(&file, "").unwrap();
        drop(mirrors.take("a", &url("x"), soon()).await.unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), *text);
        assert!(!kept.exists(), "{name}");
    }
}

#[tokio::test]
async fn a_mirror_that_somebody_uses_is_not_discarded() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    assert!(!mirrors.discard("a", &url("x")), "there is none");
    let mirror = mirrors.take("a", &url("x"), soon()).await.unwrap();
    let folder = mirror.folder().to_path_buf();
    assert!(!mirrors.discard("a", &url("x")) && folder.exists());
    drop(mirror);
    // A process that another test starts may have a copy of the lock for a moment.
    let gone = (0..100).any(|_| mirrors.discard("a", &url("x")));
    assert!(gone && !folder.exists());
}
