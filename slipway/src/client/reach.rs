//! Whether there is a registry, and over which scheme.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};

use super::unreachable;
use crate::cli::Transport;
use crate::commands::VERSION;

const TIMEOUT: Duration = Duration::from_secs(30);
/// For a server that asks another one, or runs a program, before it answers: longer than it gives either
/// ([`api::builds::PATIENCE`]), so that it is the one to say who was silent.
const PATIENCE: Duration = Duration::from_secs(90);
const MAX_REDIRECTS: usize = 5;

/// The first base that answers as a registry does. When none does, the first error tells most: what
/// follows are fall-backs.
pub(crate) async fn reach(client: &Client, bases: &[Url]) -> anyhow::Result<(Url, Response)> {
    let mut failure = None;
    for base in bases {
        match client.get(base.clone()).send().await {
            // A server of TLS answers plain HTTP, too, though not as a registry.
            Ok(answer) if failure.is_none() || is_registry(&answer) => {
                stayed(&answer)?;
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

/// Refuses an answer that sends elsewhere: what follows it takes a login along.
pub(crate) fn stayed(answer: &Response) -> anyhow::Result<()> {
    if !answer.status().is_redirection() {
        return Ok(());
    }
    let mut at = answer.url().clone();
    at.set_query(None);
    // Only the origin: a stranger writes the rest.
    let to = answer.headers().get(LOCATION);
    let to = to.and_then(|to| answer.url().join(to.to_str().ok()?).ok());
    let to = to.map_or("nowhere".to_owned(), |to| to.origin().ascii_serialization());
    anyhow::bail!(
        "{at}: it redirects to {to} ({}), and no login is sent after redirects; if that is the \
         registry, name it",
        answer.status()
    )
}

fn is_registry(answer: &Response) -> bool {
    answer.status() == StatusCode::OK || answer.headers().contains_key(WWW_AUTHENTICATE)
}

/// The client that requests are sent with, above all those with a login in them.
pub(crate) fn http(transport: &Transport) -> anyhow::Result<Client> {
    // A redirect could carry the password to another host.
    let builder = Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(TIMEOUT)
        .read_timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none());
    trusting(builder, transport)
}

/// The same request where the server waits for others before it answers.
pub(super) fn patient(request: RequestBuilder) -> RequestBuilder {
    request.timeout(PATIENCE)
}

/// The same request for what goes on for as long as the server says something, which it does at least every 15 seconds.
pub(super) fn streamed(request: RequestBuilder) -> RequestBuilder {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    request.timeout(A_YEAR)
}

/// The client that images are sent and fetched with: they may take long, but not without a byte on its way. Registries send
/// who fetches something to where it is stored; the header Authorization does not go along to another origin (reqwest drops
/// it), and what is asked there is nobody's to believe ([`Challenge::of`](super::Challenge::of)).
pub(crate) fn transfers(transport: &Transport) -> anyhow::Result<Client> {
    let builder = Client::builder()
        .connect_timeout(TIMEOUT)
        .read_timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let from = attempt.previous().last();
            let is_safe = attempt.url().scheme() == "https"
                || from.is_some_and(|from| from.scheme() == "http");
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else if is_safe {
                attempt.follow()
            } else {
                attempt.error("a redirect from TLS to plain HTTP")
            }
        }));
    trusting(builder, transport)
}

/// What servers write down of who asked (RFC 9110 §10.1.5): the program, and for which machine it is made.
fn user_agent() -> String {
    use std::env::consts::{ARCH, OS};
    format!("slipway/{VERSION} ({OS}; {ARCH})")
}

fn trusting(mut builder: ClientBuilder, transport: &Transport) -> anyhow::Result<Client> {
    if let Some(path) = &transport.ca_file {
        let place = || path.display().to_string();
        let pem = std::fs::read(path).with_context(place)?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).with_context(place)?;
        anyhow::ensure!(
            !authorities.is_empty(),
            "{}: no certificate in it: --ca-file names a file in PEM (-----BEGIN CERTIFICATE-----)",
            place()
        );
        for certificate in authorities {
            builder = builder.add_root_certificate(certificate);
        }
    }
    Ok(builder.user_agent(user_agent()).build()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{http, patient};
    use crate::cli::Transport;

    #[tokio::test]
    async fn who_waits_for_others_is_waited_for_longer_than_they_are() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            // Only now: a clock that stands does not wait for what comes over a line.
            tokio::time::pause();
            tokio::time::sleep(api::builds::PATIENCE + Duration::from_secs(10)).await;
            tokio::time::resume();
            let answer = b"HTTP/1.1 422 x\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        });
        let transport = Transport {
            plain_http: true,
            ca_file: None,
        };
        let client = http(&transport).unwrap();
        let answer = patient(client.get(url)).send().await.unwrap();
        assert_eq!(answer.status(), 422);
    }
}
