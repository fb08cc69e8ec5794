//! Challenges and tokens (Docker token authentication; RFC 7617, RFC 6750).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::clause::{Step, Stop};

/// What a `WWW-Authenticate` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A password.
    Basic,
    /// A token, from the realm.
    Bearer(BTreeMap<String, String>),
}

impl Challenge {
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = BTreeMap::new();
        let mut rest = rest;
        // A quoted value may hold commas, as scopes do.
        while let Some((name, value)) = rest.split_once("=\"") {
            let (value, after) = value.split_once('"')?;
            let name = name.trim_start_matches([',', ' ']);
            parameters.insert(name.to_ascii_lowercase(), value.to_owned());
            rest = after;
        }
        parameters
            .contains_key("realm")
            .then_some(Self::Bearer(parameters))
    }
}

/// The header value of a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A token for what the challenge names, and for `more` scopes.
pub(crate) async fn token(
    http: &reqwest::Client,
    parameters: &BTreeMap<String, String>,
    more: &[String],
    login: Option<(&str, &str)>,
) -> Step<String> {
    let mut realm = Url::parse(&parameters["realm"])
        .map_err(|error| Stop::Fail(format!("the challenge's realm is no URL: {error}")))?;
    for name in ["service", "scope"] {
        if let Some(value) = parameters.get(name) {
            realm.query_pairs_mut().append_pair(name, value);
        }
    }
    for scope in more {
        realm.query_pairs_mut().append_pair("scope", scope);
    }
    let mut request = http.get(realm);
    if let Some((user, password)) = login {
        request = request.header("authorization", basic(user, password));
    }
    let response = request.send().await?;
    let status = response.status();
    let json: serde_json::Value = response.json().await?;
    let token = json["token"]
        .as_str()
        .or_else(|| json["access_token"].as_str());
    token.map(str::to_owned).ok_or_else(|| {
        Stop::Fail(format!(
            "the token endpoint answered {status} without token"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    #[test]
    fn a_scope_may_hold_commas() {
        let header = r#"Bearer realm="https://a/t",service="a",scope="repository:x:pull,push""#;
        let Some(Challenge::Bearer(parameters)) = Challenge::parse(header) else {
            panic!("no bearer challenge");
        };
        assert_eq!(parameters["realm"], "https://a/t");
        assert_eq!(parameters["scope"], "repository:x:pull,push");
        assert_eq!(
            Challenge::parse("Basic realm=\"x\""),
            Some(Challenge::Basic)
        );
        assert_eq!(Challenge::parse("Bearer service=\"x\""), None);
    }
}
