//! A registry with users and rules, asked through its front door.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::allow_attributes,
    reason = "tests panic to report, and each test file uses its part of this"
)]

pub mod builder;
mod document;

use std::sync::Arc;

use ::builder::builds::Builds;
use ::builder::hooks::Hooks;
use ::builder::ledger::memory::MemoryLedger;
use api::Route;
use api::builds::Building;
use api::hooks::GateOwners;
use auth::opaque::Settings;
use auth::{Authenticator, Gate, Htpasswd, OpaqueTokens, Rbac, Secret, Tokens};
use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use registry::http::{AccessLog, Connection, Format, Front, Limits, Metrics, Observer};
use registry::http::{Recorded, Recorder};
use registry::{IndexedTokens, Registry};
use serde_json::Value;
use storage::{MemoryStore, SqliteIndex, Storage};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub const PASSWORD: &str = "canary-password-7f3a";
/// `puller`, `pusher` and `builder` have their rights in `team`, of which `puller` reads the audit record; `root` administers.
pub const USERS: [&str; 5] = ["puller", "pusher", "root", "other", "builder"];

pub const RULES: &str = r#"
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: puller, namespace: team}, subjects: [{kind: User, name: puller}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: pusher, namespace: team}, subjects: [{kind: User, name: pusher}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-pusher"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: auditor, namespace: team}, rules: [{apiGroups: [registry.alauda.io], resources: [audit], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: auditor, namespace: team}, subjects: [{kind: User, name: puller}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: auditor}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: builder, namespace: team}, subjects: [{kind: User, name: builder}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:build-editor"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: root}, subjects: [{kind: User, name: root}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
"#;

pub struct Server {
    pub registry: Arc<Registry>,
    pub front: Front,
    pub builds: Builds,
    pub ledger: Arc<MemoryLedger>,
    pub building: Building,
    /// Ends what lasts.
    pub stopping: CancellationToken,
    pub recorder: Arc<Recorder>,
    pub users: Arc<Htpasswd>,
    pub folder: TempDir,
    document: tokio::sync::OnceCell<document::Document>,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// An htpasswd file of [`USERS`], all with [`PASSWORD`].
pub fn users(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("htpasswd");
    let mut file = auth::htpasswd::File::load(&path).unwrap();
    for user in USERS {
        let secret = Secret::new(PASSWORD.to_owned());
        file.set_password(user, &secret).unwrap();
    }
    file.save().unwrap();
    path
}

pub fn rules(folder: &TempDir) -> Rbac {
    let rules = folder.path().join("rbac");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("rules.yaml"), RULES).unwrap();
    Rbac::load(&rules, auth::rbac::Resource::default()).unwrap()
}

impl Server {
    pub async fn guarded(anonymous: bool) -> Self {
        Self::with(anonymous, Vec::new()).await
    }

    /// With these routes besides.
    pub async fn with(anonymous: bool, more: Vec<Route>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.pem");
        let tokens = Tokens::load_or_create(&keys, vec![], Tokens::DEFAULT_TTL).unwrap();
        let users = Arc::new(Htpasswd::load(&users(&folder)).unwrap());
        let policy = Arc::new(rules(&folder));
        let known: Vec<Arc<dyn Authenticator>> = vec![Arc::clone(&users) as _];
        let gate = Gate::new(known, policy, Some(Arc::new(tokens)), anonymous);
        Self::of(gate, users, folder, more).await
    }

    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nobody = Arc::new(Htpasswd::load(&users(&folder)).unwrap());
        Self::of(Gate::open(), nobody, folder, Vec::new()).await
    }

    pub async fn of(gate: Gate, users: Arc<Htpasswd>, folder: TempDir, more: Vec<Route>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let index = Arc::new(SqliteIndex::in_memory().unwrap());
        let storage = Storage::open(store, index, storage::Limits::default());
        let storage = storage.await.unwrap();
        let kept = Arc::new(IndexedTokens::new(Arc::clone(storage.index())));
        let settings = Settings {
            per_user: 5,
            ..Settings::default()
        };
        let gate = gate.with_opaque(Arc::new(OpaqueTokens::new(kept, settings).unwrap()));
        let registry = Arc::new(Registry::new(storage, gate));
        let what = Recorded {
            pulls: false,
            log: false,
        };
        let recorder = Recorder::start(registry.storage().audit.clone(), what);
        let recorder = Arc::new(recorder.await.unwrap());
        let observer = Arc::new(Observer {
            metrics: Metrics::new("test"),
            log: AccessLog::start(Format::Off).unwrap(),
            sink: None,
            audit: Arc::clone(&recorder),
        });
        let stopping = CancellationToken::new();
        let ledger = Arc::default();
        let builds = builder::builds(folder.path(), &ledger);
        let owners = Arc::new(GateOwners::new(Arc::clone(&registry)));
        let hooks = Hooks::new(builds.clone(), owners);
        let building = Building::new(Arc::clone(&registry), builds.clone(), stopping.clone());
        let mut routes = all_routes(&registry, &building);
        routes.extend(more);
        let rooms = api::router(&registry, routes, "1.2.3");
        let rooms = rooms.merge(api::hooks::router(&registry, hooks));
        let front = Front::new(Arc::clone(&registry), Limits::default(), observer, rooms);
        Self {
            front: front.unwrap(),
            builds,
            ledger,
            building,
            stopping,
            recorder,
            registry,
            users,
            folder,
            document: tokio::sync::OnceCell::new(),
        }
    }

    /// Its routes, but for those that a test brought.
    pub fn routes(&self) -> Vec<Route> {
        all_routes(&self.registry, &self.building)
    }

    /// The answer, which must be one that the document of the API allows.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let answer = self.answer(request).await;
        let document = self.document.get_or_init(|| async {
            let ask = self.answer(self::request(Method::GET, "/api/openapi.json", "", ""));
            document::Document::new(ask.await.json())
        });
        let Answer {
            status,
            headers,
            body,
        } = &answer;
        document.await.hold(&method, &path, *status, headers, body);
        answer
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
        let connection = Connection {
            peer: "192.0.2.7:1234".parse().unwrap(),
            secure: false,
            outlet: sendfile::Outlet::default(),
        };
        let (head, body) = self.front.respond(request, &connection).await.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// `authorization` is the header's value; empty for none.
    pub async fn ask(&self, method: Method, path: &str, authorization: &str, body: &str) -> Answer {
        self.send(request(method, path, authorization, body)).await
    }

    pub async fn get(&self, path: &str, authorization: &str) -> Answer {
        self.ask(Method::GET, path, authorization, "").await
    }

    pub async fn post(&self, path: &str, authorization: &str, body: &str) -> Answer {
        self.ask(Method::POST, path, authorization, body).await
    }

    /// `POST /auth/token` of a form.
    pub async fn form(&self, form: &str) -> Answer {
        let mut request = request(Method::POST, "/auth/token", "", form);
        let kind = "application/x-www-form-urlencoded".parse().unwrap();
        request.headers_mut().insert("content-type", kind);
        self.send(request).await
    }

    /// The line of `/metrics` about this operation and status.
    pub async fn counted(&self, operation: &str, status: u16) -> bool {
        let text = self.get("/metrics", "").await.body;
        let line = format!(r#"operation="{operation}",code="{status}""#);
        String::from_utf8_lossy(&text).contains(&line)
    }
}

fn all_routes(registry: &Arc<Registry>, building: &Building) -> Vec<Route> {
    let mut routes = api::routes(registry);
    routes.extend(api::builds::routes(building));
    routes
}

pub fn request(
    method: Method,
    path: &str,
    authorization: &str,
    body: &str,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "registry.example.com");
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

pub fn basic(user: &str, password: &str) -> String {
    let text = format!("{user}:{password}");
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(text)
    )
}

pub fn user(name: &str) -> String {
    basic(name, PASSWORD)
}
