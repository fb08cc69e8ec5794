//! What tests need of the machine beside programs: root, an address, a user with ids to give out.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::{Lab, OrFail, Program, fail};

/// Longer than one test that builds takes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

/// Fails the running test unless it is root's.
#[track_caller]
pub fn needs_root() {
    if !rustix::process::geteuid().is_root() {
        fail("only root can run this test: it mounts, or becomes somebody else");
    }
}

/// A private IPv4 address of this machine (RFC 1918). Where there is none the loopback gets one, which root alone can do.
#[track_caller]
pub fn private_address() -> Ipv4Addr {
    if let Some(address) = found_private_address() {
        return address;
    }
    // Another test may have been quicker: whether one is there now is what counts.
    let added = ip(&["address", "add", "10.213.0.1/32", "dev", "lo"]);
    found_private_address().or_fail(format!("give the loopback a private address: {added}"))
}

fn found_private_address() -> Option<Ipv4Addr> {
    ip(&["-4", "-o", "address"])
        .split_whitespace()
        .filter_map(|word| word.split_once('/')?.0.parse::<Ipv4Addr>().ok())
        .find(Ipv4Addr::is_private)
}

/// What `ip` says, be it why it refuses.
fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output();
    let output = output.or_fail("run ip: scripts/lab-install installs it");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// The id of a user who is not root and whom `/etc/subuid` gives ids (subuid(5)).
#[track_caller]
pub fn ordinary_user() -> u32 {
    let given = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    given
        .lines()
        .filter_map(|line| line.split(':').next())
        .filter_map(|name| {
            let output = Command::new("id").args(["-u", name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        })
        .find(|id| *id != 0)
        .or_fail("find a user with ids in /etc/subuid: scripts/lab-install makes one")
}

/// Runs one ignored test of the running test program again, alone, as an [`ordinary_user`] by way of the command
/// `through` (none: directly). It must succeed.
///
/// That process starts in a folder which anybody may write to and which is its home and temporary folder, too.
#[track_caller]
pub fn again_as_ordinary_user(test: &str, through: &[&str]) {
    needs_root();
    let user = ordinary_user().to_string();
    let lab = Lab::new("ordinary");
    let folder = lab.dir("user");
    for open in [lab.root(), &folder] {
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o777))
            .or_fail("open a folder");
    }
    // The build's folder may be closed to others.
    let program = folder.join("test");
    let own = std::env::current_exe().or_fail("find the running test");
    copy_program(&own, &program);
    let said = in_folder(lab.program("setpriv"), &folder)
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"])
        .args(through)
        .arg(&program)
        .args([test, "--exact", "--ignored", "--nocapture"])
        .limit(LIMIT)
        .ok();
    if !said.contains("test result: ok. 1 passed") {
        fail(format!("there is no test {test}: {said}"));
    }
}

/// Copies a program that is to be executed. Not by this process: what another test starts meanwhile would hold the file
/// open for writing (`ETXTBSY`).
#[track_caller]
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    if !copied.or_fail("start cp").success() {
        fail(format!("copy {} to {}", from.display(), to.display()));
    }
}

fn in_folder(program: Program, folder: &Path) -> Program {
    program
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .dir(folder)
}
