//! Kept logins go to the registry that they are for, wherever its answers send.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use support::{error_line, run, slipway, stub};

const SECRET: &str = "not-for-strangers";
/// `ada:not-for-strangers`
const BASIC: &str = "YWRhOm5vdC1mb3Itc3RyYW5nZXJz";

/// A host that answers each path with a status and headers, and writes down what it was sent.
struct Host {
    name: String,
    asked: Arc<Mutex<String>>,
}

impl Host {
    /// In `answers`, `SELF` stands for its own address, and the first of each of `names` for the second.
    fn start(answers: &[(&str, &str)], names: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = listener.local_addr().unwrap().to_string();
        let answers: Vec<(String, String)> = answers
            .iter()
            .map(|(path, answer)| {
                let mut answer = answer.replace("SELF", &name);
                for (from, to) in names {
                    answer = answer.replace(from, to);
                }
                ((*path).to_owned(), answer)
            })
            .collect();
        let asked = Arc::new(Mutex::new(String::new()));
        let noted = Arc::clone(&asked);
        stub::serve(listener, move |head, body| {
            noted.lock().unwrap().extend([head, body, "\n"]);
            let target = head.split(' ').nth(1).unwrap_or_default();
            let path = target.split('?').next().unwrap_or_default();
            let answer = answers.iter().find(|(of, _)| of == path);
            let status = answer.map_or("404 X", |(_, answer)| answer);
            (status.to_owned(), String::new())
        });
        Self { name, asked }
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }

    fn knows_secret(&self) -> bool {
        let asked = self.asked();
        asked.contains(SECRET) || asked.contains(BASIC)
    }
}

/// Who would like to have the login: asks for it in any way.
fn stranger() -> Host {
    let bearer = "401 X\r\nWWW-Authenticate: Bearer realm=\"http://SELF/token\"";
    Host::start(
        &[
            ("/v2/", bearer),
            ("/v2/team/app/manifests/v1", bearer),
            ("/token", "200 X"),
        ],
        &[],
    )
}

fn registry(answers: &[(&str, &str)], stranger: &Host) -> Host {
    Host::start(answers, &[("STRANGER", &stranger.name)])
}

/// Copies an image from the registry with this login kept for it.
fn copy(registry: &Host, login: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    let name = &registry.name;
    std::fs::write(&file, format!(r#"{{"auths":{{"{name}":{login}}}}}"#)).unwrap();
    let to = |name: &str| folder.path().join(name).display().to_string();
    let mut command = slipway();
    command.args(["copy", "--src-plain-http", "--authfile", &to("auth.json")]);
    command.args([format!("{name}/team/app:v1"), format!("oci:{}", to("out"))]);
    run(&mut command, "")
}

fn log_in(registry: &Host, file: &Path) -> Output {
    let mut command = slipway();
    command.args(["login", &registry.name, "--plain-http", "-u", "ada"]);
    command.args(["--password-stdin", "--authfile"]).arg(file);
    run(&mut command, SECRET)
}

/// What is kept by a password, and what by a refresh token.
fn logins() -> [String; 2] {
    let nobody = "PHRva2VuPjo="; // `<token>:`
    [
        format!(r#"{{"auth":"{BASIC}"}}"#),
        format!(r#"{{"auth":"{nobody}","identitytoken":"{SECRET}"}}"#),
    ]
}

const TO_OWN_REALM: (&str, &str) = (
    "/v2/",
    "401 X\r\nWWW-Authenticate: Bearer realm=\"http://SELF/token\"",
);

#[test]
fn t60_a_registry_that_redirects_the_first_request_gets_no_login_and_nor_does_who_it_names() {
    let redirected = [(
        "/v2/",
        "302 X\r\nLocation: http://STRANGER/v2/?secret=in-url",
    )];
    for login in logins() {
        let stranger = stranger();
        let registry = registry(&redirected, &stranger);
        let error = error_line(&copy(&registry, &login));
        let expected = format!("it redirects to http://{} (302", stranger.name);
        assert!(error.contains(&expected), "{error}");
        assert!(!error.contains("in-url"), "{error}");
        assert_eq!(stranger.asked(), "");
        assert!(!registry.knows_secret());
    }
    let (stranger, folder) = (stranger(), tempfile::tempdir().unwrap());
    let registry = registry(&redirected, &stranger);
    let error = error_line(&log_in(&registry, &folder.path().join("auth.json")));
    assert!(error.contains("it redirects to"), "{error}");
    assert_eq!(stranger.asked(), "");
}

#[test]
fn t60_a_token_endpoint_that_redirects_gets_the_login_and_nobody_after_it() {
    for status in ["307", "308", "302"] {
        let redirect = format!("{status} X\r\nLocation: http://STRANGER/token");
        let answers = [TO_OWN_REALM, ("/token", &redirect)];
        for login in logins() {
            let stranger = stranger();
            let registry = registry(&answers, &stranger);
            let error = error_line(&copy(&registry, &login));
            assert!(
                error.contains("no login is sent after redirects"),
                "{error}"
            );
            assert_eq!(stranger.asked(), "");
            // Without this nothing was held against anything.
            assert!(registry.knows_secret(), "{}", registry.asked());
        }
        let (stranger, folder) = (stranger(), tempfile::tempdir().unwrap());
        let registry = registry(&answers, &stranger);
        let error = error_line(&log_in(&registry, &folder.path().join("auth.json")));
        assert!(
            error.contains("no login is sent after redirects"),
            "{error}"
        );
        assert_eq!(stranger.asked(), "");
        assert!(registry.knows_secret());
    }
}

#[test]
fn a_realm_on_another_port_gets_no_login_over_plain_http() {
    let answers = [(
        "/v2/",
        "401 X\r\nWWW-Authenticate: Bearer realm=\"http://STRANGER/token\"",
    )];
    for login in logins() {
        let stranger = stranger();
        let registry = registry(&answers, &stranger);
        let error = error_line(&copy(&registry, &login));
        let expected = format!("sent to http://{}, which may not see it", stranger.name);
        assert!(error.contains(&expected), "{error}");
        assert_eq!(stranger.asked(), "");
    }
    let (stranger, folder) = (stranger(), tempfile::tempdir().unwrap());
    let registry = registry(&answers, &stranger);
    let error = error_line(&log_in(&registry, &folder.path().join("auth.json")));
    assert!(error.contains("which may not see it"), "{error}");
    assert_eq!(stranger.asked(), "");
}

#[test]
fn where_images_are_fetched_elsewhere_what_is_asked_there_is_not_believed() {
    let answers = [
        ("/v2/", "401 X\r\nWWW-Authenticate: Basic realm=\"SELF\""),
        (
            "/v2/team/app/manifests/v1",
            "307 X\r\nLocation: http://STRANGER/v2/team/app/manifests/v1",
        ),
    ];
    let stranger = stranger();
    let registry = registry(&answers, &stranger);
    let error = error_line(&copy(&registry, &logins()[0]));
    let expected = format!(
        "to http://{}, which wants a login of its own",
        stranger.name
    );
    assert!(error.contains(&expected), "{error}");
    let asked = stranger.asked();
    assert!(asked.contains("GET /v2/team/app/manifests/v1 "), "{asked}");
    assert!(!asked.contains("/token"), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization:"), "{asked}");
    assert!(!stranger.knows_secret());
    assert!(registry.knows_secret());
}
