use std::fs;

use tokio::io::AsyncReadExt as _;

use super::super::{Cluster, Place};
use super::{AccountName, Person, PersonError};

/// A kubeconfig with a user of each kind, and what they name beside it.
fn kubeconfig() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let program = |name: &str, script: &str| {
        let path = dir.path().join(name);
        fs::write(&path, script).unwrap();
        format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, args: ['{}']}}}}",
            path.display()
        )
    };
    let good = r#"echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "from-a-program"}}'"#;
    let users = [
        ("written", "{token: from-the-file}".to_owned()),
        ("file", "{tokenFile: ada.token}".to_owned()),
        ("exec", program("good", good)),
        (
            "broken",
            program("broken", "echo half-a-token; echo why >&2; exit 3"),
        ),
        (
            "certificate",
            "{client-certificate: c.pem, client-key: k.pem}".to_owned(),
        ),
    ];
    let list = |make: &dyn Fn(&str, &str) -> String| -> String {
        let lines = users.iter().map(|(name, user)| make(name, user));
        lines.collect::<Vec<_>>().join(", ")
    };
    let text = format!(
        "apiVersion: v1
kind: Config
current-context: written
clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]
contexts: [{}]
users: [{}]
",
        list(&|name, _| format!("{{name: {name}, context: {{cluster: c, user: {name}}}}}")),
        list(&|name, user| format!("{{name: {name}, user: {user}}}"))
    );
    fs::write(dir.path().join("config"), text).unwrap();
    fs::write(dir.path().join("ada.token"), "from-a-file\n").unwrap();
    dir
}

async fn token_of(context: Option<&str>) -> Result<(String, bool), PersonError> {
    let dir = kubeconfig();
    let files = [dir.path().join("missing"), dir.path().join("config")];
    let person = Person::find(&files, context).await?;
    let token = person.token().await?;
    Ok((token.expose().to_owned(), person.is_renewed()))
}

#[tokio::test]
async fn a_token_is_found_wherever_the_kubeconfig_has_it() {
    for (context, token, is_renewed) in [
        (None, "from-the-file", false),
        (Some("written"), "from-the-file", false),
        (Some("file"), "from-a-file", true),
        (Some("exec"), "from-a-program", true),
    ] {
        let found = token_of(context).await.unwrap();
        assert_eq!(found, (token.to_owned(), is_renewed), "{context:?}");
    }
}

#[tokio::test]
async fn what_gives_no_token_says_why_and_tells_no_secret() {
    for (context, part) in [
        ("certificate", "a client certificate"),
        ("broken", "why"),
        ("nobody", "there is no context nobody"),
    ] {
        let said = token_of(Some(context)).await.unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
        assert!(!said.contains("half-a-token"), "{said}");
    }
    let said = Person::find(&["/nowhere/config".into()], None).await;
    let said = said.unwrap_err().to_string();
    assert!(said.contains("/nowhere/config: there is no such"), "{said}");
}

/// A program whose first token is to be renewed at once, and what it writes then.
const RENEWALS: [(&str, &str); 2] = [
    (
        "echo half-a-token; echo why >&2; exit 3",
        "the program that makes its token ended with exit status: 3: why",
    ),
    (
        "echo 'status: {half-a-token: ['",
        "the program that makes its token wrote no ExecCredential",
    ),
];
const FIRST: &str = r#"echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
    "status": {"token": "half-a-token", "expirationTimestamp": "2020-01-01T00:00:00Z"}}'"#;

