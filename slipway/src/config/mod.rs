//! The configuration: one YAML file, every key of which is also an environment variable.
//!
//! The names are a contract: tests, documents and users hold on to them. Unknown keys are errors
//! with line and column, because a misspelt `anonymous` must not be silently off.

mod audit;
mod auth;
mod builder;
mod check;
mod duration;
mod environment;
mod explain;
mod load;
mod locate;
mod named;
mod names;
mod places;
mod storage;

pub(crate) use audit::Audit;
pub(crate) use auth::{Auth, Htpasswd, Kubernetes, Oidc, Rbac};
pub(crate) use builder::{Builder, Compression, Enabled, Proxy};
pub(crate) use duration::Span;
pub(crate) use load::{load, read};
pub(crate) use named::unusable;
pub(crate) use storage::{Index, Storage};

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration of `slipway serve`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Addresses to listen on, each `IP:port`; `[::]:5000` is every address of both families.
    pub(crate) listen: Vec<SocketAddr>,
    /// Names (`host` or `host:port`) that clients use. Issued tokens hold for all of them.
    pub(crate) hosts: Vec<String>,
    /// TLS; without it the registry speaks plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// Networks of reverse proxies whose X-Forwarded-* headers are believed.
    #[schemars(with = "Vec<String>")]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Where whatever has no place of its own is kept: the index, token keys, the lock.
    pub(crate) data_dir: PathBuf,
    /// Where content is kept. Exactly one kind. Default: files below `dataDir`.
    pub(crate) storage: Option<Storage>,
    /// Where the index is kept. Exactly one kind. Default: `SQLite` below `dataDir`.
    pub(crate) index: Option<Index>,
    /// Who may do what.
    pub(crate) auth: Auth,
    /// Upload sessions.
    pub(crate) uploads: Uploads,
    /// What may be pushed as a manifest.
    pub(crate) manifests: Manifests,
    /// Bounds of what clients may use.
    pub(crate) limits: Limits,
    /// Builds from source, on this machine.
    pub(crate) builder: Builder,
    /// What is recorded of who did what.
    pub(crate) audit: Audit,
    /// What is logged, and how.
    pub(crate) log: Log,
    /// Traces for an OpenTelemetry collector.
    pub(crate) telemetry: Telemetry,
    /// How long requests under way may take to finish after SIGTERM.
    pub(crate) drain_timeout: Span,
    /// Serve addresses other than loopback without any authentication.
    pub(crate) insecure_open: bool,
}

/// Certificate and key, in PEM files that are read again when they change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the keys of the contract"
)]
pub(crate) struct Tls {
    /// The certificate chain, the server's own first.
    pub(crate) cert_file: PathBuf,
    /// The private key.
    pub(crate) key_file: PathBuf,
    /// Certificate authorities; if given, clients must show a certificate of one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_ca_file: Option<PathBuf>,
}

/// Upload sessions.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Uploads {
    /// A session that nobody has touched for this long is removed.
    pub(crate) expire_after: Span,
    /// Largest blob in bytes.
    pub(crate) max_blob_bytes: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            expire_after: Span::hours(24),
            max_blob_bytes: 1 << 40,
        }
    }
}

/// What may be pushed as a manifest.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Manifests {
    /// Images may name blobs that were not pushed, as partial mirrors do. `false`: they are
    /// refused with `MANIFEST_BLOB_UNKNOWN`. Indexes and subjects may always name what is not there.
    pub(crate) sparse: bool,
}

impl Default for Manifests {
    fn default() -> Self {
        Self { sparse: true }
    }
}

/// Bounds of what clients may use.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Connections open at once, per listening address.
    pub(crate) connections: usize,
    /// Blobs being sent at once.
    pub(crate) blobs: usize,
    /// Uploads being received at once.
    pub(crate) uploads: usize,
    /// Manifests written or looked up at once.
    pub(crate) manifests: usize,
    /// Lists made at once.
    pub(crate) lists: usize,
    /// Other requests, such as those of the API, at once.
    pub(crate) others: usize,
    /// Manifests kept in memory, in bytes.
    pub(crate) manifest_cache_bytes: u64,
    /// For a TLS handshake.
    pub(crate) handshake_timeout: Span,
    /// For a request's header, and for the wait between two requests.
    pub(crate) header_timeout: Span,
    /// Silence in a request's body.
    pub(crate) body_timeout: Span,
    /// For a client to take any of a reply. Over HTTP/2 each reply is timed for itself.
    pub(crate) send_timeout: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            blobs: 10_000,
            uploads: 1_000,
            manifests: 2_000,
            lists: 64,
            others: 256,
            manifest_cache_bytes: 64 << 20,
            handshake_timeout: Span::seconds(10),
            header_timeout: Span::seconds(60),
            body_timeout: Span::seconds(60),
            send_timeout: Span::seconds(60),
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` for people, `json` for collectors.
    pub(crate) format: LogFormat,
    /// What to log, as `tracing` filters are written: `info`, `warn,storage=debug`.
    pub(crate) level: String,
    /// One line a request.
    pub(crate) requests: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
            requests: true,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// Traces for an OpenTelemetry collector.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Telemetry {
    /// URL of a collector's OTLP/HTTP receiver, such as `http://127.0.0.1:4318`. None: no traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp_endpoint: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 5000))],
            hosts: Vec::new(),
            tls: None,
            trusted_proxies: Vec::new(),
            data_dir: PathBuf::from("./slipway-data"),
            storage: None,
            index: None,
            auth: Auth::default(),
            uploads: Uploads::default(),
            manifests: Manifests::default(),
            limits: Limits::default(),
            builder: Builder::default(),
            audit: Audit::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
            drain_timeout: Span::seconds(60),
            insecure_open: false,
        }
    }
}

impl Config {
    /// Where content is kept.
    pub(crate) fn storage(&self) -> Storage {
        let default = || Storage::files_in(&self.data_dir);
        self.storage.clone().unwrap_or_else(default)
    }

    /// Where the index is kept.
    pub(crate) fn index(&self) -> Index {
        // An index that outlives its content would describe what is gone.
        let default = || match self.storage() {
            Storage::Memory(_) => Index::in_memory(),
            Storage::Fs(_) => Index::file_in(&self.data_dir),
        };
        self.index.clone().unwrap_or_else(default)
    }

    /// The file of the keys that sign tokens.
    pub(crate) fn token_keys(&self) -> PathBuf {
        let default = || self.data_dir.join("token-keys.pem");
        self.auth.tokens.key_file.clone().unwrap_or_else(default)
    }

    /// The file of the keys that seal secrets.
    pub(crate) fn secret_keys(&self) -> PathBuf {
        let default = || self.data_dir.join("secret-keys");
        let named = self.builder.secret_key_file.clone();
        named.unwrap_or_else(default)
    }

    /// Where the builder keeps what is its own.
    pub(crate) fn builder_dir(&self) -> PathBuf {
        let default = || self.data_dir.join("builds");
        self.builder.dir.clone().unwrap_or_else(default)
    }

    /// Every address that it listens on is of this machine only.
    pub(crate) fn is_on_loopback(&self) -> bool {
        let is_loopback = |address: &SocketAddr| address.ip().to_canonical().is_loopback();
        self.listen.iter().all(is_loopback)
    }

    /// The configuration with nothing left to default, as `slipway config print` shows it.
    pub(crate) fn effective(mut self) -> Self {
        self.storage = Some(self.storage());
        self.index = Some(self.index());
        self.auth.tokens.key_file = Some(self.token_keys());
        self.builder.secret_key_file = Some(self.secret_keys());
        self.builder.dir = Some(self.builder_dir());
        self
    }
}
