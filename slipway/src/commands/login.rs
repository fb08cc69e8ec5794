//! `slipway login` and `slipway logout`.

mod device;
mod oidc;

use anyhow::Context as _;
use auth::Secret;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, Response, StatusCode, Url};

use super::{print, prompt};
use crate::cli::{Login, Logout};
use crate::client::{AuthFiles, Last, Server, explain, http, reach};

/// Checks the password with the registry, then keeps it where podman, docker and helm look.
pub(super) async fn login(args: Login) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile)?;
    let server = Server::parse(&args.server)?;
    let bases = server.bases(&args.transport)?;
    let client = http(&args.transport)?;
    let base = if args.oidc.is_wanted {
        oidc::login(&client, &server, &bases, &files, &args.oidc).await?
    } else {
        let user = match args.username {
            Some(user) => user,
            None => prompt::line("User name")?,
        };
        let password = prompt::password(args.password_stdin)?;
        let (base, answer) = reach(&client, &bases).await?;
        check(&client, &base, answer, &user, &password).await?;
        for place in files.put(server.name(), &user, &password)? {
            print::line(&format!("logged in to {server} as {user}; kept {place}"))?;
        }
        base
    };
    let last = Last {
        server: server.name().to_owned(),
        plain_http: base.scheme() == "http",
        ca_file: args
            .transport
            .ca_file
            .map(std::path::absolute)
            .transpose()?,
    };
    last.keep()
}

/// Forgets the password.
pub(super) fn logout(args: &Logout) -> anyhow::Result<()> {
    let files = AuthFiles::find(args.auth_file.authfile.clone())?;
    let server = Server::parse(&args.server)?;
    let removed = files.remove(server.name())?;
    Last::forget(server.name())?;
    anyhow::ensure!(!removed.is_empty(), "{server}: not logged in");
    for place in removed {
        print::line(&format!("logged out of {server}; was {place}"))?;
    }
    Ok(())
}

async fn check(
    client: &Client,
    base: &Url,
    answer: Response,
    user: &str,
    password: &Secret,
) -> anyhow::Result<()> {
    let target = target(base, &answer)?;
    let answer = present(client, base, target, user, password).await?;
    let refused = || format!("{base}: wrong user name or password");
    answer.map(drop).with_context(refused)
}

/// Where the registry looks at a login.
fn target(base: &Url, answer: &Response) -> anyhow::Result<Url> {
    if answer.status() == StatusCode::OK {
        anyhow::bail!("{base}: the registry asks for no login");
    }
    anyhow::ensure!(
        base.scheme() != "http" || answer.status() != StatusCode::BAD_REQUEST,
        "{base}: refused plain HTTP (400), probably because it speaks TLS: leave out --plain-http"
    );
    Ok(match realm(answer)? {
        Some(realm) => {
            anyhow::ensure!(
                realm.host() == base.host() && realm.scheme() == base.scheme(),
                "{base}: the registry wants the password sent to {realm}, which is another host \
                 or scheme"
            );
            realm
        }
        None => base.clone(),
    })
}

/// Shows the registry a login. The answer is that of one that takes it; `None` of one that does not.
async fn present(
    client: &Client,
    base: &Url,
    target: Url,
    user: &str,
    password: &Secret,
) -> anyhow::Result<Option<Response>> {
    let request = client.get(target).basic_auth(user, Some(password.expose()));
    let answer = request
        .send()
        .await
        .map_err(|error| explain(base, &error))?;
    match answer.status() {
        StatusCode::OK => Ok(Some(answer)),
        StatusCode::UNAUTHORIZED => Ok(None),
        status => anyhow::bail!("{base}: the registry answered {status}"),
    }
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
