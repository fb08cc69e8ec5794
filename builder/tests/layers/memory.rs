//! Memory has a bound that does not depend on what is exported or unpacked (T33).

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::process::Command;
use std::time::UNIX_EPOCH;

use builder::Compression;
use builder::layer::{Options, export};
use builder::rootfs::{Blob, Limits};
use oci::{Algorithm, Digest};
use tokio_util::sync::CancellationToken;

use crate::archive::Header;
use crate::lab::{Lab, in_mount, limits, options};

const MEASURED: &str = "SLIPWAY_TEST_MEASURED";

/// Not a test of its own: the work, alone in a process, whose peak of memory is then that of the work.
#[test]
#[ignore = "started by t33_memory_is_bounded"]
fn measured() {
    let lab = Lab::new();
    match std::env::var(MEASURED).unwrap().as_str() {
        "export" => {
            let rootfs = lab.rootfs(vec![], &[]).unwrap();
            in_mount(&rootfs, |root| {
                let file = fs::File::create(root.join("large")).unwrap();
                file.set_len(2 << 30).unwrap();
            });
            let options = Options {
                compression: Compression::Zstd,
                threads: 4,
                limit: u64::MAX,
                ..options()
            };
            let never = CancellationToken::new();
            let layer = export(&rootfs.changes(), &options, &mut std::io::sink(), &never);
            assert!(layer.unwrap().unpacked > 2 << 30);
        }
        "bomb" => {
            let mut header = Header::new(b'0', "zeros");
            header.size = 7 << 30;
            // The largest window that is taken, and more content than that.
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(23).unwrap();
            encoder.write_all(&header.bytes()).unwrap();
            std::io::copy(&mut std::io::repeat(0).take(1 << 30), &mut encoder).unwrap();
            let bomb = encoder.finish().unwrap();
            let bomb = Blob {
                digest: Digest::of(Algorithm::Sha256, b"blob"),
                diff_id: Digest::of(Algorithm::Sha256, b""),
                compression: Compression::Zstd,
                open: Box::new(move || Ok(Box::new(Cursor::new(bomb.clone())))),
            };
            let limits = Limits {
                ratio: u64::MAX,
                bytes: 512 << 20,
                ..limits()
            };
            let never = CancellationToken::new();
            assert!(lab.store.layer(&bomb, &limits, UNIX_EPOCH, &never).is_err());
        }
        other => panic!("{other}"),
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    println!("{}", peak.unwrap());
}

#[test]
fn t33_memory_is_bounded() {
    for what in ["export", "bomb"] {
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::measured", "--ignored", "--nocapture"])
            .env(MEASURED, what)
            .output()
            .unwrap();
        let told = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{told}");
        let peak = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.unwrap().trim().strip_suffix(" kB").unwrap();
        let megabytes = kilobytes.parse::<u64>().unwrap() >> 10;
        assert!(megabytes < 128, "{what} took {megabytes} MiB");
        println!("{what}: {megabytes} MiB");
    }
}
