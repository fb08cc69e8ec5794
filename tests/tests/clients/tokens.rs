//! API tokens in the place of a password, and refresh tokens in the place of a login, with the clients that take them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::{Api, Image, Lab, OrFail, Program, Server, Settings, access, podman, server};

use crate::Scene;
use crate::crane::crane;
use crate::skopeo::{pull, push, skopeo};

fn scene(name: &str) -> Scene {
    let lab = Lab::new(name);
    let settings = Settings::guarded(&lab);
    let server = Server::start(&lab, &settings);
    Scene {
        at: server.endpoint().as_user("pusher"),
        _registry: Box::new(server),
        lab,
    }
}

/// The program as pusher, who is logged in.
fn slipway(scene: &Scene, words: &[&str]) -> Program {
    let logins = scene.lab.path("logins.json");
    let program = || {
        let program = scene.lab.program(&server::binary().display().to_string());
        let program = program.env("REGISTRY_AUTH_FILE", &logins);
        program.env("SLIPWAY_SERVER", &scene.at.host)
    };
    let ca = scene.at.ca.clone().or_fail("an authority");
    if !logins.exists() {
        let login = ["login", "--username", "pusher", "--password-stdin"];
        let login = program().args(login).arg("--ca-file").arg(&ca);
        login.stdin(access::password_of("pusher")).ok();
    }
    program().args(words)
}

fn token(scene: &Scene, verbs: &[&str]) -> String {
    let mut create = slipway(scene, &["token", "create", "--namespace", "team"]);
    for verb in verbs {
        create = create.args(["--verb", verb]);
    }
    create.ok().trim().to_owned()
}

#[test]
fn clients_push_and_pull_by_an_api_token_and_no_further_than_it_goes() {
    let mut scene = scene("api-token");
    let pusher = token(&scene, &["pull", "push"]);
    let puller = token(&scene, &["pull"]);
    let image = Image::busybox(&scene.lab, "app");
    let robot = |token: &str| Some(("robot".to_owned(), token.to_owned()));
    scene.at.login = robot(&pusher);
    push(&scene, &image, "team/app:v1").ok();
    // Its owner may push there too.
    push(&scene, &image, "public/app:v1").fails();
    let tags = crane(&scene, &scene.at)
        .args(["ls", &scene.at.image("team/app")])
        .ok();
    assert_eq!(tags.trim(), "v1");
    let catalog = crane(&scene, &scene.at)
        .args(["catalog", &scene.at.host])
        .ok();
    assert_eq!(catalog.trim(), "team/app");

    scene.at.login = robot(&puller);
    let back = pull(&scene, &scene.at, "team/app:v1", "back");
    assert_eq!(back.content("v1"), image.layout.content("v1"));
    push(&scene, &image, "team/app:v2").fails();
    skopeo(&scene, &scene.at, "delete", "--")
        .arg(format!("docker://{}", scene.at.image("team/app:v1")))
        .fails();

    let certificates = scene
        .at
        .ca
        .as_ref()
        .and_then(|ca| ca.parent())
        .or_fail("a folder");
    let certificates = format!("--cert-dir={}", certificates.display());
    let storage = podman::Storage::new(&scene.lab, "p");
    let login = [
        "login",
        "--username",
        "robot",
        "--password-stdin",
        &certificates,
    ];
    let name = scene.at.image("team/app:v1");
    storage
        .podman()
        .args(login)
        .arg(&scene.at.host)
        .stdin(puller.as_str())
        .ok();
    storage.podman().args(["pull", &certificates, &name]).ok();
    storage
        .podman()
        .args(["push", &certificates, &name, &scene.at.image("team/app:v3")])
        .fails();

    let listed = slipway(&scene, &["token", "list", "--json"]).ok();
    let listed: Value = serde_json::from_str(&listed).or_fail("JSON");
    let ids: Vec<_> = listed["items"].as_array().or_fail("items").iter().collect();
    assert_eq!(ids.len(), 2, "{listed}");
    for token in ids {
        slipway(
            &scene,
            &["token", "revoke", token["id"].as_str().or_fail("an id")],
        )
        .ok();
    }
    storage
        .podman()
        .args(["pull", &certificates, "--policy=always", &name])
        .fails();
}

/// As `docker login` leaves it in its configuration.
#[test]
fn clients_that_find_an_identity_token_in_dockers_configuration_use_it() {
    let scene = scene("identity-token");
    let image = Image::busybox(&scene.lab, "app");
    let path = "/auth/token?client_id=docker&offline_token=true&service=slipway";
    let granted = Api::new(&scene.at)
        .get(path)
        .or_fail("ask for a token")
        .expect(200);
    let granted: Value = serde_json::from_slice(&granted.body).or_fail("JSON");
    let refresh = granted["refresh_token"].as_str().or_fail("a refresh token");
    let entry = json!({"auth": STANDARD.encode("pusher:"), "identitytoken": refresh});
    let config = json!({"auths": {scene.at.host.clone(): entry}}).to_string();
    let config = scene.lab.write("docker-config/config.json", config);
    let nobody = scene.at.anonymous();
    let by_itself = Scene {
        at: nobody.clone(),
        ..scene
    };
    let scene = by_itself;

    push(&scene, &image, "team/app:v1").fails();
    push(&scene, &image, "team/app:v1")
        .arg("--authfile")
        .arg(&config)
        .ok();
    let name = scene.at.image("team/app:v1");
    crane(&scene, &nobody)
        .args(["copy", &name, &scene.at.image("team/copy:v1")])
        .ok();
    let tags = crane(&scene, &nobody)
        .args(["ls", &scene.at.image("team/copy")])
        .ok();
    assert_eq!(tags.trim(), "v1");
    let ca = scene.at.ca.clone().or_fail("an authority");
    let found = scene
        .lab
        .program("oras")
        .args(["repo", "tags", "--ca-file"])
        .arg(&ca);
    let found = found
        .arg("--registry-config")
        .arg(&config)
        .arg(scene.at.image("team/copy"))
        .ok();
    assert_eq!(found.trim(), "v1");
    let whoami = scene
        .lab
        .program(&server::binary().display().to_string())
        .args(["auth", "whoami", "--server", &scene.at.host, "--ca-file"])
        .arg(&ca)
        .arg("--authfile")
        .arg(&config)
        .ok();
    assert!(whoami.contains("user        pusher\n"), "{whoami}");
}
