//! The command by which ssh goes through a proxy.

#![expect(
    clippy::unwrap_used,
    reason = "the scene's set-up; a test that cannot be set up fails"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const SLIPWAY: &str = env!("CARGO_BIN_EXE_slipway");

/// A proxy, and a folder with the file `way`, which says that git.example is behind it.
fn proxy() -> (TcpListener, TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let way = format!("http://ann:pass@127.0.0.1:{port}\ngit.example\n22\n");
    std::fs::write(folder.path().join("way"), way).unwrap();
    (listener, folder)
}

/// Both ways, and each word when it comes: neither side of ssh ends its line before the other answers.
#[test]
fn a_proxy_carries_what_is_said() {
    let (listener, folder) = proxy();
    let mut child = Command::new(SLIPWAY)
        .arg("tunnel")
        .arg(folder.path().join("way"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut said = vec![0; 1024];
    let length = stream.read(&mut said).unwrap();
    let asked = String::from_utf8_lossy(&said[..length]);
    assert!(asked.starts_with("CONNECT git.example:22 "), "{asked}");
    assert!(asked.contains("Basic YW5uOnBhc3M="), "{asked}");
    stream
        .write_all(b"HTTP/1.1 200 OK\r\n\r\ngreeting")
        .unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut word = [0; 8];
    from.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"greeting");
    to.write_all(b"question").unwrap();
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"question");
    drop(stream);
    assert!(child.wait().unwrap().success());
}

#[test]
fn who_is_not_led_through_is_told_why() {
    let (listener, folder) = proxy();
    let child = Command::new(SLIPWAY)
        .arg("tunnel")
        .arg(folder.path().join("way"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let _ = stream.read(&mut [0; 1024]).unwrap();
    stream.write_all(b"HTTP/1.1 403 No\r\n\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no way through the proxy to git.example:22") && said.contains("403"),
        "{said}"
    );
    assert!(!said.contains("pass"), "{said}");
}
