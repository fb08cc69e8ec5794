//! HTTP/2 frames by hand (RFC 9113 §4 and §6), right and wrong.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// What a connection must do within; more means that it does not.
const PATIENCE: Duration = Duration::from_secs(40);

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header as RFC 7541 §6.2.2 writes it: not indexed, its name spelt out.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        // A prefix of seven bits, then seven bits a byte (§5.1).
        let mut length = text.len();
        if length < 127 {
            field.push(u8::try_from(length).unwrap());
        } else {
            field.push(127);
            length -= 127;
            while length >= 128 {
                field.push(u8::try_from(length % 128).unwrap() | 128);
                length /= 128;
            }
            field.push(u8::try_from(length).unwrap());
        }
        field.extend(text.bytes());
    }
    field
}

pub fn request(method: &str, path: &str) -> Vec<u8> {
    [
        field(":method", method),
        field(":scheme", "http"),
        field(":path", path),
        field(":authority", "x"),
    ]
    .concat()
}

/// A whole request without a body.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let flags = END_HEADERS | END_STREAM;
    frame(HEADERS, flags, stream, &request("GET", path))
}

/// The start of a push of a manifest, whose body the server then waits for.
pub fn put(stream: u32) -> Vec<u8> {
    let fields = request("PUT", "/v2/a/manifests/v1");
    frame(HEADERS, END_HEADERS, stream, &fields)
}

/// The number of the n-th request's stream.
pub fn stream(nth: u32) -> u32 {
    2 * nth + 1
}

/// A frame that came.
#[derive(Debug, Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of `RST_STREAM` or GOAWAY.
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(code.try_into().unwrap()))
    }
}

/// A connection that has sent its preface.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub fn connect(host: &str) -> Self {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
        Self { stream }
    }

    /// False when the server has ended the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "it hangs");
                false
            }
        }
    }

    /// Reads on another thread, up to the connection's end.
    pub fn reader(&self) -> JoinHandle<Vec<Frame>> {
        let mut raw = Self {
            stream: self.stream.try_clone().unwrap(),
        };
        thread::spawn(move || std::iter::from_fn(|| raw.next()).collect())
    }

    /// The next frame; nothing when the connection has ended. Fails if neither comes.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.read(&mut payload)?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "the connection lives");
                None
            }
        }
    }

    /// The next frame of this kind on this stream.
    pub fn expect(&mut self, kind: u8, stream: u32) -> Frame {
        while let Some(frame) = self.next() {
            if (frame.kind, frame.stream) == (kind, stream) {
                return frame;
            }
        }
        panic!("the connection ended without frame {kind} on stream {stream}");
    }

    pub fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
