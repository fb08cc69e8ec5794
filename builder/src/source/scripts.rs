//! Scripts of S2I that a request names by a URL.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::StatusCode;

use super::web::client;
use super::{Fault, FaultClass, SourceNetwork};
use crate::s2i::Script;

/// Longest script that is read, in bytes.
pub(crate) const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// Fetches `<url>/<script>` for each of `wanted` (the `s2i` program's `--scripts-url`). What the server does not have (404) is
/// not among them; anything else that goes wrong is a fault, and so is more than `time` for all of them.
pub async fn fetch_scripts(
    url: &str,
    wanted: &[Script],
    network: &SourceNetwork,
    time: Duration,
) -> Result<BTreeMap<Script, Vec<u8>>, Fault> {
    let all = fetch(url, wanted, network);
    match tokio::time::timeout(time, all).await {
        Ok(found) => found,
        Err(_) => Err(Fault::new(
            FaultClass::SourceTimedOut,
            "getting the scripts took longer than it may",
        )),
    }
}

async fn fetch(
    url: &str,
    wanted: &[Script],
    network: &SourceNetwork,
) -> Result<BTreeMap<Script, Vec<u8>>, Fault> {
    let fault = |class: FaultClass, why: &dyn std::fmt::Display| {
        Fault::new(
            class,
            format!("the scripts at {url} are not to be had: {why}"),
        )
    };
    let parsed: Result<reqwest::Url, _> = url.parse();
    let base = parsed.map_err(|error| fault(FaultClass::SourceRefused, &error))?;
    let (Some(host), Some(port)) = (base.host_str(), base.port_or_known_default()) else {
        return Err(fault(FaultClass::SourceRefused, &"the URL has no host"));
    };
    let client = client(host, port, network).await?;
    let mut found = BTreeMap::new();
    for script in wanted {
        // Without the URL in it: it may hold a password.
        let broken = |error: reqwest::Error| {
            let error = error.without_url();
            Fault::new(
                FaultClass::SourceRefused,
                format!("script {script} is not to be had: {error}"),
            )
        };
        let place = format!("{}/{script}", url.trim_end_matches('/'));
        let mut response = client.get(place).send().await.map_err(broken)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => continue,
            status => return Err(fault(FaultClass::SourceRefused, &status)),
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if (bytes.len() + chunk.len()) as u64 > MAX_SCRIPT_BYTES {
                let message = format!("script {script} has more than {MAX_SCRIPT_BYTES} bytes");
                return Err(Fault::too_large(message));
            }
            bytes.extend_from_slice(&chunk);
        }
        found.insert(*script, bytes);
    }
    Ok(found)
}
