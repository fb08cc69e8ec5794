//! `slipway secret`: what builds use and nobody is shown.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::build::{Place, connect};
use super::{print, table};
use crate::cli::{Output, SecretCommand, Use};

/// What the server takes of a secret, in bytes.
const MAX_BYTES: u64 = 1 << 20;

pub(super) async fn run(command: SecretCommand) -> anyhow::Result<()> {
    match command {
        SecretCommand::Set {
            name,
            from_file,
            from_stdin,
            used_for,
            host,
            of,
            remote,
        } => {
            let mut files = files(&from_file, from_stdin.as_deref())?;
            if !host.is_empty() {
                anyhow::ensure!(used_for == Use::Git, "--host is of secrets --for git");
                let hosts = STANDARD.encode(host.join("\n"));
                let known = files.insert("hosts".to_owned(), hosts);
                anyhow::ensure!(known.is_none(), "--host and a file hosts say the same");
            }
            let used_for = match used_for {
                Use::Build => "build",
                Use::Git => "git",
                Use::Webhook => "webhook",
                Use::Image => "image",
            };
            let client = connect(remote).await?;
            let path = Place(Some(&of.namespace)).path(&format!("secrets/{name}"));
            let wanted = json!({"usedFor": used_for, "files": files});
            let _: Value = client.put(&path, &wanted, None).await?;
            let names: Vec<&str> = files.keys().map(String::as_str).collect();
            let (namespace, names) = (&of.namespace, names.join(", "));
            print::line(&format!(
                "secret {name} in namespace {namespace} is set: {names}"
            ))
        }
        SecretCommand::List {
            of,
            remote,
            printing,
        } => {
            let client = connect(remote).await?;
            let place = Place(Some(&of.namespace));
            let secrets: Vec<Value> = place.list(&client, "secrets", "", usize::MAX).await?;
            if printing.form() == Output::Json {
                return print::json(&json!({ "items": secrets }));
            }
            let mut rows = vec![
                ["NAME", "FOR", "FILES", "HOSTS"]
                    .map(str::to_owned)
                    .to_vec(),
            ];
            for secret in &secrets {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let list = |value: &Value| {
                    let texts = value.as_array().into_iter().flatten().map(text);
                    texts.collect::<Vec<_>>().join(", ")
                };
                let (files, hosts) = (list(&secret["files"]), list(&secret["hosts"]));
                let (name, used_for) = (&secret["metadata"]["name"], &secret["usedFor"]);
                rows.push(vec![text(name), text(used_for), files, hosts]);
            }
            print::whole(table::lines(&rows).as_bytes())
        }
        SecretCommand::Rm { names, of, remote } => {
            let client = connect(remote).await?;
            for name in names {
                let path = Place(Some(&of.namespace)).path(&format!("secrets/{name}"));
                client.delete(&path).await?;
                print::line(&format!("secret {name} is removed"))?;
            }
            Ok(())
        }
    }
}

/// The files of a secret, in base64.
fn files(
    from_file: &[String],
    from_stdin: Option<&str>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let mut add = |name: &str, content: &[u8]| {
        let content = STANDARD.encode(content);
        anyhow::ensure!(
            files.insert(name.to_owned(), content).is_none(),
            "the file {name} is named twice"
        );
        Ok(())
    };
    for text in from_file {
        let (name, path) = match text.split_once('=') {
            Some(pair) => pair,
            None => (file_name(text)?, text.as_str()),
        };
        let file = File::open(path).with_context(|| path.to_owned())?;
        add(name, &whole(file).with_context(|| path.to_owned())?)?;
    }
    if let Some(name) = from_stdin {
        let content = whole(std::io::stdin()).context("standard input")?;
        let text = content.strip_suffix(b"\n").unwrap_or(&content);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        anyhow::ensure!(!text.is_empty(), "standard input is empty");
        add(name, text)?;
    }
    Ok(files)
}

fn file_name(path: &str) -> anyhow::Result<&str> {
    let name = Path::new(path).file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{path}: what is the file to be called? NAME={path}"))
}

fn whole(from: impl std::io::Read) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    anyhow::ensure!(
        content.len() as u64 <= MAX_BYTES,
        "a secret has at most {MAX_BYTES} bytes"
    );
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::files;

    #[test]
    fn files_have_their_own_names_or_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token.txt");
        std::fs::write(&path, "s\n").unwrap();
        let path = path.to_str().unwrap();
        let made = files(&[path.to_owned(), format!("password={path}")], None).unwrap();
        let made: Vec<(&str, &str)> = made.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(made, [("password", "cwo="), ("token.txt", "cwo=")]);
        let twice = files(&[path.to_owned(), path.to_owned()], None);
        assert!(twice.unwrap_err().to_string().contains("twice"));
    }
}
