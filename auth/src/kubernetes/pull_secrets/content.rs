//! What lies in a pull secret: one login for each host, in the form of docker's `config.json`, whose password is a token
//! of the ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;

/// The type of the secrets, and the key of their content.
pub(super) const TYPE: &str = "kubernetes.io/dockerconfigjson";
pub(super) const KEY: &str = ".dockerconfigjson";

/// The registry looks at the token alone; some clients want a name.
const USER: &str = "serviceaccount";

#[derive(Serialize, Deserialize)]
struct Logins {
    auths: BTreeMap<String, Login>,
}

#[derive(Serialize, Deserialize)]
struct Login {
    username: String,
    password: String,
    auth: String,
}

/// The content with a login for each host.
pub(super) fn logins(hosts: &BTreeSet<String>, token: &str) -> Zeroizing<Vec<u8>> {
    let pair = Zeroizing::new(format!("{USER}:{token}"));
    let auth = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let login = || Login {
        username: USER.to_owned(),
        password: token.to_owned(),
        auth: auth.as_str().to_owned(),
    };
    let logins = Logins {
        auths: hosts.iter().map(|host| (host.clone(), login())).collect(),
    };
    // Text and maps of text: there is nothing that could fail.
    Zeroizing::new(serde_json::to_vec(&logins).unwrap_or_default())
}

/// The content before there is a token, which can be had only for a secret that is there.
pub(super) const EMPTY: &[u8] = br#"{"auths":{}}"#;

/// The token in a content that is exactly as [`logins`] writes it for these hosts.
pub(super) fn token_in(content: &[u8], hosts: &BTreeSet<String>) -> Option<Zeroizing<String>> {
    let held: Logins = serde_json::from_slice(content).ok()?;
    let token = Zeroizing::new(held.auths.into_values().next()?.password);
    (*logins(hosts, &token) == content).then_some(token)
}

/// What a bound ServiceAccount token says about itself
/// (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>).
/// Unverified: whoever may write the secret can lie here, and harms only the namespace's own pulls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) audiences: Vec<String>,
    pub(super) account_uid: String,
    /// Of the secret that the token ends with.
    pub(super) secret_uid: Option<String>,
    pub(super) issued: SystemTime,
    pub(super) expires: SystemTime,
}

impl Claims {
    pub(super) fn read(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let payload: Payload = serde_json::from_slice(&payload).ok()?;
        let time = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        Some(Self {
            audiences: payload.aud,
            account_uid: payload.bound.serviceaccount.uid,
            secret_uid: payload.bound.secret.map(|secret| secret.uid),
            issued: time(payload.iat)?,
            expires: time(payload.exp).filter(|_| payload.exp > payload.iat)?,
        })
    }
}

#[derive(Deserialize)]
struct Payload {
    aud: Vec<String>,
    exp: u64,
    iat: u64,
    #[serde(rename = "kubernetes.io")]
    bound: Bound,
}

#[derive(Deserialize)]
struct Bound {
    secret: Option<Named>,
    serviceaccount: Named,
}

#[derive(Deserialize)]
struct Named {
    uid: String,
}
