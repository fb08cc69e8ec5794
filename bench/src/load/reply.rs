//! Reading replies: the head, and the two ways of framing a body.

use anyhow::{Context as _, Result, bail, ensure};

/// What the caller wants to know of a reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// How many body bytes came.
    pub(crate) length: u64,
    /// The `Location` header.
    pub(crate) location: Option<String>,
    /// The path of the `Link` header's `rel="next"`.
    pub(crate) next: Option<String>,
    /// The `WWW-Authenticate` headers, joined.
    pub(crate) challenge: Option<String>,
    /// Whether the server closes the connection after it.
    pub(super) closes: bool,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// A parsed head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
    location: Option<String>,
    next: Option<String>,
    challenge: Option<String>,
    closes: bool,
}

impl Head {
    /// Parses a head and says how many bytes it took; `None` when it is not yet whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; 48];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(used) = parsed.parse(bytes).context("no HTTP reply")? else {
            return Ok(None);
        };
        let status = parsed.code.context("a reply without a status")?;
        let mut head = Self {
            status,
            framing: Framing::Length(0),
            location: None,
            next: None,
            challenge: None,
            closes: parsed.version == Some(0),
        };
        for header in parsed.headers.iter() {
            head.take(header.name, header.value)?;
        }
        Ok(Some((head, used)))
    }

    fn take(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let text = || String::from_utf8_lossy(value).into_owned();
        if name.eq_ignore_ascii_case("content-length") {
            self.framing = Framing::Length(text().trim().parse().context("Content-Length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            ensure!(
                value.eq_ignore_ascii_case(b"chunked"),
                "transfer coding {}",
                text()
            );
            self.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            self.closes |= value.eq_ignore_ascii_case(b"close");
        } else if name.eq_ignore_ascii_case("location") {
            self.location = Some(text());
        } else if name.eq_ignore_ascii_case("link") {
            self.next = next_of(&text());
        } else if name.eq_ignore_ascii_case("www-authenticate") {
            let challenge = self.challenge.get_or_insert_default();
            challenge.push_str(&text());
            challenge.push('\n');
        }
        Ok(())
    }

    pub(super) fn into_reply(self, length: u64) -> Reply {
        Reply {
            status: self.status,
            length,
            location: self.location,
            next: self.next,
            challenge: self.challenge,
            closes: self.closes,
        }
    }
}

/// The path and query of `<…>; rel="next"`, absolute or relative (RFC 8288).
fn next_of(link: &str) -> Option<String> {
    let (address, parameters) = link.strip_prefix('<')?.split_once('>')?;
    parameters
        .contains("next")
        .then(|| path_of(address).to_owned())
}

/// The path and query of an address.
pub(super) fn path_of(address: &str) -> &str {
    match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => address,
    }
}

/// A chunked body (RFC 9112, section 7.1) as it comes in; trailers are read over.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Body bytes so far.
    pub(super) length: u64,
    state: ChunkState,
}

#[derive(Debug, Default)]
enum ChunkState {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

impl Chunks {
    /// Takes what it can of `bytes`: how many it took, and whether the body is complete.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut keep: Option<&mut Vec<u8>>,
    ) -> Result<(usize, bool)> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            if let ChunkState::Data(left) = &mut self.state {
                let here = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                if let Some(kept) = keep.as_deref_mut() {
                    kept.extend_from_slice(&rest[..here]);
                }
                self.length += here as u64;
                used += here;
                *left -= here as u64;
                if *left > 0 {
                    return Ok((used, false));
                }
                self.state = ChunkState::DataEnd;
                continue;
            }
            let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else {
                ensure!(rest.len() < 256, "a chunk's size line has no end");
                return Ok((used, false));
            };
            used += line + 2;
            let text = &rest[..line];
            self.state = match self.state {
                ChunkState::Size => match chunk_size(text)? {
                    0 => ChunkState::Trailers,
                    size => ChunkState::Data(size),
                },
                ChunkState::DataEnd if text.is_empty() => ChunkState::Size,
                ChunkState::Trailers if text.is_empty() => return Ok((used, true)),
                ChunkState::Trailers => ChunkState::Trailers,
                _ => bail!("a chunk is longer than it said"),
            };
        }
    }
}

fn chunk_size(line: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(line).context("a chunk's size")?;
    let digits = text.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).with_context(|| format!("a chunk's size is {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_when_it_is_whole() {
        let text = b"HTTP/1.1 202 Accepted\r\nLocation: /v2/a/blobs/uploads/1\r\nContent-Length: 0\r\n\r\nrest";
        assert!(Head::parse(&text[..40]).unwrap().is_none());
        let (head, used) = Head::parse(text).unwrap().unwrap();
        assert_eq!(&text[used..], b"rest");
        assert_eq!((head.status, head.framing), (202, Framing::Length(0)));
        assert_eq!(head.location.as_deref(), Some("/v2/a/blobs/uploads/1"));
    }

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        let wire = b"4\r\nWiki\r\n6;x=1\r\npedia \r\n0\r\n\r\n";
        for cut in 1..wire.len() {
            let (mut chunks, mut body, mut start, mut done) =
                (Chunks::default(), Vec::new(), 0, false);
            for end in [cut, wire.len()] {
                let (used, over) = chunks.feed(&wire[start..end], Some(&mut body)).unwrap();
                start += used;
                done = over;
            }
            assert!(done);
            assert_eq!(
                (body.as_slice(), chunks.length, start),
                (&b"Wikipedia "[..], 10, wire.len())
            );
        }
        assert!(Chunks::default().feed(b"2\r\nabc\r\n", None).is_err());
    }

    #[test]
    fn the_next_page_is_found_in_absolute_and_relative_links() {
        let relative = "</v2/_catalog?last=b&n=2>; rel=\"next\"";
        assert_eq!(
            next_of(relative).as_deref(),
            Some("/v2/_catalog?last=b&n=2")
        );
        let absolute = "<http://127.0.0.1:5000/v2/_catalog?last=b>; rel=\"next\"";
        assert_eq!(next_of(absolute).as_deref(), Some("/v2/_catalog?last=b"));
    }
}
