//! One issuer: its keys, and whose its tokens are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fetch::Source;
use super::keys::{Keys, Verdict};
use super::token::{ALGORITHMS, Flaw, Header, IdToken};
use super::{InvalidIssuer, Settings};
use crate::complaints::Complaints;
use crate::keyed::Fingerprint;
use crate::{Identity, Refusal};

/// How old keys become before they are fetched again, for no reason but that.
const REFRESH: Duration = Duration::from_secs(600);
/// The same while the issuer does not answer.
const RETRY: Duration = Duration::from_secs(15);
/// How often at most tokens that name an unknown key make us ask for new ones: whoever makes up key ids does not make us
/// flood the issuer.
const UNKNOWN_KEY: Duration = Duration::from_secs(60);
/// How often at most tokens make us ask while there are no keys at all.
const NO_KEYS: Duration = Duration::from_secs(5);
/// How long keys are good when the issuer no longer answers. Longer than its tokens usually live, so that an outage costs
/// nobody their work; bounded, so that a key that it withdrew ends here too.
const KEPT: Duration = Duration::from_secs(6 * 3600);

/// One issuer.
pub(super) struct Issuer {
    settings: Settings,
    audiences: Vec<String>,
    source: Source,
    known: ArcSwapOption<Known>,
    /// Held by whoever fetches; when that ended last.
    turn: Mutex<Option<Instant>>,
    fetches: AtomicU64,
    failures: AtomicU64,
    complaints: Complaints,
    flaws: Complaints,
}

/// Keys, and when they were asked for.
struct Known {
    keys: Arc<Keys>,
    asked: SystemTime,
    at: Instant,
}

impl Issuer {
    pub(super) fn new(settings: Settings) -> Result<Self, InvalidIssuer> {
        if settings.client_id.is_empty() {
            return Err(InvalidIssuer::NoClient("clientId"));
        }
        if settings.audiences.iter().any(String::is_empty) {
            return Err(InvalidIssuer::NoClient("audiences: one of them"));
        }
        if settings.algorithms.is_empty() {
            return Err(InvalidIssuer::NoAlgorithm);
        }
        let is_unknown = |name: &&String| !ALGORITHMS.contains(&name.as_str());
        if let Some(unknown) = settings.algorithms.iter().find(is_unknown) {
            return Err(InvalidIssuer::Algorithm(unknown.clone()));
        }
        let source = Source::new(&settings)?;
        let client = std::iter::once(&settings.client_id);
        Ok(Self {
            audiences: client.chain(&settings.audiences).cloned().collect(),
            settings,
            source,
            known: ArcSwapOption::empty(),
            turn: Mutex::new(None),
            fetches: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            complaints: Complaints::new(),
            flaws: Complaints::new(),
        })
    }

    /// Whether `iss` means this one: the same bytes.
    pub(super) fn is(&self, iss: &str) -> bool {
        self.settings.issuer == iss
    }

