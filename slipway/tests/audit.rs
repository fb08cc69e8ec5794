//! The audit record of the program as it runs: what is there after a crash and a flood, who reads it, and how it ages.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Output, Stdio};

use base64::Engine as _;
use oci::{Algorithm, Digest};
use serde_json::Value;
use support::{Server, error_line, run, slipway, stdout};

const PASSWORD: &str = "canary-not-in-clear";
/// `root` may do everything; `ada` pulls from `team` and reads its part of the record.
const RULES: &str = r#"
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: r}, subjects: [{kind: User, name: root}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: a, namespace: team}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: auditor, namespace: team}, rules: [{apiGroups: [registry.alauda.io], resources: [audit], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b, namespace: team}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: auditor}}
"#;

struct Scene {
    server: Server,
}

impl Scene {
    fn new(yaml: &str) -> Self {
        let server = Server::for_users(&["root", "ada"], PASSWORD, Some(RULES), yaml);
        Self { server }
    }

    /// `slipway audit` by the API, as `user`.
    fn by_api(&self, user: &str, args: &[&str]) -> Output {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{PASSWORD}"));
        let host = &self.server.host;
        let config = format!(r#"{{"auths": {{"{host}": {{"auth": "{auth}"}}}}}}"#);
        let folder = self.server.folder.path();
        std::fs::write(folder.join("config.json"), config).unwrap();
        let mut command = slipway();
        command
            .env("DOCKER_CONFIG", folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_RUNTIME_DIR", folder)
            .args(["audit", "--server", &format!("http://{host}")])
            .args(args);
        run(&mut command, "")
    }
}

/// The rows of the index on this machine, newest first.
fn rows(server: &Server, args: &[&str]) -> Vec<Value> {
    let mut command = slipway();
    let config = server.folder.path().join("slipway.yaml");
    // Whatever server other commands are to speak to.
    command.env("SLIPWAY_SERVER", "registry.example.com");
    command.args(["audit", "--json", "--limit", "100000", "--config"]);
    let output = run(command.arg(config).args(args), "");
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// One request on a connection of its own; the status of its answer.
fn ask(server: &Server, user: &str, head: &str, body: &[u8]) -> u16 {
    let authorization = match user {
        "" => String::new(),
        user => {
            let pair = if user.contains(':') {
                user.to_owned()
            } else {
                format!("{user}:{PASSWORD}")
            };
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("authorization: Basic {pair}\r\n")
        }
    };
    let mut request = format!(
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nuser-agent: probe/1\r\n{authorization}content-length: {}\r\n\
         content-type: application/vnd.oci.image.manifest.v1+json\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    let answer = server.http(request);
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Pushes an image whose only layer is `content`; returns the manifest's digest.
fn push(server: &Server, user: &str, repo: &str, tag: &str, content: &[u8]) -> Digest {
    let mut described = Vec::new();
    for blob in [&b"{}"[..], content] {
        let digest = Digest::of(Algorithm::Sha256, blob);
        let head = format!("POST /v2/{repo}/blobs/uploads/?digest={digest}");
        assert_eq!(ask(server, user, &head, blob), 201);
        described.push(format!(r#""digest":"{digest}","size":{}"#, blob.len()));
    }
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar",{}}}]}}"#,
        described[0], described[1]
    );
    let head = format!("PUT /v2/{repo}/manifests/{tag}");
    assert_eq!(ask(server, user, &head, manifest.as_bytes()), 201);
    Digest::of(Algorithm::Sha256, manifest.as_bytes())
}

/// What was acknowledged has its row, whatever comes right after.
#[test]
fn a_push_that_was_acknowledged_is_recorded_also_when_the_server_dies_at_once() {
    let mut scene = Scene::new("");
    for round in 0..3_u8 {
        let digest = push(&scene.server, "root", "team/app", "v1", &[round]);
        scene.server = scene.server.killed_and_started();
        let verb = if round == 0 { "push" } else { "retag" };
        let rows = rows(&scene.server, &["--repository", "team/app"]);
        let row = &rows[0];
        assert_eq!(row["digest"], digest.to_string(), "{row}");
        assert_eq!(
            [&row["user"], &row["verb"], &row["reference"]],
            ["root", verb, "v1"]
        );
        assert_eq!(
            [&row["client"], &row["userAgent"]],
            ["127.0.0.1", "probe/1"]
        );
    }
    assert_eq!(rows(&scene.server, &["--verb", "push,retag"]).len(), 3);
    assert_eq!(rows(&scene.server, &["--verb", "upload"]).len(), 6);
}

#[test]
fn readers_see_what_is_theirs_and_the_machine_s_administrator_all() {
    let scene = Scene::new("");
    push(&scene.server, "root", "team/app", "v1", b"one");
    push(&scene.server, "root", "other/app", "v1", b"two");
    assert_eq!(
        ask(&scene.server, "ada", "PUT /v2/team/app/manifests/v1", b"{}"),
        403
    );
    assert_eq!(ask(&scene.server, "ada:wrong", "GET /v2/", b""), 401);
    let refused = error_line(&scene.by_api("ada", &[]));
    assert!(
        refused.contains("may not get audit of this registry"),
        "{refused}"
    );
    let refused = error_line(&scene.by_api("ada", &["--namespace", "other"]));
    assert!(
        refused.contains("may not get audit in namespace \"other\""),
        "{refused}"
    );
    // The refusals of just now are on their way.
    let is_denied = |row: &Value| row["outcome"] == "denied";
    while rows(&scene.server, &[])
        .iter()
        .filter(|row| is_denied(row))
        .count()
        < 4
    {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let text = stdout(&scene.by_api("ada", &["--namespace", "team", "--since", "1h"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[0].contains("denied   push     ada  team/app:v1"),
        "{text}"
    );
    assert!(lines[0].contains("may not create images"), "{text}");
    assert!(
        lines[1].contains("allowed  push     root  team/app:v1@sha256:"),
        "{text}"
    );
    let all = stdout(&scene.by_api("root", &["--json"]));
    assert_eq!(all.lines().count(), 10, "{all}");
    let local = rows(&scene.server, &[]);
    assert_eq!(local.len(), 10);
    let login = rows(&scene.server, &["--verb", "login"]);
    assert_eq!([&login[0]["user"], &login[0]["provider"]], ["ada", ""]);
    assert_eq!(login[0]["reason"], "these credentials are not valid");
    assert!(!all.contains(PASSWORD) && !format!("{local:?}").contains("wrong"));
    let nobody = rows(&scene.server, &["--user", "nobody"]);
    assert_eq!(nobody, [Value::Null; 0]);
    let mut wrong = slipway();
    let wrong = run(wrong.args(["audit", "--verb", "fly"]), "");
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

/// Where users have no rules, nobody reads it over the network.
#[test]
fn without_rules_only_the_machine_s_administrator_reads_it() {
    let server = Server::for_users(&["ada"], PASSWORD, None, "");
    push(&server, "ada", "a", "v1", b"one");
    assert_eq!(ask(&server, "ada", "GET /api/v1/audit", b""), 403);
    assert_eq!(rows(&server, &["--verb", "push"]).len(), 1);
}

#[test]
fn who_follows_sees_what_comes() {
    let scene = Scene::new("");
    push(&scene.server, "root", "team/app", "old", b"one");
    let config = scene.server.folder.path().join("slipway.yaml");
    let mut child = slipway()
        .args(["audit", "--follow", "--verb", "push", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("team/app:old@"));
    push(&scene.server, "root", "team/app", "new", b"two");
    assert!(lines.next().unwrap().unwrap().contains("team/app:new@"));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Strangers may be refused as often as they like: the record has a bound, says how many it left out, and no change is
/// lost among them.
#[test]
fn a_flood_of_refusals_is_bounded_and_counted() {
    const FLOOD: usize = 4_000;
    let scene = Scene::new("log: {requests: false}\naudit: {log: false}");
    let server = &scene.server;
    let host = server.host.clone();
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("ada:{PASSWORD}"));
    let flood = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(host).unwrap();
        let one = format!(
            "DELETE /v2/secret/app/manifests/v1 HTTP/1.1\r\nhost: x\r\nauthorization: Basic {pair}\r\n\r\n"
        );
        let last = one.replacen("\r\nhost", "\r\nconnection: close\r\nhost", 1);
        let reader = stream.try_clone().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            BufReader::new(reader).read_to_string(&mut text).unwrap();
            text.matches("HTTP/1.1 403").count()
        });
        for _ in 1..FLOOD {
            stream.write_all(one.as_bytes()).unwrap();
        }
        stream.write_all(last.as_bytes()).unwrap();
        assert_eq!(reader.join().unwrap(), FLOOD);
    });
    push(server, "root", "team/app", "v1", b"amid the flood");
    flood.join().unwrap();
    let metrics = server.get("/metrics", "");
    let left_out = metrics
        .lines()
        .find_map(|line| line.strip_prefix("slipway_audit_rows_left_out_total "));
    let left_out = left_out.unwrap().parse::<f64>().unwrap();
    scene.server.terminate();
    let Scene { server, .. } = scene;
    // What is told when the server ends comes before it ends.
    let folder = server.wait_and_keep();
    let rows = {
        let mut command = slipway();
        command.args(["audit", "--json", "--limit", "100000", "--config"]);
        let text = stdout(&run(command.arg(folder.path().join("slipway.yaml")), ""));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    let of = |verb: &str| {
        rows.iter()
            .filter(|row| row["verb"] == verb)
            .collect::<Vec<_>>()
    };
    let denied = of("delete").len();
    assert!(denied < FLOOD, "{denied} refusals are all recorded");
    let told = of("omitted");
    let told = told.iter().map(|row| {
        let reason = row["reason"].as_str().unwrap();
        reason.split(' ').next().unwrap().parse::<usize>().unwrap()
    });
    let told: usize = told.sum();
    assert_eq!(denied + told, FLOOD, "every refusal is recorded or counted");
    #[expect(clippy::cast_precision_loss, reason = "4,000 at most")]
    let counted = told as f64;
    assert!((left_out - counted).abs() < 0.5, "{left_out} {counted}");
    assert_eq!((of("push").len(), of("upload").len()), (1, 2));
}

/// User agents are what strangers like to send, and names what they like to choose.
#[test]
fn no_text_of_strangers_forges_a_line_of_the_log() {
    for format in ["text", "json"] {
        let scene = Scene::new(&format!(
            "log: {{format: {format}, level: 'warn,slipway=info', requests: false}}"
        ));
        let forged = r#"x" user.name="root"#;
        let pair = base64::engine::general_purpose::STANDARD.encode("ada:wrong");
        let answer = scene.server.get(
            "/v2/",
            &format!("authorization: Basic {pair}\r\nuser-agent: {forged}\r\n"),
        );
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        let line = scene.server.line("these credentials");
        if format == "json" {
            let json: Value = serde_json::from_str(&line).unwrap();
            assert_eq!([&json["user.name"], &json["user_agent"]], ["ada", forged]);
            assert_eq!([&json["target"], &json["verb"]], ["audit", "login"]);
            assert_eq!(json["outcome"], "denied");
        } else {
            assert!(line.contains(r#"user.name="ada" "#), "{line}");
            assert!(
                line.contains(r#"user_agent="x\" user.name=\"root""#),
                "{line}"
            );
            assert!(line.contains(r#"verb="login" outcome="denied""#), "{line}");
        }
        // A name that is none of a user may be a password in the wrong field; one with a control character is none at all.
        for odd in ["canary-typed-here:x", "mallory\u{85}:x"] {
            assert_eq!(ask(&scene.server, odd, "GET /v2/", b""), 401);
            let line = scene.server.line("these credentials");
            assert!(
                !line.contains("canary-typed") && !line.contains("mallory"),
                "{line}"
            );
        }
    }
}

#[test]
fn old_rows_go_and_new_ones_stay() {
    let scene = Scene::new("audit: {retention: 1s}");
    push(&scene.server, "root", "team/app", "v1", b"one");
    assert_eq!(rows(&scene.server, &[]).len(), 3);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let server = scene.server.killed_and_started();
    while !rows(&server, &[]).is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    push(&server, "root", "team/app", "v1", b"two");
    let kept = rows(&server, &[]);
    assert_eq!(kept.len(), 3);
    assert!(
        kept.iter().all(|row| row["id"].as_i64().unwrap() > 3),
        "{kept:?}"
    );
}

/// Pulls are recorded where they are asked for, by those who pull.
#[test]
fn pulls_are_recorded_when_asked_for() {
    let scene = Scene::new("audit: {pulls: true}");
    let digest = push(&scene.server, "root", "team/app", "v1", b"one");
    assert_eq!(
        ask(&scene.server, "ada", "GET /v2/team/app/manifests/v1", b""),
        200
    );
    loop {
        let pulls = rows(&scene.server, &["--verb", "pull"]);
        if let [row] = &pulls[..] {
            assert_eq!(
                [&row["user"], &row["digest"]],
                ["ada", &digest.to_string()[..]]
            );
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
