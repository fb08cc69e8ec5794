//! Positions in lists, sealed for whoever is told them.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// What the keys are for (RFC 5869 §3.2): nothing else that is made of the same secrets is alike.
const PURPOSE: &[u8] = b"slipway: positions in the list of repositories";
const KEY_LEN: usize = 32;

/// Seals positions, and opens those that were sealed with any of its keys: AES-256-GCM, bound to whom it is for.
pub(crate) struct Positions {
    /// The last seals, all open; never empty.
    keys: Vec<RandomizedNonceKey>,
}

impl Positions {
    /// By secrets that several servers share, in the order in which they are known to them; `None` without any.
    pub(crate) fn shared<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let keys: Option<Vec<_>> = secrets.into_iter().map(derived).collect();
        keys.filter(|keys| !keys.is_empty())
            .map(|keys| Self { keys })
    }

    /// By a key that only this process has.
    pub(crate) fn own() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rand::fill(bytes.as_mut_slice()).ok()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice()).ok()?;
        Some(Self { keys: vec![key] })
    }

    /// `name` for `whose` alone.
    pub(super) fn seal(&self, name: &str, whose: &str) -> Option<String> {
        let mut text = name.as_bytes().to_vec();
        let key = self.keys.last()?;
        let nonce = key.seal_in_place_append_tag(Aad::from(whose.as_bytes()), &mut text);
        text.extend(nonce.ok()?.as_ref());
        Some(URL_SAFE_NO_PAD.encode(text))
    }

    /// What [`seal`](Self::seal) made for `whose`; `None` for anything else.
    pub(super) fn open(&self, sealed: &str, whose: &str) -> Option<String> {
        let mut text = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let nonce = text.split_off(text.len().checked_sub(NONCE_LEN)?);
        self.keys.iter().rev().find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
            let mut text = text.clone();
            let name = key.open_in_place(nonce, Aad::from(whose.as_bytes()), &mut text);
            String::from_utf8(name.ok()?.to_vec()).ok()
        })
    }
}

fn derived(secret: &[u8]) -> Option<RandomizedNonceKey> {
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(secret);
    let expanded = extracted.expand(&[PURPOSE], HKDF_SHA256).ok()?;
    expanded.fill(bytes.as_mut_slice()).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, bytes.as_slice()).ok()
}

impl fmt::Debug for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Positions(…)")
    }
}