    pub(super) fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Keeps the keys fresh, for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            let failures = self.failures();
            self.refresh(RETRY, SystemTime::now()).await;
            let is_fine = self.failures() == failures;
            tokio::time::sleep(if is_fine { REFRESH } else { RETRY }).await;
        }
    }

    /// Whose the token is. All that it says is looked at before any key: what is of no use anyway makes nobody fetch one.
    pub(super) async fn whose(
        self: &Arc<Self>,
        token: &IdToken<'_>,
        fingerprint: &Fingerprint,
        now: SystemTime,
    ) -> Result<Identity, Refusal> {
        let known = self.fresh();
        let remembered = known
            .as_ref()
            .and_then(|known| known.keys.verified.get(fingerprint));
        if let Some(who) = remembered {
            return match who.until() {
                Some(end) if now < end => Ok(who),
                _ => Err(Refusal::BadCredential),
            };
        }
        let (header, who, issued) = self.judge(token, now).map_err(|flaw| self.refuse(flaw))?;
        let known = match known {
            Some(known) => known,
            None => self.refreshed(NO_KEYS, now).await?,
        };
        let (known, verdict) = match known.keys.verify(&header, &token.jws) {
            Verdict::Unknown if !known.is_newer_than(issued, now) => {
                let known = self.refreshed(UNKNOWN_KEY, now).await?;
                let verdict = known.keys.verify(&header, &token.jws);
                (known, verdict)
            }
            verdict => (known, verdict),
        };
        match verdict {
            Verdict::Genuine => {
                if self.settings.names.are_elsewhere(token.claims()) && self.flaws.is_due() {
                    let (user, from) = (who.name(), &self.settings.issuer);
                    tracing::warn!(
                        "{from} left the groups of {user} out of an ID token because they are too many, so they \
                         count as none: have it send fewer"
                    );
                }
                known.keys.verified.insert(*fingerprint, who.clone());
                Ok(who)
            }
            // Its key may have been made since we asked: that is not a no.
            Verdict::Unknown if !known.is_newer_than(issued, now) => Err(Refusal::Unavailable {
                because: crate::Outage::Provider,
                retry_after: UNKNOWN_KEY.saturating_sub(known.at.elapsed()).max(NO_KEYS),
            }),
            Verdict::Unknown | Verdict::Forged => Err(self.refuse(Flaw::Signature)),
        }
    }

    /// All but the signature.
    fn judge(
        &self,
        token: &IdToken<'_>,
        now: SystemTime,
    ) -> Result<(Header, Identity, SystemTime), Flaw> {
        let header = token.header()?;
        if !self.settings.algorithms.contains(&header.name) {
            return Err(Flaw::Algorithm);
        }
        token.check_audience(&self.audiences)?;
        let life = token.life()?;
        life.check(now)?;
        let who = self.settings.names.identity(token.claims())?;
        Ok((header, who.ending(Some(life.end)), life.issued))
    }

    fn refuse(&self, flaw: Flaw) -> Refusal {
        if self.flaws.is_due() {
            let issuer = &self.settings.issuer;
            tracing::warn!("an ID token of {issuer} is refused: {flaw}");
        }
        Refusal::BadCredential
    }

    /// The keys, if they are not too old.
    fn fresh(&self) -> Option<Arc<Known>> {
        self.known
            .load_full()
            .filter(|known| known.at.elapsed() < KEPT)
    }

    async fn refreshed(
        self: &Arc<Self>,
        least: Duration,
        now: SystemTime,
    ) -> Result<Arc<Known>, Refusal> {
        self.refresh(least, now).await;
        self.fresh().ok_or(Refusal::Unavailable {
            because: crate::Outage::Provider,
            retry_after: NO_KEYS,
        })
    }

    /// Fetches the keys, unless that ended less than `least` ago. Whoever comes meanwhile waits for the outcome, and does
    /// not begin anew however long it took; the fetching goes on when whoever began it goes away.
    async fn refresh(self: &Arc<Self>, least: Duration, now: SystemTime) {
        let issuer = Arc::clone(self);
        let fetching = tokio::spawn(async move {
            let mut turn = issuer.turn.lock().await;
            if turn.is_some_and(|last| last.elapsed() < least) {
                return;
            }
            let at = Instant::now();
            issuer.fetches.fetch_add(1, Ordering::Relaxed);
            match issuer.source.keys().await {
                Ok(keys) => issuer.learn(keys, now, at),
                Err(failure) => {
                    issuer.failures.fetch_add(1, Ordering::Relaxed);
                    if issuer.complaints.is_due() {
                        let name = &issuer.settings.issuer;
                        tracing::error!("no keys from the issuer {name}: {failure}");
                    }
                }
            }
            *turn = Some(Instant::now());
        });
        // It fails only by a panic, which says so itself.
        let _ = fetching.await;
    }

    fn learn(&self, keys: Keys, asked: SystemTime, at: Instant) {
        let before = self.known.load_full();
        let keys = match before {
            Some(before) if before.keys.are(&keys) => Arc::clone(&before.keys),
            _ => Arc::new(keys),
        };
        let known = Known { keys, asked, at };
        self.known.store(Some(Arc::new(known)));
    }
}

impl Known {
    /// Whether a key that signed a token is among these, if it is one at all: they were asked for after the token was
    /// made, or while it was here.
    fn is_newer_than(&self, issued: SystemTime, now: SystemTime) -> bool {
        // Tokens say when they were issued in whole seconds.
        self.asked >= now || self.asked > issued + Duration::from_secs(1)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("issuer", &self.settings.issuer)
            .field("audiences", &self.audiences)
            .field(
                "known",
                &self
                    .known
                    .load()
                    .as_ref()
                    .map(|known| Arc::clone(&known.keys)),
            )
            .finish_non_exhaustive()
    }
}
