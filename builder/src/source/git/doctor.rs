//! What this machine lacks for fetching from git.

use std::path::Path;

use super::session::PATH;
use super::version;
use crate::sandbox::{Check, Standing};

/// Looks for `git`, in a version that can be used, and for `ssh`. Builds of other sources need neither.
pub async fn examine() -> [Check; 2] {
    let git = match version::check().await {
        Ok((major, minor)) => (Standing::Good, format!("git {major}.{minor}")),
        Err(fault) => (Standing::Limited, format!("no builds from git: {fault}")),
    };
    let ssh = |folder: &str| Path::new(folder).join("ssh").is_file();
    let ssh = if PATH.split(':').any(ssh) {
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
