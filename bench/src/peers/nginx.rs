//! nginx serving the same bytes as plain files with sendfile: what this machine can do at best.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::process::Setup;

/// No access log and no limit on requests per connection: it stands for the limit, not for a product.
pub(super) fn configure(command: &mut Command, setup: &Setup<'_>) -> Result<()> {
    let folder = setup.folder.display();
    let (ssl, certificate) = match setup.tls {
        None => ("", String::new()),
        Some(tls) => (
            " ssl",
            format!(
                "ssl_certificate {}; ssl_certificate_key {};",
                tls.file.display(),
                tls.key.display()
            ),
        ),
    };
    let user = if rustix::process::getuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let text = format!(
        "{user}
daemon off;
worker_processes {};
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  open_file_cache max=1000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen {}{ssl}; {certificate} root {folder}/www; }}
}}
",
        setup.threads, setup.address
    );
    fs::create_dir_all(setup.folder.join("www"))?;
    let file = setup.folder.join("nginx.conf");
    fs::write(&file, text)?;
    command.arg("-p").arg(setup.folder).arg("-c").arg(file);
    Ok(())
}
