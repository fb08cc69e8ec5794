//! TLS by rustls, with certificates that change without a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::config;

/// How often the files are looked at. Polling also sees what file watches miss: the symbolic
/// links that Kubernetes swaps for Secrets, and network file systems.
const POLL: Duration = Duration::from_secs(2);

/// The present certificate and key.
#[derive(Debug)]
pub(super) struct Tls {
    files: config::Tls,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    pub(super) fn load(files: &config::Tls) -> anyhow::Result<Arc<Self>> {
        let current = ArcSwap::from(read(files)?);
        let files = files.clone();
        Ok(Arc::new(Self { files, current }))
    }

    /// An acceptor for one connection, with what is current now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    fn stamp(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files = [
            Some(&self.files.cert_file),
            Some(&self.files.key_file),
            self.files.client_ca_file.as_ref(),
        ];
        files.into_iter().flatten().map(stamp).collect()
    }
}

/// Takes over changed files. Files that cannot be used leave the old ones in force.
pub(super) fn reload_on_change(tasks: &TaskTracker, tls: &Arc<Tls>) {
    let tls = Arc::clone(tls);
    tasks.spawn(async move {
        let mut seen = tls.stamp();
        loop {
            tokio::time::sleep(POLL).await;
            let now = tls.stamp();
            if now == seen {
                continue;
            }
            match read(&tls.files) {
                Ok(config) => {
                    tls.current.store(config);
                    tracing::info!("TLS certificate reloaded");
                }
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "the changed TLS files are not usable; the old ones stay in force"
                ),
            }
            seen = now;
        }
    });
}

fn stamp(path: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(files: &config::Tls) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = certificates("tls.certFile", &files.cert_file)?;
    let key = content("tls.keyFile", &files.key_file)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .with_context(|| format!("tls.keyFile: {}", files.key_file.display()))?;
    let builder = ServerConfig::builder();
    let builder = match &files.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls.clientCaFile", path)? {
                roots
                    .add(certificate)
                    .with_context(|| format!("tls.clientCaFile: {}", path.display()))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .with_context(|| format!("tls.clientCaFile: {}", path.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).with_context(|| {
        format!(
            "tls: the key in {} does not belong to the certificate in {}",
            files.key_file.display(),
            files.cert_file.display()
        )
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(key: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let place = || format!("{key}: {}", path.display());
    let pem = content(key, path)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .with_context(place)?;
    anyhow::ensure!(!chain.is_empty(), "{}: no certificate in it", place());
    Ok(chain)
}

fn content(key: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        let error = anyhow::Error::from(error).context(path.display().to_string());
        config::unusable(key, path, error)
    })
}
