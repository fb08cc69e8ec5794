//! Which hosts a build may reach, by name.

use std::str::FromStr;

#[cfg(test)]
mod tests;

/// A host, or all hosts below a domain, with ports: `registry.npmjs.org`, `*.pythonhosted.org`, `git.example.com:22`.
/// Without a port: 80 and 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    name: String,
    /// Whether `name` is a domain whose hosts are meant.
    below: bool,
    port: Option<u16>,
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no host: write name, *.domain or name:port, without a scheme or path")]
pub struct InvalidHostRule(String);

impl FromStr for HostRule {
    type Err = InvalidHostRule;

    fn from_str(text: &str) -> Result<Self, InvalidHostRule> {
        let invalid = || InvalidHostRule(text.to_owned());
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => {
                let port = port.parse::<u16>().ok().filter(|&port| port > 0);
                (host, Some(port.ok_or_else(invalid)?))
            }
            None => (text, None),
        };
        let (below, name) = match host.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, host),
        };
        let name = canonical(name).ok_or_else(invalid)?;
        // An address is not a name: it would never be asked for.
        let numeric = name
            .rsplit('.')
            .next()
            .is_some_and(|top| top.bytes().all(|b| b.is_ascii_digit()));
        if numeric || (below && !name.contains('.')) {
            return Err(invalid());
        }
        Ok(Self { name, below, port })
    }
}

impl HostRule {
    /// Whether a canonical name is meant.
    pub(super) fn names(&self, host: &str) -> bool {
        if !self.below {
            return host == self.name;
        }
        let label = host
            .strip_suffix(&self.name)
            .and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty())
    }

    /// Whether a port of it is meant.
    pub(super) fn opens(&self, port: u16) -> bool {
        self.port
            .map_or(port == 80 || port == 443, |own| own == port)
    }
}

/// A host's name in lower case without the last dot; none if it is not one (RFC 1123, with underscores).
pub(super) fn canonical(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(allowed)
    };
    let valid = name.len() <= 253 && name.split('.').all(label);
    valid.then(|| name.to_ascii_lowercase())
}
