use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use super::follow::Written;
use super::*;
use crate::driver::Phase;

fn reader_of(folder: &TempDir) -> LogReader {
    reader_in(folder.path())
}

fn reader_in(folder: &Path) -> LogReader {
    LogReader::new(folder.to_owned(), Arc::new(Semaphore::new(READERS)))
}

fn out(text: &str) -> Entry {
    Entry::Out(text.to_owned())
}

fn read_all(reader: &mut LogReader) -> Vec<Entry> {
    let mut all = Vec::new();
    loop {
        let lines = reader.read().unwrap();
        if lines.is_empty() {
            return all;
        }
        all.extend(lines.into_iter().map(|line| line.entry));
    }
}

fn write(writer: &mut LogWriter, entries: &[Entry]) {
    for (at, entry) in entries.iter().enumerate() {
        writer.write(at as u64, entry).unwrap();
    }
}

fn sample() -> Vec<Entry> {
    vec![
        Entry::Phase(Phase::Fetch),
        Entry::Note("cloning".to_owned()),
        Entry::Phase(Phase::Assemble),
        out("one"),
        Entry::Err("two".to_owned()),
        out("three with  spaces "),
    ]
}

#[test]
fn what_was_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(folder.path(), 1 << 20);
    write(&mut writer, &sample());
    writer.finish(9).unwrap();
    let mut reader = reader_of(&folder);
    assert_eq!(read_all(&mut reader), sample());

    // From any line on.
    reader.seek(0);
    let lines = reader.read().unwrap();
    reader.seek(lines[0].next);
    assert_eq!(read_all(&mut reader), sample()[1..]);

    let end = reader.seek_phase(Phase::Fetch).unwrap().unwrap();
    let lines = reader.read().unwrap();
    assert_eq!(lines[0].entry, Entry::Phase(Phase::Fetch));
    let phases = reader.phases().unwrap();
    assert_eq!(phases.len(), 2);
    assert_eq!(end, phases[1].offset);
    assert_eq!(reader.seek_phase(Phase::Publish).unwrap(), None);
}

#[test]
fn a_program_cannot_forge_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(folder.path(), 1 << 20);
    write(
        &mut writer,
        &[Entry::Note("a\n1 p publish\x1b[2J".to_owned())],
    );
    writer.finish(9).unwrap();
    let mut reader = reader_of(&folder);
    assert_eq!(
        read_all(&mut reader),
        [Entry::Note("a 1 p publish [2J".to_owned())]
    );
}

#[test]
fn a_torn_frame_is_dropped_and_the_next_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(folder.path(), 1 << 20);
    write(&mut writer, &sample());
    writer.flush().unwrap();
    let whole = std::fs::read(folder.path().join("log")).unwrap();
    // Killed: what is in no frame is gone, and the last frame may be cut anywhere.
    write(&mut writer, &[out("lost")]);
    drop(writer);
    for torn in [
        &[][..],
        &whole[..3],
        &whole[..whole.len() / 4],
        b"garbage\0\0",
    ] {
        let mut file = std::fs::File::create(folder.path().join("log")).unwrap();
        file.write_all(&whole).unwrap();
        file.write_all(torn).unwrap();
        let mut phases = OpenOptions::new()
            .append(true)
            .open(folder.path().join("phases"))
            .unwrap();
        phases.write_all(b"{\"phase\":\"exp").unwrap();
        drop((file, phases));
        let mut reader = reader_of(&folder);
        if !torn.starts_with(&whole[..4]) {
            assert_eq!(read_all(&mut reader), sample());
        }
        assert_eq!(reader.phases().unwrap().len(), 2);

        let mut writer = LogWriter::new(folder.path(), 1 << 20);
        write(&mut writer, &[Entry::Phase(Phase::Resolve), out("again")]);
        writer.finish(9).unwrap();
        let mut reader = reader_of(&folder);
        let all = read_all(&mut reader);
        assert_eq!(all[..sample().len()], sample());
        assert_eq!(all.last(), Some(&out("again")));
        let phases = reader.phases().unwrap();
        assert_eq!(phases.last().unwrap().phase, Phase::Resolve);
        std::fs::write(folder.path().join("phases"), b"").unwrap();
        let mut again = OpenOptions::new()
            .append(true)
            .open(folder.path().join("phases"))
            .unwrap();
        for phase in &phases[..2] {
            serde_json::to_writer(&mut again, phase).unwrap();
            again.write_all(b"\n").unwrap();
        }
    }
}

