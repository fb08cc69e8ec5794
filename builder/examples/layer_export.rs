//! How fast a layer is exported and unpacked, beside the programs that others use for it.
//!
//! ```text
//! cargo run --release -p builder --example layer_export -- ROOTFS.tar
//! ```
//!
//! `ROOTFS.tar` is any plain archive of files, such as one of mmdebstrap's. Its files are what the build changed. Every
//! contestant has its turn in each of five rounds on a warm cache; the figures are medians. Needs root.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use builder::layer::{Changes, Options, export};
use builder::rootfs::{Blob, LayerStore, Limits};
use builder::{Compression, IdMap, Marks, Tree};
use oci::{Algorithm, Digest, Hasher};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Contestant<'a> = (String, Box<dyn Fn() -> Outcome<u64> + 'a>);

const ROUNDS: usize = 5;

fn main() -> Outcome<()> {
    let archive = std::env::args().nth(1);
    let archive = archive.ok_or("give it an archive: layer_export ROOTFS.tar")?;
    let archive = Path::new(&archive);
    let folder = tempfile::tempdir()?;
    let size = archive.metadata()?.len();
    println!("{size} bytes of archive\n");
    exports(archive, folder.path(), size)?;
    unpacks(archive, folder.path(), size)
}

fn exports(archive: &Path, folder: &Path, size: u64) -> Outcome<()> {
    let tree = &folder.join("tree");
    std::fs::create_dir(tree)?;
    done(
        Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(tree),
    )?;
    let threads = std::thread::available_parallelism()?.get();
    let shell = |compressor: &str| {
        let text = format!("tar --sort=name -C \"$0\" -cf - . | {compressor} | sha256sum >&2");
        move || {
            let mut shell = Command::new("sh");
            let shell = shell.args(["-c", &text]).arg(tree).stderr(Stdio::null());
            done(shell).map(|()| 0)
        }
    };
    let ours = |compression, threads| move || exported(tree, compression, threads);
    let mut contestants: Vec<Contestant<'_>> = vec![
        ("tar | gzip -6".to_owned(), Box::new(shell("gzip -6 -n"))),
        (
            "slipway gzip, 1 thread".to_owned(),
            Box::new(ours(Compression::Gzip, 1)),
        ),
        (
            format!("slipway gzip, {threads} threads"),
            Box::new(ours(Compression::Gzip, threads)),
        ),
        (
            format!("slipway zstd, {threads} threads"),
            Box::new(ours(Compression::Zstd, threads)),
        ),
    ];
    for (program, command) in [("pigz", "pigz -6 -n"), ("zstd", "zstd -3 -T0 -q")] {
        if Command::new(program).arg("--version").output().is_ok() {
            contestants.push((format!("tar | {command}"), Box::new(shell(command))));
        } else {
            println!("{program} is not installed: left out");
        }
    }
    report("Export", size, &contestants, || Ok(()))
}

fn unpacks(archive: &Path, folder: &Path, size: u64) -> Outcome<()> {
    let gzip = folder.join("layer.tar.gz");
    let pack = "gzip -6 -n < \"$0\" > \"$1\"";
    done(
        Command::new("sh")
            .args(["-c", pack])
            .arg(archive)
            .arg(&gzip),
    )?;
    let diff_id = digest(archive)?;
    let to = folder.join("unpacked");
    let shell = || {
        std::fs::create_dir(&to)?;
        let text = "gzip -dc < \"$0\" | tee >(sha256sum >&2) | tar -xf - -C \"$1\"";
        let mut shell = Command::new("bash");
        done(
            shell
                .args(["-c", text])
                .arg(&gzip)
                .arg(&to)
                .stderr(Stdio::null()),
        )?;
        Ok(0)
    };
    let ours = || {
        let store = LayerStore::open(&to, IdMap::identity())?;
        let blob = Blob {
            digest: diff_id,
            diff_id,
            compression: Compression::Gzip,
            open: Box::new(|| Ok(Box::new(File::open(&gzip)?))),
        };
        let never = CancellationToken::new();
        store.layer(&blob, &Limits::default(), SystemTime::now(), &never)?;
        Ok(0)
    };
    let contestants: Vec<Contestant<'_>> = vec![
        ("gzip -dc, sha256sum, tar -x".to_owned(), Box::new(shell)),
        ("slipway, verified".to_owned(), Box::new(ours)),
    ];
    report("Unpack", size, &contestants, || {
        if to.exists() {
            std::fs::remove_dir_all(&to)?;
        }
        Ok(())
    })
}

/// All files of a tree as one layer.
fn exported(tree: &Path, compression: Compression, threads: usize) -> Outcome<u64> {
    let upper = Tree::open(tree)?;
    let options = Options {
        compression,
        epoch: UNIX_EPOCH + Duration::from_secs(1_600_000_000),
        ids: IdMap::identity(),
        limit: u64::MAX,
        threads,
    };
    let changes = Changes::new(&upper, vec![], Marks::Trusted);
    let layer = export(
        &changes,
        &options,
        &mut io::sink(),
        &CancellationToken::new(),
    )?;
    Ok(layer.size)
}

fn report(
    what: &str,
    size: u64,
    contestants: &[Contestant<'_>],
    clear: impl Fn() -> Outcome<()>,
) -> Outcome<()> {
    let mut times = vec![Vec::new(); contestants.len()];
    let mut sizes = vec![0; contestants.len()];
    for round in 0..=ROUNDS {
        for (index, (_, act)) in contestants.iter().enumerate() {
            clear()?;
            let start = Instant::now();
            sizes[index] = act()?;
            // The first warms the cache.
            if round > 0 {
                times[index].push(start.elapsed());
            }
        }
    }
    clear()?;
    println!("| {what} | s | MB/s | × the first | bytes, where known |\n|---|---|---|---|---|");
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    let medians: Vec<_> = times.iter_mut().map(median).collect();
    for (((name, _), seconds), bytes) in contestants.iter().zip(&medians).zip(sizes) {
        // Exact below 2^53 bytes.
        #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
        let rate = size as f64 / seconds / 1e6;
        let times = medians[0] / seconds;
        println!("| {name} | {seconds:.2} | {rate:.0} | {times:.1} | {bytes} |");
    }
    println!();
    io::stdout().flush()?;
    Ok(())
}

fn digest(path: &Path) -> Outcome<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn done(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(())
}
