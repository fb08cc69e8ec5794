//! How fast blobs become durable, and which way of syncing is the fastest.
//!
//! ```text
//! cargo run --release -p storage --example push [FOLDER [pushes|syncs]]
//! ```
//!
//! Part one pushes through [`storage::Uploads`], without HTTP: in one request or by a session, whose opening is also
//! timed by itself. Part two writes the same files with plain system calls and makes them durable in three ways, for
//! comparison. The folder (default: the system's temporary folder) decides which disk is measured; what was written is
//! removed.
#![expect(clippy::cast_precision_loss, reason = "rates are rounded anyway")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use oci::{Algorithm, Digest, Hasher, RepoName};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use storage::{ByteStream, FsStore, Limits, SqliteIndex, Storage, UploadError};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const MB: usize = 1_000_000;
const GIB: usize = 1 << 30;
/// As hyper hands them on.
const FRAME: usize = 64 << 10;
const OWNER: &str = "bench";
const ROUNDS: usize = 6;
const FILES: usize = 256;
/// … to divide a time by.
const SHARE: u32 = 256;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let base = std::env::args_os().nth(1);
    let folder = match base {
        Some(base) => tempfile::tempdir_in(base)?,
        None => tempfile::tempdir()?,
    };
    let part = std::env::args().nth(2);
    let is_wanted = |name| part.as_deref().is_none_or(|part| part == name);
    if is_wanted("pushes") {
        hashing();
        pushes(folder.path()).await?;
    }
    if is_wanted("syncs") {
        syncs(folder.path())?;
    }
    Ok(())
}

/// A body whose content differs from every other: the seed comes first.
fn frames(seed: u64, size: usize) -> impl Iterator<Item = Bytes> + Send {
    let same = Bytes::from(vec![0x5a; FRAME]);
    (0..size.div_ceil(FRAME)).map(move |i| {
        let length = FRAME.min(size - i * FRAME);
        if i > 0 {
            return same.slice(..length);
        }
        let mut first = vec![0; length];
        first[..8].copy_from_slice(&seed.to_le_bytes());
        first.into()
    })
}

fn digest(seed: u64, size: usize) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    frames(seed, size).for_each(|frame| hasher.update(&frame));
    hasher.finish()
}

fn body(seed: u64, size: usize) -> ByteStream {
    stream::iter(frames(seed, size).map(Ok)).boxed()
}

/// What a push cannot be faster than, on one core.
fn hashing() {
    let started = Instant::now();
    digest(0, GIB);
    println!(
        "sha256  one core  {:.0} MB/s",
        GIB as f64 / 1e6 / started.elapsed().as_secs_f64()
    );
}

/// How a blob comes in.
#[derive(Debug, Clone, Copy)]
enum Push {
    /// `POST ?digest=`.
    Whole,
    /// `POST`, then `PUT` with the bytes.
    Put,
    /// `POST`, `PATCH` with the bytes, `PUT` without.
    Patch,
}

async fn pushes(folder: &Path) -> Result<(), Failure> {
    use Push::{Patch, Put, Whole};
    let store = Arc::new(FsStore::open(&folder.join("objects"))?);
    let index = Arc::new(SqliteIndex::open(&folder.join("index.db"))?);
    let storage = Arc::new(Storage::open(store, index, Limits::default()).await?);
    let mut seed = 0;
    for (way, label, size, count, parallel) in [
        (Whole, "1 kB", 1000, 400, 1),
        (Whole, "1 kB", 1000, 1600, 16),
        (Put, "1 kB", 1000, 400, 1),
        (Put, "1 kB", 1000, 1600, 16),
        (Patch, "1 kB", 1000, 400, 1),
        (Patch, "1 kB", 1000, 1600, 16),
        (Whole, "1 MB", MB, 200, 1),
        (Whole, "1 MB", MB, 800, 16),
        (Whole, "100 MB", 100 * MB, 4, 1),
        (Whole, "1 GiB", GIB, 2, 1),
        (Whole, "1 GiB", GIB, 4, 4),
    ] {
        let work: Vec<_> = (0..count)
            .map(|i| (seed + i as u64, digest(seed + i as u64, size)))
            .collect();
        seed += count as u64;
        let started = Instant::now();
        let times = stream::iter(work)
            .map(|(seed, digest)| {
                let storage = Arc::clone(&storage);
                tokio::spawn(async move { push(&storage, way, seed, size, digest).await })
            })
            .buffer_unordered(parallel)
            .map(|joined| joined.map_err(|e| e.to_string()).flatten())
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let wall = started.elapsed();
        let (mut opened, mut pushed): (Vec<_>, Vec<_>) = times.into_iter().unzip();
        opened.sort();
        pushed.sort();
        let of = |times: &[Duration]| {
            let (half, most) = (times[count / 2], times[count * 99 / 100]);
            format!("p50 {half:>9.2?}  p99 {most:>9.2?}")
        };
        let opening = match way {
            Whole => String::new(),
            Put | Patch => format!("  opening {}", of(&opened)),
        };
        let total = (count * size) as f64 / 1e6 / wall.as_secs_f64();
        let rate = count as f64 / wall.as_secs_f64();
        let pushed = of(&pushed);
        let name = format!("{way:?}").to_lowercase();
        println!(
            "{name:<7} {label:>6} x{parallel:<2}  {pushed}  {total:>7.1} MB/s  {rate:>7.1}/s{opening}"
        );
    }
    storage.close().await?;
    Ok(())
}

