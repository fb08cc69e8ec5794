//! What a registry asks for before it answers (RFC 9110 §11.6.1; the token protocol of distribution).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Response, Url};

/// How one shows who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// By name and password with every request.
    Basic,
    /// By a token from `realm`.
    Bearer { realm: Url, service: Option<String> },
}

impl Challenge {
    /// The first one that is understood in an answer of the registry at `base`. Where a redirect ended at somebody else,
    /// that one has no say in where the registry's logins go.
    pub(crate) fn of(base: &Url, answer: &Response) -> Option<Self> {
        let is_own = answer.url().origin() == base.origin();
        is_own.then(|| Self::first(answer.headers())).flatten()
    }

    fn first(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(WWW_AUTHENTICATE).iter();
        values.find_map(|value| Self::parse(value.to_str().ok()?))
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, parameters) = text.split_once(' ').unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Self::Bearer {
            realm: Url::parse(&parameter(parameters, "realm")?).ok()?,
            service: parameter(parameters, "service"),
        })
    }
}

/// Which hosts may see a login besides the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// None: a password that is being typed is for the host that was named.
    Own,
    /// The one that gives the registry's tokens, as `auth.docker.io` those of `registry-1.docker.io`.
    OfTokens,
}

/// Refuses to show a login of the registry at `base` to a `realm` that may not see it. Over plain HTTP anybody on the way
/// can have written the challenge, so that the login goes nowhere but back; over TLS it stays in TLS.
pub(crate) fn may_see(base: &Url, realm: &Url, hosts: Hosts) -> anyhow::Result<()> {
    let is_let = realm.origin() == base.origin()
        || base.scheme() == "https"
            && realm.scheme() == "https"
            && (hosts == Hosts::OfTokens || realm.host() == base.host());
    anyhow::ensure!(
        is_let,
        "{base}: the registry wants the login sent to {}, which may not see it: {}",
        realm.origin().ascii_serialization(),
        match (base.scheme(), realm.scheme()) {
            ("https", "https") => "it is another host",
            ("https", _) => "it has no TLS",
            _ => "without TLS it goes to the registry's own host and port only",
        }
    );
    Ok(())
}

/// The value of `name="value"` in a list; commas may stand in values.
fn parameter(mut list: &str, name: &str) -> Option<String> {
    while let Some((key, rest)) = list.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        list = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Challenge, Hosts, may_see};
    use reqwest::Url;

    #[test]
    fn a_login_is_seen_by_the_registry_and_over_tls_by_who_gives_its_tokens() {
        let seen = |base: &str, realm: &str, hosts| {
            let url = |text| Url::parse(text).unwrap();
            may_see(&url(base), &url(realm), hosts).is_ok()
        };
        let (tls, plain) = ("https://r.example/v2/", "http://r.example:5000/v2/");
        for (base, realm, own, of_tokens) in [
            (tls, "https://r.example/token", true, true),
            (tls, "https://r.example:8443/token", true, true),
            (tls, "https://auth.example/token", false, true),
            (tls, "http://r.example/token", false, false),
            (tls, "http://auth.example/token", false, false),
            (plain, "http://r.example:5000/token", true, true),
            (plain, "http://r.example/token", false, false),
            (plain, "http://auth.example:5000/token", false, false),
            (plain, "https://auth.example/token", false, false),
        ] {
            assert_eq!(seen(base, realm, Hosts::Own), own, "{base} {realm}");
            assert_eq!(
                seen(base, realm, Hosts::OfTokens),
                of_tokens,
                "{base} {realm}"
            );
        }
    }

    #[test]
    fn challenges_are_read_in_any_order() {
        let text = r#"Bearer scope="repository:a:pull,push",service="r.example", realm="https://r.example/auth/token""#;
        let Some(Challenge::Bearer { realm, service }) = Challenge::parse(text) else {
            panic!("{text}");
        };
        assert_eq!(realm.as_str(), "https://r.example/auth/token");
        assert_eq!(service.as_deref(), Some("r.example"));
        let text = r#"bearer error=invalid_token, realm="https://r.example/token?a=1,2""#;
        let Some(Challenge::Bearer { realm, .. }) = Challenge::parse(text) else {
            panic!("{text}");
        };
        assert_eq!(realm.as_str(), "https://r.example/token?a=1,2");
        assert_eq!(
            Challenge::parse("Basic realm=\"x\""),
            Some(Challenge::Basic)
        );
        for other in ["Negotiate", "Bearer", "Bearer realm=\"no url\"", ""] {
            assert_eq!(Challenge::parse(other), None, "{other}");
        }
    }
}
