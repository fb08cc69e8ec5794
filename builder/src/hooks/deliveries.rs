//! Calls that were taken, so that none is taken twice.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};

use crate::ledger::{Kept, Key, Kind, Ledger, LedgerError, Write};

/// How long a call is remembered.
pub const KEPT_FOR: Duration = Duration::from_secs(90 * 86_400);

/// Most calls that are remembered of one build; the oldest go first.
pub const MOST_KEPT: usize = 10_000;

/// Records read or removed at a time.
const STRIDE: usize = 500;

/// What is remembered of a call.
#[derive(Serialize, Deserialize)]
struct Taken {
    /// When, in seconds since 1970.
    at: u64,
}

/// Where it is remembered that something which starts one run of a build was taken; `what` is it and nothing else. No build's
/// name has a `.` in it.
pub(super) fn taken(namespace: &str, build: &str, what: &str) -> Key {
    let hash = Digest::of(Algorithm::Sha256, what.as_bytes());
    Key {
        kind: Kind::Delivery,
        namespace: namespace.to_owned(),
        name: format!("{build}.{}", hash.hex()),
    }
}

/// The write that takes a call: it conflicts if somebody has taken it before.
pub(super) fn taking(key: Key, now: SystemTime) -> Write {
    Write::Put {
        key,
        revision: None,
        open: false,
        brief: None,
        body: format!(r#"{{"at":{}}}"#, seconds(now)).into_bytes(),
    }
}

/// What a build has taken so far, to be [forgotten](forget) once it is gone.
pub(crate) async fn taken_by(
    ledger: &dyn Ledger,
    namespace: &str,
    build: &str,
) -> Result<Vec<(Key, u64)>, LedgerError> {
    let prefix = format!("{build}.");
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = ledger.list(Kind::Delivery, namespace, &prefix, after.as_deref(), STRIDE);
        let page = page.await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = Some(last.key.name.clone());
        all.extend(page.into_iter().map(|kept| (kept.key, kept.revision)));
    }
}

/// Forgets these.
pub(crate) async fn forget(ledger: &dyn Ledger, taken: &[(Key, u64)]) -> Result<(), LedgerError> {
    for some in taken.chunks(STRIDE) {
        match ledger.write(some.iter().map(removal).collect()).await {
            Ok(()) => continue,
            Err(LedgerError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        // One is gone, so that none was removed: each by itself.
        for one in some {
            match ledger.write(vec![removal(one)]).await {
                // What another replica has removed is no fault.
                Ok(()) | Err(LedgerError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn removal((key, revision): &(Key, u64)) -> Write {
    Write::Remove {
        key: key.clone(),
        revision: *revision,
    }
}

/// Forgets what is older than [`KEPT_FOR`], of each build all but the newest `most`, and of builds that are gone everything.
pub(crate) async fn prune(
    ledger: &dyn Ledger,
    now: SystemTime,
    most: usize,
) -> Result<usize, LedgerError> {
    let oldest = seconds(now).saturating_sub(KEPT_FOR.as_secs());
    let mut removed = 0;
    let mut namespace: Option<String> = None;
    loop {
        let found = ledger.namespaces(Kind::Delivery, namespace.as_deref(), STRIDE);
        let found = found.await?;
        let Some(last) = found.last() else {
            return Ok(removed);
        };
        namespace = Some(last.clone());
        for namespace in &found {
            let old = too_many(ledger, namespace, oldest, most).await?;
            removed += old.len();
            forget(ledger, &old).await?;
        }
    }
}

async fn too_many(
    ledger: &dyn Ledger,
    namespace: &str,
    oldest: u64,
    most: usize,
) -> Result<Vec<(Key, u64)>, LedgerError> {
    let mut gone = Vec::new();
    let mut kept: BTreeMap<String, Vec<(u64, Key, u64)>> = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = ledger.list(Kind::Delivery, namespace, "", after.as_deref(), STRIDE);
        let page = page.await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.name.clone());
        for Kept {
            key,
            revision,
            body,
            ..
        } in page
        {
            // What cannot be read was written by another version: it is as new as can be.
            let at = serde_json::from_slice(&body).map_or(u64::MAX, |taken: Taken| taken.at);
            if at < oldest {
                gone.push((key, revision));
                continue;
            }
            let build = key.name.split('.').next().unwrap_or_default().to_owned();
            kept.entry(build).or_default().push((at, key, revision));
        }
    }
    for (build, mut of_build) in kept {
        let key = Key {
            kind: Kind::Build,
            namespace: namespace.to_owned(),
            name: build,
        };
        let most = ledger.get(&key).await?.map_or(0, |_| most);
        of_build.sort_unstable_by_key(|(at, ..)| std::cmp::Reverse(*at));
        let surplus = of_build.into_iter().skip(most);
        gone.extend(surplus.map(|(_, key, revision)| (key, revision)));
    }
    Ok(gone)
}

fn seconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
