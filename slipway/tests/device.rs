//! `slipway login --oidc` against providers that answer what they like.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use support::{Server, error_line, run, slipway, stub};

/// What a provider answers, by path; `ISSUER` is put for its own URL. Of several answers for a path each is given once, the
/// last for ever.
struct Provider {
    issuer: String,
    asked: Arc<Mutex<Vec<String>>>,
}

type Answers<'a> = &'a [(&'a str, u16, &'a str)];

const CONFIGURATION: (&str, u16, &str) = (
    "/.well-known/openid-configuration",
    200,
    r#"{"issuer":"ISSUER","token_endpoint":"ISSUER/token","device_authorization_endpoint":"ISSUER/device"}"#,
);
const DEVICE: (&str, u16, &str) = (
    "/device",
    200,
    r#"{"device_code":"d","user_code":"ABCD","verification_uri":"ISSUER/enter","expires_in":60,"interval":0}"#,
);

impl Provider {
    fn start(answers: Answers<'_>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut answers: Vec<(String, u16, String)> = answers
            .iter()
            .map(|(path, status, body)| {
                ((*path).to_owned(), *status, body.replace("ISSUER", &issuer))
            })
            .collect();
        let noted = Arc::clone(&asked);
        stub::serve(listener, move |head, body| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            noted.lock().unwrap().push(format!("{path} {body}"));
            let of_path = |(of, ..): &(String, u16, String)| of == path;
            let Some(at) = answers.iter().position(of_path) else {
                return ("404 X".to_owned(), "nothing here".to_owned());
            };
            let (_, status, text) = answers[at].clone();
            if answers[at + 1..].iter().any(of_path) {
                answers.remove(at);
            }
            (format!("{status} X"), text)
        });
        Self { issuer, asked }
    }

    fn asked(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let at_path = asked.iter().filter(|asked| asked.starts_with(path));
        at_path.cloned().collect()
    }

    /// The command's outcome against a real registry that has this provider.
    fn login(&self, server: &Server) -> std::process::Output {
        let mut command = slipway();
        command
            .args(["login", "--oidc", "--authfile"])
            .arg(server.folder.path().join("logins.json"))
            .args(["--issuer", &self.issuer, "--client-id", "slipway"])
            .arg(&server.host);
        run(&mut command, "")
    }
}

fn registry(provider: &Provider) -> Server {
    Server::start(&format!(
        "auth: {{oidc: [{{issuer: '{}', clientId: slipway}}]}}\n",
        provider.issuer
    ))
}

/// What a provider answers, and what is said of it.
type Case<'a> = (Answers<'a>, &'a str);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_a_provider_should_not_say_ends_the_login_in_one_line() {
    let configuration = |text| (CONFIGURATION.0, 200, text);
    let device = |text| (DEVICE.0, 200, text);
    let long = "x".repeat(2 << 20);
    let cases: &[Case<'_>] = &[
        (&[], "404"),
        (&[configuration("what?")], "what is not expected"),
        (&[configuration(&long)], "longer than"),
        (
            &[configuration(
                r#"{"issuer":"https://evil.example","token_endpoint":"ISSUER/t"}"#,
            )],
            "evil.example",
        ),
        (
            &[configuration(
                r#"{"issuer":"ISSUER","token_endpoint":"ISSUER/t"}"#,
            )],
            "no device flow",
        ),
        (
            &[configuration(
                r#"{"issuer":"ISSUER","token_endpoint":"http://192.0.2.1/t","device_authorization_endpoint":"ISSUER/device"}"#,
            )],
            "reached by https",
        ),
        (
            &[configuration(
                r#"{"issuer":"ISSUER","token_endpoint":"ISSUER/t","device_authorization_endpoint":"file:///etc/passwd"}"#,
            )],
            "reached by https",
        ),
        (
            &[
                CONFIGURATION,
                (
                    DEVICE.0,
                    400,
                    r#"{"error":"invalid_client","error_description":"who\u001b[2J\n?"}"#,
                ),
            ],
            "invalid_client who [2J ?",
        ),
        (
            &[
                CONFIGURATION,
                device(
                    r#"{"device_code":"d","user_code":"\u001b[2J","verification_uri":"ISSUER/e","expires_in":60}"#,
                ),
            ],
            "what is no text",
        ),
        (
            &[
                CONFIGURATION,
                DEVICE,
                ("/token", 400, r#"{"error":"access_denied"}"#),
            ],
            "the login was refused",
        ),
        (
            &[
                CONFIGURATION,
                DEVICE,
                ("/token", 400, r#"{"error":"expired_token"}"#),
            ],
            "nobody logged in in time",
        ),
        (
            &[
                CONFIGURATION,
                DEVICE,
                ("/token", 400, r#"{"error":"invalid_grant"}"#),
            ],
            "invalid_grant",
        ),
        (
            &[
                CONFIGURATION,
                DEVICE,
                ("/token", 200, r#"{"access_token":"a"}"#),
            ],
            "no ID token came",
        ),
        (
            &[
                CONFIGURATION,
                device(
                    r#"{"device_code":"d","user_code":"A","verification_uri":"ISSUER/e","expires_in":1,"interval":18446744073709551615}"#,
                ),
            ],
            "nobody logged in in time",
        ),
    ];
    for (answers, said) in cases {
        let provider = Provider::start(answers);
        let server = registry(&provider);
        let line = error_line(&provider.login(&server));
        assert!(line.contains(said), "{said}: {line}");
        assert!(!line.contains('\u{1b}'), "{line}");
        assert!(!server.folder.path().join("logins.json").exists());
    }
}

#[test]
fn it_waits_as_long_as_it_is_told_to_and_asks_again() {
    let provider = Provider::start(&[
        CONFIGURATION,
        DEVICE,
        ("/token", 400, r#"{"error":"authorization_pending"}"#),
        ("/token", 503, "<html>"),
        ("/token", 400, r#"{"error":"slow_down"}"#),
        ("/token", 200, r#"{"id_token":"not.a.token"}"#),
    ]);
    let server = registry(&provider);
    // The registry does not take what the provider gave.
    let line = error_line(&provider.login(&server));
    assert!(line.contains("does not take the ID token"), "{line}");
    let asked = provider.asked("/token");
    assert_eq!(asked.len(), 4, "{asked:?}");
    for form in asked {
        assert!(
            form.contains("device_code=d") && form.contains("client_id=slipway"),
            "{form}"
        );
    }
    let begun = provider.asked("/device");
    assert_eq!(begun.len(), 1);
    assert!(begun[0].contains("scope=openid+profile+email"), "{begun:?}");
}

#[test]
fn the_registry_says_which_providers_it_has() {
    let server = Server::start("insecureOpen: false\n");
    let login = |more: &[&str]| {
        let mut command = slipway();
        command.args(["login", "--oidc"]).args(more);
        error_line(&run(command.arg(&server.host), ""))
    };
    let line = login(&[]);
    assert!(line.contains("asks for no login"), "{line}");
    let two = "auth: {oidc: [{issuer: 'https://a.example', clientId: c}, {issuer: 'https://b.example', clientId: c}]}\n";
    let server = Server::start(two);
    let login = |more: &[&str]| {
        let mut command = slipway();
        command.args(["login", "--oidc"]).args(more);
        error_line(&run(command.arg(&server.host), ""))
    };
    let line = login(&[]);
    assert!(
        line.contains("--issuer") && line.contains("https://a.example, https://b.example"),
        "{line}"
    );
    let line = login(&["--issuer", "https://c.example"]);
    assert!(
        line.contains("https://a.example, https://b.example"),
        "{line}"
    );
}
