//! The configuration in the builder's words.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use ::builder::builds::Timeout;
use ::builder::plan::Limits;
use ::builder::records::Retention;
use ::builder::sandbox::{AddressRules, HostRule, Upstream};
use ::builder::secrets::SecretKeys;
use ::builder::source::{Reach, SourceLimits, SourceNetwork};
use anyhow::Context as _;
use ipnet::IpNet;
use url::Url;

use crate::config::{Compression, Config, Proxy, Span};

#[cfg(test)]
mod tests;

/// What a run gets that asks for nothing, where this machine can enforce it.
const MEMORY: u64 = 4 << 30;
const PIDS: u32 = 4096;
/// The same of what is measured everywhere.
const DISK: u64 = 20 << 30;
const TIME: Span = Span::hours(1);
/// Largest file of keys of ssh servers, of certificates or of a password, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Where distributions keep the certificate authorities that they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where clouds tell machines who they are, and hand out their credentials.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// The command by which ssh goes through a proxy (`cli.rs`).
const TUNNEL: &str = "tunnel";

/// How it is started: as a command of this program.
fn tunnel() -> anyhow::Result<Vec<OsString>> {
    let itself = std::env::current_exe().context("the path of this program")?;
    Ok(vec![itself.into(), OsString::from(TUNNEL)])
}

/// The builder's own folder. Absolute: mounts know no current folder.
pub(super) fn dir(config: &Config) -> anyhow::Result<PathBuf> {
    let dir = config.builder_dir();
    std::path::absolute(&dir).with_context(|| format!("builder.dir: {}", dir.display()))
}

/// The keys of secrets, which are made if they are not there.
pub(in crate::wiring) fn keys(config: &Config) -> anyhow::Result<SecretKeys> {
    let keys = SecretKeys::load_or_create(&config.secret_keys());
    keys.context("builder.secretKeyFile")
}

/// Loads every file that is named, and makes none.
pub(in crate::wiring) fn check(config: &Config) -> anyhow::Result<()> {
    let keys = config.secret_keys();
    if keys.exists() {
        SecretKeys::load(&keys).context("builder.secretKeyFile")?;
    } else {
        // The server makes `dataDir`, and no other.
        let folder = keys.parent().unwrap_or(&keys);
        anyhow::ensure!(
            folder.as_os_str().is_empty() || folder.is_dir() || folder == config.data_dir,
            "builder.secretKeyFile: {}: no such folder to make it in",
            folder.display()
        );
    }
    let addresses = addresses(config);
    for network in config.builder.network.allow.iter().flatten() {
        if network.contains(&METADATA) && !addresses.permit(METADATA, false) {
            tracing::warn!(
                "builder.network.allow: {network}: {METADATA}, where clouds have their metadata, is not reached all the same"
            );
        }
    }
    certificates(config)?;
    upstream(config)?;
    source_network(config).map(drop)
}

/// What a run gets that asks for nothing. `can_limit`: [`enforces_limits`](::builder::sandbox::enforces_limits).
pub(in crate::wiring) fn defaults(config: &Config, can_limit: bool) -> Limits {
    let (defaults, most) = (&config.builder.defaults, &config.builder.limits);
    let time = defaults.run_time.unwrap_or(most.run_time.min(TIME));
    Limits {
        memory_bytes: defaults
            .memory_bytes
            .or(usual(MEMORY, most.memory_bytes, can_limit)),
        cpu_millis: defaults.cpu_millis.or(most.cpu_millis),
        pids: defaults.pids.or(usual(PIDS, most.pids, can_limit)),
        disk_bytes: defaults.disk_bytes.or(Some(most.disk_bytes.min(DISK))),
        seconds: Some(time.get().as_secs()),
    }
}

/// What has a limit needs a default, or asking for nothing would be asking for more.
fn usual<T: Ord>(usual: T, most: Option<T>, can_limit: bool) -> Option<T> {
    match most {
        Some(most) => Some(most.min(usual)),
        None => can_limit.then_some(usual),
    }
}

/// The most that a run may ask for.
pub(in crate::wiring) fn limits(config: &Config) -> Limits {
    let most = &config.builder.limits;
    Limits {
        memory_bytes: most.memory_bytes,
        cpu_millis: most.cpu_millis,
        pids: most.pids,
        disk_bytes: Some(most.disk_bytes),
        seconds: Some(most.run_time.get().as_secs()),
    }
}

/// How long a run may wait.
pub(in crate::wiring) fn queue_timeout(config: &Config) -> Timeout {
    timeout(
        config.builder.defaults.queue_time,
        config.builder.limits.queue_time,
    )
}

/// How long a run may work.
pub(in crate::wiring) fn run_timeout(config: &Config) -> Timeout {
    timeout(
        config.builder.defaults.run_time,
        config.builder.limits.run_time,
    )
}

fn timeout(usual: Option<Span>, most: Span) -> Timeout {
    Timeout {
        usual: usual.unwrap_or(most.min(TIME)).get(),
        most: most.get(),
    }
}

/// How long ended runs are kept.
pub(in crate::wiring) fn retention(config: &Config) -> Retention {
    let kept = config.builder.retention;
    Retention {
        succeeded: Some(kept.succeeded),
        failed: Some(kept.failed),
        seconds: kept.age.map(|age| age.get().as_secs()),
    }
}

/// How results' layers are packed.
pub(in crate::wiring) fn compression(config: &Config) -> ::builder::Compression {
    match config.builder.compression {
        Compression::Gzip => ::builder::Compression::Gzip,
        Compression::Zstd => ::builder::Compression::Zstd,
    }
}

