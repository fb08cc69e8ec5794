use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::confinement::User;
use super::super::process::{Allowance, run};
use super::*;

fn url() -> GitUrl {
    "https://git.example.com:8443/a/b.git".parse().unwrap()
}

/// In a folder with a name that shells and ssh would make something else of.
fn sessions() -> (TempDir, Sessions) {
    let root = tempfile::Builder::new()
        .prefix("it's 100%d $HOME ")
        .tempdir()
        .unwrap();
    let sessions = Sessions::new(root.path().join("sessions"), User::usual());
    (root, sessions)
}

fn session(password: &str) -> (TempDir, Session) {
    let (root, sessions) = sessions();
    let credential = Credential::basic("ann", password).unwrap();
    let network = SourceNetwork {
        proxy: None,
        ..SourceNetwork::default()
    };
    let addresses = ["192.0.2.1:8443", "[2001:db8::1]:8443"];
    let servers = addresses.map(|address| address.parse().unwrap()).to_vec();
    let session = Session::remote(
        &url(),
        Path::new("/nowhere"),
        servers,
        Some(&credential),
        &network,
        Path::new("/x"),
        &sessions,
    );
    (root, session.unwrap())
}

fn file(session: &Session, name: &str) -> String {
    std::fs::read_to_string(session.home.join(name)).unwrap()
}

#[test]
fn secrets_are_in_private_files_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_root, session) = session("p@ss/word'");
    assert_eq!(
        file(&session, "credentials"),
        "https://ann:p%40ss%2Fword%27@git.example.com:8443\n"
    );
    let config = file(&session, "gitconfig");
    assert!(config.contains("[credential \"https://git.example.com:8443\"]"));
    let file = session.home.join("credentials");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let command = format!("{:?}", session.command(&["version"], u64::MAX));
    let config = self::file(&session, "gitconfig");
    for public in [&command, &config] {
        assert!(!public.contains("word"), "{public}");
    }
    let dir = session.dir.path().to_path_buf();
    for folder in [&dir, dir.parent().unwrap()] {
        let mode = std::fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
    drop(session);
    assert!(!dir.exists(), "they go with the session");
}

#[test]
fn the_name_is_bound_to_what_was_checked() {
    let (_root, session) = session("x");
    let config = file(&session, "gitconfig");
    assert!(
        config.contains("curloptResolve = \"git.example.com:8443:192.0.2.1,[2001:db8::1]\""),
        "{config}"
    );
}

#[test]
fn what_is_printed_shows_no_secret() {
    let (_root, session) = session("p@ss word");
    let shown = session.shown(b"bad 'p@ss word'\n\x1b[31mp%40ss%20word\n");
    assert_eq!(shown, "bad '***' [31m***");
    assert!(session.shown(&[b'x'; 5000]).len() <= 1000);
}

#[test]
fn nothing_of_the_surroundings_is_inherited() {
    let (_root, session) = session("x");
    let list = ["config", "--list", "--show-origin"];
    let started = session.start(&list, u64::MAX, |mut command| command.output());
    let (output, _) = started.unwrap();
    let listed = String::from_utf8_lossy(&output.stdout);
    let own = session.home.join("gitconfig").display().to_string();
    assert!(listed.lines().count() > 20, "{listed}");
    for line in listed.lines() {
        assert!(line.starts_with(&format!("file:{own}")), "{line}");
    }
    let names: Vec<_> = session
        .command(&[], u64::MAX)
        .get_envs()
        .map(|(name, _)| name.to_owned())
        .collect();
    assert!(names.iter().any(|name| name == "GIT_DIR"));
    assert!(
        !names
            .iter()
            .any(|name| name == "GIT_TRACE" || name == "SSH_AUTH_SOCK")
    );
}

#[test]
fn git_finds_the_credential_in_whatever_folder() {
    let (_root, session) = session("p@ss/word'");
    let started = session.start(&["credential", "fill"], u64::MAX, |mut command| {
        command.stdin(Stdio::piped()).spawn()
    });
    let (mut child, _) = started.unwrap();
    let asked = b"protocol=https\nhost=git.example.com:8443\n\n";
    child.stdin.take().unwrap().write_all(asked).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("password=p@ss/word'"), "{output:?}");
}

#[test]
fn a_proxy_has_a_name_where_names_are_not_to_be_had() {
    let (_root, sessions) = sessions();
    if sessions.user() == User::Servers {
        eprintln!("skipped: not root, git has this machine's network");
        return;
    }
    let network = SourceNetwork {
        proxy: Some("http://u:p@proxy.invalid:3128".to_owned()),
        ..SourceNetwork::default()
    };
    let servers = vec!["192.0.2.9:3128".parse().unwrap()];
    let (at, accepted) = (Path::new("/nowhere"), Path::new("/x"));
    let session = Session::remote(&url(), at, servers, None, &network, accepted, &sessions);
    let session = session.unwrap();
    let hosts = std::fs::read_to_string(session.folder().join("root/etc/hosts")).unwrap();
    assert!(hosts.starts_with("192.0.2.9 proxy.invalid\n"), "{hosts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_go_to_the_checked_address_whatever_the_name_says_now() {
    // Nobody can resolve these names; what is connected to is what was checked when they could be.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let (says, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        listener
            .incoming()
            .all(|stream| says.send(stream.is_ok()).is_ok())
    });
    for scheme in ["https", "ssh"] {
        let url: GitUrl = format!("{scheme}://git@git.invalid:{}/a", server.port())
            .replace("https://git@", "https://")
            .parse()
            .unwrap();
        let network = SourceNetwork::default();
        let (_root, sessions) = sessions();
        let accepted = Path::new("/x");
        let repository = tempfile::tempdir().unwrap();
        sessions.user().give(repository.path()).unwrap();
        let at = repository.path();
        let session = Session::remote(&url, at, vec![server], None, &network, accepted, &sessions);
        let allowance = Allowance {
            until: Instant::now() + Duration::from_secs(60),
            output: 1000,
            growth: None,
        };
        let arguments = ["ls-remote", &url.to_string()];
        let ended = run(&Arc::new(session.unwrap()), &arguments, b"", allowance).await;
        assert!(!ended.unwrap().success, "{url}: nobody answers there");
        assert_eq!(said.try_recv(), Ok(true), "{url}");
        while said.try_recv().is_ok() {}
    }
}
