//! User name and groups of a token's claims.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::token::Flaw;
use super::{InvalidIssuer, PROVIDER};
use crate::Identity;

/// What the cluster's own users and groups begin with. No provider can make somebody one of them.
const SYSTEM: &str = "system:";
/// The value of a prefix that stands for none.
const NO_PREFIX: &str = "-";
/// Where a provider says that it has left claims out for others to fetch (OpenID Connect Core 1.0 §5.6.2).
const ELSEWHERE: &str = "_claim_names";

/// Which claims are user name and groups. The rules are those of kube-apiserver's `--oidc-*` flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    provider: String,
    username_claim: String,
    username_prefix: String,
    groups_claim: Option<String>,
    groups_prefix: String,
    required: BTreeMap<String, String>,
}

impl Names {
    /// - `username_claim`: of `email`, `email_verified` must be true where it is there.
    /// - `username_prefix`: the issuer and `#` when there is none, but nothing before `email`; `-` is no prefix.
    /// - `groups_claim`: a text or a list of texts; no groups when there is none.
    /// - `required`: claims and the texts that they must be.
    pub fn new(
        issuer: &str,
        username_claim: &str,
        username_prefix: Option<&str>,
        groups_claim: Option<&str>,
        groups_prefix: Option<&str>,
        required: BTreeMap<String, String>,
    ) -> Result<Self, InvalidIssuer> {
        let username_prefix = match username_prefix.unwrap_or_default() {
            "" if username_claim == "email" => String::new(),
            "" => format!("{issuer}#"),
            NO_PREFIX => String::new(),
            prefix => prefix.to_owned(),
        };
        let groups_prefix = groups_prefix.unwrap_or_default().to_owned();
        for (key, prefix) in [
            ("usernamePrefix", &username_prefix),
            ("groupsPrefix", &groups_prefix),
        ] {
            if prefix.starts_with(SYSTEM) {
                return Err(InvalidIssuer::System(key));
            }
        }
        Ok(Self {
            provider: format!("{PROVIDER}:{issuer}"),
            username_claim: username_claim.to_owned(),
            username_prefix,
            groups_claim: groups_claim.map(str::to_owned),
            groups_prefix,
            required,
        })
    }

    /// Whom the claims name.
    pub(super) fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, Flaw> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if self
            .required
            .iter()
            .any(|(name, value)| text(name) != Some(value))
        {
            return Err(Flaw::Required);
        }
        let name = text(&self.username_claim).filter(|name| !name.is_empty());
        let name = format!("{}{}", self.username_prefix, name.ok_or(Flaw::Name)?);
        if name.starts_with(SYSTEM) {
            return Err(Flaw::Name);
        }
        let verified = claims.get("email_verified");
        if self.username_claim == "email" && verified.is_some_and(|verified| *verified != true) {
            return Err(Flaw::Email);
        }
        let groups = self.groups(claims)?;
        Ok(Identity::authenticated(&self.provider, &name, groups))
    }

    /// Whether the provider has left the groups out because there are too many, so that the user counts as in none.
    pub(super) fn are_elsewhere(&self, claims: &Map<String, Value>) -> bool {
        let elsewhere = claims.get(ELSEWHERE);
        self.groups_claim
            .as_ref()
            .is_some_and(|name| elsewhere.is_some_and(|claims| claims.get(name).is_some()))
    }

    fn groups(&self, claims: &Map<String, Value>) -> Result<Vec<String>, Flaw> {
        let Some(name) = &self.groups_claim else {
            return Ok(Vec::new());
        };
        let groups = match claims.get(name) {
            None => &[],
            Some(group @ Value::String(_)) => std::slice::from_ref(group),
            Some(Value::Array(groups)) => groups.as_slice(),
            Some(_) => return Err(Flaw::Groups),
        };
        let mut named = Vec::with_capacity(groups.len());
        for group in groups {
            let group = group.as_str().ok_or(Flaw::Groups)?;
            let group = format!("{}{group}", self.groups_prefix);
            if !group.starts_with(SYSTEM) {
                named.push(group);
            }
        }
        Ok(named)
    }
}
