//! `slipway serve`: what it starts as, what it refuses, how it bounds connections and how it ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use support::{Server, error_line, run, slipway, stdout};

#[test]
fn with_nothing_configured_it_is_open_on_loopback_and_says_so() {
    let server = Server::start("");
    assert!(server.host.starts_with("127.0.0.1:"));
    server.line("no authentication is configured");
    let answer = server.get("/v2/", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn it_refuses_to_be_open_to_other_machines() {
    let mut command = slipway();
    command.env("SLIPWAY_LISTEN", "['0.0.0.0:0']").arg("serve");
    let line = error_line(&run(&mut command, ""));
    assert!(line.contains("--insecure-open"), "{line}");
    assert!(line.contains("0.0.0.0"), "{line}");
}

#[test]
fn a_misspelt_key_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bad.yaml");
    std::fs::write(&config, "auth:\n  anonymus: true\n").unwrap();
    let mut command = slipway();
    command.args(["config", "check", "--config"]).arg(&config);
    let line = error_line(&run(&mut command, ""));
    assert!(line.contains("bad.yaml"), "{line}");
    assert!(line.contains("anonymus"), "{line}");
    assert!(line.contains("bad.yaml:2:3: auth.anonymus"), "{line}");
}

#[test]
fn what_it_keeps_is_not_for_every_user_of_the_machine() {
    let mut server = Server::for_users(&["ann"], "password", None, "");
    let data = server.folder.path().join("data");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("objects")), 0o700);
    assert_eq!(mode(&data.join("index.db")), 0o600);
    let passes = |folder: &Path| folder.metadata().unwrap().permissions().mode() & 0o001 != 0;
    let above = std::env::temp_dir().canonicalize().unwrap();
    if !above.ancestors().all(passes) {
        println!("skipped: the warning, as {above:?} is closed to others, and so is all below");
        return;
    }
    // One that others made, or an earlier version.
    let open = |folder: &Path, mode| {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    server.restart(|config| {
        for folder in [config.parent().unwrap(), &data, &data.join("objects")] {
            open(folder, 0o755);
        }
    });
    let line = server.line("every user of this machine");
    assert!(line.contains("/data/objects: "), "{line}");
    assert!(
        line.contains(&format!("chmod 0700 {}", data.display())),
        "{line}"
    );
    let warned_still = |server: &mut Server| {
        assert!(server.get("/readyz", "").starts_with("HTTP/1.1 200"));
        server.terminate();
        let rest = server.rest();
        rest.iter()
            .any(|line| line.contains("every user of this machine"))
    };
    // The index is closed.
    assert!(!warned_still(&mut server));
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let server = Server::start("");
    let mut command = slipway();
    command
        .arg("serve")
        .env("SLIPWAY_LISTEN", "['127.0.0.1:0']")
        .env("SLIPWAY_DATA_DIR", server.folder.path().join("data"));
    let line = error_line(&run(&mut command, ""));
    assert!(line.contains("another slipway"), "{line}");
}

/// What two configurations share may be the objects or the index only.
#[test]
fn two_servers_share_neither_objects_nor_an_index() {
    let shared =
        "storage: {fs: {root: FOLDER/objects}}\nindex: {sqlite: {path: FOLDER/index.db}}\n";
    let server = Server::start(shared);
    let folder = server.folder.path();
    let under_way = folder.join("objects/.slipway-scratch/17");
    std::fs::write(&under_way, "what the first one is writing").unwrap();
    for objects in ["objects", "other"] {
        std::fs::create_dir_all(folder.join(objects).join("docker/registry/v2")).unwrap();
    }
    let command = |arguments: &[&str], objects: &str, index: &str| {
        let yaml = format!(
            "listen: ['127.0.0.1:0']\ndataDir: {0}/other\nstorage: {{fs: {{root: {0}/{objects}}}}}\nindex: {{sqlite: \
             {{path: {0}/{index}}}}}\n",
            folder.display()
        );
        let config = folder.join("other.yaml");
        std::fs::write(&config, yaml).unwrap();
        run(slipway().args(arguments).arg("--config").arg(&config), "")
    };
    let serve = ["serve"].as_slice();
    let reindex = ["storage", "reindex"].as_slice();
    std::os::unix::fs::symlink(folder.join("index.db"), folder.join("link.db")).unwrap();
    for (arguments, objects, index, named) in [
        (serve, "objects", "other.db", "objects/.slipway-lock"),
        (serve, "other", "index.db", "index.db.lock"),
        (serve, "other", "link.db", "index.db.lock"),
        (reindex, "objects", "other.db", "objects/.slipway-lock"),
        (reindex, "other", "index.db", "index.db.lock"),
    ] {
        let line = error_line(&command(arguments, objects, index));
        assert!(line.contains("another slipway"), "{line}");
        assert!(line.contains(named), "{line}");
        assert!(under_way.exists(), "{named}");
    }
    // Who only looks need not wait.
    for look in ["fsck", "stats"] {
        let output = command(&["storage", look], "objects", "index.db");
        assert!(output.status.success(), "{look}: {output:?}");
    }
    assert!(under_way.exists());
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = slipway();
    command
        .arg("serve")
        .env("SLIPWAY_LISTEN", format!("['{address}']"))
        .env("SLIPWAY_DATA_DIR", folder.path());
    let line = error_line(&run(&mut command, ""));
    assert!(line.contains(&address), "{line}");
}

