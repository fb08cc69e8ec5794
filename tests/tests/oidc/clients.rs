//! Real clients with an ID token in the password's place.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tests::podman::Storage;
use tests::{Api, Image, OrFail};

use super::{PEOPLE, Scene, pull};

#[test]
fn podman_and_skopeo_push_and_pull_by_the_rights_of_groups() {
    let scene = Scene::new("oidc-clients");
    let server = scene.registry();
    let (ada, bob, eve) = (
        scene.provider.id_token("ada"),
        scene.provider.id_token("bob"),
        scene.provider.id_token("eve"),
    );
    let host = &server.endpoint().host;
    let certificates = scene.authority.dir().display();
    let name = format!("{host}/team/app:v1");
    let skopeo = |verb: &str, side: &str, token: &str| {
        scene
            .lab
            .program("skopeo")
            .args([verb, &format!("--{side}cert-dir={certificates}")])
            .arg(format!("--{side}creds=anybody:{token}"))
    };
    let image = Image::busybox(&scene.lab, "app");
    let push = |token: &str, name: &str| {
        skopeo("copy", "dest-", token)
            .arg(format!("oci:{}", image.at()))
            .arg(format!("docker://{name}"))
    };
    push(&ada, &name).ok();
    // bob may only pull, eve nothing at all, and nobody elsewhere.
    for (token, name) in [
        (&bob, format!("{host}/team/app:v2")),
        (&eve, name.clone()),
        (&ada, format!("{host}/other/app:v1")),
    ] {
        let said = push(token, &name).fails();
        assert!(
            said.contains("denied") || said.contains("unauthorized"),
            "{said}"
        );
    }
    skopeo("inspect", "", &eve)
        .arg(format!("docker://{name}"))
        .fails();

    let storage = Storage::new(&scene.lab, "node");
    let login = |token: &str| {
        storage
            .podman()
            .args(["login", "--username=anybody", "--password-stdin"])
            .arg(format!("--cert-dir={certificates}"))
            .arg(host)
            .stdin(token)
    };
    login(&format!("{ada}x")).fails();
    login(&bob).ok();
    storage
        .podman()
        .arg("pull")
        .arg(format!("--cert-dir={certificates}"))
        .arg(&name)
        .ok();
    assert_eq!(storage.run(&name).ok().trim(), image.text.trim());
}

/// T11: who leaves a group has its rights no longer than the last token that names it.
#[test]
fn t11_a_new_token_without_the_group_has_no_rights_at_once() {
    let scene = Scene::new("oidc-groups");
    let server = scene.registry();
    let at = server.endpoint();
    let token = scene.provider.id_token("ada");
    Api::new(&at.with_token(&token)).push_image("team/app", "v1", &[b"layer".to_vec()]);
    pull(at, &token).expect(200);
    scene.provider.set_users(&[("ada", &["others"])]);
    pull(at, &scene.provider.id_token("ada")).expect(403);
    pull(at, &token).expect(200);
    scene.provider.set_users(PEOPLE);
    pull(at, &scene.provider.id_token("ada")).expect(200);
}

#[test]
fn a_token_for_another_client_is_refused() {
    let scene = Scene::new("oidc-audience");
    let server = scene.registry();
    let token = scene.provider.id_token_for("another", "ada");
    pull(server.endpoint(), &token).expect(401);
    let log = server.log();
    assert!(log.contains("it is for another audience"), "{log}");
    assert!(!log.contains(&token), "{log}");
}

#[test]
fn a_token_of_the_registry_ends_with_the_id_token() {
    let scene = Scene::new("oidc-end");
    let lifetime = "auth: {tokens: {lifetime: 1h}, ";
    let settings = tests::Settings {
        more: format!("{lifetime}{}}}\n", scene.oidc()),
        memory: true,
        ..tests::Settings::default()
    };
    let server = tests::Server::start(&scene.lab, &settings);
    let id_token = scene.provider.id_token("ada");
    let api = Api::new(&server.endpoint().with_token(&id_token));
    let path = "/auth/token?scope=repository:team/app:pull,push";
    let reply = api.get(path).or_fail("ask for a token").expect(200);
    let granted: Value = serde_json::from_slice(&reply.body).or_fail("JSON");
    let issued = claims(granted["token"].as_str().or_fail("a token"));
    let id = claims(&id_token);
    let subject = format!("{}#ada", scene.provider.issuer());
    assert_eq!(issued["sub"], subject.as_str());
    assert_eq!(issued["exp"], id["exp"]);
    let left = granted["expires_in"].as_u64().or_fail("a number");
    assert!((1..=600).contains(&left), "{left}");
    assert_eq!(issued["access"][0]["name"], "team/app");
}

pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).or_fail("a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).or_fail("base64url");
    serde_json::from_slice(&payload).or_fail("claims")
}
