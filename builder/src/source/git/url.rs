//! The address of a repository.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// The URL of a git repository over https or ssh, or over http on this machine's loopback. No other way is spoken: not
/// `http` over a network (passwords in the open), not `git`, not files of this machine, not `ext::`.
///
/// It holds no password and, but for an ssh user, no user: what identifies belongs into a secret. Host and path are of
/// few characters, so that neither can be mistaken for an option, a second line or another host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GitUrl {
    scheme: Scheme,
    /// For ssh; `git` unless the URL says another.
    user: String,
    host: String,
    port: Option<u16>,
    /// With its `/`; for the short form of ssh without, if it is relative to the user's home.
    path: String,
}

/// How a repository is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `https://`.
    Https,
    /// `http://`, to `localhost`, `127.0.0.0/8` or `[::1]` alone.
    Http,
    /// `ssh://`, or the short `user@host:path`.
    Ssh,
}

impl Scheme {
    /// As URLs have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
        }
    }
}

impl GitUrl {
    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, as it is written: a name or an address, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(self.usual_port())
    }

    /// The port of the URL's scheme where it names none.
    pub(crate) fn usual_port(&self) -> u16 {
        match self.scheme {
            Scheme::Https => 443,
            Scheme::Http => 80,
            Scheme::Ssh => 22,
        }
    }

    /// The host, with its port where that is not the scheme's own: as a secret names the server.
    pub(crate) fn server(&self) -> String {
        if self.port() == self.usual_port() {
            return self.host.clone();
        }
        format!("{}:{}", self.host, self.port())
    }

    /// Whether both are one server spoken to in one way, so that a credential for the one may be shown to the other.
    pub fn same_server(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port()) == (other.scheme, &other.host, other.port())
    }

    /// The URL of a submodule: `text` as it stands, or resolved against this one if it begins with `./` or `../`
    /// (git-submodule(1), "add"). Over http only where this one is: who writes a repository elsewhere must not choose which
    /// service of this machine is asked.
    pub(crate) fn submodule(&self, text: &str) -> Result<Self, InvalidGitUrl> {
        if !text.starts_with("./") && !text.starts_with("../") {
            let url: Self = text.parse()?;
            if url.scheme == Scheme::Http && self.scheme != Scheme::Http {
                return Err(InvalidGitUrl::PlainHttp);
            }
            return Ok(url);
        }
        let mut path: Vec<&str> = self.path.trim_end_matches('/').split('/').collect();
        for name in text.trim_end_matches('/').split('/') {
            match name {
                "." | "" => {}
                ".." => {
                    // The first is empty: the path begins with `/`.
                    if path.len() < 2 {
                        return Err(InvalidGitUrl::Path);
                    }
                    path.pop();
                }
                _ => path.push(name),
            }
        }
        let mut url = self.clone();
        url.path = path.join("/");
        check_path(&url.path)?;
        Ok(url)
    }

    /// The URL with `.git` at its end, unless it has that.
    pub(crate) fn with_suffix(&self) -> Option<Self> {
        let path = self.path.trim_end_matches('/');
        path.strip_suffix(".git").is_none().then(|| Self {
            path: format!("{path}.git"),
            ..self.clone()
        })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Host and port as the URL writes them.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            None => self.host.clone(),
            Some(port) => format!("{}:{port}", self.host),
        }
    }
}

impl FromStr for GitUrl {
    type Err = InvalidGitUrl;

    fn from_str(text: &str) -> Result<Self, InvalidGitUrl> {
        if text.len() > 2048 {
            return Err(InvalidGitUrl::TooLong);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("ssh", rest)) => (Scheme::Ssh, rest),
            Some(_) => return Err(InvalidGitUrl::Scheme),
            None => return short(text),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => return Err(InvalidGitUrl::Path),
        };
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user), server),
            None => (None, authority),
        };
        let (host, port) = split_port(server)?;
        Self::checked(scheme, user, host, port, path)
    }
}

/// `[user@]host:path`.
fn short(text: &str) -> Result<GitUrl, InvalidGitUrl> {
    // What has a `/` before its first `:` is a path of this machine, and so is what has no `:`.
    let (server, path) = text.split_once(':').ok_or(InvalidGitUrl::Scheme)?;
    if server.contains('/') || path.starts_with(':') {
        return Err(InvalidGitUrl::Scheme);
    }
    let (user, host) = match server.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, server),
    };
    GitUrl::checked(Scheme::Ssh, user, host, None, path)
}

