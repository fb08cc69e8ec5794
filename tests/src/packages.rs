//! Where packages of languages come from on this machine: usually the public registries, but it may have mirrors, and
//! authorities, of its own.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::PathBuf;

/// Variables that say where packages come from.
const MIRRORS: &[&str] = &[
    "GONOSUMDB",
    "GOPROXY",
    "GOSUMDB",
    "MAVEN_MIRROR_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "npm_config_registry",
];

/// Variables that say which proxy leads there.
const PROXIES: &[&str] = &[
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

/// The registries that the samples' dependencies come from.
const HOSTS: &[&str] = &[
    "files.pythonhosted.org",
    "proxy.golang.org",
    "pypi.org",
    "registry.npmjs.org",
    "repo.maven.apache.org",
    "storage.googleapis.com",
    "sum.golang.org",
];

/// Variables of this machine that builds need to find packages, and no image may have.
pub fn mirrors() -> Vec<(String, String)> {
    set(MIRRORS)
}

/// Variables of this machine that builds outside the server's sandbox need, too: inside, the server's own proxy is all there is.
pub fn proxies() -> Vec<(String, String)> {
    set(PROXIES)
}

fn set(names: &[&str]) -> Vec<(String, String)> {
    let set = names.iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some(((*name).to_owned(), value))
    });
    set.collect()
}

/// The authorities that programs of this machine trust; builds must trust them too where a mirror has one of its own.
pub fn authorities() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let file = named.unwrap_or_else(|| PathBuf::from("/etc/ssl/certs/ca-certificates.crt"));
    file.is_file().then_some(file)
}

/// The addresses of package registries that are not public here, which a server must be told to let builds reach.
pub fn private_addresses() -> BTreeSet<IpAddr> {
    let found = HOSTS.iter().flat_map(|host| {
        let addresses = (*host, 443).to_socket_addrs();
        addresses
            .into_iter()
            .flatten()
            .map(|address| address.ip().to_canonical())
    });
    found.filter(|address| !is_public(*address)).collect()
}

/// Roughly: what a lab may have. The builder has the exact rule.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_documentation() || v4.is_loopback() || v4.octets()[0] == 100)
        }
        IpAddr::V6(v6) => v6.segments()[0] & 0xe000 == 0x2000,
    }
}
