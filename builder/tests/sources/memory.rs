//! Memory has a bound that does not depend on what a source is (T33). Limits are those that a server has which says nothing.

use std::io::{PipeReader, Read, Write};
use std::process::Command;

use builder::s2i::IgnoreMode;
use builder::source::{Fault, FaultClass, Snapshot, SourceLimits, upload};
use tests::OrFail;
use tokio_util::sync::CancellationToken;

use crate::servers::Servers;

const MEASURED: &str = "SLIPWAY_TEST_MEASURED";

/// Not a test of its own: the work, alone in a process, whose peak of memory is then that of the work.
#[tokio::test]
#[ignore = "started by t33_memory_is_bounded"]
async fn measured() {
    let what = std::env::var(MEASURED).unwrap();
    match what.as_str() {
        "x" | "g" | "L" | "K" => {
            // A header that is longer than the memory that there is for all.
            let kind = what.as_bytes()[0];
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.write_all(&header(kind, "h", 1 << 30)).unwrap();
            std::io::copy(&mut std::io::repeat(0).take(1 << 30), &mut encoder).unwrap();
            encoder.write_all(&header(b'0', "index.txt", 0)).unwrap();
            encoder.write_all(&[0; 1024]).unwrap();
            let bomb = encoder.finish().unwrap();
            assert!(bomb.len() < 1 << 20);
            let fault = archive(&*bomb).unwrap_err();
            assert_eq!(fault.class(), FaultClass::SourceRefused, "{fault}");
        }
        "entries" => {
            // As many as are taken, with paths of nearly a hundred bytes.
            let name = |i| format!("{:04}/{i:094}", i / 100).into_bytes();
            let fault = archive(made(499_900, name)).unwrap_err();
            assert_eq!(fault.class(), FaultClass::SourceTooLarge, "{fault}");
            archive(made(490_000, name)).unwrap();
        }
        "paths" => {
            // Few for the number of them.
            let folder = vec!["p".repeat(250); 12].join("/");
            let made = made(400_000, move |i| format!("{folder}/{i}").into_bytes());
            let fault = archive(made).unwrap_err();
            assert_eq!(fault.class(), FaultClass::SourceTooLarge, "{fault}");
        }
        "submodules" => {
            let servers = Servers::start("memory");
            let bomb = servers.repository("public/bomb.git");
            let mut id = bomb.blob(b"");
            let mut mode = "100644";
            let names: Vec<String> = (0..75).map(|i| format!("{i:0244}")).collect();
            for _ in 0..3 {
                let entries: Vec<_> = names
                    .iter()
                    .map(|name| (mode, name.as_bytes(), id.clone()))
                    .collect();
                id = bomb.tree(&entries);
                mode = "40000";
            }
            let commit = bomb.commit("main", &id, "bomb");
            // Named shorter, there are as many of them as a source may have entries, five times.
            let root = servers.repository("public/root.git");
            let paths = ["a", "b", "c", "d", "e"];
            let modules = paths
                .map(|path| format!("[submodule \"{path}\"]\npath = {path}\nurl = ../bomb.git\n"));
            let modules = root.blob(modules.concat().as_bytes());
            let mut entries = vec![("100644", &b".gitmodules"[..], modules)];
            entries.extend(paths.map(|path| ("160000", path.as_bytes(), commit.clone())));
            let tree = root.tree(&entries);
            root.commit("main", &tree, "root");
            let mut source = servers.source("public/root.git");
            source.submodules = true;
            let fault = servers.fetch(&source).await.unwrap_err();
            assert_eq!(fault.class(), FaultClass::SourceTooLarge, "{fault}");
        }
        "wide" => {
            // In one folder, some more than are taken.
            let servers = Servers::start("memory-wide");
            let wide = servers.repository("public/wide.git");
            let most = SourceLimits::default().entries;
            let tree = wide.wide_tree(&wide.blob(b""), most + 1);
            wide.commit("main", &tree, "wide");
            let source = servers.source("public/wide.git");
            let fault = servers.fetch(&source).await.unwrap_err();
            assert_eq!(fault.class(), FaultClass::SourceTooLarge, "{fault}");
            assert!(fault.to_string().contains("500000"), "{fault}");
        }
        other => panic!("{other}"),
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
    println!("{}", peak.unwrap());
}

#[test]
fn t33_memory_is_bounded() {
    for what in ["x", "g", "L", "K", "entries", "paths", "submodules", "wide"] {
        let ran = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::measured", "--ignored", "--nocapture"])
            .env(MEASURED, what)
            .output()
            .unwrap();
        let told = String::from_utf8(ran.stdout).unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{what}: {told}{errors}");
        let peak = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.unwrap().trim().strip_suffix(" kB").unwrap();
        let megabytes = kilobytes.parse::<u64>().unwrap() >> 10;
        println!("{what}: {megabytes} MiB");
        assert!(megabytes < 256, "{what} took {megabytes} MiB");
    }
}

fn archive(input: impl Read) -> Result<Snapshot, Fault> {
    let (limits, scratch) = (SourceLimits::default(), std::env::temp_dir());
    let never = CancellationToken::new();
    upload::archive(input, IgnoreMode::Classic, limits, &scratch, &never)
}

/// An archive of empty files, while it is read.
fn made(count: usize, name: impl Fn(usize) -> Vec<u8> + Send + 'static) -> PipeReader {
    let (reader, writer) = std::io::pipe().or_fail("a pipe");
    std::thread::spawn(move || {
        let mut writer = std::io::BufWriter::with_capacity(1 << 20, writer);
        let all = (0..count).try_for_each(|i| {
            let name = name(i);
            if name.len() > 100 {
                writer.write_all(&header(b'L', "long", name.len()))?;
                let mut padded = name.clone();
                padded.resize(name.len().next_multiple_of(512), 0);
                writer.write_all(&padded)?;
            }
            writer.write_all(&header(b'0', &name[..name.len().min(100)], 0))
        });
        // Who has read enough reads no more.
        let _ = all.and_then(|()| writer.write_all(&[0; 1024]));
    });
    reader
}

fn header(kind: u8, name: impl AsRef<[u8]>, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_ref());
    put(100, b"0000644\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar  \0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
