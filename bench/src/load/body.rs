//! Request bodies.

use anyhow::Result;

use super::Connection;
use crate::material::Blob;

/// What follows a request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    /// Nothing, for GET.
    Empty,
    /// `Content-Length: 0`, for POST and PUT.
    Nothing,
    /// Small and whole.
    Bytes(&'a [u8]),
    /// A blob with its length known.
    Sized(&'a Blob),
    /// A blob in the 32 KiB chunks in which Go's clients stream.
    Chunked(&'a Blob),
}

impl Payload<'_> {
    /// Ends `head` with the framing header and sends it with the body.
    pub(super) async fn send(&self, head: &[u8], connection: &mut Connection) -> Result<()> {
        let mut first = Vec::with_capacity(head.len() + 64);
        first.extend_from_slice(head);
        match self {
            Self::Empty => first.extend_from_slice(b"\r\n"),
            Self::Nothing => first.extend_from_slice(b"Content-Length: 0\r\n\r\n"),
            Self::Bytes(bytes) => {
                first.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", bytes.len()).as_bytes(),
                );
                first.extend_from_slice(bytes);
            }
            Self::Sized(blob) => {
                first.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", blob.size()).as_bytes(),
                );
            }
            Self::Chunked(_) => first.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
        }
        connection.write(&first).await?;
        match self {
            Self::Sized(blob) => {
                for _ in 0..blob.blocks() {
                    connection.write(blob.block()).await?;
                }
                connection.write(blob.tail()).await?;
            }
            Self::Chunked(blob) => {
                for _ in 0..blob.blocks() {
                    connection.write(blob.chunked_block()).await?;
                }
                let mut last = format!("{:x}\r\n", blob.tail().len()).into_bytes();
                last.extend_from_slice(blob.tail());
                last.extend_from_slice(b"\r\n0\r\n\r\n");
                connection.write(&last).await?;
            }
            Self::Empty | Self::Nothing | Self::Bytes(_) => {}
        }
        Ok(())
    }
}
