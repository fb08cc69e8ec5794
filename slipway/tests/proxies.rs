//! Which way the API server of a kubeconfig is reached, where the environment names a proxy.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use support::slipway;

/// A TLS connection begins with a record of this type, its handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;

/// Takes connections at this address, and says what the first of them begins with.
fn listen(address: &str) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (said, heard) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut first = vec![0; 512];
            let length = stream.read(&mut first).unwrap_or(0);
            first.truncate(length);
            // The test may have ended.
            let _ = said.send(first);
        }
    });
    (at, heard)
}

/// What came to the API server and to the proxy, where `NO_PROXY` is `excepted` and the kubeconfig says this of a proxy.
fn reached(excepted: &str, of_kubeconfig: bool) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    // Not the proxy's address, which the exception must not be held against.
    let (server, to_server) = listen("127.0.0.2");
    let (proxy, to_proxy) = listen("127.0.0.1");
    let proxy = format!("http://{proxy}");
    let named = if of_kubeconfig {
        format!(", proxy-url: {proxy:?}")
    } else {
        String::new()
    };
    let kubeconfig = folder.path().join("kubeconfig");
    let text = format!(
        "clusters: [{{name: c, cluster: {{server: \"https://{server}\", insecure-skip-tls-verify: true{named}}}}}]\n\
         users: [{{name: u, user: {{token: x}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         current-context: c\n"
    );
    fs::write(&kubeconfig, text).unwrap();
    let mut command = slipway();
    command
        .args(["auth", "explain", "push", "team/app"])
        .env("KUBECONFIG", &kubeconfig)
        .env("HOME", folder.path());
    for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    if !of_kubeconfig {
        command.env("HTTPS_PROXY", &proxy);
    }
    command.env("NO_PROXY", excepted);
    let done = support::run(&mut command, "");
    assert!(!done.status.success(), "nobody answers: {done:?}");
    (to_server.try_recv().ok(), to_proxy.try_recv().ok())
}

#[test]
fn no_proxy_excepts_the_api_server_from_the_proxy_of_the_environment() {
    let (to_server, to_proxy) = reached("127.0.0.2", false);
    assert_eq!(to_server.unwrap()[0], HANDSHAKE);
    assert_eq!(to_proxy, None);

    let (to_server, to_proxy) = reached("example.com", false);
    assert_eq!(to_server, None);
    let asked = String::from_utf8(to_proxy.unwrap()).unwrap();
    assert!(asked.starts_with("CONNECT 127.0.0.2:"), "{asked}");
}

/// As with kubectl: who writes a proxy into a kubeconfig means it.
#[test]
fn no_proxy_excepts_nothing_from_the_proxy_of_the_kubeconfig() {
    let (to_server, to_proxy) = reached("127.0.0.2", true);
    assert_eq!(to_server, None);
    assert!(to_proxy.unwrap().starts_with(b"CONNECT 127.0.0.2:"));
}