#[test]
fn a_log_has_a_bound_and_keeps_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(folder.path(), 100_000);
    let line = out(&"x".repeat(1000));
    let error = Entry::Err("the error".to_owned());
    for at in 0..2000 {
        writer.write(at, &line).unwrap();
    }
    writer.write(2000, &Entry::Phase(Phase::Export)).unwrap();
    writer.write(2001, &error).unwrap();
    for at in 2001..3000 {
        writer.write(at, &line).unwrap();
    }
    writer.write(3000, &out("the end")).unwrap();
    writer.finish(3001).unwrap();
    let length = writer.written();
    assert!(length < 100_000 + 2 * (256 << 10), "{length}");
    let mut reader = reader_of(&folder);
    let all = read_all(&mut reader);
    assert_eq!(all.last(), Some(&out("the end")));
    assert!(all.contains(&error), "however much output came after it");
    let note = all.iter().find_map(|entry| match entry {
        Entry::Note(text) => Some(text.clone()),
        _ => None,
    });
    assert!(note.unwrap().contains("left out"));
    // Large logs are read from an offset too.
    assert!(reader.seek_phase(Phase::Export).unwrap().is_some());
    assert_eq!(reader.read().unwrap()[0].entry, Entry::Phase(Phase::Export));
}

/// A folder with a disk of its own.
struct Small(TempDir);

impl Small {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = rustix::mount::MountFlags::empty();
        let size = Some(c"size=128k");
        rustix::mount::mount("tmpfs", folder.path(), "tmpfs", flags, size).unwrap();
        Self(folder)
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.path().join("other")).unwrap();
        while file.write_all(&[7; 512]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("other")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        rustix::mount::unmount(self.0.path(), flags).unwrap();
    }
}

#[test]
fn a_full_disk_delays_a_log_and_takes_nothing_of_it() {
    let small = Small::new();
    // From before its first byte on; in the middle; at its last.
    let mut writer = LogWriter::new(&small.0.path().join("a/log"), 1 << 20);
    let mut written = Vec::new();
    for round in 0..3 {
        small.fill();
        let mut entries = sample();
        // Lines that do not compress, for more than a page.
        entries.extend((0..200).map(|_| {
            let noise = (0..100).map(|_| fastrand::alphanumeric());
            out(&format!("{round} {}", noise.collect::<String>()))
        }));
        // One error at most: what comes after it is kept.
        let refused = entries
            .iter()
            .filter(|entry| writer.write(7, entry).is_err());
        assert!(refused.count() <= 1, "round {round}");
        writer.flush().unwrap_err();
        writer.flush().unwrap_err();
        assert!(writer.is_behind());
        written.extend(entries);
        let mut reader = reader_in(&small.0.path().join("a/log"));
        // The last page may have had room for a little.
        assert!(written.starts_with(&read_all(&mut reader)), "round {round}");
        if round == 2 {
            writer.finish(9).unwrap_err();
        }
        small.make_room();
        if round < 2 {
            writer.flush().unwrap();
            assert!(!writer.is_behind());
        }
    }
    writer.finish(9).unwrap();
    let mut reader = reader_in(&small.0.path().join("a/log"));
    assert!(read_all(&mut reader) == written, "whole, once, in order");
    let phases: Vec<_> = reader.phases().unwrap().iter().map(|at| at.phase).collect();
    assert_eq!(phases, [Phase::Fetch, Phase::Assemble].repeat(3));
    assert!(reader.seek_phase(Phase::Assemble).unwrap().is_some());
    assert_eq!(
        reader.read().unwrap()[0].entry,
        Entry::Phase(Phase::Assemble)
    );
}

#[test]
fn of_what_a_full_disk_takes_the_log_says_how_much() {
    let small = Small::new();
    let mut writer = LogWriter::new(&small.0.path().join("log"), 1 << 30);
    write(&mut writer, &sample());
    writer.flush().unwrap();
    small.fill();
    let line = out(&"x".repeat(1000));
    let mut said = 0;
    for _ in 0..1000 {
        said += line.encode(7).len();
        let _ = writer.write(7, &line);
        let _ = writer.flush();
    }
    writer.write(8, &Entry::Phase(Phase::Export)).unwrap();
    writer.write(9, &out("the error")).unwrap();
    assert!(writer.is_behind());
    small.make_room();
    writer.finish(9).unwrap();
    let mut reader = reader_in(&small.0.path().join("log"));
    let all = read_all(&mut reader);
    assert_eq!(all[..sample().len()], sample());
    assert_eq!(all.last(), Some(&out("the error")));
    assert_eq!(all[all.len() - 2], Entry::Phase(Phase::Export));
    let lost: usize = all.iter().find_map(lost).unwrap();
    let kept = all.iter().filter(|entry| **entry == line).count();
    assert!(kept > 100);
    assert_eq!(lost + kept * line.encode(7).len(), said);
}

fn lost(entry: &Entry) -> Option<usize> {
    let Entry::Note(text) = entry else {
        return None;
    };
    let (bytes, _) = text.split_once(" bytes of the log are lost here")?;
    bytes.parse().ok()
}

