//! A registry in this process, behind a real socket, and a client that sends what it is told.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::struct_excessive_bools,
    clippy::allow_attributes,
    reason = "tests panic to report, and each test file uses its part of this"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::opaque::{Limits as TokenLimits, NewToken, Settings};
use auth::{Credential, Gate, Htpasswd, OpaqueTokens, Rbac, Secret, Tokens};
use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use oci::{Algorithm, Digest};
use registry::http::Recorder;
use registry::http::{AccessLog, Connection, Format, Front, Limits, Metrics, Observer, Recorded};
use registry::{IndexedTokens, Registry};
use storage::{MemoryStore, SqliteIndex, Storage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Everything is denied or allowed by these rules; see `rules` for who is who.
pub const RULES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: create-only}
rules:
- {apiGroups: [registry.alauda.io], resources: [images], verbs: [get, create]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: puller, namespace: team}, subjects: [{kind: User, name: puller}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: pusher, namespace: team}, subjects: [{kind: User, name: pusher}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-pusher"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: creator, namespace: team}, subjects: [{kind: User, name: creator}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: create-only}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: pruner, namespace: team}, subjects: [{kind: User, name: pruner}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-pruner"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: root}, subjects: [{kind: User, name: root}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: other, namespace: other}, subjects: [{kind: User, name: other}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-pusher"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: public, namespace: public}, subjects: [{kind: Group, name: "system:unauthenticated"}, {kind: Group, name: "system:authenticated"}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}}
"#;

/// Every user's password.
pub const PASSWORD: &str = "canary-password-7f3a";

/// bcrypt of [`PASSWORD`] at the least cost.
fn hash() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("htpasswd");
    let mut file = auth::htpasswd::File::load(&path).unwrap();
    let secret = Secret::new(PASSWORD.to_owned());
    file.set_password("x", &secret).unwrap();
    file.save().unwrap();
    let line = std::fs::read_to_string(&path).unwrap();
    line.trim().strip_prefix("x:").unwrap().to_owned()
}

/// The users of [`RULES`].
pub const USERS: [&str; 6] = ["puller", "pusher", "creator", "pruner", "root", "other"];

/// A running registry.
pub struct Server {
    pub address: SocketAddr,
    pub registry: Arc<Registry>,
    pub tokens: Option<Arc<Tokens>>,
    pub observer: Arc<Observer>,
    pub opaque: Arc<OpaqueTokens>,
    _folder: TempDir,
}

/// How to start one.
pub struct Setup {
    pub guarded: bool,
    pub anonymous: bool,
    pub tokens: bool,
    pub token_lifetime: Duration,
    pub limits: Limits,
    /// Pulls are recorded.
    pub pulls: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            guarded: false,
            anonymous: false,
            tokens: true,
            token_lifetime: Duration::from_secs(300),
            limits: Limits::default(),
            pulls: false,
        }
    }
}

impl Server {
    /// Open to everyone.
    pub async fn open() -> Self {
        Self::start(Setup::default()).await
    }

