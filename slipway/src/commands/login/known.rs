//! Who the registry says that one is, once it has taken a login.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::Secret;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::{Asked, device, way};
use crate::client::Login;

/// What a token endpoint gives, and others answer nothing of.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
}

/// Somebody, and until when what they logged in with is good.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) until: Option<String>,
}

/// How long the registry may take to say: the login is kept by then.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whoami {
    name: String,
    token: Option<Token>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    expires_at: Option<String>,
}

impl Known {
    /// As the registry at `base` says by what it `granted` for the `login`; where it does not, since it is another
    /// program, as the login itself says.
    pub(super) async fn ask(
        client: &Client,
        base: &Url,
        login: &Login,
        granted: Granted,
        asked: Asked,
    ) -> Self {
        let said = tokio::time::timeout(PATIENCE, whoami(client, base, login, granted, asked));
        let said = said.await.ok().flatten();
        let (name, until) = said.map_or((None, None), |said| {
            let until = said.token.and_then(|token| token.expires_at);
            (Some(said.name), until)
        });
        let plain = |text: &String| !text.is_empty() && !text.contains(char::is_control);
        Self {
            name: name.filter(plain).unwrap_or_else(|| login.user.clone()),
            until: until
                .filter(plain)
                .or_else(|| end_of(&login.password))
                .map(|end| format!(" until {end}")),
        }
    }
}

/// The password goes to where the registry asks for it: to its API only where it asks for passwords.
async fn whoami(
    client: &Client,
    base: &Url,
    login: &Login,
    granted: Granted,
    asked: Asked,
) -> Option<Whoami> {
    let request = client.get(base.join("/api/v1/whoami").ok()?);
    let request = match (asked, granted.token.or(granted.access_token)) {
        (Asked::Password, _) => request.basic_auth(&login.user, Some(login.password.expose())),
        (Asked::Token, Some(token)) => request.bearer_auth(token),
        (Asked::Token, None) => return None,
    };
    let answer = request.send().await.ok()?;
    if answer.status() != StatusCode::OK {
        return None;
    }
    device::read(answer).await.ok()
}

/// When a token says that it ends (RFC 7519 §4.1.4).
fn end_of(token: &Secret) -> Option<String> {
    let end = way::claims(token)?.get("exp")?.as_u64()?;
    // Beyond the year 9999 it has no form (RFC 3339 §1).
    let is_sane = end < 253_402_300_800;
    let end: Option<SystemTime> = is_sane.then(|| UNIX_EPOCH + Duration::from_secs(end));
    end.map(|end| humantime::format_rfc3339_seconds(end).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::{Client, Granted, Known, Login, PATIENCE, Secret, Url};
    use crate::commands::login::Asked;

    /// The clock goes on by itself as soon as nothing else can happen.
    #[tokio::test(start_paused = true)]
    async fn a_registry_that_does_not_say_who_one_is_holds_no_login_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let silent = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 512];
            while stream.read(&mut asked).await.unwrap_or(0) > 0 {}
        });
        let login = Login {
            user: "ada".to_owned(),
            password: Secret::new("not in clear".to_owned()),
        };
        let client = Client::builder().no_proxy().build().unwrap();
        let known = Known::ask(&client, &base, &login, Granted::default(), Asked::Password);
        let known = tokio::time::timeout(PATIENCE + Duration::from_secs(1), known).await;
        silent.abort();
        let known = known.expect("within its patience");
        assert_eq!((known.name.as_str(), known.until), ("ada", None));
    }
}
