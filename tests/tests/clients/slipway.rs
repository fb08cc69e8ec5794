//! The program's own client commands: users made and logins kept where the other clients find them.

use tests::{Access, Image, Lab, Server, Settings, access, server, until};

use crate::Scene;
use crate::skopeo::{push, skopeo};

#[test]
fn slipway_user_add_and_login_let_skopeo_in_and_logout_locks_it_out() {
    let lab = Lab::new("login");
    let access = Access::write(&lab);
    lab.write(
        "rbac/ada.yaml",
        access::binding("team", "image-owner", "ada"),
    );
    let settings = Settings {
        access: Some(access),
        ..Settings::default()
    };
    let server = Server::start(&lab, &settings);
    let add = ["user", "add", "ada", "--password-stdin"];
    server.command(&lab, &add).stdin("a long password").ok();
    let said = server.command(&lab, &["user", "list"]).ok();
    assert!(said.contains("ada") && said.contains("pusher"), "{said}");

    let scene = Scene {
        at: server.endpoint().clone(),
        _registry: Box::new(server),
        lab,
    };
    let logins = scene.lab.path("logins.json");
    let slipway = |words: &[&str]| {
        let program = scene
            .lab
            .program(&server::binary().display().to_string())
            .args(words);
        program.arg("--authfile").arg(&logins)
    };
    let login = |password: &str| {
        slipway(&[
            "login",
            "--username",
            "ada",
            "--password-stdin",
            &scene.at.host,
        ])
        .stdin(password)
    };
    login("another password").fails();
    // The server reads the file again within a moment.
    until("the new user gets in", || {
        login("a long password").run().status.success()
    });

    let image = Image::busybox(&scene.lab, "app");
    push(&scene, &image, "team/app:v1")
        .arg("--authfile")
        .arg(&logins)
        .ok();
    let inspect = || {
        skopeo(&scene, &scene.at, "inspect", "--")
            .arg("--authfile")
            .arg(&logins)
            .arg(format!("docker://{}", scene.at.image("team/app:v1")))
    };
    inspect().ok();
    slipway(&["logout", &scene.at.host]).ok();
    inspect().fails();
}

/// Runs the steps as a root of its own, without a session, and with a `/run/containers` of its own.
const SESSIONLESS: &str = r#"
mkdir -p /run/containers
mount -t tmpfs tmpfs /run/containers
unset XDG_RUNTIME_DIR
mine() { podman login --get-login "$HOST"; }
echo secret-of-puller | podman login --tls-verify=false -u puller --password-stdin "$HOST"
test -s /run/containers/0/auth.json
test "$(mine)" = puller
echo secret-of-pusher | "$SLIPWAY" login -u pusher --password-stdin "$HOST"
test "$(mine)" = pusher
"$SLIPWAY" logout "$HOST"
if mine; then exit 1; fi
mkdir -p "$HOME/.config/containers"
echo secret-of-puller | podman login --authfile "$HOME/.config/containers/auth.json" --tls-verify=false \
    -u puller --password-stdin "$HOST"
test "$(mine)" = puller
echo secret-of-pusher | "$SLIPWAY" login -u pusher --password-stdin "$HOST"
test "$(mine)" = pusher
"$SLIPWAY" logout "$HOST"
if mine; then exit 1; fi
"#;

#[test]
fn podman_without_a_session_has_the_login_and_the_logout() {
    let lab = Lab::new("sessionless");
    let settings = Settings {
        access: Some(Access::write(&lab)),
        ..Settings::default()
    };
    let server = Server::start(&lab, &settings);
    lab.program("unshare")
        .args(["--map-root-user", "--mount", "sh", "-exc", SESSIONLESS])
        .env("HOST", &server.endpoint().host)
        .env("SLIPWAY", server::binary())
        .ok();
}
