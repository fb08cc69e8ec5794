//! A real OpenID provider of a test's own (zitadel's, see `tests/lab/oidc`), and people who log in there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use reqwest::blocking::{Client, Response};
use reqwest::{Certificate, Url, redirect};
use serde_json::{Value, json};

use crate::{Daemon, Lab, OrFail, tls, toolbox};

/// The client whose tokens the registry takes.
pub const CLIENT: &str = "slipway";
/// Where a browser would be sent back to.
const CALLBACK: &str = "http://127.0.0.1/callback";
/// 43 letters at least (RFC 7636 §4.1).
const VERIFIER: &str = "a-verifier-that-is-long-enough-and-not-secret-here";

/// A running provider, by TLS.
#[derive(Debug)]
pub struct Provider {
    issuer: String,
    url: String,
    ca: PathBuf,
    users: PathBuf,
    client: Client,
    process: Daemon,
}

impl Provider {
    /// Starts one with a certificate of `authority`.
    pub fn start(lab: &Lab, authority: &tls::Authority) -> Self {
        let port = lab.port();
        Self::start_as(lab, authority, port, &format!("https://127.0.0.1:{port}"))
    }

    /// Starts one on `port` that calls itself `issuer`, as it does behind a proxy.
    pub fn start_as(lab: &Lab, authority: &tls::Authority, port: u16, issuer: &str) -> Self {
        let certificate = authority.issue(lab, "provider");
        let users = lab.write("users.json", "{}");
        let mut command = Command::new(toolbox::find("openid-provider"));
        command
            .args(["-listen", &format!("127.0.0.1:{port}")])
            .args(["-issuer", issuer, "-lifetime", "10m"])
            .arg("-users")
            .arg(&users)
            .arg("-cert")
            .arg(&certificate.cert)
            .arg("-key")
            .arg(&certificate.key);
        let pem = std::fs::read(&authority.certificate).or_fail("read the authority");
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(&pem).or_fail("parse the authority")])
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .or_fail("make an HTTP client");
        let mut provider = Self {
            issuer: issuer.to_owned(),
            url: format!("https://127.0.0.1:{port}"),
            ca: authority.certificate.clone(),
            users,
            client,
            process: Daemon::start("openid-provider", command, &lab.path("provider.log")),
        };
        let (client, url) = (provider.client.clone(), provider.url.clone());
        provider
            .process
            .wait_until(|| client.get(format!("{url}/keys")).send().is_ok());
        provider
    }

    /// What tokens call it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The authority of its certificate.
    pub fn ca(&self) -> &PathBuf {
        &self.ca
    }

    /// These are its users from now on, with their groups. Passwords are their names.
    pub fn set_users(&self, users: &[(&str, &[&str])]) {
        let user = |(name, groups): &(&str, &[&str])| {
            let user = json!({
                "password": name, "email": format!("{name}@example.com"), "emailVerified": true, "groups": groups,
            });
            ((*name).to_owned(), user)
        };
        let users: BTreeMap<String, Value> = users.iter().map(user).collect();
        let text = serde_json::to_string(&users).or_fail("write users");
        std::fs::write(&self.users, text).or_fail("write users");
    }

    /// An ID token of somebody who logs in with a browser (the code flow).
    #[track_caller]
    pub fn id_token(&self, name: &str) -> String {
        self.id_token_for(CLIENT, name)
    }

    /// The same for another client.
    #[track_caller]
    pub fn id_token_for(&self, client: &str, name: &str) -> String {
        let began = self.get(
            "/auth",
            &[
                ("client_id", client),
                ("redirect_uri", CALLBACK),
                ("response_type", "code"),
                ("scope", "openid profile email groups"),
                ("code_challenge_method", "plain"),
                ("code_challenge", VERIFIER),
            ],
        );
        let login = self.follow(&began);
        let id = value_of(&login, "authRequestID");
        let form = [("username", name), ("password", name), ("id", &id)];
        let logged_in = self.post("/login/username", &form);
        let sent_back = self.follow(&logged_in);
        let sent_back = self.client.get(sent_back).send().or_fail("be sent back");
        let code = value_of(&self.follow(&sent_back), "code");
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("client_id", client),
            ("code_verifier", VERIFIER),
        ];
        let granted = self.post("/oauth/token", &form);
        let text = granted.text().or_fail("read tokens");
        let granted: Value = serde_json::from_str(&text).or_fail(&text);
        granted["id_token"].as_str().or_fail(&text).to_owned()
    }

    /// Somebody enters a device's code in a browser, logs in, and allows or denies it.
    #[track_caller]
    pub fn enter_code(&self, code: &str, name: &str, action: &str) {
        let form = [("user_code", code), ("username", name), ("password", name)];
        let page = self.post("/device/login", &form);
        let cookie = page.headers().get("set-cookie").or_fail("a cookie");
        let cookie = cookie.to_str().or_fail("a cookie").split(';').next();
        let done = self
            .client
            .get(format!("{}/device/confirm?action={action}", self.url))
            .header("cookie", cookie.unwrap_or_default())
            .send()
            .or_fail("confirm");
        let said = done.text().or_fail("read the page");
        assert!(said.contains(action), "{said}");
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let url = format!("{}{path}", self.url);
        let url = Url::parse_with_params(&url, query).or_fail("a URL");
        self.client.get(url).send().or_fail(path)
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let body = Url::parse_with_params("http://form", form).or_fail("a form");
        self.client
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned())
            .send()
            .or_fail(path)
    }

    /// Where a reply sends the browser. Behind a proxy it is called otherwise than it is reached.
    #[track_caller]
    fn follow(&self, reply: &Response) -> Url {
        let location = reply.headers().get("location").or_fail("a redirect");
        let location = location.to_str().or_fail("a URL");
        let location = location.replacen(&self.issuer, &self.url, 1);
        let base = Url::parse(&self.url).or_fail("a URL");
        base.join(&location).or_fail("a URL")
    }
}

#[track_caller]
fn value_of(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.or_fail(url.as_str()).1.into_owned()
}