#[test]
fn it_ends_well_when_told() {
    let server = Server::start("");
    server.terminate();
    server.line("stopped");
    assert!(server.wait());
}

/// Slow-loris: a header that never ends, a connection that never speaks, an idle keep-alive.
#[test]
fn silent_connections_are_closed() {
    let server = Server::start("limits: {headerTimeout: 5s}\n");
    let begin = |start: &str| {
        let mut stream = TcpStream::connect(&server.host).unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream
    };
    let mut idle = begin("GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n");
    let starts = ["", "P", "PRI", "GET /v2/ HTTP/1.1\r\nhost: x\r\n"];
    for (start, mut stream) in starts.map(|start| (start, begin(start))) {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        // Closed or reset, but not waited for by this client until its own patience ends.
        let waited = read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        assert!(!waited, "{start:?}");
    }
    let mut answer = Vec::new();
    idle.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// A method of HTTP/1.1 and the preface of HTTP/2 may begin alike, and come byte by byte.
#[test]
fn the_protocol_is_told_by_however_many_pieces_it_comes_in() {
    let server = Server::start("");
    let answer = |pieces: [&str; 3]| {
        let mut stream = TcpStream::connect(&server.host).unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(100));
        }
        let mut first = [0; 9];
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.read_exact(&mut first).unwrap();
        first
    };
    let post = ["P", "OST /v2/ HTTP/1.1\r\n", "host: x\r\n\r\n"];
    assert_eq!(&answer(post), b"HTTP/1.1 ");
    // A SETTINGS frame: its length, type 4, no flags, stream 0.
    let preface = [
        "PR",
        "I * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0\x04\0\0\0\0\0",
    ];
    assert_eq!(answer(preface)[3..], [4, 0, 0, 0, 0, 0]);
}

#[test]
fn a_client_that_closes_in_the_middle_of_a_word_is_not_waited_for() {
    let server = Server::start("");
    let mut stream = TcpStream::connect(&server.host).unwrap();
    stream.write_all(b"P").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // Not at the end of `headerTimeout`, which is a minute.
    let read = stream.read_to_end(&mut Vec::new());
    assert!(
        !read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
        "still open"
    );
}

/// Waiting costs nothing: the program is not woken but by what its clients send.
#[test]
fn clients_that_begin_and_stop_wake_nobody() {
    let server = Server::start("");
    let waiting: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.host).unwrap();
            stream.write_all(b"P").unwrap();
            stream
        })
        .collect();
    server.get("/v2/", "");
    // The least of some looks: threads that end take their figures along, and a machine that stands still adds to them.
    let looks = (0..5).map(|_| {
        let before = server.wakes();
        thread::sleep(Duration::from_secs(1));
        server.wakes().checked_sub(before)
    });
    let mut woken = looks.flatten();
    // A look every 5 ms would be 8000, one every 100 ms 400.
    assert!(woken.any(|woken| woken < 100), "woken all the time");
    drop(waiting);
}

#[test]
fn every_request_is_one_line_of_json() {
    let server = Server::start("log: {format: json}\n");
    server.get("/v2/a/manifests/v1?x=%22%0a", "x: y\r\n");
    let line = server.line("get_manifest");
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["http.status"], 404);
    assert_eq!(json["http.path"], "/v2/a/manifests/v1");
    assert_eq!(json["error.code"], "MANIFEST_UNKNOWN");
    assert!(json["duration_ms"].is_f64());
}

/// A collector: takes one request and tells what it was.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut all = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).unwrap();
                all.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
                let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else {
                    continue;
                };
                let length = text.split("content-length: ").nth(1);
                let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
                if all.len() >= end + 4 + length.unwrap_or(0) || read == 0 {
                    let head = text[..end].to_owned();
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                    let _ = sender.send((head, all[end + 4..].to_vec()));
                    break;
                }
            }
        }
    });
    (url, received)
}

#[test]
fn requests_are_traced_to_a_collector() {
    let (url, received) = collector();
    let server = Server::start(&format!("telemetry: {{otlpEndpoint: '{url}'}}\n"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    server.get("/v2/a/manifests/v1", &parent);
    server.terminate();
    let (head, body) = received.recv_timeout(Duration::from_secs(120)).unwrap();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    assert!(head.contains("application/x-protobuf"), "{head}");
    let holds = |bytes: &[u8]| body.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(b"get_manifest"));
    assert!(holds(b"/v2/a/manifests/v1"));
    // The caller's trace goes on here.
    let id = u128::from_str_radix(trace, 16).unwrap().to_be_bytes();
    assert!(holds(&id));
    assert!(server.wait());
}

#[test]
fn what_is_printed_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = slipway();
    command
        .args(["config", "print"])
        .env("SLIPWAY_DATA_DIR", folder.path());
    let printed = stdout(&run(&mut command, ""));
    let file = folder.path().join("printed.yaml");
    std::fs::write(&file, &printed).unwrap();
    let mut command = slipway();
    command.args(["config", "print", "--config"]).arg(&file);
    assert_eq!(stdout(&run(&mut command, "")), printed);
    let schema = stdout(&run(slipway().args(["config", "schema"]), ""));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(schema["properties"]["trustedProxies"].is_object());
}

#[test]
fn version_and_completions_are_printed() {
    let json = stdout(&run(slipway().args(["version", "--output", "json"]), ""));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&run(slipway().args(["completions", shell]), ""));
        assert!(script.contains("slipway"), "{shell}");
    }
}
