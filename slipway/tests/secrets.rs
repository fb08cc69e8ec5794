//! T62: passwords, tokens and keys that are brought to the program in every way there is, and then looked for in all
//! that it writes: its log at the most talkative levels, its metrics, its answers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests panic to report"
)]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::{add_user, run, slipway};

/// Of letters and digits, so that every encoding of text leaves them as they are.
const PASSWORD: &str = "canaryPassword7c1e";
const WRONG: &str = "canaryWrong90ab";
const STRAY: &str = "canaryStray44d2";

const RIGHTS: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: ada, namespace: team}
subjects: [{kind: User, name: ada}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-pusher'}
";

/// The program with its whole output in a file.
struct Program {
    child: Child,
    folder: tempfile::TempDir,
    host: String,
}

impl Program {
    fn start(log: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        add_user(&at.join("users"), "ada", PASSWORD);
        std::fs::create_dir(at.join("rbac")).unwrap();
        std::fs::write(at.join("rbac/ada.yaml"), RIGHTS).unwrap();
        let config = format!(
            "listen: ['127.0.0.1:0']\ndataDir: ./data\nlog: {log}\n\
             auth: {{anonymous: true, htpasswd: {{file: users}}, rbac: {{dir: rbac}}, tokens: {{keyFile: keys.pem}}}}\n"
        );
        std::fs::write(at.join("slipway.yaml"), config).unwrap();
        let output = File::create(at.join("log")).unwrap();
        let child = slipway()
            .current_dir(at)
            .args(["serve", "--config", "slipway.yaml"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut program = Self {
            child,
            host: String::new(),
            folder,
        };
        let log = program.log_with("listening on http://");
        let (_, rest) = log.split_once("listening on http://").unwrap();
        let end = rest.find(|char: char| !char.is_ascii_digit() && !".:".contains(char));
        rest[..end.unwrap()].clone_into(&mut program.host);
        program
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The log, once it holds `text`.
    fn log_with(&self, text: &str) -> String {
        for _ in 0..2400 {
            let log = read(&self.path("log"));
            if log.contains(text) {
                return log;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("no {text:?} in {}", read(&self.path("log")));
    }

    /// Sends bytes as they are; what comes back until the server closes.
    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn ask(&self, line: &str, headers: &[&str], body: &str) -> String {
        let headers = [headers, &[""]].concat().join("\r\n");
        let length = body.len();
        self.send(&format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// Ends it and gives all that it wrote to its log, and what is found then.
    fn end_with<T>(mut self, find: impl FnOnce() -> T) -> (String, T) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        (read(&self.path("log")), find())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
}

/// The files of a folder and of those in it, one after the other.
fn everything_in(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let texts = paths.map(|path| {
        if path.is_dir() {
            everything_in(&path)
        } else {
            read(&path)
        }
    });
    texts.collect()
}

fn basic(user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("authorization: Basic {pair}")
}

/// Requests that bring secrets where they belong and where they do not. Each answer but that of the issued token.
fn bring(program: &Program, token: &str) -> Vec<String> {
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let altered: String = signature.chars().rev().collect();
    let right = basic("ada", PASSWORD);
    let wrong = basic("ada", WRONG);
    let bearer = format!("authorization: Bearer {token}");
    let headers = [
        right.clone(),
        wrong.clone(),
        basic(WRONG, WRONG),
        basic("ada", &format!("{WRONG}\n")),
        format!("authorization: Basic {WRONG}"),
        format!("authorization: Negotiate {STRAY}"),
        format!("authorization: {STRAY}"),
        format!("authorization: Bearer {STRAY}"),
        format!("authorization: Bearer {claims}.{altered}"),
        format!("{right}\r\n{wrong}"),
        format!("proxy-authorization: Basic {STRAY}\r\ncookie: session={STRAY}\r\n{bearer}"),
        format!("x-api-key: {STRAY}\r\n{STRAY}: {STRAY}\r\ntraceparent: {STRAY}"),
        bearer.clone(),
    ];
    let mut answers = Vec::new();
    for headers in &headers {
        for line in [
            "GET /v2/".to_owned(),
            "GET /v2/team/app/manifests/v1".to_owned(),
            "POST /v2/team/app/blobs/uploads/".to_owned(),
            "DELETE /v2/none/app/manifests/v1".to_owned(),
            format!("GET /v2/_catalog?access_token={STRAY}"),
            format!("GET /v2/team/app/tags/list?n={STRAY}"),
            format!("GET /nothing?password={STRAY}"),
        ] {
            answers.push(program.ask(&line, &[headers], ""));
        }
        let line = format!("GET /auth/token?password={STRAY}&scope=repository:other/app:push");
        let answer = program.ask(&line, &[headers], "");
        if !answer.starts_with("HTTP/1.1 200") {
            answers.push(answer);
        }
    }
    let form = format!("grant_type=password&username=ada&password={WRONG}");
    for form in [
        form.clone(),
        format!("{form}&password={STRAY}"),
        format!("grant_type={STRAY}&username=ada&password={WRONG}"),
        format!("grant_type=password&username={WRONG}"),
        format!("{form}&scope=repository:{STRAY}"),
        format!("grant_type=refresh_token&refresh_token={token}"),
        format!("{{\"password\":\"{WRONG}\"}}"),
        format!("{form}{}", "x".repeat(20_000)),
    ] {
        answers.push(program.ask("POST /auth/token", &[], &form));
    }
    // No requests at all, and one that names somebody in its target.
    for raw in [
        format!(
            "GET http://ada:{PASSWORD}@x/v2/ HTTP/1.1\r\nhost: ada:{PASSWORD}@x\r\nconnection: close\r\n\r\n"
        ),
        format!("GET /v2/ HTTP/1.1\r\nhost: x\r\n{right}\r\n{STRAY}\r\n\r\n"),
        format!("{STRAY} {right} {bearer}\r\n\r\n"),
        format!(
            "GET /v2/ HTTP/1.1\r\nhost: x\r\n{bearer}\r\nx: {}\r\n\r\n",
            STRAY.repeat(100_000)
        ),
        format!("POST /auth/token HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n{form}"),
    ] {
        answers.push(program.send(&raw));
    }
    answers
}

/// What people paste where an id or a name belongs: in paths and queries, whole and cut short, of all rooms.
fn paste(program: &Program, tokens: [&str; 3]) -> Vec<String> {
    let right = basic("ada", PASSWORD);
    let encoded = tokens.map(|token| token.replace('_', "%5F").replacen("eyJ", "%65yJ", 1));
    let mut answers = Vec::new();
    let encoded = encoded.iter().map(String::as_str);
    for token in tokens.into_iter().chain(encoded) {
        // Nobody decodes that one.
        let agent = token.split('%').next().unwrap_or_default();
        let agent = format!("user-agent: probe {agent}");
        for line in [
            format!("DELETE /api/v1/tokens/{token}"),
            format!("POST /api/v1/tokens/{token}"),
            format!("GET /api/v1/tokens?continue={token}"),
            format!("GET /api/v1/audit?user={token}"),
            format!("GET /api/v1/{token}?{token}"),
            format!("GET /v2/{token}/app/tags/list"),
            format!("GET /v2/team/app/manifests/{token}"),
            format!("DELETE /v2/team/{token}/manifests/{token}"),
            format!("POST /v2/team/app/blobs/uploads/?from={token}&mount={token}"),
            format!("GET /v2/_catalog?access_token={token}"),
            format!("GET /auth/token?account={token}&scope=repository:none/app:push"),
            format!("GET /auth/token?scope={token}"),
            format!("GET /auth/token/{token}"),
            format!("GET /{token}"),
        ] {
            // The token that it answers with is none of those.
            let answer = program.ask(&line, &[&right, &agent], "");
            if line.starts_with("DELETE /api") {
                assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
                assert!(answer.contains("that is a token's text"), "{answer}");
            }
            answers.push(answer);
        }
        if token.contains('%') {
            continue;
        }
        let form = format!("{{\"{token}\": 1}}");
        let kind = "content-type: application/json";
        program.ask("POST /api/v1/tokens", &[&right, kind, &agent], &form);
    }
    answers
}

fn json(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

fn secrets_stay_secret(log: &str) {
    let program = Program::start(log);
    let line = "GET /auth/token?scope=repository:team/app:pull,push";
    let issued = program.ask(line, &[&basic("ada", PASSWORD)], "");
    let (_, body) = issued.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let token = body["token"].as_str().unwrap().to_owned();
    let mut written = bring(&program, &token);
    let right = basic("ada", PASSWORD);
    let kind = "content-type: application/json";
    let wanted = r#"{"verbs":["pull"]}"#;
    let made = json(&program.ask("POST /api/v1/tokens", &[&right, kind], wanted));
    let line = "GET /auth/token?offline_token=true&client_id=probe";
    let kept = json(&program.ask(line, &[&right], ""));
    let opaque = [&made["token"], &kept["refresh_token"]].map(|text| text.as_str().unwrap());
    written.extend(paste(&program, [opaque[0], opaque[1], &token]));

    // A file that somebody has put a password into instead of its hash.
    let hash = read(&program.path("users"));
    std::fs::write(program.path("users"), format!("ada:{STRAY}\n")).unwrap();
    program.log_with("the change is not in force");
    written.push(program.ask("GET /metrics", &[], ""));
    let (_, metrics) = written.last().unwrap().split_once("\r\n\r\n").unwrap();
    assert!(metrics.contains("operation=\"token\""), "{metrics}");
    let keys = read(&program.path("keys.pem"));
    let folder = program.path("data");
    let (told, data) = program.end_with(|| everything_in(&folder));
    // The audit record holds by which row each of them came to be.
    let id = made["id"].as_str().unwrap();
    assert!(data.contains(&format!("POST /api/v1/tokens {id}")));
    assert!(data.contains(&opaque[1][4..20]), "the login's row");
    written.push(data);
    assert!(told.contains("ada"), "whoever was let in is named");
    assert!(told.contains("UNAUTHORIZED"), "what was refused is told");
    written.push(told);

    let claims = token.split('.').nth(1).unwrap();
    let signature = token.split('.').nth(2).unwrap();
    let key = keys.lines().find(|line| !line.starts_with("---")).unwrap();
    let hash = hash.trim().split_once(':').unwrap().1;
    let pairs = [("ada", PASSWORD), ("ada", WRONG), (WRONG, WRONG)]
        .map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
    let secrets = [PASSWORD, WRONG, STRAY, claims, signature, key, hash]
        .into_iter()
        .chain(opaque.iter().map(|text| &text[20..]))
        .chain(pairs.iter().map(String::as_str));
    for secret in secrets {
        assert!(secret.len() > 12, "{secret:?} could be anything");
        for text in &written {
            if let Some(at) = text.find(secret) {
                let from = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let shown = text[from..].lines().next().unwrap_or_default();
                panic!("{secret} is told: {shown}");
            }
        }
    }
}

#[test]
fn t62_no_secret_is_told_in_text() {
    secrets_stay_secret("{level: trace, format: text}");
}

#[test]
fn t62_no_secret_is_told_in_json() {
    secrets_stay_secret("{level: debug, format: json}");
}

/// Files that hold secrets and are no good are refused by name and line, without what stands there.
#[test]
fn t62_no_secret_is_told_of_files_that_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (name, content) in [
        ("users", format!("ada:{STRAY}\n")),
        ("users", format!("{STRAY}\n")),
        ("users", format!("ada:$2y$05${STRAY}\n")),
        (
            "keys.pem",
            format!("-----BEGIN PRIVATE KEY-----\n{STRAY}\n-----END PRIVATE KEY-----\n"),
        ),
        ("keys.pem", format!("{STRAY}\n")),
    ] {
        std::fs::write(at.join("users"), "").unwrap();
        let _ = std::fs::remove_file(at.join("keys.pem"));
        std::fs::write(at.join(name), &content).unwrap();
        let config = "listen: ['127.0.0.1:0']\ndataDir: ./data\n\
                      auth: {htpasswd: {file: users}, tokens: {keyFile: keys.pem}}\n";
        std::fs::write(at.join("slipway.yaml"), config).unwrap();
        let mut serve = slipway();
        serve
            .current_dir(at)
            .args(["serve", "--config", "slipway.yaml"]);
        let ended = run(&mut serve, "");
        let told = [ended.stdout, ended.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(!ended.status.success(), "{content:?} was taken");
        assert!(told.contains(name), "{told}");
        assert!(!told.contains(STRAY), "{told}");
    }
}
