use std::process::Command;

use super::*;

fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn what_the_build_says_counts() {
    let said = |options: &str| {
        let mut variables = BTreeMap::from([
            ("PIP_CERT".to_owned(), "/own.pem".to_owned()),
            (JAVA_OPTIONS.to_owned(), options.to_owned()),
        ]);
        tell(&mut variables, true);
        assert_eq!(variables["PIP_CERT"], "/own.pem");
        assert_eq!(variables["SSL_CERT_FILE"], BUNDLE);
        variables[JAVA_OPTIONS].clone()
    };
    let ours = "-Djavax.net.ssl.trustStore=/run/slipway/certificates.jks -Djavax.net.ssl.trustStoreType=JKS \
                -Djavax.net.ssl.trustStorePassword=changeit";
    assert_eq!(said(""), ours);
    assert_eq!(said("-Xmx1g"), format!("-Xmx1g {ours}"));
    let own = "-Djavax.net.ssl.trustStore=/own.jks";
    assert_eq!(said(own), own);

    let own = BTreeMap::from([(OPENSSL.to_owned(), "/own.pem".to_owned())]);
    for (mut variables, has_java_store) in [(BTreeMap::new(), false), (own, true)] {
        tell(&mut variables, has_java_store);
        assert!(!variables.contains_key(JAVA_OPTIONS), "{variables:?}");
    }
}

/// Java itself reads the store, checks its hash, and has the same certificates as the bundle.
#[test]
fn java_reads_the_store() {
    assert_eq!(java_store(b"no certificate"), None);
    if !has("openssl") || !has("keytool") {
        println!("skipped: needs openssl and keytool (openjdk-17-jre-headless)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut bundle = Vec::new();
    for name in ["one", "two"] {
        let file = folder.path().join(name);
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            ])
            .args([
                "-subj",
                &format!("/CN={name}"),
                "-keyout",
                "/dev/null",
                "-out",
            ])
            .arg(&file)
            .output();
        assert!(made.unwrap().status.success());
        bundle.extend(std::fs::read(&file).unwrap());
    }
    let store = folder.path().join("store");
    std::fs::write(&store, java_store(&bundle).unwrap()).unwrap();
    let list = |password: &str| {
        let mut command = Command::new("keytool");
        command.args(["-list", "-rfc", "-storetype", "JKS", "-storepass", password]);
        let output = command.arg("-keystore").arg(&store).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (read, listed) = list(PASSWORD);
    assert!(read, "{listed}");
    assert_eq!(listed.matches("Entry type: trustedCertEntry").count(), 2);
    // One layout of PEM to compare by.
    let plain = |pem: &[u8]| {
        let mut found: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .map(|one| one.unwrap().to_vec())
            .collect();
        found.sort();
        found
    };
    assert_eq!(plain(listed.as_bytes()), plain(&bundle));
    assert!(!list("another").0, "its hash is looked at");
}
