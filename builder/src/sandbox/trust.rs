//! Roots of trust for the tools of a build.

/// Where the bundle is mounted.
pub(super) const BUNDLE: &str = "/run/slipway/certificates.pem";

/// The variables by which tools are told where roots of trust are: OpenSSL and Go, curl, git, pip, requests, Node.js, Cargo, the
/// AWS tools. Java knows none: its trust store is a file of its own format, which a build image must bring
/// (`keytool -importcert`), or `-Djavax.net.ssl.trustStore` in `JAVA_TOOL_OPTIONS`.
pub(super) const VARIABLES: &[&str] = &[
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
];
