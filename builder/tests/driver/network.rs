//! Where programs of a plan connect to, and whom they trust.

use std::net::{Ipv4Addr, SocketAddr};

use builder::AddressRules;
use builder::plan::Network;
use builder::s2i::User;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::image::{Tar, listing};
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
async fn roots_of_trust_are_there_while_building_and_in_no_image() {
    let roots = "THE ROOTS\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let lab = Lab::with(|settings| settings.certificates = Some(roots.as_bytes().to_vec())).await;
    let told = "head -n 1 $SSL_CERT_FILE; for name in REQUESTS_CA_BUNDLE PIP_CERT NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO CURL_CA_BUNDLE; do \
         eval \"[ \\$$name = $SSL_CERT_FILE ]\" || echo $name; done; case $JAVA_TOOL_OPTIONS in *trustStore=/run/slipway/*.jks*) ;; \
         *) echo java: $JAVA_TOOL_OPTIONS ;; esac; head -n 1 /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt";
    let assemble = format!("{told}; echo ok > out");
    // As Red Hat has it; the link leads to what is in the list, too.
    let stores = Tar::new()
        .folder("etc/ssl", 0o755, 0)
        .folder("etc/ssl/certs", 0o755, 0)
        .file(
            "etc/ssl/certs/ca-certificates.crt",
            0o644,
            0,
            "of the image",
        )
        .folder("etc/pki", 0o755, 0)
        .folder("etc/pki/tls", 0o755, 0)
        .folder("etc/pki/tls/certs", 0o755, 0)
        .link(
            "etc/pki/tls/certs/ca-bundle.crt",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        )
        .folder("etc/pki/ca-trust", 0o755, 0)
        .folder("etc/pki/ca-trust/extracted", 0o755, 0)
        .folder("etc/pki/ca-trust/extracted/pem", 0o755, 0)
        .file(
            "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            0o644,
            0,
            "of the image",
        )
        .bytes();
    let scripts = [("assemble", assemble.as_str()), RUN];
    let image = lab.builder("shop/builder:1", &scripts, &[stores]).await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.test = Some(["sh", "-c", told].map(str::to_owned).to_vec());
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
    assert!(!config.to_string().contains("JAVA"), "{config}");
    let once = "THE ROOTS\n==> /etc/ssl/certs/ca-certificates.crt <==\nTHE ROOTS\n\n\
                ==> /etc/pki/tls/certs/ca-bundle.crt <==\nTHE ROOTS";
    assert_eq!(ran.text(), format!("{once}\n{once}"));
}

/// Root inside can replace the image's store, as installing a package does.
#[tokio::test]
async fn root_has_the_images_store() {
    let lab = Lab::with(|settings| settings.certificates = Some(b"THE ROOTS\n".to_vec())).await;
    let assemble =
        "cd /etc/ssl/certs; cat ca-certificates.crt; echo new > next; mv next ca-certificates.crt";
    let store = Tar::new()
        .folder("etc/ssl", 0o755, 0)
        .folder("etc/ssl/certs", 0o755, 0)
        .file(
            "etc/ssl/certs/ca-certificates.crt",
            0o644,
            0,
            "of the image\n",
        )
        .bytes();
    let image = lab
        .builder("shop/builder:1", &[("assemble", assemble), RUN], &[store])
        .await;
    let mut asked = Lab::asked(&image, &lab.source(&[("x", "x")]));
    asked.request.assemble_user = Some(User::parse("0").unwrap());
    let mut ran = lab.run(asked).await;
    let found = listing(ran.built());
    assert_eq!(found["etc/ssl/certs/ca-certificates.crt"].1, "new\n");
    assert_eq!(ran.text(), "of the image");
}
