//! Which `git` it is.

use std::process::Stdio;

use tokio::sync::OnceCell;

use super::confinement::User;
use super::session::not_started;
use crate::programs;
use crate::source::{Fault, FaultClass};

/// The oldest that does all that it is told: `http.curloptResolve` came with it. An older one would pass over the setting and
/// ask a name server itself where to connect to.
const OLDEST: (u32, u32) = (2, 37);

/// The numbers of a version.
pub(super) type Version = (u32, u32, u32);

/// Refuses a `git` that is too old; which it is. It is asked once.
pub(super) async fn check(user: User) -> Result<Version, Fault> {
    static FOUND: OnceCell<Version> = OnceCell::const_new();
    let found = *FOUND.get_or_try_init(|| ask(user)).await?;
    let (major, minor, _) = found;
    if (major, minor) < OLDEST {
        return Err(Fault::new(
            FaultClass::Machine,
            format!(
                "git {major}.{minor} is too old, it must be {}.{} or newer",
                OLDEST.0, OLDEST.1
            ),
        ));
    }
    Ok(found)
}

/// Whether a version has the mendings of July 2025 (CVE-2025-48384, -48385, -48386 and others) and all before them.
/// Distributions mend older versions without changing these numbers.
pub(super) fn is_mended((major, minor, patch): Version) -> bool {
    /// The first of each line that was still kept then, from 2.43 on.
    const FIRST: [u32; 8] = [7, 4, 4, 4, 3, 2, 1, 1];
    match (major, minor) {
        (2, 0..=42) | (0 | 1, _) => false,
        (2, 43..=50) => patch >= FIRST[minor as usize - 43],
        _ => true,
    }
}

async fn ask(user: User) -> Result<Version, Fault> {
    let mut words = user.words().into_iter();
    let output = tokio::process::Command::new(programs::to_start(words.next().unwrap_or_default()))
        .args(words)
        .args(["--", "git", "version"])
        .env_clear()
        .env("PATH", programs::PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| not_started(&error))?;
    // Of a shell, of setpriv and of others: no such program.
    if output.status.code() == Some(127) {
        return Err(Fault::new(
            FaultClass::Machine,
            "git is not installed on the builder's machine: install it (apt-get install git)",
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| {
        Fault::new(
            FaultClass::Machine,
            format!(
                "git does not say which version it is: {}{}",
                text.escape_debug(),
                String::from_utf8_lossy(&output.stderr).escape_debug()
            ),
        )
    })
}

/// `git version 2.39.5 (Apple Git-154)`.
fn parse(text: &str) -> Option<Version> {
    let mut numbers = text.strip_prefix("git version ")?.split(['.', ' ']);
    let mut next = || numbers.next()?.trim().parse().ok();
    Some((next()?, next()?, next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse("git version 2.39.5\n"), Some((2, 39, 5)));
        assert_eq!(
            parse("git version 2.50.1 (Apple Git-155)\n"),
            Some((2, 50, 1))
        );
        assert_eq!(parse("git version 3.0\n"), Some((3, 0, 0)));
        assert_eq!(parse("git version 2.51.rc1\n"), Some((2, 51, 0)));
        assert_eq!(parse("tig 2.5"), None);
    }

    #[test]
    fn mended_versions_are_told_from_others() {
        for mended in [(2, 43, 7), (2, 47, 3), (2, 50, 1), (2, 51, 0), (3, 0, 0)] {
            assert!(is_mended(mended), "{mended:?}");
        }
        for open in [
            (1, 9, 9),
            (2, 39, 5),
            (2, 43, 6),
            (2, 48, 1),
            (2, 49, 0),
            (2, 50, 0),
        ] {
            assert!(!is_mended(open), "{open:?}");
        }
    }
}
