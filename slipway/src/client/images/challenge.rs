//! What a registry asks for before it answers (RFC 9110 §11.6.1; the token protocol of distribution).

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How one shows who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// By name and password with every request.
    Basic,
    /// By a token from `realm`.
    Bearer { realm: Url, service: Option<String> },
}

impl Challenge {
    /// The first one that is understood.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
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

/// The value of `name="value"` in a list; commas may stand in values.
fn parameter(mut list: &str, name: &str) -> Option<String> {
    while let Some((key, rest)) = list.split_once('=') {
        let quoted = rest.strip_prefix('"')?;
        let (value, rest) = quoted.split_once('"')?;
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        list = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    #[test]
    fn challenges_are_read_in_any_order() {
        let text = r#"Bearer scope="repository:a:pull,push",service="r.example", realm="https://r.example/auth/token""#;
        let Some(Challenge::Bearer { realm, service }) = Challenge::parse(text) else {
            panic!("{text}");
        };
        assert_eq!(realm.as_str(), "https://r.example/auth/token");
        assert_eq!(service.as_deref(), Some("r.example"));
        assert_eq!(
            Challenge::parse("Basic realm=\"x\""),
            Some(Challenge::Basic)
        );
        for other in ["Negotiate", "Bearer", "Bearer realm=\"no url\"", ""] {
            assert_eq!(Challenge::parse(other), None, "{other}");
        }
    }
}
