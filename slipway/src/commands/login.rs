//! `slipway login` and `slipway logout`.

mod device;
mod known;
mod oidc;
mod way;

use anyhow::Context as _;
use reqwest::{Client, Response, StatusCode, Url};

use super::print;
use crate::cli::{Login, Logout};
use crate::client::{
    AuthFiles, Challenge, Hosts, How, Kept, Login as Proven, Logins, Server, explain, failure,
    forget, http, in_spite_of, last_server, may_see, reach, remember, stayed, whole,
};
use crate::invoked::{self, Invoked};
use known::{Granted, Known};
use way::{Proof, Refused, Way};

/// Checks the login with the registry, then keeps it where podman, docker and helm look.
pub(super) async fn login(args: Login, invoked: Invoked) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile)?;
    let server = Server::parse(&args.server)?;
    let bases = server.bases(&args.transport)?;
    let client = http(&args.transport)?;
    let base = if args.oidc.is_wanted {
        oidc::login(&client, &server, &bases, &files, &args.oidc).await
    } else {
        let proof = Way::of(&args.way, invoked).proof(args.way).await?;
        keep(&client, &server, &bases, &files, proof).await
    };
    let base = base.map_err(|error| in_spite_of(error, args.transport.ca_file.as_deref()))?;
    let how = How {
        plain_http: base.scheme() == "http",
        ca_file: args
            .transport
            .ca_file
            .map(std::path::absolute)
            .transpose()?,
    };
    remember(&server, how)
}

/// Forgets the password.
pub(super) fn logout(args: &Logout) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile.clone())?;
    let server = match &args.server {
        Some(text) => Server::parse(text)?,
        None => last_server()?.context("of which server? slipway logout SERVER")?,
    };
    let removed = files.remove(server.name())?;
    forget(&server)?;
    anyhow::ensure!(!removed.is_empty(), "{server}: not logged in");
    for place in removed {
        print::line(&format!(
            "logged out of {server}; the login was kept {place}"
        ))?;
    }
    Ok(())
}

/// Keeps a login, or where a fresh one is to be had, once the registry has taken it. Gives the URL by which it was
/// reached.
async fn keep(
    client: &Client,
    server: &Server,
    bases: &[Url],
    files: &AuthFiles,
    proof: Proof,
) -> anyhow::Result<Url> {
    let (base, answer) = reach(client, bases).await?;
    let Target { url, asked } = target(&base, &answer)?;
    let answer = present(client, server, url, &proof.login, &proof.refused).await?;
    // A registry without a token endpoint answers nothing.
    let granted: Granted = device::read(answer).await.unwrap_or_default();
    let places = match proof.source {
        // Beside a token stands no name: somebody else may have it where there are passwords, too.
        None => files.put(server.name(), &proof.login.user, &proof.login.password)?,
        Some(source) => {
            Logins::open()?.put(server.name(), Kept::Kubeconfig(source))?;
            files.put_helper(server.name(), invoked::HELPER_NAME)?
        }
    };
    let Known { name, until } = Known::ask(client, &base, &proof.login, granted, asked).await;
    for place in places {
        let until = until.as_deref().unwrap_or_default();
        print::line(&format!(
            "logged in to {server} as {name}{until}; kept {place}"
        ))?;
    }
    Ok(base)
}

/// Where the registry looks at a login.
struct Target {
    url: Url,
    asked: Asked,
}

/// What the registry's API is to be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Password,
    Token,
}

fn target(base: &Url, answer: &Response) -> anyhow::Result<Target> {
    if answer.status() == StatusCode::OK {
        anyhow::bail!("{base}: the registry asks for no login");
    }
    anyhow::ensure!(
        base.scheme() != "http" || answer.status() != StatusCode::BAD_REQUEST,
        "{base}: refused plain HTTP (400), probably because it speaks TLS: leave out --plain-http"
    );
    let challenge = Challenge::of(base, answer);
    match challenge.with_context(|| format!("{base}: this is no registry ({})", answer.status()))? {
        Challenge::Basic => Ok(Target {
            url: base.clone(),
            asked: Asked::Password,
        }),
        Challenge::Bearer { mut realm, service } => {
            may_see(base, &realm, Hosts::Own)?;
            if let Some(service) = service {
                realm.query_pairs_mut().append_pair("service", &service);
            }
            Ok(Target {
                url: realm,
                asked: Asked::Token,
            })
        }
    }
}

/// Shows the registry a login. The answer is that of one that takes it; `refused` says what it means when it does not.
async fn present(
    client: &Client,
    server: &Server,
    target: Url,
    login: &Proven,
    refused: &Refused,
) -> anyhow::Result<Response> {
    let at = target.clone();
    let request = client
        .get(target)
        .basic_auth(&login.user, Some(login.password.expose()));
    let mut answer = request.send().await.map_err(|error| explain(&at, &error))?;
    stayed(&answer)?;
    if answer.status() == StatusCode::OK {
        return Ok(answer);
    }
    let body = whole(&mut answer).await?;
    let said = failure::words(&answer, &body);
    match answer.status() {
        StatusCode::UNAUTHORIZED => {
            let Refused { what, advice } = refused;
            anyhow::bail!("{server}: the registry does not take {what}: {said}{advice}")
        }
        _ => anyhow::bail!("{server}: {said}"),
    }
}
