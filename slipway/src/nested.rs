//! A server that an ordinary user starts goes on as root of a user namespace of the user's: only there can builds be run.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use builder::sandbox;

/// Starts this program anew, in this process, within such a namespace, if `is_wanted`. Returns where it need not be (the user is
/// root already, as within) or cannot: then [`examine`](crate::wiring::builder::examine) says why. `config` is read twice;
/// `is_wanted`, which is asked only where it is a file, may read it, too.
pub(crate) fn enter(config: Option<&Path>, is_wanted: impl FnOnce() -> bool) -> anyhow::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    if config.is_some_and(|path| !path.is_file()) {
        // Of a pipe nothing would be left the second time, and nothing is a configuration, too.
        return Ok(());
    }
    if !is_wanted() {
        return Ok(());
    }
    let Ok(words) = sandbox::nested() else {
        return Ok(());
    };
    let itself = std::env::current_exe().context("the path of this program")?;
    let error = Command::new(&words[0])
        .args(&words[1..])
        .arg(itself)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).context("start this program in a user namespace of its own")
}
