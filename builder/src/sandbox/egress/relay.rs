//! Carries a run's connections to where they may go.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::error::SandboxError;
use super::dns::{Names, is_ordinary};
use super::{AddressRules, Egress, HostRule, NAME_SERVER, Refused, Upstream};
use crate::addresses::is_own;

#[cfg(test)]
mod tests;

/// At once; a package manager opens some tens. More wait.
const MAX_CONNECTIONS: usize = 512;
const MAX_QUESTIONS: usize = 64;
const CONNECT: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(5);
/// How long it is tried to tell where a name leads that a proxy will look up.
const FORESEE: Duration = Duration::from_secs(2);
/// The largest message of DNS over UDP that is in use (RFC 6891).
const MESSAGE: usize = 4096;
const DNS: u16 = 53;

/// Decides where connections and questions go.
#[derive(Clone)]
pub(super) struct Judge(Arc<Inner>);

struct Inner {
    egress: Egress,
    upstream: Option<Upstream>,
    names: Arc<Mutex<Names>>,
    refused: Refused,
    /// The host's.
    name_servers: Vec<SocketAddr>,
}

impl Judge {
    pub(super) fn new(
        egress: Egress,
        upstream: Option<Upstream>,
        names: Arc<Mutex<Names>>,
        refused: Refused,
    ) -> Result<Self, SandboxError> {
        let name_servers = match &egress {
            Egress::Full { .. } if upstream.is_none() => {
                let file = std::fs::read_to_string("/etc/resolv.conf");
                name_servers(&file.map_err(SandboxError::io("read /etc/resolv.conf"))?)
            }
            Egress::None | Egress::Full { .. } | Egress::Registries { .. } => Vec::new(),
        };
        Ok(Self(Arc::new(Inner {
            egress,
            upstream,
            names,
            refused,
            name_servers,
        })))
    }

    /// Connects to what a connection was meant for; none if it may not, or cannot.
    async fn connect(&self, meant: SocketAddr) -> Option<TcpStream> {
        let name = self.name(meant.ip());
        match (&self.0.egress, name) {
            (Egress::None, _) => None,
            (Egress::Full { addresses }, Some(name)) => {
                let proxy = self.proxy(&name, meant.port());
                let patience = if proxy.is_some() { FORESEE } else { CONNECT };
                let found = self.look_up(&name, meant.port(), addresses, patience).await;
                match (proxy, found) {
                    (_, Err(Forbidden)) => None,
                    (Some(proxy), Ok(_)) => through(proxy, &name, meant.port()).await,
                    (None, Ok(found)) => try_all(&found).await,
                }
            }
            (Egress::Full { addresses }, None) => {
                if !reaches(addresses, meant.ip()) {
                    self.0.refused.add(meant.to_string());
                    return None;
                }
                match &self.0.upstream {
                    Some(proxy) => through(proxy, &meant.ip().to_string(), meant.port()).await,
                    None => try_all(&[meant]).await,
                }
            }
            (Egress::Registries { hosts, addresses }, name) => {
                let Some(name) = name.filter(|name| may(hosts, name, meant.port())) else {
                    self.0.refused.add(self.words(meant));
                    return None;
                };
                if let Some(proxy) = self.proxy(&name, meant.port()) {
                    return through(proxy, &name, meant.port()).await;
                }
                let found = self.look_up(&name, meant.port(), addresses, CONNECT);
                try_all(&found.await.ok()?).await
            }
        }
    }

    /// The allowed addresses of a name, which may be none; it is forbidden if it has others only.
    async fn look_up(
        &self,
        name: &str,
        port: u16,
        addresses: &AddressRules,
        patience: Duration,
    ) -> Result<Vec<SocketAddr>, Forbidden> {
        let found = match timeout(patience, lookup_host((name, port))).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let (good, bad): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|found| reaches(addresses, found.ip()));
        if good.is_empty() && !bad.is_empty() {
            let bad = bad.iter().map(|bad| bad.ip().to_string());
            let bad = bad.collect::<Vec<_>>().join(", ");
            self.0.refused.add(format!("{name}:{port} ({bad})"));
            return Err(Forbidden);
        }
        Ok(good)
    }

    /// The host's name servers, if a connection is meant for them. They are the administrator's choice, not the build's, and not
    /// judged; what they are asked is.
    fn name_servers(&self, meant: SocketAddr) -> Option<&[SocketAddr]> {
        let is_ours = meant == SocketAddr::from((NAME_SERVER, DNS));
        (is_ours && self.asks_host()).then_some(&self.0.name_servers)
    }

    /// Whether questions go to the host's name servers: where a proxy leads out, those need not know the names outside.
    fn asks_host(&self) -> bool {
        matches!(self.0.egress, Egress::Full { .. }) && self.0.upstream.is_none()
    }

    fn proxy(&self, host: &str, port: u16) -> Option<&Upstream> {
        let upstream = self.0.upstream.as_ref();
        upstream.filter(|upstream| !upstream.spares(host, port))
    }

    /// The name that an address stands for in this run.
    fn name(&self, address: IpAddr) -> Option<String> {
        let IpAddr::V4(address) = address else {
            return None;
        };
        let names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.name(address).map(str::to_owned)
    }

    fn words(&self, meant: SocketAddr) -> String {
        match self.name(meant.ip()) {
            Some(name) => format!("{name}:{}", meant.port()),
            None => meant.to_string(),
        }
    }

    async fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        match &self.0.egress {
            Egress::None => None,
            Egress::Full { .. } if self.asks_host() && !is_ordinary(question) => None,
            Egress::Full { .. } if self.asks_host() => ask(&self.0.name_servers, question).await,
            Egress::Full { .. } | Egress::Registries { .. } => {
                let allowed = |name: &str| match &self.0.egress {
                    Egress::Registries { hosts, .. } => hosts.iter().any(|rule| rule.names(name)),
                    Egress::None | Egress::Full { .. } => true,
                };
                let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
                let (reply, refused) = names.reply(question, allowed)?;
                if let Some(name) = refused {
                    self.0.refused.add(name);
                }
                Some(reply)
            }
        }
    }
}

