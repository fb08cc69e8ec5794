//! Who gets a password when a registry says where its tokens are to be had, and how much of the answer is read.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

#[path = "support/certificate.rs"]
mod certificate;
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use support::{error_line, run, slipway};

const SECRET: &str = "not-for-strangers";
/// `ada:not-for-strangers`
const BASIC: &str = "YWRhOm5vdC1mb3Itc3RyYW5nZXJz";

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A host that answers every request alike, and writes down the heads of those that came.
struct Host {
    port: u16,
    asked: Arc<Mutex<String>>,
}

impl Host {
    /// Over TLS by the certificate in `folder`, if one is given.
    fn start(
        folder: Option<&Path>,
        mut answer: impl FnMut(&mut dyn Stream) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = folder.map(tls);
        let asked = Arc::new(Mutex::new(String::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let mut stream: Box<dyn Stream> = match &config {
                    None => Box::new(tcp),
                    Some(config) => {
                        let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                        Box::new(StreamOwned::new(tls, tcp))
                    }
                };
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                noted
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&head));
                answer(&mut *stream);
                let _ = stream.flush();
            }
        });
        Self { port, asked }
    }

    /// A registry whose tokens are to be had at `realm`.
    fn registry(folder: Option<&Path>, realm: &str) -> Self {
        let head = format!("WWW-Authenticate: Bearer realm=\"{realm}\"");
        Self::start(folder, move |stream| reply(stream, "401 X", &head))
    }

    /// Gives tokens to everybody.
    fn tokens(folder: Option<&Path>) -> Self {
        Self::start(folder, |stream| reply(stream, "200 X", "X-Nothing: here"))
    }

    fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }
}

/// Whoever goes away early does so.
fn reply(stream: &mut dyn Stream, status: &str, header: &str) {
    let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n{header}\r\n{end}").as_bytes());
}

fn tls(folder: &Path) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// What the program says when it logs in to `server`, and when it copies from there by a login that is kept: each fails,
/// at the latest since there is no image.
fn said(folder: &Path, server: &str, is_plain: bool) -> [String; 2] {
    let path = |name: &str| folder.join(name).display().to_string();
    let transport = |plain: &str, authorities: &str| {
        if is_plain {
            vec![plain.to_owned()]
        } else {
            vec![authorities.to_owned(), path("cert.pem")]
        }
    };
    let mut login = slipway();
    login.args(["login", server, "-u", "ada", "--password-stdin"]);
    login.args(transport("--plain-http", "--ca-file"));
    login.args(["--authfile", &path("none.json")]);
    let kept = format!(r#"{{"auths":{{"{server}":{{"auth":"{BASIC}"}}}}}}"#);
    std::fs::write(folder.join("kept.json"), kept).unwrap();
    let mut copy = slipway();
    copy.arg("copy");
    copy.args(transport("--src-plain-http", "--src-ca-file"));
    copy.args(["--authfile", &path("kept.json")]);
    copy.args([
        format!("{server}/team/app:v1"),
        format!("oci:{}", path("out")),
    ]);
    let login = run(&mut login, SECRET);
    let said = String::from_utf8([login.stdout, login.stderr].concat()).unwrap();
    [said, error_line(&run(&mut copy, ""))]
}

/// RFC 9110 §11.6.1 lets a challenge name any realm: what it says must not decide who sees a password.
#[test]
fn t60_a_password_goes_to_a_realm_over_tls_only_and_while_it_is_typed_to_the_same_host_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    certificate::make(at);
    let nobody = "which may not see it";
    for (registry_tls, realm, realm_tls, at_login, at_copy) in [
        (true, "http://127.0.0.1", false, nobody, nobody),
        (true, "http://localhost", false, nobody, nobody),
        (true, "https://localhost", true, nobody, ""),
        (true, "https://127.0.0.1", true, "", ""),
        (false, "http://127.0.0.1", false, nobody, nobody),
        (false, "http://localhost", false, nobody, nobody),
        (false, "https://localhost", true, nobody, nobody),
    ] {
        let tls = |is_wanted: bool| is_wanted.then_some(at);
        let tokens = Host::tokens(tls(realm_tls));
        let realm = format!("{realm}:{}/token", tokens.port);
        let registry = Host::registry(tls(registry_tls), &realm);
        let server = format!("127.0.0.1:{}", registry.port);
        let [login, copy] = said(at, &server, !registry_tls);
        for (said, expected) in [(&login, at_login), (&copy, at_copy)] {
            assert_eq!(
                said.contains(nobody),
                expected == nobody,
                "{registry_tls} {realm}: {said}"
            );
        }
        let asked = tokens.asked();
        let shown = asked.matches(BASIC).count();
        let expected = usize::from(at_login.is_empty()) + usize::from(at_copy.is_empty());
        assert_eq!(shown, expected, "{registry_tls} {realm}: {asked}");
        let is_asked = asked.contains("GET /token");
        assert_eq!(is_asked, expected > 0, "nobody else is even asked");
        let registry = registry.asked();
        assert!(!registry.contains(BASIC), "it asked for tokens: {registry}");
    }
}

#[test]
fn an_answer_of_a_token_endpoint_that_never_ends_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let port = Arc::new(Mutex::new(0_u16));
    let own = Arc::clone(&port);
    let mut is_first = true;
    let registry = Host::start(None, move |stream| {
        if std::mem::take(&mut is_first) {
            let realm = format!("http://127.0.0.1:{}/token", own.lock().unwrap());
            let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\"");
            return reply(stream, "401 X", &challenge);
        }
        let head = "HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n{\"token\":\"";
        let mut sent = stream.write_all(head.as_bytes());
        while sent.is_ok() {
            sent = stream.write_all(&[b'a'; 8 << 10]);
        }
    });
    *port.lock().unwrap() = registry.port;
    let server = format!("127.0.0.1:{}", registry.port);
    let to = format!("oci:{}", folder.path().join("out").display());
    let mut copy = slipway();
    copy.args(["copy", "--src-plain-http", "--authfile"]);
    copy.arg(folder.path().join("none.json"));
    copy.args([format!("{server}/team/app:v1"), to]);
    let said = error_line(&run(&mut copy, ""));
    assert!(
        said.contains("the answer is larger than 1048576 bytes"),
        "{said}"
    );
}
