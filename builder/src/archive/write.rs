//! Writing an archive: one way to write each entry, so that the same tree is the same bytes.

use std::io::{self, Write};

use super::block::{self, Block};
use super::pax;
use super::{BLOCK, Entry, Kind, padding};

/// An archive under way. Ustar where it suffices, pax records where it does not; GNU's forms are never written. Users and
/// groups have numbers and no names.
pub(crate) struct Writer<W> {
    sink: W,
    entries: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(sink: W) -> Self {
        Self { sink, entries: 0 }
    }

    /// Writes the headers of an entry. The content of a file is to follow: as many bytes as its size, through
    /// [`Writer::content`], then [`Writer::pad`].
    pub(crate) fn header(&mut self, entry: &Entry) -> io::Result<()> {
        let (block, records) = encode(entry);
        if !records.is_empty() {
            let size = records.len() as u64;
            let mut extended = Block::zero();
            extended.put(block::NAME, b"PaxHeaders.0");
            put_numbers(&mut extended, [0o644, 0, 0, size, 0]);
            extended.seal(b'x');
            self.sink.write_all(&extended.0)?;
            self.sink.write_all(&records)?;
            self.pad(size)?;
        }
        self.entries += 1;
        self.sink.write_all(&block.0)
    }

    /// Writes some of the content of the last entry.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes)
    }

    /// Fills the last block of `size` bytes of content.
    pub(crate) fn pad(&mut self, size: u64) -> io::Result<()> {
        self.sink.write_all(&[0; BLOCK][..padding(size)])
    }

    /// Ends the archive. Gives back the sink and the number of entries.
    pub(crate) fn finish(mut self) -> io::Result<(W, u64)> {
        self.sink.write_all(&[0; 2 * BLOCK])?;
        Ok((self.sink, self.entries))
    }
}

fn encode(entry: &Entry) -> (Block, Vec<u8>) {
    let mut block = Block::zero();
    let mut records = Records::default();
    let mut path = entry.path.as_bytes().to_vec();
    if entry.kind == Kind::Directory {
        let end: &[u8] = if path.is_empty() { b"./" } else { b"/" };
        path.extend_from_slice(end);
    }
    records.text(&mut block, block::NAME, b"path", &path);
    let (size, entry_type) = match &entry.kind {
        Kind::File(size) => (*size, b'0'),
        Kind::HardLink(target) => {
            records.text(&mut block, block::LINK, b"linkpath", target.as_bytes());
            (0, b'1')
        }
        Kind::Symlink(target) => {
            records.text(&mut block, block::LINK, b"linkpath", target);
            (0, b'2')
        }
        Kind::CharDevice(_) => (0, b'3'),
        Kind::BlockDevice(_) => (0, b'4'),
        Kind::Directory => (0, b'5'),
        Kind::Fifo => (0, b'6'),
    };
    let device = match entry.kind {
        Kind::CharDevice(device) | Kind::BlockDevice(device) => device,
        _ => super::Device { major: 0, minor: 0 },
    };
    // Linux has 12 bits of major and 20 of minor number: always fewer than the 21 that fit.
    block.put_number(block::MAJOR, device.major.into());
    block.put_number(block::MINOR, device.minor.into());
    let (uid, gid) = (u64::from(entry.uid), u64::from(entry.gid));
    let mtime = u64::try_from(entry.mtime.seconds).unwrap_or_default();
    let fits = put_numbers(&mut block, [entry.mode.into(), uid, gid, size, mtime]);
    let keys: [&[u8]; 5] = [b"mode", b"uid", b"gid", b"size", b"mtime"];
    let numbers = [0, uid, gid, size, mtime];
    for ((key, number), _) in keys.iter().zip(numbers).zip(fits).filter(|(_, fits)| !fits) {
        records.add(key, number.to_string().as_bytes());
    }
    for (name, value) in &entry.xattrs {
        records.add(&[pax::XATTR, name].concat(), value);
    }
    block.seal(entry_type);
    (block, records.finish())
}

/// Mode, owner, group, size, time; which of them fit.
fn put_numbers(block: &mut Block, numbers: [u64; 5]) -> [bool; 5] {
    let fields = [
        block::MODE,
        block::UID,
        block::GID,
        block::SIZE,
        block::MTIME,
    ];
    let mut fits = [true; 5];
    for (fits, (field, number)) in fits.iter_mut().zip(fields.into_iter().zip(numbers)) {
        *fits = block.put_number(field, number);
    }
    fits
}

/// The records of one extended header.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    is_binary: bool,
}

impl Records {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        pax::record(&mut self.bytes, key, value);
    }

    /// Puts a path or link into its field, and into a record as well if the field is too short or the text is not ASCII,
    /// which readers would take for different things.
    fn text(&mut self, block: &mut Block, field: block::Field, key: &[u8], text: &[u8]) {
        block.put(field, text);
        if text.len() > 100 || !text.is_ascii() {
            self.is_binary |= std::str::from_utf8(text).is_err();
            self.add(key, text);
        }
    }

    fn finish(self) -> Vec<u8> {
        if !self.is_binary {
            return self.bytes;
        }
        // Values are UTF-8 unless this record is in front of them.
        let mut bytes = Vec::new();
        pax::record(&mut bytes, b"hdrcharset", b"BINARY");
        bytes.extend(self.bytes);
        bytes
    }
}
