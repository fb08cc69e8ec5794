//! A certificate authority and server certificates for a lab.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::{Lab, OrFail};

/// An authority of its own whose certificates name `localhost` and both loopback addresses.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate, PEM.
    pub certificate: PathBuf,
}

/// A certificate and its key, PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority; its certificate is `tls/ca.crt` in the lab, alone in its folder, as
    /// containers/image's `--cert-dir` wants it.
    pub fn new(lab: &Lab) -> Self {
        let key = KeyPair::generate().or_fail("make a key");
        let mut params = CertificateParams::new(Vec::new()).or_fail("authority");
        params
            .distinguished_name
            .push(DnType::CommonName, "Slipway lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let own = params.self_signed(&key).or_fail("sign the authority");
        Self {
            certificate: lab.write("tls/ca.crt", own.pem()),
            issuer: Issuer::new(params, key),
        }
    }

    /// The folder that holds the authority's certificate and nothing else.
    pub fn dir(&self) -> &Path {
        self.certificate.parent().or_fail("the authority's folder")
    }

    /// Writes a server certificate and its key to `PREFIX.crt` and `PREFIX.key` in the lab, over any that stand there.
    pub fn issue(&self, lab: &Lab, prefix: &str) -> Certificate {
        let key = KeyPair::generate().or_fail("make a key");
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).or_fail("certificate");
        params.distinguished_name.push(DnType::CommonName, prefix);
        let signed = params
            .signed_by(&key, &self.issuer)
            .or_fail("sign a certificate");
        Certificate {
            key: lab.write(format!("{prefix}.key"), key.serialize_pem()),
            cert: lab.write(format!("{prefix}.crt"), signed.pem()),
        }
    }
}
