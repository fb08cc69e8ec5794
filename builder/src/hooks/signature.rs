//! Who calls: a secret is shown or has signed.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use zeroize::Zeroizing;

use crate::driver::SecretFiles;
use crate::records::HookKind;

/// How far a signed time may lie from this machine's, before or after.
pub const WINDOW: Duration = Duration::from_secs(300);

/// Longest id of a delivery that is noted.
const MAX_ID: usize = 128;

/// The secrets that a call may be signed with.
pub struct Keys(Vec<Zeroizing<Vec<u8>>>);

impl Keys {
    /// The files of a secret that sign: the one in use, and the one that follows it while it is being changed.
    pub const FILES: [&str; 2] = ["webhook-secret", "webhook-secret-next"];

    /// Shortest secret, in bytes: what is shorter can be guessed from one call.
    pub const MIN_BYTES: usize = 16;

    /// Those of a secret: its files `webhook-secret` and `webhook-secret-next`, without the line's end that editors leave. `None`
    /// if it has neither, or one that is shorter than 16 bytes.
    pub fn of(files: &SecretFiles) -> Option<Self> {
        let mut keys = Vec::new();
        for file in Self::FILES {
            let Some(content) = files.0.get(file) else {
                continue;
            };
            let key = content.trim_ascii_end();
            if key.len() < Self::MIN_BYTES {
                return None;
            }
            keys.push(Zeroizing::new(key.to_vec()));
        }
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// One that nobody knows: for a webhook that is not there, so that refusing it takes the same steps.
    pub fn nobodys() -> Self {
        let mut key = Zeroizing::new(vec![0; 32]);
        // Without random bytes it stays zeros: a verdict for it counts for nothing anyway.
        if rand::fill(&mut key).is_err() {
            tracing::error!("the system gives no random bytes");
        }
        Self(vec![key])
    }

    /// Whether one of them has made one of `tags` of `parts`, one after the other (RFC 2104, with SHA-256).
    fn signed(&self, parts: &[&[u8]], tags: &[Vec<u8>]) -> bool {
        self.tried(tags, |key| {
            let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
            for part in parts {
                context.update(part);
            }
            context.sign()
        })
    }

    /// Whether one of `tags` is what `made` makes of one of them: once for each, as bodies are long. All are tried, whichever
    /// fits.
    fn tried(&self, tags: &[impl AsRef<[u8]>], made: impl Fn(&[u8]) -> hmac::Tag) -> bool {
        let mut any = false;
        for made in self.0.iter().map(|key| made(key)) {
            for tag in tags {
                let (made, tag) = (made.as_ref(), tag.as_ref());
                any |= aws_lc_rs::constant_time::verify_slices_are_equal(made, tag).is_ok();
            }
        }
        any
    }

    /// Whether one of them is `shown`. Compared are MACs of both under a key made for it, so that neither content nor length
    /// of a secret is told by the time it takes.
    fn shows(&self, shown: &[u8]) -> bool {
        let mut blind = [0; 32];
        if rand::fill(&mut blind).is_err() {
            return false;
        }
        let blind = hmac::Key::new(hmac::HMAC_SHA256, &blind);
        let shown = hmac::sign(&blind, shown);
        self.tried(&[shown], |key| hmac::sign(&blind, key))
    }

    /// The same secrets as Standard Webhooks writes them: `whsec_` and base64 of the key. One written otherwise is the key.
    fn standard(&self) -> Self {
        let mut keys = Vec::new();
        for key in &self.0 {
            if let Some(text) = key.strip_prefix(b"whsec_")
                && let Ok(key) = STANDARD.decode(text)
                && key.len() >= Self::MIN_BYTES
            {
                keys.push(Zeroizing::new(key));
            }
            keys.push(key.clone());
        }
        Self(keys)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

/// A call whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The same for a call that is repeated and for no other: hex of a SHA-256 of what is signed, or of the id that the secret
    /// vouches for. An id that is not signed is not in it: whoever repeats a call could give it another.
    pub fingerprint: String,
    /// What the caller names the delivery, for people.
    pub delivery: Option<String>,
}

impl Signed {
    /// Whether one of the keys vouches for a call at this time; `None`: none does.
    pub fn check(
        kind: HookKind,
        keys: &Keys,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Option<Self> {
        match kind {
            HookKind::GitHub => {
                let tag = prefixed(header(headers, "x-hub-signature-256")?)?;
                let delivery = id(headers, &["x-github-delivery"]);
                of_body(kind, keys, tag, body, delivery)
            }
            HookKind::Gitea => {
                let tag = header(headers, "x-forgejo-signature")
                    .or_else(|| header(headers, "x-gitea-signature"));
                let delivery = id(headers, &["x-forgejo-delivery", "x-gitea-delivery"]);
                of_body(kind, keys, unhex(tag?)?, body, delivery)
            }
            HookKind::Bitbucket => {
                let tag = prefixed(header(headers, "x-hub-signature")?)?;
                let delivery = id(headers, &["x-request-uuid", "x-request-id"]);
                of_body(kind, keys, tag, body, delivery)
            }
            // A bad signature is not mended by a good token.
            HookKind::GitLab if headers.contains_key("webhook-signature") => {
                standard(keys, headers, body, now)
            }
            HookKind::GitLab => token(keys, headers, body),
            HookKind::Generic => stamped(keys, headers, body, now),
        }
    }

    /// Whether a call has at least what a signed one has: to be asked before its body is read.
    pub fn is_claimed(kind: HookKind, headers: &HeaderMap) -> bool {
        let names: &[&str] = match kind {
            HookKind::GitHub => &["x-hub-signature-256"],
            HookKind::Gitea => &["x-forgejo-signature", "x-gitea-signature"],
            HookKind::Bitbucket => &["x-hub-signature"],
            HookKind::GitLab => &["webhook-signature", "x-gitlab-token"],
            HookKind::Generic => &["x-slipway-signature"],
        };
        names.iter().any(|name| header(headers, name).is_some())
    }

    fn new(kind: HookKind, parts: &[&[u8]], delivery: Option<String>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [kind.as_str().as_bytes()].iter().chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let hash = context.finish();
        let mut fingerprint = String::with_capacity(64);
        for byte in hash.as_ref() {
            // Writing to a string never fails.
            let _ = write!(fingerprint, "{byte:02x}");
        }
        Self {
            fingerprint,
            delivery,
        }
    }
}

/// The body alone is signed: the body is what a repeated call has in common.
fn of_body(
    kind: HookKind,
    keys: &Keys,
    tag: Vec<u8>,
    body: &[u8],
    delivery: Option<String>,
) -> Option<Signed> {
    keys.signed(&[body], &[tag])
        .then(|| Signed::new(kind, &[body], delivery))
}

/// Standard Webhooks 1.0: `<id>.<seconds>.<body>`, several signatures with spaces between.
fn standard(keys: &Keys, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Option<Signed> {
    let name = header(headers, "webhook-id")?;
    let time = header(headers, "webhook-timestamp")?;
    is_timely(time, now)?;
    let keys = keys.standard();
    let parts = [name.as_bytes(), b".", time.as_bytes(), b".", body];
    let tags = header(headers, "webhook-signature")?.split(' ');
    let tags = tags.filter_map(|tag| STANDARD.decode(tag.strip_prefix("v1,")?).ok());
    // Three are more than a change of secrets needs.
    let tags: Vec<_> = tags.take(3).collect();
    let signed = keys.signed(&parts, &tags);
    let delivery = id(headers, &["webhook-id"]);
    signed.then(|| Signed::new(HookKind::GitLab, &[name.as_bytes()], delivery))
}

/// GitLab without a signature: whoever reads a call has the secret, so its id is as good as its body.
fn token(keys: &Keys, headers: &HeaderMap, body: &[u8]) -> Option<Signed> {
    let shown = header(headers, "x-gitlab-token")?;
    let delivery = id(headers, &["idempotency-key", "x-gitlab-event-uuid"]);
    let unique = delivery.as_deref().map_or(body, str::as_bytes);
    keys.shows(shown.as_bytes())
        .then(|| Signed::new(HookKind::GitLab, &[unique], delivery.clone()))
}

/// `<seconds>.<body>`.
fn stamped(keys: &Keys, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Option<Signed> {
    let time = header(headers, "x-slipway-timestamp")?;
    is_timely(time, now)?;
    let tag = prefixed(header(headers, "x-slipway-signature")?)?;
    let delivery = id(headers, &["x-slipway-delivery"]);
    keys.signed(&[time.as_bytes(), b".", body], &[tag])
        .then(|| Signed::new(HookKind::Generic, &[time.as_bytes(), body], delivery))
}

fn is_timely(seconds: &str, now: SystemTime) -> Option<()> {
    // `parse` would take `+5` too, and what is signed has one form only.
    let digits = seconds.bytes().all(|byte| byte.is_ascii_digit());
    let at = Duration::from_secs(seconds.parse().ok().filter(|_| digits)?);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (now.abs_diff(at) <= WINDOW).then_some(())
}

/// A header that is there once; two of one name are none.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let one = all.next()?;
    all.next().is_none().then(|| one.to_str().ok()).flatten()
}

fn id(headers: &HeaderMap, names: &[&str]) -> Option<String> {
    let id = names.iter().find_map(|name| header(headers, name))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:{}".contains(&byte);
    let fits = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(plain);
    fits.then(|| id.to_owned())
}

fn prefixed(text: &str) -> Option<Vec<u8>> {
    unhex(text.strip_prefix("sha256=")?)
}

/// 32 bytes in hex.
fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16));
    bytes.collect::<Result<_, _>>().ok()
}
