//! CNCF Distribution, 2.8 as Debian ships it and 3 as its module builds: one configuration format.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Auth;
use crate::material::ISSUER;
use crate::process::Setup;

/// The configuration that Debian's package installs and the project's own example has; only paths, port and access differ.
pub(super) fn configure(command: &mut Command, setup: &Setup<'_>) -> Result<()> {
    let mut text = format!(
        "version: 0.1
log: {{fields: {{service: registry}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {}/objects}}
  delete: {{enabled: true}}
http:
  addr: {}
  headers: {{X-Content-Type-Options: [nosniff]}}
",
        setup.folder.display(),
        setup.address
    );
    if let Some(tls) = setup.tls {
        writeln!(
            text,
            "  tls: {{certificate: {}, key: {}}}",
            tls.file.display(),
            tls.key.display()
        )?;
    }
    let auth = match setup.auth {
        Auth::None => String::new(),
        Auth::Basic => format!(
            "auth:\n  htpasswd: {{realm: bench, path: {}}}\n",
            setup.access.htpasswd.display()
        ),
        Auth::Token => format!(
            "auth:\n  token: {{realm: \"http://127.0.0.1:1/\", service: {ISSUER}, issuer: {ISSUER}, rootcertbundle: {}}}\n",
            setup.access.signer.file.display()
        ),
    };
    text.push_str(&auth);
    text += "health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}}\n";
    let file = setup.folder.join("config.yml");
    fs::write(&file, text)?;
    // 3 exports traces by default and would log that nobody takes them.
    command
        .arg("serve")
        .arg(file)
        .env("OTEL_TRACES_EXPORTER", "none");
    Ok(())
}
