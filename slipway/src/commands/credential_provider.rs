//! `slipway credential-provider`: the kubelet's plugin that turns a pod's ServiceAccount token into a login, so that
//! images are pulled by the pod's own right and no secret lies anywhere.
//! Protocol: <https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/>.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::print;
use crate::cli::CredentialProviderCommand;

const VERSION: &str = "credentialprovider.kubelet.k8s.io/v1";
/// A request holds an image's name and a token.
const MAX_REQUEST: u64 = 1 << 20;
/// How long the kubelet may use an answer again, for the same token: it makes a new one before the old one ends.
const CACHE: &str = "5m0s";
/// The file that the kubelet runs.
const FILE: &str = "slipway-credential-provider";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    api_version: String,
    kind: String,
    image: String,
    #[serde(default)]
    service_account_token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    api_version: &'a str,
    kind: &'a str,
    cache_key_type: &'a str,
    cache_duration: &'a str,
    auth: BTreeMap<&'a str, Login<'a>>,
}

#[derive(Serialize)]
struct Login<'a> {
    username: &'a str,
    password: &'a str,
}

pub(super) fn run(command: CredentialProviderCommand) -> anyhow::Result<()> {
    match command {
        CredentialProviderCommand::Get { registry } => {
            let mut text = String::new();
            let mut input = std::io::stdin().lock().take(MAX_REQUEST);
            input.read_to_string(&mut text).context("standard input")?;
            print::line(&answer(&text, &registry)?)
        }
        CredentialProviderCommand::Config { registry, audience } => {
            print::whole(config(&registry, &audience)?.as_bytes())
        }
    }
}

fn answer(text: &str, registries: &[String]) -> anyhow::Result<String> {
    let request: Request = serde_json::from_str(text)
        // What is wrong with it is told without what is in it.
        .map_err(|error| {
            anyhow::anyhow!(
                "standard input: no {VERSION} CredentialProviderRequest, which the kubelet sends \
                 (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
    anyhow::ensure!(
        request.api_version == VERSION && request.kind == "CredentialProviderRequest",
        "standard input: a {} {}, not a {VERSION} CredentialProviderRequest",
        request.api_version,
        request.kind
    );
    let host = host(&request.image);
    let mut auth = BTreeMap::new();
    // The token would tell another registry who the pod is, and open this one.
    if registries.iter().any(|registry| registry == host) {
        anyhow::ensure!(
            !request.service_account_token.is_empty(),
            "the kubelet sent no ServiceAccount token: its CredentialProviderConfig needs \
             tokenAttributes (`slipway credential-provider config` prints them)"
        );
        let login = Login {
            username: "serviceaccount",
            password: &request.service_account_token,
        };
        auth.insert(host, login);
    }
    Ok(serde_json::to_string(&Response {
        api_version: VERSION,
        kind: "CredentialProviderResponse",
        cache_key_type: "Registry",
        cache_duration: CACHE,
        auth,
    })?)
}

/// The registry in an image's name as the kubelet sends it, which is whole.
fn host(image: &str) -> &str {
    image.split_once('/').map_or("", |(host, _)| host)
}

fn config(registries: &[String], audience: &str) -> anyhow::Result<String> {
    let text = |text: &str| serde_json::to_string(text);
    let mut images = String::new();
    let mut arguments = String::new();
    for registry in registries {
        anyhow::ensure!(
            !registry.is_empty() && !registry.contains(['/', '@', ' ', '*']),
            "--registry {registry:?}: name it as in image names: host or host:port"
        );
        let registry = text(registry)?;
        // Writing to a String cannot fail.
        let _ = writeln!(images, "      - {registry}");
        let _ = writeln!(arguments, "      - --registry\n      - {registry}");
    }
    let audience = text(audience)?;
    Ok(format!(
        "apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: {FILE}
    apiVersion: {VERSION}
    matchImages:
{images}    defaultCacheDuration: {CACHE}
    args:
      - credential-provider
      - get
{arguments}    tokenAttributes:
      serviceAccountTokenAudience: {audience}
      cacheType: Token
      requireServiceAccount: true
"
    ))
}

#[cfg(test)]
mod tests;
