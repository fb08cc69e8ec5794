//! zot, where a binary of it is given; it is no package and no module.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::Auth;
use crate::process::Setup;

/// As shipped, but for `commit`, without which its pushes are not durable.
pub(super) fn configure(command: &mut Command, setup: &Setup<'_>) -> Result<()> {
    let mut http = json!({
        "address": setup.address.ip().to_string(),
        "port": setup.address.port().to_string(),
    });
    if let Some(tls) = setup.tls {
        http["tls"] = json!({"cert": tls.file, "key": tls.key});
    }
    if setup.auth != Auth::None {
        http["realm"] = json!("bench");
        http["auth"] = json!({"htpasswd": {"path": setup.access.htpasswd}});
    }
    let config = json!({
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": setup.folder.join("objects"), "commit": true},
        "http": http,
        "log": {"level": "info"},
    });
    let file = setup.folder.join("config.json");
    fs::write(&file, config.to_string())?;
    command.arg("serve").arg(file);
    Ok(())
}

/// It logs its version as one JSON object.
pub(super) fn version(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let object: serde_json::Value = text
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())?;
    let names = ["releaseTag", "commit"].map(|key| object[key].as_str().unwrap_or_default());
    let name = names.into_iter().find(|name| !name.is_empty());
    Some(format!("zot {}", name.unwrap_or("of an unnamed build")))
}
