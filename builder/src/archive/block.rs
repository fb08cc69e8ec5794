//! The header block: 512 bytes of fields at fixed places (`pax`, ustar Interchange Format).

use super::BLOCK;

/// A header block.
#[derive(Clone)]
pub(super) struct Block(pub(super) [u8; BLOCK]);

/// Where a field is: its first byte and its length.
#[derive(Clone, Copy)]
pub(super) struct Field(usize, usize);

pub(super) const NAME: Field = Field(0, 100);
pub(super) const MODE: Field = Field(100, 8);
pub(super) const UID: Field = Field(108, 8);
pub(super) const GID: Field = Field(116, 8);
pub(super) const SIZE: Field = Field(124, 12);
pub(super) const MTIME: Field = Field(136, 12);
const CHECKSUM: Field = Field(148, 8);
const TYPE: usize = 156;
pub(super) const LINK: Field = Field(157, 100);
const MAGIC: Field = Field(257, 8);
pub(super) const MAJOR: Field = Field(329, 8);
pub(super) const MINOR: Field = Field(337, 8);
pub(super) const PREFIX: Field = Field(345, 155);
/// Where the format of `star` has a mark of its own and a shorter prefix.
const STAR: Field = Field(508, 4);

/// Who wrote a header, as far as its fields mean something else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Before POSIX: no magic, no prefix, no device numbers.
    V7,
    Ustar,
    /// Old GNU: other things where ustar has the prefix, in archives that are no layers.
    Gnu,
}

impl Block {
    pub(super) fn zero() -> Self {
        Self([0; BLOCK])
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    pub(super) fn entry_type(&self) -> u8 {
        self.0[TYPE]
    }

    pub(super) fn dialect(&self) -> Result<Dialect, &'static str> {
        let magic = self.field(MAGIC);
        let has_prefix = self.field(PREFIX).iter().any(|byte| *byte != 0);
        if has_prefix && !magic.starts_with(b"ustar\0") {
            return Err("it has a prefix to its name that some readers would ignore");
        }
        if magic.starts_with(b"ustar\0") {
            if self.field(STAR) == b"tar\0" {
                return Err("it is of the format of star, whose names are read in two ways");
            }
            Ok(Dialect::Ustar)
        } else if magic == b"ustar  \0" {
            Ok(Dialect::Gnu)
        } else if magic.iter().all(|byte| *byte == 0) {
            Ok(Dialect::V7)
        } else {
            Err("it is no tar header")
        }
    }

    pub(super) fn field(&self, Field(at, length): Field) -> &[u8] {
        &self.0[at..at + length]
    }

    /// A text: up to the first NUL, or all of the field.
    pub(super) fn text(&self, field: Field) -> &[u8] {
        let bytes = self.field(field);
        let end = bytes.iter().position(|byte| *byte == 0);
        &bytes[..end.unwrap_or(bytes.len())]
    }

    /// A number: octal text, or in base 256 if the first bit is set (GNU). An empty field is 0.
    pub(super) fn number(&self, field: Field) -> Result<i64, &'static str> {
        let bytes = self.field(field);
        if bytes[0] & 0x80 != 0 {
            return base_256(bytes).ok_or("a number in its header is too large");
        }
        octal(bytes).ok_or("a number in its header is not octal")
    }

    /// Whether the check sum is the sum of the bytes.
    pub(super) fn is_sound(&self) -> bool {
        octal(self.field(CHECKSUM)) == Some(i64::from(self.sum()))
    }

    pub(super) fn put(&mut self, Field(at, length): Field, bytes: &[u8]) {
        let length = length.min(bytes.len());
        self.0[at..at + length].copy_from_slice(&bytes[..length]);
    }

    /// Writes octal digits and a NUL; `false`, and a zero, if there is no room.
    pub(super) fn put_number(&mut self, field: Field, number: u64) -> bool {
        let digits = field.1 - 1;
        let fits = number < 1 << (3 * digits);
        let text = format!("{:0digits$o}", if fits { number } else { 0 });
        self.put(field, text.as_bytes());
        fits
    }

    /// Writes the type, the magic and, last, the check sum.
    pub(super) fn seal(&mut self, entry_type: u8) {
        self.0[TYPE] = entry_type;
        self.put(MAGIC, b"ustar\x0000");
        let text = format!("{:06o}\0 ", self.sum());
        self.put(CHECKSUM, text.as_bytes());
    }

    /// The sum of all bytes, with spaces where it is written itself.
    fn sum(&self) -> u32 {
        let Field(at, length) = CHECKSUM;
        let others = self.0[..at].iter().chain(&self.0[at + length..]);
        others.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ')
    }
}

/// Octal digits with blanks around them.
fn octal(bytes: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !is_blank(byte));
    let bytes = &bytes[start.unwrap_or(bytes.len())..];
    let end = bytes.iter().position(is_blank).unwrap_or(bytes.len());
    if !bytes[end..].iter().all(is_blank) {
        return None;
    }
    let digit = |number: i64, byte: &u8| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    };
    bytes[..end].iter().try_fold(0, digit)
}

/// Two's complement, big-endian, the first bit only a mark.
fn base_256(bytes: &[u8]) -> Option<i64> {
    let negative = bytes[0] & 0x40 != 0;
    let first = if negative {
        i64::from(bytes[0]) - 256
    } else {
        i64::from(bytes[0] & 0x7f)
    };
    bytes[1..].iter().try_fold(first, |number, byte| {
        number.checked_mul(256)?.checked_add(i64::from(*byte))
    })
}
