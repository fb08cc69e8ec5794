//! A proxy in front of a Kubernetes API server, or another that speaks TLS, that behaves as badly as it is told to, and counts what is asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Certificate;
use reqwest::blocking::Client;

use crate::OrFail;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It is passed on.
    Fair,
    /// It is passed on after a while.
    Slow(Duration),
    /// The connection is closed without an answer.
    Down,
    /// It is answered with this status and nothing that makes sense.
    Garbage(u16),
    /// The API server's own way of refusing: 403 with a `Status`.
    Forbidden,
    /// Every other request is treated as [`Down`](Self::Down).
    Flapping,
    /// It is answered with a JSON text that does not end.
    Endless,
}

/// The proxy: plain HTTP on loopback, TLS to the API server. It serves until the test's process ends.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    asked: Vec<String>,
    served: u64,
}

impl Proxy {
    /// Before the API server at `upstream`, whose certificate is in a PEM file.
    pub fn start(upstream: &str, certificate: &Path) -> Self {
        let pem = std::fs::read(certificate).or_fail("read the API server's certificate");
        let roots = Certificate::from_pem_bundle(&pem).or_fail("parse it");
        let client = Client::builder()
            .tls_certs_only(roots)
            .no_proxy()
            .build()
            .or_fail("make an HTTP client");
        let listener = TcpListener::bind("127.0.0.1:0").or_fail("listen");
        let proxy = Self {
            address: listener.local_addr().or_fail("an address"),
            state: Arc::new(Mutex::new(State {
                weather: Weather::Fair,
                asked: Vec::new(),
                served: 0,
            })),
        };
        let (serving, upstream) = (proxy.clone(), upstream.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (proxy, client) = (serving.clone(), client.clone());
                let upstream = upstream.clone();
                std::thread::spawn(
                    move || while proxy.serve(&stream, &client, &upstream).is_some() {},
                );
            }
        });
        proxy
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        self.lock(|state| state.weather = weather);
    }

    /// The bodies of requests whose path ends so, since the last call.
    pub fn take(&self, path_end: &str) -> Vec<String> {
        let asked = self.lock(|state| std::mem::take(&mut state.asked));
        asked
            .into_iter()
            .filter_map(|asked| {
                let (path, body) = asked.split_once('\n')?;
                path.ends_with(path_end).then(|| body.to_owned())
            })
            .collect()
    }

    fn lock<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One request of a connection; `None` ends it.
    fn serve(&self, stream: &TcpStream, client: &Client, upstream: &str) -> Option<()> {
        let (head, body) = read_request(stream)?;
        let mut words = head.first()?.split(' ');
        let (method, path) = (words.next()?.parse().ok()?, words.next()?);
        let text = String::from_utf8_lossy(&body);
        let (weather, is_odd) = self.lock(|state| {
            let without_query = path.split('?').next().unwrap_or(path);
            state.asked.push(format!("{without_query}\n{text}"));
            state.served += 1;
            (state.weather, state.served % 2 == 1)
        });
        match weather {
            Weather::Forbidden => return answer(stream, 403, FORBIDDEN.as_bytes()),
            Weather::Flapping if is_odd => return None,
            Weather::Fair | Weather::Flapping => {}
            Weather::Slow(wait) => std::thread::sleep(wait),
            Weather::Down => return None,
            Weather::Garbage(status) => return answer(stream, status, b"<html>what?</html>"),
            Weather::Endless => {
                let mut out = stream;
                write!(
                    out,
                    "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{{\"x\":\""
                )
                .ok()?;
                let more = vec![b'x'; 64 << 10];
                loop {
                    out.write_all(&more).ok()?;
                }
            }
        }
        let mut request = client.request(method, format!("https://{upstream}{path}"));
        for line in &head[1..] {
            let (name, value) = line.split_once(": ")?;
            if !["host", "content-length", "connection"].contains(&name.to_lowercase().as_str()) {
                request = request.header(name, value);
            }
        }
        let reply = request.body(body).send().ok()?;
        let status = reply.status().as_u16();
        answer(stream, status, &reply.bytes().ok()?)
    }
}

/// As a cluster says that the account of the registry may not ask.
const FORBIDDEN: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"forbidden: User \"registry\" cannot create resource","reason":"Forbidden","details":{},"code":403}"#;

fn read_request(stream: &TcpStream) -> Option<(Vec<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn answer(mut stream: &TcpStream, status: u16, body: &[u8]) -> Option<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .ok()?;
    stream.write_all(body).ok()
}