#[tokio::test]
async fn a_program_that_fails_later_tells_no_secret_either() {
    for (then, expected) in RENEWALS {
        let dir = kubeconfig();
        let script = dir.path().join("good");
        let files = [dir.path().join("config")];
        let person = Person::find(&files, Some("exec")).await.unwrap();
        let seen = dir.path().join("seen");
        let twice = format!(
            "if mkdir '{}' 2>/dev/null; then {FIRST}; else {then}; fi",
            seen.display()
        );
        fs::write(&script, twice).unwrap();
        let said = person.token().await.unwrap_err().to_string();
        assert_eq!(said, format!("context exec: {expected}"));

        fs::write(&script, FIRST).unwrap();
        let client = person.client().unwrap();
        fs::write(&script, then).unwrap();
        let error = client.apiserver_version().await.unwrap_err();
        assert!(matches!(error, kube::Error::Service(_)), "{error:?}");
        assert_eq!(person.said(&error), expected);
    }
}

#[tokio::test]
async fn a_program_is_run_for_one_client_however_much_is_asked() {
    let dir = kubeconfig();
    let count = dir.path().join("count");
    let counted = format!(
        r#"echo x >> '{}'; echo '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {{"token": "t"}}}}'"#,
        count.display()
    );
    fs::write(dir.path().join("good"), counted).unwrap();
    let files = [dir.path().join("config")];
    let person = Person::find(&files, Some("exec")).await.unwrap();
    person.identity().await.unwrap_err();
    let runs = fs::read_to_string(&count).unwrap();
    person.identity().await.unwrap_err();
    person.missing(Some("team"), None).await.unwrap_err();
    assert_eq!(fs::read_to_string(&count).unwrap(), runs);
    // Somebody else's headers are on their own client.
    person.acting_as("bob", &[]).identity().await.unwrap_err();
    assert!(fs::read_to_string(&count).unwrap().len() > runs.len());
}

#[tokio::test]
async fn the_proxy_of_a_kubeconfig_is_gone_through() {
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.local_addr().unwrap();
    let dir = kubeconfig();
    let file = dir.path().join("config");
    let text = fs::read_to_string(&file).unwrap();
    let server = "server: 'https://127.0.0.1:1'";
    for (scheme, begins) in [("http", "CONNECT 127.0.0.1:1 HTTP/1.1"), ("socks5", "\x05")] {
        let proxied = format!("{server}, proxy-url: '{scheme}://{address}'");
        fs::write(&file, text.replace(server, &proxied)).unwrap();
        let person = Person::find(std::slice::from_ref(&file), None)
            .await
            .unwrap();
        let asked = tokio::spawn(async move { person.identity().await });
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut head = [0; 256];
        let length = stream.read(&mut head).await.unwrap();
        drop(stream);
        let head = String::from_utf8_lossy(&head[..length]);
        assert!(head.starts_with(begins), "{head:?}");
        asked.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn a_credential_that_cannot_be_had_at_all_is_told_with_its_place() {
    let dir = kubeconfig();
    let text = fs::read_to_string(dir.path().join("config")).unwrap();
    let config = dir.path().join("missing-program");
    let missing = text.replace("command: sh", "command: /nowhere/plugin");
    fs::write(&config, missing).unwrap();
    let place = Place::Kubeconfig(config, Some("exec".to_owned()));
    let deadline = std::time::Duration::from_secs(60);
    let said = Cluster::connect(&place, deadline).await.unwrap_err();
    let said = said.to_string();
    assert!(
        said.contains("unable to run auth exec: No such file"),
        "{said}"
    );
    let place = Place::Kubeconfig(dir.path().join("config"), Some("broken".to_owned()));
    let said = Cluster::connect(&place, deadline).await.unwrap_err();
    let said = said.to_string();
    assert!(said.contains("ended with exit status: 3: why"), "{said}");
    assert!(!said.contains("half-a-token"), "{said}");
}

#[test]
fn an_account_is_a_namespace_and_a_name() {
    let account = AccountName::parse("team/ci").unwrap();
    assert_eq!(account.to_string(), "team/ci");
    for text in [
        "team",
        "/ci",
        "team/",
        "team/ci/x",
        "team/../x",
        "Team/ci",
        "",
    ] {
        assert_eq!(AccountName::parse(text), None, "{text}");
    }
}
