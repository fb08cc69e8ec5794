//! `WWW-Authenticate`: where to get a token, and for what (Docker token authentication, as
//! distribution-spec clients speak it).

use http::header::{HOST, WWW_AUTHENTICATE};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use oci::Operation;

/// Names under which clients reach this registry; the first is the one told to those that came
/// by another.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// The configured names, each `host` or `host:port`.
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The name to tell this client: its own `Host` if that is one of ours, or if none is
    /// configured.
    pub(super) fn of(&self, headers: &HeaderMap, uri: &http::Uri) -> String {
        // HTTP/2 carries the host in the request's target.
        let asked = uri.authority().cloned().or_else(|| {
            let host = headers.get(HOST)?.to_str().ok()?;
            host.parse::<Authority>().ok()
        });
        let asked = asked.filter(|authority| !authority.as_str().contains('@'));
        match (asked, self.0.first()) {
            (Some(asked), None) => asked.as_str().to_owned(),
            (Some(asked), Some(_)) if self.0.iter().any(|name| name == asked.as_str()) => {
                asked.as_str().to_owned()
            }
            (_, Some(first)) => first.clone(),
            (None, None) => "localhost".to_owned(),
        }
    }
}

/// Why credentials are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenge {
    /// None were sent.
    Missing,
    /// They are wrong or no longer valid.
    Invalid,
    /// The token is good but does not hold this right.
    InsufficientScope,
}

/// Adds the challenge to a 401: for a token where tokens are issued, else for a password.
pub(super) fn add(
    headers: &mut HeaderMap,
    challenge: Challenge,
    realm: &str,
    service: Option<&str>,
    operation: Option<&Operation>,
) {
    let Some(service) = service else {
        let basic = HeaderValue::from_static(r#"Basic realm="slipway""#);
        headers.insert(WWW_AUTHENTICATE, basic);
        return;
    };
    let mut value = format!(r#"Bearer realm="{realm}",service="{service}""#);
    if let Some(scope) = operation.and_then(scope) {
        value.push_str(r#",scope=""#);
        value.push_str(&scope);
        value.push('"');
    }
    value.push_str(match challenge {
        Challenge::Missing => "",
        Challenge::Invalid => r#",error="invalid_token""#,
        Challenge::InsufficientScope => r#",error="insufficient_scope""#,
    });
    // An authority, a scope of parsed names and fixed text hold nothing that a header may not.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(WWW_AUTHENTICATE, value);
    }
}

/// What a token must hold for the operation, as `resource:name:actions`, by spaces if more than one.
fn scope(operation: &Operation) -> Option<String> {
    let actions = match super::hall::permission(operation) {
        super::hall::Permission::Known => return None,
        super::hall::Permission::Seen => return Some("registry:catalog:*".to_owned()),
        super::hall::Permission::Pull => "pull",
        super::hall::Permission::Push => "pull,push",
        super::hall::Permission::Delete => "delete",
    };
    let repo = operation.repo()?;
    let own = format!("repository:{repo}:{actions}");
    Some(match operation {
        // A client that asks for no more than it is told could not mount.
        Operation::StartUpload {
            mount: Some(_),
            from: Some(from),
            ..
        } => format!("{own} repository:{from}:pull"),
        _ => own,
    })
}
