//! A real hyper server on loopback and a client that sees every byte of it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::RANGE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::window::{Access, Window};
use crate::{FileBody, Outlet, Wire};

pub(super) type AnyBody = BoxBody<Bytes, io::Error>;

/// Content that differs at every place and from file to file.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15) | 1;
    let mut content = Vec::with_capacity(len + 8);
    while content.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(len);
    content
}

/// Beside the running program, which lies on a disk; the folder of temporary files may be memory, whose pages are
/// never dropped.
pub(super) fn file_of(content: &[u8]) -> Arc<File> {
    let program = std::env::current_exe().unwrap();
    let mut file = tempfile::tempfile_in(program.parent().unwrap()).unwrap();
    file.write_all(content).unwrap();
    Arc::new(file)
}

/// A window of one's own that reads as zeros, as in a release build.
pub(super) fn zeros() -> &'static Window {
    Box::leak(Box::new(Window::reserve(Access::Zeros).unwrap()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// `hyper::server::conn::http1`
    Http1,
    /// `hyper_util::server::conn::auto`
    Auto,
    /// `http1` told to flatten writes
    Flatten,
    /// `http1` told to gather pipelined replies, which flattens too
    PipelineFlush,
}

pub(super) type Wrap = fn(FileBody) -> AnyBody;

pub(super) struct Site {
    pub(super) files: HashMap<String, (Arc<File>, u64)>,
    pub(super) flavour: Flavour,
    pub(super) patience: Duration,
    pub(super) window: Option<&'static Window>,
    pub(super) wrap: Wrap,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            files: HashMap::new(),
            flavour: Flavour::Http1,
            patience: Duration::from_secs(60),
            window: Window::shared(),
            wrap: BodyExt::boxed,
        }
    }
}

impl Site {
    pub(super) fn with(mut self, name: &str, content: &[u8]) -> Self {
        let entry = (file_of(content), content.len() as u64);
        self.files.insert(format!("/{name}"), entry);
        self
    }

    /// `/text` and `/long` are ordinary bodies; a `Range: bytes=FIRST-LAST` is obeyed for files.
    pub(super) fn respond(
        &self,
        request: &Request<Incoming>,
        outlet: &Outlet,
    ) -> Response<AnyBody> {
        let full = |text: Bytes| Full::new(text).map_err(|never| match never {}).boxed();
        let path = request.uri().path();
        if path == "/text" {
            return Response::new(full(Bytes::from_static(b"a small body\n")));
        }
        if path == "/long" {
            return Response::new(full(Bytes::from(vec![b'x'; 64 << 20])));
        }
        let (file, len) = &self.files[path];
        let range = request.headers().get(RANGE).map_or(0..*len, |range| {
            let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
            let (first, last) = range.split_once('-').unwrap();
            first.parse().unwrap()..last.parse::<u64>().unwrap() + 1
        });
        Response::new((self.wrap)(outlet.file(Arc::clone(file), range)))
    }

    pub(super) async fn serve(self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server {
            address,
            log: Arc::default(),
        };
        let log = Arc::clone(&server.log);
        let site = Arc::new(self);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (site, log) = (Arc::clone(&site), Arc::clone(&log));
                tokio::spawn(async move {
                    let (wire, outlet) = Wire::through(stream, site.patience, site.window);
                    log.lock().unwrap().outlets.push(outlet.clone());
                    let outcome = site.connection(wire, outlet).await;
                    log.lock().unwrap().outcomes.push(outcome);
                });
            }
        });
        server
    }

    /// Serves one connection; returns how it ended, with the chain of causes.
    pub(super) async fn connection<S>(self: &Arc<Self>, wire: Wire<S>, outlet: Outlet) -> Outcome
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let site = Arc::clone(self);
        let service = service_fn(move |request| {
            let response = site.respond(&request, &outlet);
            async { Ok::<_, Infallible>(response) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).max_buf_size(64 * 1024);
        match self.flavour {
            Flavour::Http1 => {}
            Flavour::Flatten => drop(builder.writev(false)),
            Flavour::PipelineFlush => drop(builder.pipeline_flush(true)),
            Flavour::Auto => {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder
                    .http1()
                    .timer(TokioTimer::new())
                    .max_buf_size(64 * 1024);
                return builder
                    .serve_connection(wire, service)
                    .await
                    .map_err(|error| causes(error.as_ref()));
            }
        }
        builder
            .serve_connection(wire, service)
            .await
            .map_err(|error| causes(&error))
    }
}

pub(super) type Outcome = Result<(), String>;

fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[derive(Default)]
pub(super) struct Log {
    pub(super) outlets: Vec<Outlet>,
    pub(super) outcomes: Vec<Outcome>,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) log: Arc<Mutex<Log>>,
}

impl Server {
    pub(super) async fn connect(&self) -> Client<TcpStream> {
        Client::over(TcpStream::connect(self.address).await.unwrap())
    }

    /// Bytes that left by `sendfile`, over all connections.
    pub(super) fn sendfile_bytes(&self) -> u64 {
        let log = self.log.lock().unwrap();
        log.outlets.iter().map(Outlet::sendfile_bytes).sum()
    }

    /// How the only connection ended.
    pub(super) async fn outcome(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.log.lock().unwrap().outcomes.pop() {
                return outcome;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(super) struct Client<S> {
    pub(super) stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(super) async fn send(&mut self, request: &str) {
        self.stream.write_all(request.as_bytes()).await.unwrap();
    }

    pub(super) async fn get(&mut self, path: &str) -> Vec<u8> {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        self.body().await.unwrap()
    }

    pub(super) async fn get_range(&mut self, path: &str, first: usize, last: usize) -> Vec<u8> {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nrange: bytes={first}-{last}\r\n\r\n"
        ))
        .await;
        self.body().await.unwrap()
    }

    /// Reads a reply's head; returns its lines in lower case.
    pub(super) async fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == "\r\n" {
                return Ok(head);
            }
            head.push_str(&line.to_lowercase());
        }
    }

    /// Reads a whole reply of announced length; returns its body.
    pub(super) async fn body(&mut self) -> io::Result<Vec<u8>> {
        let head = self.head().await?;
        assert!(!head.contains("transfer-encoding"), "{head}");
        let mut body = vec![0; content_length(&head)];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    /// Reads until the connection ends, well or badly.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = self.stream.read(&mut buffer).await {
            rest.extend_from_slice(&buffer[..read]);
        }
        rest
    }
}

pub(super) fn content_length(head: &str) -> usize {
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    length.expect(head).parse().unwrap()
}