impl GitUrl {
    fn checked(
        scheme: Scheme,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<Self, InvalidGitUrl> {
        let user = match (scheme, user) {
            (Scheme::Https | Scheme::Http, Some(_)) => return Err(InvalidGitUrl::Credential),
            (Scheme::Https | Scheme::Http, None) => "",
            (Scheme::Ssh, None) => "git",
            (Scheme::Ssh, Some(user)) if user.contains(':') => {
                return Err(InvalidGitUrl::Credential);
            }
            (Scheme::Ssh, Some(user)) => user,
        };
        let is_word = |text: &str, more: &[u8]| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            !text.starts_with('-') && text.bytes().all(fits)
        };
        if scheme == Scheme::Ssh && (user.is_empty() || !is_word(user, b"_.-+")) {
            return Err(InvalidGitUrl::User);
        }
        let host = super::host::host(host).ok_or(InvalidGitUrl::Host)?;
        if scheme == Scheme::Http && !is_loopback(&host) {
            return Err(InvalidGitUrl::PlainHttp);
        }
        check_path(path)?;
        Ok(Self {
            scheme,
            user: user.to_owned(),
            host,
            port,
            path: path.to_owned(),
        })
    }
}

/// Whether a host is written as this machine. That its address is loopback's is looked at again when it is known.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<IpAddr> = bare.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

fn split_port(server: &str) -> Result<(&str, Option<u16>), InvalidGitUrl> {
    let after_bracket = server.rfind(']').map_or(0, |at| at + 1);
    match server[after_bracket..].find(':') {
        None => Ok((server, None)),
        Some(at) => {
            let (host, port) = server.split_at(after_bracket + at);
            let port = port[1..].parse().ok().filter(|port| *port != 0);
            Ok((host, Some(port.ok_or(InvalidGitUrl::Host)?)))
        }
    }
}

fn check_path(path: &str) -> Result<(), InvalidGitUrl> {
    let names = path.trim_matches('/');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.-+~@%=,:()".contains(&byte);
    let odd = names.is_empty()
        || path.starts_with('-')
        || !path.bytes().all(allowed)
        || names.split('/').any(|name| name == ".." || name == ".")
        || has_encoded_control(names);
    if odd {
        Err(InvalidGitUrl::Path)
    } else {
        Ok(())
    }
}

/// `%0a` and the like: git decodes them before it asks for credentials (CVE-2020-5260).
fn has_encoded_control(path: &str) -> bool {
    percent_encoding::percent_decode_str(path).any(|byte| byte.is_ascii_control())
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, path, .. } = self;
        let at = self.authority();
        match (self.scheme, self.port) {
            (Scheme::Https | Scheme::Http, _) => {
                write!(f, "{}://{at}{path}", self.scheme.as_str())
            }
            // A path without `/` is below the user's home, which only the short form can say.
            (Scheme::Ssh, None) if !path.starts_with('/') => write!(f, "{user}@{at}:{path}"),
            (Scheme::Ssh, _) => write!(f, "ssh://{user}@{at}{path}"),
        }
    }
}

/// Why a text is no address of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGitUrl {
    /// Neither https nor ssh.
    #[error("a repository is named https://host/path, ssh://user@host/path or user@host:path")]
    Scheme,
    /// http to another machine.
    #[error(
        "a repository is spoken to over https or ssh; over http only on this machine (localhost, 127.0.0.1, [::1])"
    )]
    PlainHttp,
    /// There is a user or password in it.
    #[error("a repository's URL must not hold a user or password: give them as a secret")]
    Credential,
    /// The ssh user is none.
    #[error("the user in a repository's URL must be letters, digits, _ . - +")]
    User,
    /// The host or port is none.
    #[error(
        "the host in a repository's URL must be a name, without a dot at its end, or an address, such as 192.0.2.1 or \
         [2001:db8::1], with a port or not"
    )]
    Host,
    /// The path is none.
    #[error("the path in a repository's URL must be plain: no query, no spaces, no . or ..")]
    Path,
    /// Too long.
    #[error("a repository's URL must not be longer than 2048 bytes")]
    TooLong,
}
