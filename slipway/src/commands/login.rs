//! `slipway login` and `slipway logout`.

mod way;

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, Response, StatusCode, Url};

use super::authfile::AuthFiles;
use super::server::Server;
use super::{print, unreachable};
use crate::cli::{Login, Logout, Transport};
use crate::invoked::{self, Invoked};
use crate::logins::{self, Credential, Logins};
use way::{Proof, Way};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Checks the login with the registry, then keeps it where podman, docker and helm look.
pub(super) async fn login(args: Login, invoked: Invoked) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile)?;
    let server = Server::parse(&args.server)?;
    let bases = server.bases(&args.transport)?;
    let proof = Way::of(&args.way, invoked).proof(args.way).await?;
    let client = client(&args.transport)?;
    let (base, answer) = reach(&client, &bases).await?;
    check(&client, &base, answer, &proof).await?;
    let user = &proof.credential.username;
    let places = match proof.source {
        None => files.put(server.name(), user, &proof.credential.secret)?,
        Some(source) => {
            Logins::open()?.put(server.name(), logins::Login::Kubeconfig(source))?;
            files.put_helper(server.name(), invoked::HELPER_NAME)?
        }
    };
    for place in places {
        print::line(&format!("logged in to {server} as {user}; kept {place}"))?;
    }
    Ok(())
}

/// Forgets the password.
pub(super) fn logout(args: &Logout) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile.clone())?;
    let server = Server::parse(&args.server)?;
    let removed = files.remove(server.name())?;
    anyhow::ensure!(!removed.is_empty(), "{server}: not logged in");
    for place in removed {
        print::line(&format!("logged out of {server}; was {place}"))?;
    }
    Ok(())
}

/// The first base that answers as a registry does. When none does, the first error tells most: what
/// follows are fall-backs.
async fn reach(client: &Client, bases: &[Url]) -> anyhow::Result<(Url, Response)> {
    let mut failure = None;
    for base in bases {
        match client.get(base.clone()).send().await {
            // A server of TLS answers plain HTTP, too, though not as a registry.
            Ok(answer) if failure.is_none() || is_registry(&answer) => {
                return Ok((base.clone(), answer));
            }
            Ok(_) => {}
            Err(error) if failure.is_none() && !error.is_connect() => {
                return Err(unreachable::explain(base, &error));
            }
            Err(error) => failure = failure.or(Some((base, error))),
        }
    }
    let (base, error) = failure.context("no URL to try")?;
    Err(unreachable::explain(base, &error))
}

fn is_registry(answer: &Response) -> bool {
    answer.status() == StatusCode::OK || answer.headers().contains_key(WWW_AUTHENTICATE)
}

async fn check(client: &Client, base: &Url, answer: Response, proof: &Proof) -> anyhow::Result<()> {
    if answer.status() == StatusCode::OK {
        anyhow::bail!("{base}: the registry asks for no login");
    }
    anyhow::ensure!(
        base.scheme() != "http" || answer.status() != StatusCode::BAD_REQUEST,
        "{base}: refused plain HTTP (400), probably because it speaks TLS: leave out --plain-http"
    );
    let target = match realm(&answer)? {
        Some(realm) => {
            anyhow::ensure!(
                realm.host() == base.host() && realm.scheme() == base.scheme(),
                "{base}: the registry wants the password sent to {realm}, which is another host \
                 or scheme"
            );
            realm
        }
        None => base.clone(),
    };
    let Credential { username, secret } = &proof.credential;
    let request = client
        .get(target)
        .basic_auth(username, Some(secret.expose()));
    let answer = request
        .send()
        .await
        .map_err(|error| unreachable::explain(base, &error))?;
    match answer.status() {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED => anyhow::bail!("{base}: {}", proof.refused),
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
        .get(WWW_AUTHENTICATE)
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
