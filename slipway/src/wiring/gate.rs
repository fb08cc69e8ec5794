//! Who gets in, and to what: the gate, and the files that it is made of.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use auth::kubernetes::Cluster;
use auth::oidc::{self, Names};
use auth::opaque::Settings;
use auth::{
    AllowAuthenticated, Authenticator, Gate, Htpasswd, IdTokens, OpaqueTokens, Policy, Rbac, Tokens,
};
use registry::IndexedTokens;

use super::{doubts, kubernetes};
use crate::config::{self, Auth, Config, unusable};

/// How often htpasswd and RBAC files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// The gate, and what asks others about whoever comes, for the metrics.
pub(super) struct Guarded {
    pub(super) gate: Gate,
    pub(super) cluster: Option<Arc<Cluster>>,
    pub(super) id_tokens: Option<Arc<IdTokens>>,
    /// Files that are read again, by the name of their metric.
    pub(super) files: Vec<(&'static str, Stale)>,
}

/// For how long a change of a file has not been in force.
pub(super) type Stale = Box<dyn Fn() -> Duration + Send + Sync>;

/// Makes the gate. `kept` are the tokens that users made. Must run inside the runtime: files are watched by tasks.
pub(super) async fn guard(config: &Config, kept: IndexedTokens) -> anyhow::Result<Guarded> {
    let auth = &config.auth;
    if auth.is_open() {
        return Ok(Guarded {
            gate: Gate::open(),
            cluster: None,
            id_tokens: None,
            files: Vec::new(),
        });
    }
    let mut authenticators: Vec<Arc<dyn Authenticator>> = Vec::new();
    let (htpasswd, rules) = (htpasswd(auth)?, rbac(auth)?);
    doubts::warn(auth, htpasswd.as_ref(), rules.as_ref());
    // First: it knows whose password it cannot be, and such a credential goes on to the cluster.
    let mut files: Vec<(&'static str, Stale)> = Vec::new();
    if let Some(htpasswd) = htpasswd {
        files.push(("users_stale_seconds", Box::new(htpasswd.stale())));
        tokio::spawn(htpasswd.watch(POLL));
        authenticators.push(Arc::new(htpasswd));
    }
    // Before the cluster, which takes every token for its own.
    let id_tokens = id_tokens(auth)?.map(Arc::new);
    if let Some(id_tokens) = &id_tokens {
        tokio::spawn(id_tokens.watch());
        authenticators.push(Arc::clone(id_tokens) as Arc<dyn Authenticator>);
    }
    let mut cluster = None;
    let policy: Arc<dyn Policy> = if let Some(settings) = &auth.kubernetes {
        let connected = kubernetes::connect(settings).await?;
        let (tokens, rights) = kubernetes::reviews(settings, &connected)?;
        tokio::spawn(Arc::clone(&connected).watch());
        cluster = Some(connected);
        authenticators.push(Arc::new(tokens));
        Arc::new(rights)
    } else if let Some(rbac) = rules {
        files.push(("rules_stale_seconds", Box::new(rbac.stale())));
        tokio::spawn(rbac.watch(POLL));
        Arc::new(rbac)
    } else {
        Arc::new(AllowAuthenticated)
    };
    let tokens = tokens(config)?;
    tokio::spawn(tokens.watch(POLL));
    let tokens = Some(Arc::new(tokens));
    let gate = Gate::new(authenticators, policy, tokens, auth.anonymous);
    Ok(Guarded {
        gate: gate.with_opaque(opaque(config, kept)?),
        cluster,
        id_tokens,
        files,
    })
}

/// Loads every file that the gate is made of, and makes none.
pub(super) async fn check(config: &Config) -> anyhow::Result<()> {
    if config.auth.is_open() {
        return Ok(());
    }
    let (htpasswd, rules) = (htpasswd(&config.auth)?, rbac(&config.auth)?);
    doubts::warn(&config.auth, htpasswd.as_ref(), rules.as_ref());
    id_tokens(&config.auth)?;
    if let Some(settings) = &config.auth.kubernetes {
        match kubernetes::connect(settings).await {
            // A pod's own credentials are there in the pod only, and its configuration is checked elsewhere.
            Err(error) if settings.in_cluster => crate::note(&format!(
                "auth.kubernetes.inCluster: a server does not start here: {error}"
            )),
            connected => drop(connected?),
        }
    }
    check_keys(config)
}

fn htpasswd(auth: &Auth) -> anyhow::Result<Option<Htpasswd>> {
    let load = |htpasswd: &config::Htpasswd| {
        let file = &htpasswd.file;
        Htpasswd::load(file).map_err(|error| {
            let error = unusable("auth.htpasswd.file", file, error);
            if file.exists() {
                return error;
            }
            let told = crate::told(&error);
            anyhow::anyhow!(
                "{told}; slipway user add NAME --htpasswd {} makes it",
                file.display()
            )
        })
    };
    auth.htpasswd.as_ref().map(load).transpose()
}

fn id_tokens(auth: &Auth) -> anyhow::Result<Option<IdTokens>> {
    if auth.oidc.is_empty() {
        return Ok(None);
    }
    let settings = |oidc: &config::Oidc| {
        let names = Names::new(
            &oidc.issuer,
            &oidc.username_claim,
            oidc.username_prefix.as_deref(),
            oidc.groups_claim.as_deref(),
            oidc.groups_prefix.as_deref(),
            oidc.required_claims.clone(),
        )?;
        Ok(oidc::Settings {
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            audiences: oidc.audiences.clone(),
            names,
            algorithms: oidc.algorithms.clone(),
            ca_file: oidc.ca_file.clone(),
        })
    };
    let settings: Result<_, oidc::InvalidIssuer> = auth.oidc.iter().map(settings).collect();
    let made = settings.and_then(IdTokens::new);
    made.map(Some).context("auth.oidc")
}

fn rbac(auth: &Auth) -> anyhow::Result<Option<Rbac>> {
    let load = |rbac: &config::Rbac| {
        let loaded = Rbac::load(&rbac.dir, rbac.words());
        loaded.map_err(|error| unusable("auth.rbac.dir", &rbac.dir, error))
    };
    auth.rbac.as_ref().map(load).transpose()
}

fn opaque(config: &Config, kept: IndexedTokens) -> anyhow::Result<Arc<OpaqueTokens>> {
    let settings = Settings {
        max_lifetime: config.auth.api_tokens.max_lifetime.get(),
        per_user: config.auth.api_tokens.per_user,
        refresh: config.auth.tokens.refresh_lifetime.get(),
    };
    Ok(Arc::new(OpaqueTokens::new(Arc::new(kept), settings)?))
}

fn tokens(config: &Config) -> anyhow::Result<Tokens> {
    let services = config.hosts.clone();
    let lifetime = config.auth.tokens.lifetime.get();
    let path = config.token_keys();
    Tokens::load_or_create(&path, services, lifetime)
        .map_err(|error| unusable("auth.tokens.keyFile", &path, error))
}

/// Whether the keys can be loaded or, if there are none, made.
fn check_keys(config: &Config) -> anyhow::Result<()> {
    let path = config.token_keys();
    if Tokens::check(&path).context("auth.tokens.keyFile")? {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(&path);
    // The server makes `dataDir`, and no other.
    if folder.as_os_str().is_empty() || folder.is_dir() || folder == config.data_dir {
        return Ok(());
    }
    let error = anyhow::anyhow!("{}: no such folder to make it in", folder.display());
    Err(unusable("auth.tokens.keyFile", folder, error))
}
