//! The same GET over and over.

use anyhow::{Result, ensure};

use super::{Connection, Done, Payload, Target, Work};

/// GETs one path and checks status and length of every reply.
#[derive(Debug)]
pub(crate) struct Get {
    head: Vec<u8>,
    length: u64,
    pages: bool,
}

impl Get {
    /// Expects 200 and `length` body bytes.
    pub(crate) fn new(target: &Target, path: &str, length: u64) -> Self {
        Self {
            head: head(target, path),
            length,
            pages: false,
        }
    }

    /// A whole list: follows `Link` to the last page, which makes one turn; `length` bytes in all.
    pub(crate) fn pages(target: &Target, path: &str, length: u64) -> Self {
        Self {
            pages: true,
            ..Self::new(target, path, length)
        }
    }
}

impl Work for Get {
    async fn once(&self, connection: &mut Connection, _turn: u64) -> Result<Done> {
        let mut reply = connection.exchange(&self.head, &Payload::Empty).await?;
        ensure!(reply.status == 200, "status {}", reply.status);
        let mut length = reply.length;
        while let (true, Some(next)) = (self.pages, &reply.next) {
            let head = head(&connection.target, next);
            reply = connection.exchange(&head, &Payload::Empty).await?;
            ensure!(reply.status == 200, "status {}", reply.status);
            length += reply.length;
        }
        ensure!(
            length == self.length,
            "{length} bytes instead of {}",
            self.length
        );
        Ok(Done::default())
    }
}

/// A GET as a container runtime sends it: it names every manifest type that it knows.
fn head(target: &Target, path: &str) -> Vec<u8> {
    let accept = if path.contains("/manifests/") {
        crate::material::ACCEPT
    } else {
        "*/*"
    };
    let head = target.head("GET", path);
    format!("{head}User-Agent: bench\r\nAccept: {accept}\r\n").into_bytes()
}
