//! From base layer to new layer: unpacked for the users that builds run as, changed in a sandbox, exported.

use std::fs;
use std::io::Cursor;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use builder::layer::{Options, export};
use builder::rootfs::{Blob, LayerStore, Limits, Rootfs};
use builder::sandbox::{Capabilities, Mount, Process, Root, SecretFile, Source};
use builder::{Compression, TreePath};
use oci::{Algorithm, Digest};
use tokio_util::sync::CancellationToken;

use super::lab::{Lab, make_root, script, script_as};

/// A busybox image as one layer, with a folder of its user's.
fn base(lab: &Lab) -> Vec<u8> {
    let root = lab.folder.path().join("image");
    make_root(&root);
    fs::create_dir(root.join("home")).unwrap();
    fs::write(root.join("home/mine"), "old").unwrap();
    let archive = lab.folder.path().join("base.tar");
    let status = Command::new("sh")
        .args(["-c", "chown -R 1001:0 home && chown 1001:0 work && tar --numeric-owner --sort=name -cf \"$0\" ."])
        .arg(&archive)
        .current_dir(&root)
        .status();
    assert!(status.unwrap().success());
    fs::read(archive).unwrap()
}

/// One build upon `archive`; its layer's entries as `owner path`, and its digest.
async fn build(lab: &Lab, archive: &[u8], name: &str, process: &Process) -> (Vec<String>, Digest) {
    let ids = lab.host.ids().map().clone();
    let store = LayerStore::open(&lab.folder.path().join("store"), ids.clone()).unwrap();
    let never = CancellationToken::new();
    let blob = Blob {
        digest: Digest::of(Algorithm::Sha256, archive),
        diff_id: Digest::of(Algorithm::Sha256, archive),
        compression: Compression::Plain,
        open: Box::new(|| Ok(Box::new(Cursor::new(archive.to_vec())))),
    };
    let layers = store
        .layers(&[blob], &Limits::default(), UNIX_EPOCH, &never)
        .unwrap();
    let fixed = ["proc", "sys", "dev"].map(|path| TreePath::parse(path.as_bytes()).unwrap());
    let rootfs = Rootfs::prepare(&store, name, layers, &fixed).unwrap();
    let mut mount = rootfs.mount().unwrap();
    mount.attach(&rootfs.mountpoint()).unwrap();
    let said = lab
        .run_in(&Root::Folder(rootfs.mountpoint()), process)
        .await
        .unwrap();
    assert!(
        said.outcome.succeeded(),
        "{:?} {:?}",
        said.outcome,
        said.lines
    );
    drop(mount);
    let options = Options {
        compression: Compression::Gzip,
        epoch: UNIX_EPOCH + Duration::from_secs(1_600_000_000),
        ids,
        limit: 1 << 30,
        threads: 2,
    };
    let mut bytes = Vec::new();
    let layer = export(&rootfs.changes(), &options, &mut bytes, &never).unwrap();
    let file = lab.folder.path().join(format!("{name}.tar.gz"));
    fs::write(&file, bytes).unwrap();
    let list = Command::new("tar")
        .args(["--numeric-owner", "-tvzf"])
        .arg(&file)
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let entry = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        format!("{} {}", fields[1], fields[5])
    };
    rootfs.remove().unwrap();
    (list.lines().map(entry).collect(), layer.digest)
}

#[tokio::test]
async fn what_a_build_changes_is_all_that_its_layer_has() {
    let lab = Lab::new().await;
    let archive = base(&lab);
    let mut process = script(
        "id -u; cat /home/mine /run/token && echo new > /home/mine && mkdir /work/out && echo x > /work/out/x",
    );
    let secret = Source::Secret(SecretFile::new(b"canary-secret".to_vec()));
    process
        .mount(Mount::new("/run/token", secret).unwrap())
        .unwrap();
    let cache = lab.folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    process
        .mount(Mount::new("/work/.cache/tool", Source::Cache(cache)).unwrap())
        .unwrap();
    let (entries, digest) = build(&lab, &archive, "one", &process).await;
    let wanted = [
        "1001/0 home/",
        "1001/0 home/mine",
        "1001/0 work/",
        "1001/0 work/out/",
        "1001/0 work/out/x",
    ];
    assert_eq!(entries, wanted);
    let (_, again) = build(&lab, &archive, "two", &process).await;
    assert_eq!(digest, again, "the same build makes the same bytes");
}

#[tokio::test]
async fn root_inside_makes_files_of_root() {
    let lab = Lab::new().await;
    let archive = base(&lab);
    let mut process = script_as(
        "root",
        "echo x > /etc/new && chown app /etc/new && rm -r /home && mkdir /opt && cp /bin/busybox /opt/ping && chmod u+s /opt/ping",
    );
    process.capabilities = Capabilities::Packages;
    let (entries, _) = build(&lab, &archive, "one", &process).await;
    let wanted = [
        "0/0 .wh.home",
        "0/0 etc/",
        "1001/0 etc/new",
        "0/0 opt/",
        "0/0 opt/ping",
    ];
    let (mut entries, mut wanted) = (entries, wanted.map(str::to_owned).to_vec());
    entries.sort();
    wanted.sort();
    assert_eq!(entries, wanted);
}
