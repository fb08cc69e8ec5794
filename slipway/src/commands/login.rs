//! `slipway login` and `slipway logout`.

use std::time::Duration;

use anyhow::Context as _;
use auth::Secret;
use reqwest::{Client, Response, StatusCode, Url};

use super::authfile::AuthFiles;
use super::{print, prompt};
use crate::cli::{Login, Logout, Transport};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Checks the password with the registry, then keeps it where podman, docker and helm look.
pub(super) async fn login(args: Login) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile)?;
    let base = base(&args.server, &args.transport)?;
    let user = match args.username {
        Some(user) => user,
        None => prompt::line("User name")?,
    };
    let password = prompt::password(args.password_stdin)?;
    check(&base, &args.transport, &user, &password).await?;
    for path in files.put(&args.server, &user, &password)? {
        print::line(&format!(
            "logged in to {} as {user}; kept in {}",
            args.server,
            path.display()
        ))?;
    }
    Ok(())
}

/// Forgets the password.
pub(super) fn logout(args: &Logout) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile.clone())?;
    let removed = files.remove(&args.server)?;
    anyhow::ensure!(!removed.is_empty(), "{}: not logged in", args.server);
    for path in removed {
        print::line(&format!(
            "logged out of {}; removed from {}",
            args.server,
            path.display()
        ))?;
    }
    Ok(())
}

/// `host[:port]` as a URL. A password goes over plain HTTP only when asked, or to this machine.
fn base(server: &str, transport: &Transport) -> anyhow::Result<Url> {
    anyhow::ensure!(
        !server.contains('/') && !server.contains('@'),
        "{server}: name the registry as host or host:port, as in image names"
    );
    let url = Url::parse(&format!("https://{server}/v2/"))
        .with_context(|| format!("{server}: no host or host:port"))?;
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if transport.plain_http || (loopback && transport.ca_file.is_none()) {
        return Ok(Url::parse(&format!("http://{server}/v2/"))?);
    }
    Ok(url)
}

async fn check(
    base: &Url,
    transport: &Transport,
    user: &str,
    password: &Secret,
) -> anyhow::Result<()> {
    let client = client(transport)?;
    let answer = client.get(base.clone()).send().await?;
    if answer.status() == StatusCode::OK {
        anyhow::bail!("{base}: the registry asks for no login");
    }
    let target = match realm(&answer)? {
        Some(realm) => {
            anyhow::ensure!(
                realm.host() == base.host() && realm.scheme() == base.scheme(),
                "{base}: the registry wants the password sent to {realm}, which is another host"
            );
            realm
        }
        None => base.clone(),
    };
    let request = client.get(target).basic_auth(user, Some(password.expose()));
    let answer = request.send().await?;
    match answer.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED => anyhow::bail!("{base}: wrong user name or password"),
        status => anyhow::bail!("{base}: the registry answered {status}"),
    }
}

fn client(transport: &Transport) -> anyhow::Result<Client> {
    // A redirect could carry the password to another host.
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = &transport.ca_file {
        let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem)
            .with_context(|| path.display().to_string())?
        {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder.build()?)
}

/// Where the challenge sends for a token; `None` when it asks for Basic.
fn realm(answer: &Response) -> anyhow::Result<Option<Url>> {
    let challenge = answer
        .headers()
        .get(reqwest::header::WWW_AUTHENTICATE)
        .and_then(|value| value.to_str().ok())
        .with_context(|| {
            format!(
                "{}: this is no registry ({})",
                answer.url(),
                answer.status()
            )
        })?;
    let Some(parameters) = challenge.strip_prefix("Bearer ") else {
        return Ok(None);
    };
    let realm = parameters
        .split(',')
        .find_map(|parameter| parameter.trim().strip_prefix("realm=\"")?.strip_suffix('"'))
        .with_context(|| format!("{}: a challenge without realm", answer.url()))?;
    let mut realm = Url::parse(realm)?;
    let service = parameters.split(',').find_map(|parameter| {
        parameter
            .trim()
            .strip_prefix("service=\"")?
            .strip_suffix('"')
    });
    if let Some(service) = service {
        realm.query_pairs_mut().append_pair("service", service);
    }
    Ok(Some(realm))
}
