//! A provider that is away, slow, or talks nonsense.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tests::{Lab, OrFail, Provider, Proxy, Server, Settings, Weather, tls, until};

use super::pull;

/// A provider behind a proxy, and somebody's token.
struct Scene {
    lab: Lab,
    provider: Provider,
    proxy: Proxy,
    token: String,
}

fn scene(name: &str) -> Scene {
    let lab = Lab::new(name);
    let authority = tls::Authority::new(&lab);
    let port = lab.port();
    let proxy = Proxy::start(&format!("127.0.0.1:{port}"), &authority.certificate);
    let issuer = format!("http://{}", proxy.address());
    let provider = Provider::start_as(&lab, &authority, port, &issuer);
    provider.set_users(&[("ada", &["devs"])]);
    let token = provider.id_token("ada");
    Scene {
        lab,
        provider,
        proxy,
        token,
    }
}

impl Scene {
    fn registry(&self) -> Server {
        let issuer = self.provider.issuer();
        let settings = Settings {
            more: format!("auth: {{oidc: [{{issuer: '{issuer}', clientId: slipway}}]}}\n"),
            memory: true,
            ..Settings::default()
        };
        Server::start(&self.lab, &settings)
    }
}

#[test]
fn a_server_starts_without_its_provider_and_takes_tokens_when_it_is_back() {
    let scene = scene("oidc-weather");
    for weather in [
        Weather::Down,
        Weather::Garbage(200),
        Weather::Garbage(500),
        Weather::Endless,
    ] {
        scene.proxy.set(weather);
        let server = scene.registry();
        let at = server.endpoint();
        let reply = pull(at, &scene.token).expect(503);
        let retry_after: u32 = reply.header("retry-after").parse().or_fail("Retry-After");
        assert!(
            (1..=60).contains(&retry_after),
            "{weather:?}: {retry_after}"
        );
        pull(at, "no token").expect(401);
        scene.proxy.set(Weather::Fair);
        // There is no such image: whoever is told so was let in.
        until(&format!("recovery from {weather:?}"), || {
            pull(at, &scene.token).status == 404
        });
        // Known keys go on when it is away again.
        scene.proxy.set(weather);
        pull(at, &scene.token).expect(404);
        pull(at, &scene.provider.id_token("ada")).expect(404);
        let log = server.log();
        assert!(log.contains("no keys from the issuer"), "{log}");
        assert!(!log.contains(&scene.token), "{log}");
    }
}

/// T12: whoever makes up key ids does not make the registry flood the provider.
#[test]
fn t12_made_up_key_ids_are_asked_for_once() {
    let scene = scene("oidc-flood");
    let server = scene.registry();
    let at = server.endpoint();
    pull(at, &scene.token).expect(404);
    scene.proxy.take("");
    let parts: Vec<&str> = scene.token.split('.').collect();
    for number in 0..300 {
        let header = format!(r#"{{"alg":"RS256","kid":"made up {number}"}}"#);
        let header = URL_SAFE_NO_PAD.encode(header);
        let forged = format!("{header}.{}.{}", parts[1], parts[2]);
        let status = pull(at, &forged).status.as_u16();
        assert!(status == 401 || status == 503, "{status}");
    }
    let asked = scene.proxy.take("/keys").len();
    // The minute may turn while they come.
    assert!(asked <= 2, "{asked}");
    pull(at, &scene.token).expect(404);
}