    /// With [`USERS`] and [`RULES`].
    pub async fn guarded() -> Self {
        Self::start(Setup {
            guarded: true,
            ..Setup::default()
        })
        .await
    }

    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new());
        let index = Arc::new(SqliteIndex::in_memory().unwrap());
        let storage = Storage::open(store, index, storage::Limits::default());
        let storage = storage.await.unwrap();
        let kept = IndexedTokens::new(Arc::clone(storage.index()));
        let opaque = OpaqueTokens::new(Arc::new(kept), Settings::default());
        let opaque = Arc::new(opaque.unwrap());
        let mut tokens = None;
        let gate = if setup.guarded {
            let users = folder.path().join("htpasswd");
            let hash = hash();
            let lines = USERS.map(|user| format!("{user}:{hash}\n")).concat();
            std::fs::write(&users, lines).unwrap();
            let rules = folder.path().join("rbac");
            std::fs::create_dir(&rules).unwrap();
            std::fs::write(rules.join("rules.yaml"), RULES).unwrap();
            if setup.tokens {
                let keys = folder.path().join("keys.pem");
                let services = vec!["slipway".to_owned()];
                let made = Tokens::load_or_create(&keys, services, setup.token_lifetime).unwrap();
                tokens = Some(Arc::new(made));
            }
            let policy = Rbac::load(&rules, auth::rbac::Resource::default()).unwrap();
            Gate::new(
                vec![Arc::new(Htpasswd::load(&users).unwrap())],
                Arc::new(policy),
                tokens.clone(),
                setup.anonymous,
            )
            .with_opaque(Arc::clone(&opaque))
        } else {
            Gate::open()
        };
        let registry = Arc::new(Registry::new(storage, gate));
        let what = Recorded {
            pulls: setup.pulls,
            log: false,
        };
        let recorder = Recorder::start(registry.storage().audit.clone(), what);
        let observer = Arc::new(Observer {
            metrics: Metrics::new("test"),
            log: AccessLog::start(Format::Off).unwrap(),
            sink: None,
            audit: Arc::new(recorder.await.unwrap()),
        });
        let rest = axum::Router::new();
        let front = Front::new(
            Arc::clone(&registry),
            setup.limits,
            Arc::clone(&observer),
            rest,
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Arc::new(front)));
        Self {
            address,
            registry,
            tokens,
            observer,
            opaque,
            _folder: folder,
        }
    }

    /// An API token of a user, limited to these namespaces and verbs.
    pub async fn api_token(&self, user: &str, namespaces: &[&str], verbs: &[&str]) -> String {
        let texts = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let new = NewToken {
            description: "of a test".to_owned(),
            limits: TokenLimits::new(&texts(namespaces), &texts(verbs)).unwrap(),
            lifetime: None,
        };
        let now = std::time::SystemTime::now();
        let password = Credential::basic(user, Secret::new(PASSWORD.to_owned())).unwrap();
        let owner = self.registry.gate().identify(Some(&password), None, now);
        let owner = owner.await.unwrap();
        let made = self.opaque.create(&owner, new, now);
        made.await.unwrap().0.expose().to_owned()
    }

    /// One request on a connection of its own.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub async fn ask(&self, method: Method, path: &str, who: &Who, body: &[u8]) -> Answer {
        self.send(request(method, path, who, &[], body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &Who::Nobody, b"").await
    }

    /// Sends raw bytes and reads until the server closes, or is silent for a second behind a whole answer.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        self.raw_for(bytes, 1).await
    }

    /// The same for requests that have so many answers.
    pub async fn raw_for(&self, bytes: &[u8], answers: usize) -> String {
        let is_head = bytes.starts_with(b"HEAD ");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            // Before that, silence says nothing but that the machine has much to do.
            let seconds = if whole(&answer, is_head) < answers {
                60
            } else {
                1
            };
            let read = stream.read(&mut buffer);
            match tokio::time::timeout(Duration::from_secs(seconds), read).await {
                Ok(Ok(read @ 1..)) => answer.extend_from_slice(&buffer[..read]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A connection on which `head` and `body` spaces were sent, and nothing more will be.
    pub async fn hold(&self, head: &[u8], body: usize) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(head).await?;
        stream.write_all(&vec![b' '; body]).await?;
        Ok(stream)
    }

    /// Pushes a blob by `who`.
    pub async fn push_blob(&self, repo: &str, bytes: &[u8], who: &Who) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, bytes);
        let path = format!("/v2/{repo}/blobs/uploads/?digest={digest}");
        let answer = self.ask(Method::POST, &path, who, bytes).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        digest
    }

    /// Pushes an image of one layer by `who`; returns the manifest's bytes.
    pub async fn push_image(&self, repo: &str, tag: &str, layer: &[u8], who: &Who) -> Vec<u8> {
        let config = self.push_blob(repo, b"{}", who).await;
        let pushed = self.push_blob(repo, layer, who).await;
        let manifest = image(&config, 2, &pushed, layer.len());
        let answer = self.put_manifest(repo, tag, &manifest, who).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        manifest
    }

    pub async fn put_manifest(&self, repo: &str, tag: &str, bytes: &[u8], who: &Who) -> Answer {
        let path = format!("/v2/{repo}/manifests/{tag}");
        let kind = [("content-type", MANIFEST)];
        self.send(request(Method::PUT, &path, who, &kind, bytes))
            .await
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The manifest of an image with one layer.
pub fn image(config: &Digest, config_size: usize, layer: &Digest, layer_size: usize) -> Vec<u8> {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{config_size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":{layer_size}}}]}}"#
    )
    .into_bytes()
}

/// How many answers are there to their end; those to HEAD have no body, whatever they announce.
fn whole(answers: &[u8], is_head: bool) -> usize {
    let text = String::from_utf8_lossy(answers).to_ascii_lowercase();
    let (mut rest, mut count) = (text.as_str(), 0);
    while let Some((head, body)) = rest.split_once("\r\n\r\n") {
        let mut lines = head.lines().filter(|_| !is_head);
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let Some(next) = body.get(length..) else {
            break;
        };
        (rest, count) = (next, count + 1);
    }
    count
}

async fn accept(listener: TcpListener, front: Arc<Front>) {
    while let Ok((stream, peer)) = listener.accept().await {
        let front = Arc::clone(&front);
        tokio::spawn(async move {
            let (wire, outlet) = sendfile::Wire::plain(stream, Duration::from_secs(10));
            let connection = Connection {
                peer,
                secure: false,
                outlet,
            };
            let service = service_fn(|request| async {
                Ok::<_, Infallible>(front.respond(request, &connection).await)
            });
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .max_buf_size(64 * 1024)
                .serve_connection(wire, service)
                .await;
        });
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Who {
    Nobody,
    User(&'static str),
    Wrong(&'static str),
    Token(String),
    /// A token in the place of a password.
    Password(String),
}

impl Who {
    fn header(&self) -> Option<String> {
        let basic = |user: &str, password: &str| {
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            Some(format!("Basic {pair}"))
        };
        match self {
            Self::Nobody => None,
            Self::User(user) => basic(user, PASSWORD),
            Self::Wrong(user) => basic(user, "wrong"),
            Self::Token(token) => Some(format!("Bearer {token}")),
            Self::Password(token) => basic("robot", token),
        }
    }
}

pub fn request(
    method: Method,
    path: &str,
    who: &Who,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "registry.test");
    if let Some(header) = who.header() {
        request = request.header("authorization", header);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap()
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The OCI error code of the body.
    pub fn code(&self) -> String {
        let json = self.json();
        json["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    /// Everything but what differs from request to request.
    pub fn masked(&self) -> String {
        let id = self.header("x-request-id").to_owned();
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| *name != "date")
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        let body = String::from_utf8_lossy(&self.body);
        format!("{}\n{}\n{body}", self.status, headers.join("\n")).replace(&id, "ID")
    }
}