/// Which addresses programs of a build may connect to.
pub(in crate::wiring) fn addresses(config: &Config) -> AddressRules {
    let allowed = config.builder.network.allow.clone();
    AddressRules::allowing(allowed.unwrap_or_default())
}

/// The certificate authorities that tools of a build trust: all of them. `None`: this machine has none.
pub(in crate::wiring) fn certificates(config: &Config) -> anyhow::Result<Option<Vec<u8>>> {
    if let Some(file) = &config.builder.ca_file {
        let pem = pem(file).context("builder.caFile")?;
        return Ok(Some(pem.into_bytes()));
    }
    let found = BUNDLES
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists());
    let read = found.map(|path| read(path).map(String::into_bytes));
    read.transpose()
}

/// The proxy that connections of runs go through.
pub(super) fn upstream(config: &Config) -> anyhow::Result<Option<Upstream>> {
    let Some(proxy) = &config.builder.proxy else {
        return Ok(None);
    };
    let made = Upstream::parse(&address(proxy)?, proxy.direct()?);
    made.map(Some).context("builder.proxy.url")
}

/// How git, and whatever else brings sources, reaches servers.
pub(in crate::wiring) fn source_network(config: &Config) -> anyhow::Result<SourceNetwork> {
    let git = &config.builder.git;
    let known_hosts = git.known_hosts_file.as_deref().map(read).transpose();
    let mut authorities = BTreeMap::new();
    for authority in &git.authorities {
        let pem = pem(&authority.ca_file).context("builder.git.authorities")?;
        authorities.insert(authority.host.to_ascii_lowercase(), pem);
    }
    let certificates = config.builder.ca_file.as_deref().map(pem).transpose();
    let proxy = config.builder.proxy.as_ref();
    Ok(SourceNetwork {
        reach: Reach::new(reachable(config)),
        certificates: certificates.context("builder.caFile")?.unwrap_or_default(),
        authorities,
        known_hosts: known_hosts
            .context("builder.git.knownHostsFile")?
            .unwrap_or_default(),
        accept_new_hosts: git.accept_new_hosts,
        proxy: proxy.map(address).transpose()?,
        no_proxy: proxy.map(without_proxy).unwrap_or_default(),
        tunnel: tunnel()?,
    })
}

/// How much of a source is taken.
pub(in crate::wiring) fn source_limits(config: &Config) -> SourceLimits {
    let sources = &config.builder.sources;
    SourceLimits {
        entries: sources.max_entries,
        bytes: sources.max_bytes,
        fetched_bytes: sources.max_fetched_bytes,
        time: sources.timeout.get(),
        submodules: sources.max_submodules,
    }
}

/// The hosts of `registries-only`.
pub(in crate::wiring) fn registries(config: &Config) -> anyhow::Result<Vec<HostRule>> {
    config.builder.registries()
}

/// Whoever asks a server that listens on loopback only is on this machine, and reaches its loopback anyway.
fn reachable(config: &Config) -> Vec<IpNet> {
    let loopback = || {
        let nets = ["127.0.0.0/8", "::1/128"].into_iter();
        nets.filter_map(|net| net.parse().ok()).collect()
    };
    match &config.builder.network.allow {
        Some(allowed) => allowed.clone(),
        None if config.is_on_loopback() => loopback(),
        None => Vec::new(),
    }
}

/// The proxy's address with its credentials, which are percent-encoded as in any URL.
fn address(proxy: &Proxy) -> anyhow::Result<String> {
    let mut url = Url::parse(&proxy.url).context("builder.proxy.url")?;
    if let Some(file) = &proxy.credentials_file {
        let key = "builder.proxy.credentialsFile";
        let text = read(file).context(key)?;
        let pair = text.trim_end_matches(['\r', '\n']).split_once(':');
        let (user, password) = pair
            .filter(|(user, password)| !user.is_empty() && !password.contains(['\r', '\n']))
            .with_context(|| {
                format!(
                    "{key}: {}: is not user:password in one line",
                    file.display()
                )
            })?;
        let set = url
            .set_username(user)
            .and_then(|()| url.set_password(Some(password)));
        set.map_err(|()| anyhow::anyhow!("{key}: the proxy's URL takes no user"))?;
    }
    Ok(url.to_string().trim_end_matches('/').to_owned())
}

/// As git's rules name hosts: `.domain` for all below it. It speaks https, so that other ports mean nothing to it.
fn without_proxy(proxy: &Proxy) -> Vec<String> {
    let rule = |rule: &String| rule.strip_prefix('*').unwrap_or(rule).to_ascii_lowercase();
    proxy.direct.iter().map(rule).collect()
}

/// A file of certificates.
fn pem(path: &Path) -> anyhow::Result<String> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let text = read(path)?;
    let mut certificates = CertificateDer::pem_slice_iter(text.as_bytes());
    let has_some = certificates.next().is_some_and(|first| first.is_ok());
    anyhow::ensure!(
        has_some && certificates.all(|one| one.is_ok()),
        "{}: is no PEM file of certificates",
        path.display()
    );
    Ok(text)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let at = || path.display().to_string();
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(at)?;
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .with_context(at)?;
    anyhow::ensure!(
        text.len() as u64 <= MAX_FILE,
        "{}: is longer than {MAX_FILE} bytes",
        path.display()
    );
    Ok(text)
}
