//! Where programs of a plan connect to, and whom they trust.

use std::net::{Ipv4Addr, SocketAddr};

use builder::AddressRules;
use builder::plan::Network;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::image::listing;
use super::lab::Lab;

const RUN: (&str, &str) = ("run", "true");

/// A server of the host that answers every request.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream
                .write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
                .await;
        }
    });
    address
}

fn everywhere() -> AddressRules {
    AddressRules::allowing(vec!["0.0.0.0/0".parse().unwrap()])
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_reach_what_the_plan_and_the_settings_allow() {
    let port = server().await.port();
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = name.trim();
    if std::net::ToSocketAddrs::to_socket_addrs(&(name, port)).is_err() {
        tests::fail(format!(
            "this machine's name has no address: add {name} to /etc/hosts"
        ));
    }
    // Full egress asks the machine's name servers, which need not know the machine's own name.
    let address = tests::machine::private_address();
    let assemble = format!(
        "wget -q -O name http://{name}:{port}/ || echo no > name; \
         wget -q -O address http://{address}:{port}/ || echo no > address; \
         wget -q -O metadata http://169.254.169.254/ || echo no > metadata"
    );
    let registry = || vec![format!("{name}:{port}").parse().unwrap()];
    for (network, registries, file, wanted) in [
        (Network::None, registry(), "name", "no\n"),
        (Network::None, registry(), "address", "no\n"),
        (Network::RegistriesOnly, registry(), "name", "hello\n"),
        (Network::RegistriesOnly, registry(), "address", "no\n"),
        (Network::RegistriesOnly, Vec::new(), "name", "no\n"),
        (Network::Full, Vec::new(), "address", "hello\n"),
    ] {
        let lab = Lab::with(|settings| {
            settings.registries = registries;
            settings.addresses = everywhere();
        });
        let lab = lab.await;
        let scripts = [("assemble", &*assemble), RUN];
        let image = lab.builder("shop/builder:1", &scripts, &[]).await;
        let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
        asked.request.network = network;
        let mut ran = lab.run(asked).await;
        let found = listing(ran.built());
        let file = format!("opt/app/{file}");
        assert_eq!(found[&file].1, wanted, "{network:?} {file}: {}", ran.text());
        assert_eq!(found["opt/app/metadata"].1, "no\n", "{network:?}");
        let refused = ran
            .text()
            .contains("not allowed by the build's network policy");
        assert_eq!(refused, network != Network::None, "{}", ran.text());
    }
}

#[tokio::test]
async fn roots_of_trust_are_there_while_building_and_nowhere_else() {
    let lab = Lab::with(|settings| settings.certificates = Some(b"THE ROOTS\n".to_vec())).await;
    let assemble = "cat $SSL_CERT_FILE; for name in REQUESTS_CA_BUNDLE PIP_CERT NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO CURL_CA_BUNDLE; do \
         eval \"[ \\$$name = $SSL_CERT_FILE ]\"; done; echo ok > out";
    let image = lab.assembling(assemble).await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.test = Some(
        ["sh", "-c", "! env | grep CERT && [ ! -e /run/slipway ]"]
            .map(str::to_owned)
            .to_vec(),
    );
    let mut ran = lab.run(asked).await;
    let built = ran.built();
    let names: Vec<_> = listing(built).into_keys().collect();
    assert_eq!(
        names,
        [
            "opt/",
            "opt/app/",
            "opt/app/out",
            "tmp/",
            "tmp/src/",
            "tmp/src/x"
        ]
    );
    let config: Value = serde_json::from_slice(&built.config).unwrap();
    assert!(!config.to_string().contains("CERT"), "{config}");
    assert_eq!(ran.text(), "THE ROOTS");
}
