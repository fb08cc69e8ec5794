//! Roots of trust for the tools of a build.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

#[cfg(test)]
mod tests;

/// Where the bundle is mounted.
pub(super) const BUNDLE: &str = "/run/slipway/certificates.pem";
/// Where the same is mounted for Java.
pub(super) const JAVA_STORE: &str = "/run/slipway/certificates.jks";

/// The variables by which tools are told where roots of trust are: OpenSSL and Go, curl, git, pip, requests, Node.js, Cargo, the
/// AWS tools.
const VARIABLES: &[&str] = &[
    OPENSSL,
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
];

const OPENSSL: &str = "SSL_CERT_FILE";

/// What tools that read no variable read (`GnuTLS`, apt, .NET): Debian's and Alpine's bundle, Red Hat's, SUSE's. Where an image has
/// them, the bundle is mounted over them, so that no layer has it.
pub(super) const SYSTEM_STORES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The options of every Java program.
const JAVA_OPTIONS: &str = "JAVA_TOOL_OPTIONS";
const TRUST_STORE: &str = "-Djavax.net.ssl.trustStore";
const PASSWORD: &str = "changeit";

/// Tells tools where the bundle is; Java, where its store is if there is one. What the build says itself counts: a bundle of its
/// own is for Java, too, if `assemble` makes a store of it.
pub(super) fn tell(variables: &mut BTreeMap<String, String>, has_java_store: bool) {
    let has_own = variables.contains_key(OPENSSL);
    for name in VARIABLES {
        let place = variables.entry((*name).to_owned());
        place.or_insert_with(|| BUNDLE.to_owned());
    }
    if !has_java_store || has_own {
        return;
    }
    let options = variables.entry(JAVA_OPTIONS.to_owned()).or_default();
    if !options.contains(TRUST_STORE) {
        let ours = format!(
            "{TRUST_STORE}={JAVA_STORE} {TRUST_STORE}Type=JKS {TRUST_STORE}Password={PASSWORD}"
        );
        let both = format!("{options} {ours}");
        both.trim_start().clone_into(options);
    }
}

/// Whether a line is what every Java program says first of the options that [`tell`] gives it: of nothing that the build did.
pub(crate) fn is_javas_note(line: &str) -> bool {
    let rest = line
        .strip_prefix("Picked up ")
        .and_then(|rest| rest.strip_prefix(JAVA_OPTIONS));
    rest.is_some_and(|options| options.starts_with(": ") && options.contains(JAVA_STORE))
}

/// The certificates of a bundle (PEM) as a trust store of Java's, which reads no PEM; none if there are no certificates in it.
///
/// The format is JKS, which every Java reads: a header, an entry for each certificate, and a hash of it all with a password that
/// is no secret. Source: `sun.security.provider.JavaKeyStore` of `OpenJDK`; all numbers are big-endian.
pub(super) fn java_store(bundle: &[u8]) -> Option<Vec<u8>> {
    const MAGIC: u32 = 0xFEED_FEED;
    const VERSION: u32 = 2;
    const TRUSTED_CERTIFICATE: u32 = 2;
    const NO_DATE: u64 = 0;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(bundle)
        .filter_map(Result::ok)
        .collect();
    let mut store = Vec::with_capacity(bundle.len());
    store.extend(MAGIC.to_be_bytes());
    store.extend(VERSION.to_be_bytes());
    store.extend(u32::try_from(certificates.len()).ok()?.to_be_bytes());
    for (number, certificate) in certificates.iter().enumerate() {
        store.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        text(&mut store, &format!("root-{number}"))?;
        store.extend(NO_DATE.to_be_bytes());
        text(&mut store, "X.509")?;
        store.extend(u32::try_from(certificate.len()).ok()?.to_be_bytes());
        store.extend_from_slice(certificate);
    }
    let password = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes);
    let hashed: Vec<u8> = password
        .chain(*b"Mighty Aphrodite")
        .chain(store.iter().copied())
        .collect();
    store.extend(digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed).as_ref());
    (!certificates.is_empty()).then_some(store)
}

/// As `java.io.DataOutput.writeUTF` writes ASCII.
fn text(store: &mut Vec<u8>, text: &str) -> Option<()> {
    store.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    store.extend(text.bytes());
    Some(())
}
