//! Which `git` it is.

use std::process::Stdio;

use tokio::sync::OnceCell;

use super::session::{PATH, not_started};
use crate::source::{Fault, FaultClass};

/// The oldest that does all that it is told: `http.curloptResolve` came with it. An older one would pass over the setting and
/// ask a name server itself where to connect to.
const OLDEST: (u32, u32) = (2, 37);

/// Refuses a `git` that is too old; which it is. It is asked once.
pub(super) async fn check() -> Result<(u32, u32), Fault> {
    static FOUND: OnceCell<(u32, u32)> = OnceCell::const_new();
    let (major, minor) = *FOUND.get_or_try_init(ask).await?;
    if (major, minor) < OLDEST {
        return Err(Fault::new(
            FaultClass::Machine,
            format!(
                "git {major}.{minor} is too old, it must be {}.{} or newer",
                OLDEST.0, OLDEST.1
            ),
        ));
    }
    Ok((major, minor))
}

async fn ask() -> Result<(u32, u32), Fault> {
    let output = tokio::process::Command::new("git")
        .arg("version")
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| not_started(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| {
        Fault::new(
            FaultClass::Machine,
            format!(
                "git does not say which version it is: {}",
                text.escape_debug()
            ),
        )
    })
}

/// `git version 2.39.5 (Apple Git-154)`.
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split(['.', ' ']);
    let mut next = || numbers.next()?.trim().parse().ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse("git version 2.39.5\n"), Some((2, 39)));
        assert_eq!(parse("git version 2.50.1 (Apple Git-155)\n"), Some((2, 50)));
        assert_eq!(parse("git version 3.0\n"), Some((3, 0)));
        assert_eq!(parse("tig 2.5"), None);
    }
}
