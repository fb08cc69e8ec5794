//! One keep-alive connection to a server under test.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use rustix::net::{RecvFlags, recv};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Payload;
use super::reply::{Chunks, Framing, Head, Reply};
use super::tally::Tally;

const READ_BUFFER: usize = 64 * 1024;
/// How much one `recv` may discard.
const DISCARD: usize = 1024 * 1024;
/// A header longer than this is no registry's.
const LONGEST_HEAD: usize = 32 * 1024;

/// Where a server listens and how to speak to it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The address.
    pub(crate) address: SocketAddr,
    /// The client's TLS configuration, when the server speaks TLS.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
    /// The `Authorization` header's value, sent with every request.
    pub(crate) authorization: Option<String>,
}

impl Target {
    /// A request's head without its last empty line: `GET /v2/ HTTP/1.1` and the headers that every request has.
    pub(crate) fn head(&self, method: &str, path: &str) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(value) = &self.authorization {
            for part in ["Authorization: ", value, "\r\n"] {
                head.push_str(part);
            }
        }
        head
    }

    /// The same server, with these credentials.
    pub(crate) fn with_authorization(&self, value: Option<String>) -> Self {
        Self {
            authorization: value,
            ..self.clone()
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that is opened on first use, kept alive, and opened again when the server closed it.
pub(crate) struct Connection {
    /// Where it leads.
    pub(crate) target: Arc<Target>,
    tally: Rc<Tally>,
    stream: Option<Stream>,
    buffer: Vec<u8>,
    /// Names a length to the kernel; its pages are never touched.
    scratch: Vec<u8>,
    start: usize,
    end: usize,
    body_sent: Option<Instant>,
}

impl Connection {
    /// A connection whose received body bytes are counted in `tally`.
    pub(crate) fn new(target: Arc<Target>, tally: Rc<Tally>) -> Self {
        Self {
            target,
            tally,
            stream: None,
            buffer: vec![0; READ_BUFFER],
            scratch: vec![0; DISCARD],
            start: 0,
            end: 0,
            body_sent: None,
        }
    }

    /// When the last byte of the last request was handed to the kernel.
    pub(crate) fn body_sent(&self) -> Option<Instant> {
        self.body_sent
    }

    /// Connects, if it is not connected.
    pub(crate) async fn open(&mut self) -> Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        let tcp = TcpStream::connect(self.target.address)
            .await
            .context("connect")?;
        tcp.set_nodelay(true)?;
        (self.start, self.end) = (0, 0);
        self.stream = Some(match &self.target.tls {
            None => Stream::Plain(tcp),
            Some(config) => {
                let name = ServerName::IpAddress(self.target.address.ip().into());
                let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp);
                Stream::Tls(Box::new(tls.await.context("TLS handshake")?))
            }
        });
        Ok(())
    }

    /// Closes it at once.
    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    /// Sends a request and reads its reply to the end; the reply's body is counted and thrown away.
    pub(crate) async fn exchange(&mut self, head: &[u8], payload: &Payload<'_>) -> Result<Reply> {
        self.perform(head, payload, None).await
    }

    /// As [`Self::exchange`], and keeps the reply's body.
    pub(crate) async fn fetch(
        &mut self,
        head: &[u8],
        payload: &Payload<'_>,
    ) -> Result<(Reply, Vec<u8>)> {
        let mut body = Vec::new();
        let reply = self.perform(head, payload, Some(&mut body)).await?;
        Ok((reply, body))
    }

    /// Sends a request and reads only the reply's head and whatever came with it.
    pub(crate) async fn begin(&mut self, head: &[u8]) -> Result<u16> {
        self.open().await?;
        Payload::Empty.send(head, self).await?;
        Ok(self.read_head().await?.status)
    }

    async fn perform(
        &mut self,
        head: &[u8],
        payload: &Payload<'_>,
        keep: Option<&mut Vec<u8>>,
    ) -> Result<Reply> {
        self.open().await?;
        let outcome = self.perform_open(head, payload, keep).await;
        match &outcome {
            Ok(reply) if !reply.closes => {}
            _ => self.close(),
        }
        outcome
    }

    async fn perform_open(
        &mut self,
        head: &[u8],
        payload: &Payload<'_>,
        keep: Option<&mut Vec<u8>>,
    ) -> Result<Reply> {
        let sent = payload.send(head, self).await;
        self.body_sent = Some(Instant::now());
        // A server that refuses early may close before it read all: its answer says why, so read that first.
        let answer = match sent {
            Ok(()) => self.read_head().await?,
            Err(error) => self.read_head().await.map_err(|_| error)?,
        };
        let length = if head.starts_with(b"HEAD ") {
            0
        } else {
            match answer.framing {
                Framing::Length(length) => self.read_length(length, keep).await?,
                Framing::Chunked => self.read_chunks(keep).await?,
            }
        };
        Ok(answer.into_reply(length))
    }

    async fn read_head(&mut self) -> Result<Head> {
        loop {
            if let Some((head, used)) = Head::parse(&self.buffer[self.start..self.end])? {
                self.start += used;
                if head.status == 100 {
                    continue;
                }
                return Ok(head);
            }
            if self.end - self.start > LONGEST_HEAD {
                bail!("a reply's header is longer than {LONGEST_HEAD} bytes");
            }
            self.fill().await?;
        }
    }

    async fn read_length(&mut self, length: u64, mut keep: Option<&mut Vec<u8>>) -> Result<u64> {
        let mut left = length;
        while left > 0 {
            if self.start == self.end {
                if keep.is_none() && left > READ_BUFFER as u64 {
                    left -= self.discard(left).await?;
                    continue;
                }
                self.fill().await?;
            }
            let here =
                usize::try_from(left).map_or(usize::MAX, |left| left.min(self.end - self.start));
            let here = here.min(self.end - self.start);
            if let Some(kept) = keep.as_deref_mut() {
                kept.extend_from_slice(&self.buffer[self.start..self.start + here]);
            }
            self.start += here;
            left -= here as u64;
            self.tally.received(here as u64);
        }
        Ok(length)
    }

    async fn read_chunks(&mut self, mut keep: Option<&mut Vec<u8>>) -> Result<u64> {
        let mut chunks = Chunks::default();
        loop {
            let (used, done) =
                chunks.feed(&self.buffer[self.start..self.end], keep.as_deref_mut())?;
            self.start += used;
            self.tally.received(used as u64);
            if done {
                return Ok(chunks.length);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let space = &mut self.buffer[self.end..];
        let read = match &mut self.stream {
            Some(Stream::Plain(tcp)) => tcp.read(space).await?,
            Some(Stream::Tls(tls)) => tls.read(space).await?,
            None => bail!("not connected"),
        };
        if read == 0 {
            bail!("the server closed the connection in the middle of a reply");
        }
        self.end += read;
        Ok(())
    }

    /// Throws away up to `left` bytes. On plain TCP the kernel drops them without copying, so that
    /// the generator's cost does not hide the server's.
    async fn discard(&mut self, left: u64) -> Result<u64> {
        let wanted = usize::try_from(left).map_or(DISCARD, |left| left.min(DISCARD));
        let read = match &mut self.stream {
            Some(Stream::Plain(tcp)) => loop {
                tcp.readable().await?;
                let space = &mut self.scratch[..wanted];
                let dropped = tcp.try_io(Interest::READABLE, || {
                    let (dropped, _) = recv(&*tcp, space, RecvFlags::TRUNC)?;
                    Ok(dropped)
                });
                match dropped {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    other => break other?,
                }
            },
            Some(Stream::Tls(tls)) => {
                let room = wanted.min(self.buffer.len());
                tls.read(&mut self.buffer[..room]).await?
            }
            None => bail!("not connected"),
        };
        if read == 0 {
            bail!("the server closed the connection in the middle of a body");
        }
        self.tally.received(read as u64);
        Ok(read as u64)
    }

    /// Writes all of `bytes`.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.stream {
            Some(Stream::Plain(tcp)) => tcp.write_all(bytes).await?,
            Some(Stream::Tls(tls)) => {
                tls.write_all(bytes).await?;
                tls.flush().await?;
            }
            None => bail!("not connected"),
        }
        Ok(())
    }
}
