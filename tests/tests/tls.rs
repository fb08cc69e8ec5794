//! What `curl` sees of the registry's TLS.

use tests::{Lab, OrFail, Program, Server, Settings, tls};

fn start(lab: &Lab, mutual: bool) -> (Server, tls::Authority) {
    let authority = tls::Authority::new(lab);
    let settings = Settings {
        tls: Some((
            authority.certificate.clone(),
            authority.issue(lab, "server"),
        )),
        client_ca: mutual.then(|| authority.certificate.clone()),
        ..Settings::default()
    };
    // Ready cannot be asked for without a client's certificate: a first answer of curl is awaited instead.
    let mut server = Server::launch(lab, &settings);
    let port_open = server.endpoint().host.clone();
    server
        .daemon()
        .wait_until(|| std::net::TcpStream::connect(&port_open).is_ok());
    (server, authority)
}

fn curl(lab: &Lab, server: &Server, authority: &tls::Authority) -> Program {
    lab.program("curl")
        .args(["--silent", "--show-error", "--fail", "--cacert"])
        .arg(&authority.certificate)
        .arg(server.endpoint().url("/v2/"))
}

#[test]
fn a_client_gets_in_with_a_certificate_of_the_named_authority_and_not_without() {
    let lab = Lab::new("mtls");
    let (server, authority) = start(&lab, true);
    let with = |certificate: &tls::Certificate| {
        curl(&lab, &server, &authority)
            .arg("--cert")
            .arg(&certificate.cert)
            .arg("--key")
            .arg(&certificate.key)
    };
    with(&authority.issue(&lab, "client")).ok();
    curl(&lab, &server, &authority).fails();

    // Another authority's certificate, in a lab of its own so that it does not replace the first.
    let elsewhere = Lab::new("mtls-other");
    let other = tls::Authority::new(&elsewhere);
    with(&other.issue(&elsewhere, "client")).fails();
    with(&authority.issue(&lab, "client")).ok();
}

#[test]
fn http_2_is_spoken_over_tls_and_http_1_to_who_asks_for_it() {
    let lab = Lab::new("alpn");
    let (server, authority) = start(&lab, false);
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let said = curl(&lab, &server, &authority)
            .args([
                flag,
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_version}",
            ])
            .ok();
        assert_eq!(said, version);
    }
}

#[test]
fn old_versions_of_tls_and_plain_http_are_refused() {
    let lab = Lab::new("old-tls");
    let (server, authority) = start(&lab, false);
    for version in ["1.0", "1.1"] {
        curl(&lab, &server, &authority)
            .args(["--tls-max", version])
            .fails();
    }
    for version in ["1.2", "1.3"] {
        curl(&lab, &server, &authority)
            .args(["--tls-max", version])
            .ok();
    }
    let plain = format!("http://{}/v2/", server.endpoint().host);
    lab.program("curl")
        .args(["--silent", "--fail", &plain])
        .fails();
}

#[test]
fn a_key_that_does_not_fit_its_certificate_is_refused_at_the_start() {
    let lab = Lab::new("tls-mismatch");
    let authority = tls::Authority::new(&lab);
    let [mut own, other] = ["server", "other"].map(|name| authority.issue(&lab, name));
    own.key = other.key;
    let settings = Settings {
        tls: Some((authority.certificate.clone(), own)),
        ..Settings::default()
    };
    let mut server = Server::launch(&lab, &settings);
    assert!(!server.daemon().wait().success());
    let log = server.log();
    assert!(
        log.contains("other.key") || log.contains("server.crt"),
        "the refusal names a file:\n{log}"
    );
    std::fs::metadata(lab.path("server.crt")).or_fail("the certificate is still there");
}