#[test]
fn a_log_is_given_out_in_small_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(folder.path(), 1 << 30);
    // What does not compress, so that frames are as long as they get; lines of a byte; and the longest line.
    let mut random = fastrand::Rng::with_seed(7);
    let noise = |random: &mut fastrand::Rng| -> String {
        (0..4000).map(|_| random.alphanumeric()).collect()
    };
    let mut written: Vec<Entry> = (0..200).map(|_| out(&noise(&mut random))).collect();
    written.extend((0..20_000).map(|_| out("x")));
    written.push(out(&"y".repeat(32 << 10)));
    written.extend(sample());
    write(&mut writer, &written);
    writer.finish(9).unwrap();
    let mut reader = reader_of(&folder);
    let (mut all, mut at) = (Vec::new(), 0);
    loop {
        let lines = reader.read().unwrap();
        let Some(last) = lines.last() else { break };
        assert!(
            last.next - at <= (16 << 10) + (33 << 10),
            "{}",
            last.next - at
        );
        at = last.next;
        all.extend(lines.into_iter().map(|line| line.entry));
    }
    assert_eq!(all, written);
}

#[test]
fn what_is_no_frame_of_ours_takes_no_memory() {
    let compressed = |text: &[u8]| zstd::bulk::compress(text, 1).unwrap();
    let mut of_unknown_length = zstd::Encoder::new(Vec::new(), 1).unwrap();
    of_unknown_length.write_all(&vec![b'x'; 64 << 20]).unwrap();
    let noise: Vec<u8> = (0..4 << 20).map(|_| fastrand::u8(..)).collect();
    for file in [
        compressed(&vec![b'\n'; 64 << 20]),
        of_unknown_length.finish().unwrap(),
        compressed(&noise),
        noise.clone(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::new(folder.path(), 1 << 20);
        write(&mut writer, &sample());
        writer.finish(9).unwrap();
        let log = folder.path().join("log");
        let whole = std::fs::metadata(&log).unwrap().len();
        let mut damaged = OpenOptions::new().append(true).open(&log).unwrap();
        damaged.write_all(&file).unwrap();
        assert_eq!(read_all(&mut reader_of(&folder)), sample());
        // The next writer goes on where all was well.
        LogWriter::new(folder.path(), 1 << 20).flush().unwrap();
        assert_eq!(std::fs::metadata(&log).unwrap().len(), whole);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut lying = compressed(b"1 o honest\n1 o honest\n");
    // The length of the content, in one byte (RFC 8878, section 3.1.1.1).
    assert_eq!(lying[5], 22);
    lying[5] = 200;
    std::fs::write(folder.path().join("log"), lying).unwrap();
    assert_eq!(read_all(&mut reader_of(&folder)), []);
    let line = "{\"phase\":\"export\",\"at\":1,\"offset\":1}\n";
    std::fs::write(folder.path().join("phases"), line.repeat(1 << 20)).unwrap();
    assert!(reader_of(&folder).phases().unwrap().len() < 4096);
}

#[tokio::test]
async fn so_many_logs_are_read_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(folder.path(), 1 << 20);
    write(&mut writer, &sample());
    writer.finish(9).unwrap();
    let turns = Arc::new(Semaphore::new(1));
    let reader = LogReader::new(folder.path().to_owned(), Arc::clone(&turns));
    let mut follow = reader.written();
    let other = turns.acquire().await.unwrap();
    {
        let next = follow.next();
        tokio::pin!(next);
        let mut blocked = tokio::task::spawn_blocking(|| {});
        // Whatever could be read without a turn has been read when threads have come to this.
        tokio::select! {
            biased;
            _ = &mut next => panic!("it was not its turn"),
            ended = &mut blocked => ended.unwrap(),
        }
    }
    drop(other);
    let mut all = Vec::new();
    while let Some(lines) = follow.next().await.unwrap() {
        all.extend(lines.into_iter().map(|line| line.entry));
    }
    assert_eq!(all, sample(), "a future that was dropped has lost nothing");
}

#[tokio::test]
async fn a_log_is_followed_until_the_run_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (say, hear) = watch::channel(Written::default());
    let reader = reader_of(&folder);
    let mut follow = Follow::new(reader, 0, Some(hear));
    let path = folder.path().to_owned();
    let writing = tokio::task::spawn_blocking(move || {
        let mut writer = LogWriter::new(&path, 1 << 20);
        for entry in sample() {
            writer.write(1, &entry).unwrap();
            writer.flush().unwrap();
            let bytes = writer.written();
            let ended = false;
            say.send_replace(Written { bytes, ended });
        }
        writer.finish(2).unwrap();
        let bytes = writer.written();
        let ended = true;
        say.send_replace(Written { bytes, ended });
    });
    let mut all = Vec::new();
    while let Some(lines) = follow.next().await.unwrap() {
        all.extend(lines.into_iter().map(|line| line.entry));
    }
    assert_eq!(all, sample());
    writing.await.unwrap();
}

#[test]
fn a_log_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::new(&folder.path().join("logs/team/run"), 1 << 20);
    writer.flush().unwrap();
    for made in ["logs", "logs/team", "logs/team/run"] {
        let metadata = std::fs::metadata(folder.path().join(made)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o700, "{made}");
    }
}