/// A name that leads to where nothing may be connected to.
struct Forbidden;

fn reaches(addresses: &AddressRules, address: IpAddr) -> bool {
    addresses.permit(address, is_own(address))
}

fn may(hosts: &[HostRule], name: &str, port: u16) -> bool {
    hosts
        .iter()
        .any(|rule| rule.names(name) && rule.opens(port))
}

async fn through(proxy: &Upstream, host: &str, port: u16) -> Option<TcpStream> {
    timeout(CONNECT, proxy.connect(host, port)).await.ok()?.ok()
}

async fn try_all(addresses: &[SocketAddr]) -> Option<TcpStream> {
    first_of(addresses).await.ok()
}

/// The first that takes the connection; why the last did not.
pub(super) async fn first_of(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    let mut error = std::io::Error::other("it has no address");
    for &address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(refused)) => error = refused,
            Err(_) => error = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(error)
}

/// Takes connections until it is dropped.
pub(super) async fn connections(listener: TcpListener, judge: Judge) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while tasks.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: those of others come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let judge = judge.clone();
        tasks.spawn(async move {
            carry(stream, &judge).await;
            drop(place);
        });
    }
}

async fn carry(inside: TcpStream, judge: &Judge) {
    // A connection to our port itself was not turned and has no other aim.
    let meant = SockRef::from(&inside).original_dst_v4().ok();
    let Some(meant) = meant.and_then(|address| address.as_socket()) else {
        return;
    };
    if let Some(servers) = judge.name_servers(meant) {
        return carry_questions(inside, servers).await;
    }
    join(inside, judge.connect(meant).await).await;
}

/// Carries what either side says to the other, if there is another.
pub(super) async fn join(mut inside: TcpStream, outside: Option<TcpStream>) {
    let Some(mut outside) = outside else {
        // A reset rather than an end: what was refused should not look like an empty answer.
        let _ = SockRef::from(&inside).set_linger(Some(Duration::ZERO));
        return;
    };
    let _ = inside.set_nodelay(true);
    let _ = outside.set_nodelay(true);
    // An end of either side is told to the other by closing.
    let _ = copy_bidirectional(&mut inside, &mut outside).await;
}

/// Carries on questions over a connection, one after the other, until one is no ordinary question.
async fn carry_questions(mut inside: TcpStream, servers: &[SocketAddr]) {
    while let Ok(Ok(question)) = timeout(CONNECT, message(&mut inside)).await
        && is_ordinary(&question)
        && let Some(answer) = ask_by_stream(servers, &question).await
        && let Ok(Ok(())) = timeout(CONNECT, send(&mut inside, &answer)).await
    {}
}

/// The first answer of the host's name servers over a connection.
async fn ask_by_stream(servers: &[SocketAddr], question: &[u8]) -> Option<Vec<u8>> {
    for &server in servers {
        let asked = async {
            let mut stream = TcpStream::connect(server).await?;
            send(&mut stream, question).await?;
            message(&mut stream).await
        };
        if let Ok(Ok(answer)) = timeout(ANSWER, asked).await {
            return Some(answer);
        }
    }
    None
}

/// A message after its length (RFC 1035 §4.2.2).
async fn message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(message).await
}

/// Answers questions until it is dropped.
pub(super) async fn questions(socket: UdpSocket, judge: Judge) {
    let socket = Arc::new(socket);
    let places = Arc::new(Semaphore::new(MAX_QUESTIONS));
    let mut tasks = tokio::task::JoinSet::new();
    let mut buffer = vec![0; MESSAGE];
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while tasks.try_join_next().is_some() {}
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let question = buffer[..length].to_vec();
        let (socket, judge) = (Arc::clone(&socket), judge.clone());
        tasks.spawn(async move {
            if let Some(answer) = judge.answer(&question).await {
                let _ = socket.send_to(&answer, from).await;
            }
            drop(place);
        });
    }
}

/// The first answer of the host's name servers.
async fn ask(servers: &[SocketAddr], question: &[u8]) -> Option<Vec<u8>> {
    for &server in servers {
        let asked = async {
            let any: SocketAddr = match server {
                SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
            };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(server).await?;
            socket.send(question).await?;
            let mut answer = vec![0; MESSAGE];
            let length = socket.recv(&mut answer).await?;
            answer.truncate(length);
            Ok::<_, std::io::Error>(answer)
        };
        if let Ok(Ok(answer)) = timeout(ANSWER, asked).await {
            return Some(answer);
        }
    }
    None
}

/// `nameserver` lines (`resolv.conf(5)`); the library's default if there are none.
fn name_servers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words
            .next()
            .filter(|&word| word == "nameserver")
            .and(words.next())?;
        address.parse::<IpAddr>().ok()
    };
    let found: Vec<_> = text.lines().filter_map(address).take(3).collect();
    let found = if found.is_empty() {
        vec![IpAddr::from([127, 0, 0, 1])]
    } else {
        found
    };
    found
        .into_iter()
        .map(|address| (address, DNS).into())
        .collect()
}
