//! Users, policy, tokens and certificates that the servers are configured with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{CertificateParams, CertifiedKey, ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use serde_json::json;

/// The only user.
pub(crate) const USER: &str = "bench";
/// Its password; servers listen on loopback only, for the time of the run.
const PASSWORD: &str = "bench-password";
/// What `htpasswd -B` uses by default, the cheapest that users of the peers have.
const BCRYPT_COST: u32 = 5;

/// A self-signed certificate for 127.0.0.1 in PEM files.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// The certificate.
    pub(crate) file: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
    /// The certificate again, for the client to trust.
    pub(crate) der: CertificateDer<'static>,
    key_pem: String,
}

impl Certificate {
    /// Makes one in a folder.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params
            .subject_alt_names
            .push(SanType::IpAddress([127, 0, 0, 1].into()));
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        let signing_key = KeyPair::generate()?;
        let cert = params.self_signed(&signing_key)?;
        let made = CertifiedKey { cert, signing_key };
        let (file, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        fs::write(&file, made.cert.pem())?;
        let key_pem = made.signing_key.serialize_pem();
        fs::write(&key, &key_pem)?;
        Ok(Self {
            file,
            key,
            der: made.cert.der().clone(),
            key_pem,
        })
    }
}

/// Who may do what: one user with every right.
#[derive(Debug)]
pub(crate) struct Access {
    /// The htpasswd file.
    pub(crate) htpasswd: PathBuf,
    /// The folder with Slipway's policy.
    pub(crate) rbac: PathBuf,
    /// The key and certificate that sign tokens for those peers that trust a token server.
    pub(crate) signer: Certificate,
}

/// The issuer and service of tokens that this program signs.
pub(crate) const ISSUER: &str = "bench";

impl Access {
    /// Writes the files into a folder.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let (htpasswd, rbac, signer) = (
            folder.join("htpasswd"),
            folder.join("rbac"),
            folder.join("signer"),
        );
        // `2y` is what htpasswd writes and what every peer reads.
        let hash = bcrypt::hash_with_result(PASSWORD, BCRYPT_COST)?
            .format_for_version(bcrypt::Version::TwoY);
        fs::write(&htpasswd, format!("{USER}:{hash}\n"))?;
        fs::create_dir_all(&rbac)?;
        fs::write(rbac.join("bench.yaml"), POLICY)?;
        fs::create_dir_all(&signer)?;
        let signer = Certificate::make(&signer)?;
        Ok(Self {
            htpasswd,
            rbac,
            signer,
        })
    }

    /// The `Authorization` header of the user and password.
    pub(crate) fn basic() -> String {
        format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
    }

    /// A token in the form of the distribution project's token specification, valid for an hour.
    /// <https://distribution.github.io/distribution/spec/auth/jwt/>
    ///
    /// # Errors
    /// The clock stands before 1970.
    pub(crate) fn sign(&self, repo: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": USER, "aud": ISSUER, "jti": "1",
            "iat": now, "nbf": now - 10, "exp": now + 3600,
            "access": [{"type": "repository", "name": repo, "actions": ["pull", "push"]}],
        });
        let mut header = Header::new(Algorithm::ES256);
        header.x5c = Some(vec![STANDARD.encode(&self.signer.der)]);
        let key =
            EncodingKey::from_ec_pem(self.signer.key_pem.as_bytes()).context("the signing key")?;
        Ok(format!(
            "Bearer {}",
            jsonwebtoken::encode(&header, &claims, &key)?
        ))
    }
}

const POLICY: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bench}
rules:
- apiGroups: [registry.alauda.io]
  resources: [images]
  verbs: [get, create, update, delete]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bench}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: bench}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: bench}
";
