//! The registry that a command is about.

use std::fmt;

use anyhow::Context as _;
use reqwest::Url;

use crate::cli::Transport;

/// A registry as people name it: `host`, `host:port`, or either behind `http://` or `https://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// `host[:port]`, as in image names and files of logins.
    name: String,
    scheme: Option<Scheme>,
    is_loopback: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Server {
    /// `http://` or `https://`, where the text begins with that.
    pub(crate) fn scheme_of(text: &str) -> &'static str {
        let known = ["https://", "http://"];
        let found = known.into_iter().find(|scheme| text.starts_with(scheme));
        found.unwrap_or_default()
    }

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (scheme, name) = if let Some(rest) = text.strip_prefix("https://") {
            (Some(Scheme::Https), rest.strip_suffix('/').unwrap_or(rest))
        } else if let Some(rest) = text.strip_prefix("http://") {
            (Some(Scheme::Http), rest.strip_suffix('/').unwrap_or(rest))
        } else {
            (None, text)
        };
        let parsed = Url::parse(&format!("https://{name}/"))
            .ok()
            .filter(|_| !name.contains(['/', '@', '?', '#', '\\']) && !name.is_empty())
            .with_context(|| {
                format!(
                    "{text}: name the registry as host:port or host, as in image names, or by its \
                     URL without a path"
                )
            })?;
        let is_loopback = match parsed.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        Ok(Self {
            name: name.to_owned(),
            scheme,
            is_loopback,
        })
    }

    /// The URLs to try, in order. A password goes over plain HTTP only when asked, or to this
    /// machine; there, too, TLS comes first, and alone when authorities are named for it.
    pub(crate) fn bases(&self, transport: &Transport) -> anyhow::Result<Vec<Url>> {
        anyhow::ensure!(
            !(transport.plain_http && self.scheme == Some(Scheme::Https)),
            "{self}: --plain-http and https:// cannot both be"
        );
        let schemes: &[&str] = match self.scheme {
            Some(Scheme::Http) => &["http"],
            None if transport.plain_http => &["http"],
            None if self.is_loopback && transport.ca_file.is_none() => &["https", "http"],
            Some(Scheme::Https) | None => &["https"],
        };
        schemes
            .iter()
            .map(|scheme| Ok(Url::parse(&format!("{scheme}://{self}/v2/"))?))
            .collect()
    }

    /// Whether it was named by a URL, which says whether it is plain HTTP.
    pub(crate) fn is_url(&self) -> bool {
        self.scheme.is_some()
    }

    /// `host[:port]`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests;
