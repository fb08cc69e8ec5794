//! How secrets are sealed.
//!
//! A sealed text is `1.<key's id>.<base64>` of a nonce, what was sealed, and a tag: AES-256-GCM-SIV (RFC 8452), which stays
//! safe should a nonce ever come twice. The record that it belongs to is sealed in: moved to another, it does not open.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::ledger::Key;

#[cfg(test)]
mod tests;

/// The form of sealed texts.
const FORM: &str = "1";
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a key's id.
const ID_BYTES: usize = 8;
/// Largest file of keys, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// The keys of a server. The last one seals, all of them open.
pub struct SecretKeys {
    keys: Vec<SecretKey>,
}

struct SecretKey {
    id: String,
    key: RandomizedNonceKey,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum LoadKeysError {
    /// The file cannot be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is in it is no key.
    #[error(
        "{}: line {line} is no key: a key is 32 random bytes in base64 (`openssl rand -base64 32`), one on a line, the last \
         one seals",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// There is nothing in it.
    #[error("{}: holds no key: remove it to have one made, if nothing was sealed yet", .0.display())]
    Empty(PathBuf),
}

/// Why something is not sealed or does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed by a key that is not in the file.
    #[error(
        "it was sealed with the key {0}, which is not in builder.secretKeyFile: put that key back, or make the secret anew"
    )]
    UnknownKey(String),
    /// It is not what was sealed, or was sealed as another record.
    #[error("what is sealed was changed, or belongs to another secret: make the secret anew")]
    Altered,
    /// The machine gives no random numbers.
    #[error("it cannot be sealed: there are no random numbers to be had")]
    Randomness,
}

impl SecretKeys {
    /// Reads the keys; makes the file with one key, for its owner only, where there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, LoadKeysError> {
        let io = |source| LoadKeysError::Io {
            path: path.to_owned(),
            source,
        };
        if !path.try_exists().map_err(io)? {
            create(path).map_err(io)?;
        }
        Self::load(path)
    }

    /// Reads the keys; makes none.
    pub fn load(path: &Path) -> Result<Self, LoadKeysError> {
        let text = read(path).map_err(|source| LoadKeysError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut keys = Vec::new();
        for (line, text) in text.lines().enumerate() {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = SecretKey::parse(text).ok_or_else(|| LoadKeysError::Malformed {
                path: path.to_owned(),
                line: line + 1,
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(LoadKeysError::Empty(path.to_owned()));
        }
        Ok(Self { keys })
    }

    /// Seals `content` as part of a record.
    pub fn seal(&self, record: &Key, content: &[u8]) -> Result<String, SealError> {
        let newest = self.keys.last().ok_or(SealError::Randomness)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + content.len() + MAX_TAG_LEN);
        sealed.extend_from_slice(content);
        let nonce = newest
            .key
            .seal_in_place_append_tag(Aad::from(context(record)), &mut sealed)
            .map_err(|_| SealError::Randomness)?;
        sealed.splice(..0, *nonce.as_ref());
        let sealed = URL_SAFE_NO_PAD.encode(sealed);
        Ok(format!("{FORM}.{}.{sealed}", newest.id))
    }

    /// Opens what was sealed as part of this record.
    pub fn open(&self, record: &Key, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut parts = sealed.splitn(3, '.');
        let (Some(FORM), Some(id), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SealError::Altered);
        };
        let by = self.keys.iter().find(|key| key.id == id);
        let by = by.ok_or_else(|| SealError::UnknownKey(id.chars().take(32).collect()))?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        let mut bytes = Zeroizing::new(bytes.map_err(|_| SealError::Altered)?);
        let Some((nonce, content)) = bytes.split_first_chunk_mut::<NONCE_LEN>() else {
            return Err(SealError::Altered);
        };
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = by
            .key
            .open_in_place(nonce, Aad::from(context(record)), content)
            .map_err(|_| SealError::Altered)?;
        Ok(Zeroizing::new(opened.to_vec()))
    }
}

impl SecretKey {
    fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        if bytes.len() != KEY_BYTES {
            return None;
        }
        // Told of the key, and telling nothing of it.
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &bytes),
            b"slipway secret key id",
        );
        let id = tag.as_ref().get(..ID_BYTES)?;
        Some(Self {
            id: URL_SAFE_NO_PAD.encode(id),
            key: RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes).ok()?,
        })
    }
}

/// What is sealed in beside the content. The lengths keep (`a`, `b/c`) and (`a/b`, `c`) apart.
fn context(record: &Key) -> Vec<u8> {
    let mut context = b"slipway secret\0".to_vec();
    for part in [record.kind.as_str(), &record.namespace, &record.name] {
        context.extend((part.len() as u64).to_le_bytes());
        context.extend(part.as_bytes());
    }
    context
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let metadata = fs::metadata(path)?;
    if metadata.len() > MAX_FILE {
        return Err(io::Error::other("too long for a file of keys"));
    }
    if metadata.mode() & 0o007 != 0 {
        let path = path.display();
        tracing::warn!("everybody on this machine can read {path}: chmod o-rwx {path}");
    }
    fs::read_to_string(path).map(Zeroizing::new)
}

/// Makes the file with one fresh key, whole or not at all. Whoever was quicker has made one as good.
fn create(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    rand::fill(&mut *key).map_err(|_| io::Error::other("no random numbers"))?;
    let text = Zeroizing::new(STANDARD.encode(*key));
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // tempfile makes it with mode 0600.
    let mut staged = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(
        staged,
        "# Seals the secrets of builds. Keep a copy: without it they are lost.\n{}",
        *text
    )?;
    staged.as_file().sync_all()?;
    match staged.persist_noclobber(path) {
        Ok(_) => fs::File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(|key| &key.id);
        f.debug_list().entries(ids).finish()
    }
}