/// Pushes one blob. Returns how long it took to open a session, if there is one, and how long all took.
async fn push(
    storage: &Storage,
    way: Push,
    seed: u64,
    size: usize,
    digest: Digest,
) -> Result<(Duration, Duration), String> {
    let text = |error: UploadError| error.to_string();
    let repo = RepoName::parse("bench/push").map_err(|e| e.to_string())?;
    let (uploads, now) = (&storage.uploads, SystemTime::now());
    let started = Instant::now();
    if let Push::Whole = way {
        let whole = uploads.whole(&repo, &digest, body(seed, size), Some(size as u64), now);
        whole.await.map_err(text)?;
        return Ok((Duration::ZERO, started.elapsed()));
    }
    let start = uploads.start(&repo, OWNER, None, now);
    let id = start.await.map_err(text)?;
    let opened = started.elapsed();
    let mut tail = Some((None, body(seed, size)));
    if let Push::Patch = way
        && let Some((range, body)) = tail.take()
    {
        let patch = uploads.append(&repo, OWNER, &id, range, body, now);
        patch.await.map_err(text)?;
    }
    let finish = uploads.finish(&repo, OWNER, &id, &digest, tail, now);
    finish.await.map_err(text)?;
    Ok((opened, started.elapsed()))
}

/// A way to give a file its name.
#[derive(Clone, Copy)]
enum Way {
    /// A name elsewhere, then a rename.
    Rename,
    /// No name until `linkat`.
    Link,
}

fn syncs(folder: &Path) -> io::Result<()> {
    for size in [2_000, MB] {
        for parallel in [1, 16] {
            let mut ways = [
                ("rename", Way::Rename, Vec::new()),
                ("O_TMPFILE", Way::Link, Vec::new()),
            ];
            // By turns, and each as often before as after the other: what else the disk does changes by the second.
            for _ in 0..ROUNDS {
                for (_, way, times) in &mut ways {
                    times.push(by_file(&folder.join("by-file"), size, parallel, *way)?);
                }
                ways.reverse();
            }
            ways.sort_by_key(|(name, ..)| *name == "O_TMPFILE");
            for (name, _, mut times) in ways {
                times.sort();
                let (best, half, worst) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
                println!(
                    "files   {size:>7} x{parallel:<2} {name:<9} fdatasync and fsync of two folders  {half:>8.1?} each \
                     ({best:.1?} to {worst:.1?})"
                );
            }
        }
        let each = by_batch(&folder.join("by-batch"), size, 16)?;
        println!(
            "files   {size:>7} x16 rename    one syncfs for sixteen files         {each:>8.1?} each"
        );
    }
    Ok(())
}

/// Each thread makes its files durable by itself.
fn by_file(folder: &Path, size: usize, parallel: usize, way: Way) -> io::Result<Duration> {
    fs::create_dir_all(folder.join("scratch"))?;
    let content = vec![1; size];
    let barrier = Barrier::new(parallel);
    let took = thread::scope(|scope| {
        let threads: Vec<_> = (0..parallel)
            .map(|thread| {
                let (content, barrier) = (&content, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let started = Instant::now();
                    for file in (thread..FILES).step_by(parallel) {
                        one_file(folder, file, content, way)?;
                    }
                    Ok(started.elapsed())
                })
            })
            .collect();
        slowest(threads)
    })?;
    fs::remove_dir_all(folder)?;
    Ok(took / SHARE)
}

fn slowest(
    threads: Vec<thread::ScopedJoinHandle<'_, io::Result<Duration>>>,
) -> io::Result<Duration> {
    let mut slowest = Duration::ZERO;
    for thread in threads {
        let took = thread
            .join()
            .map_err(|_| io::Error::other("a thread panicked"))??;
        slowest = slowest.max(took);
    }
    Ok(slowest)
}

fn one_file(folder: &Path, number: usize, content: &[u8], way: Way) -> io::Result<()> {
    let shelf = folder.join(format!("{:02x}", number % 256));
    let place = shelf.join(number.to_string());
    let scratch = folder.join("scratch");
    match way {
        Way::Rename => {
            let path = scratch.join(number.to_string());
            let mut file = File::create_new(&path)?;
            file.write_all(content)?;
            file.sync_data()?;
            fs::create_dir_all(&place)?;
            fs::rename(path, place.join("data"))?;
        }
        Way::Link => {
            let mode = Mode::from_raw_mode(0o644);
            let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(CWD, &scratch, flags, mode)?;
            let mut file = File::from(file);
            file.write_all(content)?;
            file.sync_data()?;
            fs::create_dir_all(&place)?;
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            let follow = AtFlags::SYMLINK_FOLLOW;
            rustix::fs::linkat(CWD, own, CWD, place.join("data"), follow)?;
        }
    }
    File::open(&place)?.sync_all()?;
    File::open(&shelf)?.sync_all()
}

/// Sixteen at a time are written, then one call makes all of the file system durable.
fn by_batch(folder: &Path, size: usize, batch: usize) -> io::Result<Duration> {
    fs::create_dir_all(folder.join("scratch"))?;
    let content = vec![1; size];
    let anchor = File::open(folder)?;
    let started = Instant::now();
    for number in 0..FILES {
        let path = folder.join("scratch").join(number.to_string());
        File::create_new(&path)?.write_all(&content)?;
        let place = folder
            .join(format!("{:02x}", number % 256))
            .join(number.to_string());
        fs::create_dir_all(&place)?;
        fs::rename(path, place.join("data"))?;
        if (number + 1) % batch == 0 {
            rustix::fs::syncfs(&anchor)?;
        }
    }
    let took = started.elapsed();
    fs::remove_dir_all(folder)?;
    Ok(took / SHARE)
}
