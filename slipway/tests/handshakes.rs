//! TLS by clients that stall, or never come to the point.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use support::Server;
use tempfile::TempDir;

/// A server with TLS, and what its clients trust.
struct Secure {
    server: Server,
    client: ClientConfig,
    _files: TempDir,
}

impl Secure {
    fn start(yaml: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = tempfile::tempdir().unwrap();
        let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| files.path().join(name));
        std::fs::write(&cert_file, cert.pem()).unwrap();
        std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
        let server = Server::start(&format!(
            "tls: {{certFile: '{}', keyFile: '{}'}}\n{yaml}",
            cert_file.display(),
            key_file.display()
        ));
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            server,
            client,
            _files: files,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.server.host).unwrap();
        let patience = Some(Duration::from_secs(40));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        stream
    }

    fn client(&self) -> ClientConnection {
        let name = ServerName::try_from("localhost").unwrap();
        ClientConnection::new(Arc::new(self.client.clone()), name).unwrap()
    }

    fn hello(&self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.client().write_tls(&mut hello).unwrap();
        hello
    }

    /// A whole request by another client.
    fn serves(&self) {
        let mut stream = self.connect();
        let mut client = self.client();
        let mut tls = rustls::Stream::new(&mut client, &mut stream);
        tls.write_all(b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

/// Fails if the server does not end the connection.
fn ends(mut stream: TcpStream, what: &str) {
    let read = stream.read_to_end(&mut Vec::new());
    let waited = read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(!waited, "it waits after {what}");
}

/// The header time-out is a minute here: what ends these is the handshake's own.
#[test]
fn cve_2026_22045_26999_32283_52814_stalled_handshakes_end() {
    let mut secure = Secure::start("limits: {handshakeTimeout: 1s}\n");
    secure.client.alpn_protocols = vec![b"h2".to_vec()];
    let hello = secure.hello();
    let half = &hello[..hello.len() / 2];
    let starts: [(&str, &[u8]); 5] = [
        ("nothing", b""),
        ("a record's start", &hello[..3]),
        ("half a hello", half),
        ("a hello, and no answer to the server's", &hello),
        // What PostgreSQL's clients send before TLS.
        ("a request for TLS", &[0, 0, 0, 8, 4, 210, 22, 47]),
    ];
    let stalled = starts.map(|(what, start)| {
        let mut stream = secure.connect();
        stream.write_all(start).unwrap();
        (what, stream)
    });
    secure.client.alpn_protocols = vec![];
    secure.serves();
    for (what, stream) in stalled {
        ends(stream, what);
    }
    // Whoever asks for the protocol of certificate challenges has no place here.
    secure.client.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let mut stream = secure.connect();
    stream.write_all(&secure.hello()).unwrap();
    ends(stream, "a hello of a certificate challenge");
}

#[test]
fn a_connection_that_is_silent_after_its_handshake_ends() {
    let mut secure = Secure::start("limits: {headerTimeout: 1s}\n");
    for protocol in ["h2", "http/1.1"] {
        secure.client.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let mut stream = secure.connect();
        let mut client = secure.client();
        while client.is_handshaking() {
            client.complete_io(&mut stream).unwrap();
        }
        ends(stream, protocol);
    }
}

#[test]
fn plain_http_is_told_that_the_port_speaks_tls() {
    let secure = Secure::start("");
    for request in [
        "GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "PUT /v2/a/blobs/uploads/b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "G",
    ] {
        let mut stream = secure.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{request}: {head}");
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert_eq!(body.trim_end(), "this port speaks TLS: use https://");
    }
    secure.serves();
}

/// Keys that change again and again, each time with the wish that the other side do the same.
#[test]
fn cve_2026_56862_endless_key_updates_end_the_connection() {
    let secure = Secure::start("");
    let mut stream = secure.connect();
    let mut client = secure.client();
    while client.is_handshaking() {
        client.complete_io(&mut stream).unwrap();
    }
    let mut updates = 0;
    let ended = loop {
        client.refresh_traffic_keys().unwrap();
        match client.write_tls(&mut stream) {
            Ok(_) => updates += 1,
            Err(error) => break error,
        }
        if updates % 1000 == 0 {
            secure.serves();
        }
        assert!(updates < 20_000, "it goes on for ever");
    };
    assert_ne!(ended.kind(), ErrorKind::WouldBlock, "it hangs");
    secure.serves();
}
