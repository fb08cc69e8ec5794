//! A certificate that vouches for itself.

use std::path::Path;
use std::process::Command;

/// Writes `cert.pem` and `key.pem` for this machine.
pub(crate) fn make(folder: &Path) {
    let mut openssl = Command::new("openssl");
    let made = openssl
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}
