//! `slipway login --oidc`: a person logs in with a browser, and the other clients use the login.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::podman::Storage;
use tests::{Api, Daemon, Image, OrFail, Server, server};

use super::Scene;

/// The command, running until somebody has entered its code.
struct Login {
    process: Daemon,
    code: String,
}

impl Login {
    fn begin(scene: &Scene, server: &Server, logins: &Path) -> Self {
        let mut command = Command::new(server::binary());
        command
            .args(["login", "--oidc", &server.endpoint().host])
            .arg("--ca-file")
            .arg(&scene.authority.certificate)
            .arg("--authfile")
            .arg(logins);
        let log = scene.lab.path(format!("{}.log", logins.display()));
        let mut process = Daemon::start("login", command, &log);
        let code = || code_in(&std::fs::read_to_string(&log).unwrap_or_default());
        process.wait_until(|| code().is_some());
        let code = code().or_fail("a code");
        Self { process, code }
    }
}

/// What stands alone in the line below "enter the code".
fn code_in(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("enter the code\n\n")?;
    let (code, _) = rest.split_once('\n')?;
    Some(code.trim().to_owned())
}

/// Somebody logs in as ada. What the command said, and what it kept.
fn login_as_ada(scene: &Scene, server: &Server, logins: &Path) -> (String, Value) {
    let mut login = Login::begin(scene, server, logins);
    scene.provider.enter_code(&login.code, "ada", "allowed");
    let status = login.process.wait();
    let said = login.process.log();
    assert!(status.success(), "{said}");
    assert!(said.contains("logged in to"), "{said}");
    let kept = std::fs::read(logins).or_fail("read the logins");
    let mut kept: Value = serde_json::from_slice(&kept).or_fail("JSON");
    (said, kept["auths"][&server.endpoint().host].take())
}

/// skopeo pushes with the login, which must be enough before and nothing after a logout.
fn push_and_log_out(scene: &Scene, server: &Server, logins: &Path) {
    let image = Image::busybox(&scene.lab, "app");
    let push = || {
        scene
            .lab
            .program("skopeo")
            .arg("copy")
            .arg(format!(
                "--dest-cert-dir={}",
                scene.authority.dir().display()
            ))
            .arg("--authfile")
            .arg(logins)
            .arg(format!("oci:{}", image.at()))
            .arg(format!("docker://{}/team/app:v1", server.endpoint().host))
    };
    push().ok();
    let slipway = scene.lab.program(&server::binary().display().to_string());
    slipway
        .args(["logout", &server.endpoint().host, "--authfile"])
        .arg(logins)
        .ok();
    push().fails();
}

#[test]
fn a_login_by_device_keeps_what_renews_it_and_lets_other_clients_in() {
    let scene = Scene::new("oidc-device");
    let server = scene.registry();
    let logins = scene.lab.path("logins.json");
    let (said, kept) = login_as_ada(&scene, &server, &logins);
    assert!(
        said.contains(&format!("{}/device", scene.provider.issuer())),
        "{said}"
    );
    assert!(!said.contains("it ends at"), "{said}");
    assert!(kept["identitytoken"].is_string(), "{kept}");
    let slipway = |words: &str| {
        let program = scene.lab.program(&server::binary().display().to_string());
        let program =
            program
                .args(words.split(' '))
                .args(["--server", &server.endpoint().host, "--ca-file"]);
        program
            .arg(&scene.authority.certificate)
            .arg("--authfile")
            .arg(&logins)
            .ok()
    };
    let whoami = slipway("auth whoami");
    let name = format!("{}#ada", scene.provider.issuer());
    assert!(
        whoami.contains(&name) && whoami.contains("idp:devs"),
        "{whoami}"
    );
    // The person, not only their images.
    let made = slipway("token create --description CI --verb pull --output json");
    let made: Value = serde_json::from_str(&made).or_fail("JSON");
    let listed = slipway("token list");
    let id = made["id"].as_str().or_fail("a name");
    assert!(listed.contains(id), "{listed}");
    let podman = Storage::new(&scene.lab, "node");
    podman
        .podman()
        .args(["login", "--get-login", "--authfile"])
        .arg(&logins)
        .arg(&server.endpoint().host)
        .ok();
    push_and_log_out(&scene, &server, &logins);
}

#[test]
fn where_nothing_renews_a_login_the_id_token_is_kept_to_its_end() {
    let scene = Scene::new("oidc-brief");
    let server = scene.registry_with("tokens: {refreshLifetime: 0s}, ");
    let logins = scene.lab.path("logins.json");
    let (said, kept) = login_as_ada(&scene, &server, &logins);
    assert!(said.contains(" until 2"), "{said}");
    assert!(kept["identitytoken"].is_null(), "{kept}");
    push_and_log_out(&scene, &server, &logins);
}

#[test]
fn a_login_that_is_denied_keeps_nothing() {
    let scene = Scene::new("oidc-denied");
    let server = scene.registry();
    let logins = scene.lab.path("logins.json");
    let mut login = Login::begin(&scene, &server, &logins);
    scene.provider.enter_code(&login.code, "ada", "denied");
    assert!(!login.process.wait().success());
    let said = login.process.log();
    assert!(said.contains("the login was refused"), "{said}");
    assert!(!logins.exists());
}

#[test]
fn what_cannot_work_is_said_before_anybody_goes_to_a_browser() {
    let scene = Scene::new("oidc-cannot");
    let server = scene.registry();
    let host = &server.endpoint().host;
    let login = |more: &[&str]| {
        let program = scene.lab.program(&server::binary().display().to_string());
        let program = program.args(["login", "--oidc", host, "--ca-file"]);
        program.arg(&scene.authority.certificate).args(more).fails()
    };
    let issuer = scene.provider.issuer();
    let said = login(&["--issuer", "https://other.example"]);
    assert!(said.contains(issuer), "{said}");
    let said = login(&["--issuer", issuer, "--client-id", "nobody"]);
    assert!(said.contains(issuer) && said.lines().count() == 1, "{said}");
    let said = login(&["--issuer", "http://192.0.2.1", "--client-id", "slipway"]);
    assert!(said.contains("https"), "{said}");
    let said = login(&["--username", "ada"]);
    assert!(said.contains("cannot be used with"), "{said}");
}

#[test]
fn an_id_token_is_a_password_like_any_other() {
    let scene = Scene::new("oidc-stdin");
    let server = scene.registry();
    let host = &server.endpoint().host;
    let token = scene.provider.id_token("ada");
    let login = |token: &str| {
        let program = scene.lab.program(&server::binary().display().to_string());
        let program = program.args(["login", "--username", "ada", "--password-stdin", host]);
        program
            .arg("--ca-file")
            .arg(&scene.authority.certificate)
            .stdin(token)
    };
    login(&token).ok();
    login(&token[..token.len() - 4]).fails();
    let api = Api::new(&server.endpoint().with_token(&token));
    api.get("/v2/").or_fail("ask").expect(200);
    let providers = Api::new(&server.endpoint().anonymous());
    let reply = providers.get("/auth/oidc").or_fail("ask").expect(200);
    let document: Value = serde_json::from_slice(&reply.body).or_fail("JSON");
    assert_eq!(document["issuers"][0]["clientId"], "slipway");
    assert_eq!(document["issuers"][0]["issuer"], scene.provider.issuer());
}
