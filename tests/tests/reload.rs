//! Certificates, users and rights change under a running server, as an operator changes them: by writing files.

use std::time::{Duration, Instant};

use tests::{Access, Api, Endpoint, Lab, OrFail, Server, Settings, access, daemon, tls};

/// Waits for a change to take effect.
#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < daemon::PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The serial number of the certificate that the server presents.
fn serial(lab: &Lab, at: &Endpoint) -> String {
    let shown = lab
        .program("openssl")
        .args(["s_client", "-connect", &at.host, "-servername", "localhost"])
        .ok();
    lab.program("openssl")
        .args(["x509", "-noout", "-serial"])
        .stdin(shown)
        .ok()
}

fn status(api: &Api, path: &str) -> u16 {
    api.get(path).or_fail(path).status.as_u16()
}

#[test]
fn a_renewed_certificate_is_presented_without_a_restart_and_a_broken_one_is_not() {
    let lab = Lab::new("reload-tls");
    let authority = tls::Authority::new(&lab);
    let settings = Settings {
        tls: Some((
            authority.certificate.clone(),
            authority.issue(&lab, "server"),
        )),
        ..Settings::default()
    };
    let mut server = Server::start(&lab, &settings);
    let at = server.endpoint().clone();
    let first = serial(&lab, &at);

    authority.issue(&lab, "server");
    until("the renewed certificate is presented", || {
        serial(&lab, &at) != first
    });
    let renewed = serial(&lab, &at);

    let kept = std::fs::read(lab.path("server.crt")).or_fail("read the certificate");
    let logged = server.log().len();
    lab.write("server.crt", "this is no certificate\n");
    until("the log names the bad file", || {
        server.log()[logged..].contains("server.crt")
    });
    assert_eq!(serial(&lab, &at), renewed, "a broken file changes nothing");
    lab.write("server.crt", kept);
    let _ = Api::new(&at)
        .get("/v2/")
        .or_fail("still serves")
        .expect(200);
    server.stop();
}

#[test]
fn a_user_added_to_htpasswd_gets_in_and_a_removed_one_is_locked_out() {
    let lab = Lab::new("reload-users");
    let settings = Settings {
        access: Some(Access::write(&lab)),
        ..Settings::default()
    };
    let server = Server::start(&lab, &settings);
    let path = "/v2/team/app/tags/list";
    let newcomer = Api::new(&server.endpoint().as_user("newcomer"));
    assert_eq!(status(&newcomer, "/v2/"), 401);

    let before = std::fs::read_to_string(lab.path("htpasswd")).or_fail("read htpasswd");
    let line = access::htpasswd_line(&lab, "newcomer", &access::password_of("newcomer"));
    lab.write("htpasswd", format!("{before}{line}"));
    until("the newcomer is known", || status(&newcomer, "/v2/") == 200);

    let puller = Api::new(&server.endpoint().as_user("puller"));
    assert_eq!(
        status(&puller, path),
        404,
        "known, and nothing is there yet"
    );
    let without: Vec<&str> = before
        .lines()
        .filter(|line| !line.starts_with("puller:"))
        .collect();
    lab.write("htpasswd", without.join("\n") + "\n");
    until("the removed user is locked out", || {
        status(&puller, "/v2/") == 401
    });
}

#[test]
fn a_binding_written_to_the_folder_gives_a_right_and_its_removal_takes_it() {
    let lab = Lab::new("reload-rbac");
    let settings = Settings {
        access: Some(Access::write(&lab)),
        ..Settings::default()
    };
    let server = Server::start(&lab, &settings);
    let pusher = Api::new(&server.endpoint().as_user("pusher"));
    pusher.push_image("team/app", "v1", &[b"a layer".to_vec()]);
    let stranger = Api::new(&server.endpoint().as_user("stranger"));
    let path = "/v2/team/app/tags/list";
    let refused = status(&stranger, path);
    assert!([401, 403, 404].contains(&refused), "{refused}");

    let file = lab.write(
        "rbac/more.yaml",
        access::binding("team", "image-puller", "stranger"),
    );
    until("the new binding counts", || status(&stranger, path) == 200);
    std::fs::remove_file(file).or_fail("remove the binding");
    until("the removed binding counts no more", || {
        status(&stranger, path) == refused
    });
}
