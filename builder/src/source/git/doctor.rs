//! What this machine lacks for fetching from git.

use super::confinement::User;
use super::version;
use crate::programs;
use crate::sandbox::{Check, Standing};

/// Looks for `git`, in a version that can be used, and for `ssh`. Builds of other sources need neither.
pub async fn examine() -> [Check; 2] {
    let git = match version::check(User::usual()).await {
        Ok(found) => standing(found),
        Err(fault) => (Standing::Limited, format!("no builds from git: {fault}")),
    };
    let ssh = if programs::find("ssh").is_some() {
        (Standing::Good, "is there".to_owned())
    } else {
        let detail = "no builds from git over ssh: install it (apt-get install openssh-client)";
        (Standing::Limited, detail.to_owned())
    };
    let check = |name, (standing, detail)| Check {
        name,
        standing,
        detail,
    };
    [check("git", git), check("ssh", ssh)]
}

/// Distributions mend what they have: the number alone condemns nothing.
fn standing(found: version::Version) -> (Standing, String) {
    let (major, minor, patch) = found;
    let number = format!("git {major}.{minor}.{patch}");
    if version::is_mended(found) {
        return (Standing::Good, number);
    }
    let detail = format!(
        "{number}: versions before 2.43.7 and 2.50.1 have CVE-2025-48384 and others, unless your distribution has mended them; here git \
         makes no working copy and has no rights, which those need, but newer is better"
    );
    (Standing::Old, detail)
}
