//! Where the programs are that `scripts/lab-install` installed.

use std::path::{Path, PathBuf};

use crate::{OrFail, api::digest_of, fail, machine};

/// The checkout's root.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .or_fail("the checkout's folder")
        .to_path_buf()
}

/// The folder for what is costly to make and may outlive a checkout, `$XDG_CACHE_HOME/slipway-lab`.
pub fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .or_fail("find a cache folder (HOME or XDG_CACHE_HOME)");
    base.join("slipway-lab")
}

/// Modules that pin Go programs: the folder in `tests/lab`, and the files that say what is built.
const GO_MODULES: &[(&str, &[&str])] = &[
    ("go", &["go.mod", "go.sum", "cri-image/main.go"]),
    ("kubernetes", &["go.mod", "go.sum"]),
    ("oidc", &["go.mod", "go.sum", "openid-provider/main.go"]),
    ("s2i", &["go.mod", "go.sum"]),
];

/// The folders of the pinned Go programs, each named after what they are built from.
///
/// `scripts/lab-install` computes the same names; the two must agree.
fn go_bins() -> impl Iterator<Item = PathBuf> {
    GO_MODULES.iter().map(|(module, files)| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("lab")
            .join(module);
        let source: Vec<u8> = files
            .iter()
            .flat_map(|file| std::fs::read(folder.join(file)).or_fail(file))
            .collect();
        let digest = digest_of(&source);
        let hash: String = digest
            .trim_start_matches("sha256:")
            .chars()
            .take(16)
            .collect();
        cache().join(format!("{module}-{hash}")).join("bin")
    })
}

/// The `PATH` of every program of a lab.
pub fn search_path() -> String {
    let mut folders: Vec<String> = go_bins().map(|bin| bin.display().to_string()).collect();
    folders.push(std::env::var("PATH").unwrap_or_default());
    folders.push("/usr/local/sbin:/usr/sbin:/sbin".to_owned());
    folders.join(":")
}

/// The file of a program by its name, if it is installed.
pub fn installed(name: &str) -> Option<PathBuf> {
    search_path()
        .split(':')
        .map(|dir| Path::new(dir).join(name))
        .find(|file| file.is_file())
}

/// The file of a program by its name, or a failed test that says how to install it.
pub fn find(name: &str) -> PathBuf {
    if name.contains('/') {
        return PathBuf::from(name);
    }
    installed(name)
        .unwrap_or_else(|| fail(format!("{name} is not installed: run scripts/lab-install")))
}

/// Fails the running test unless all of these programs are installed.
#[track_caller]
pub fn needs(names: &[&str]) {
    let missing: Vec<_> = names
        .iter()
        .filter(|name| installed(name).is_none())
        .collect();
    if !missing.is_empty() {
        fail(format!(
            "{missing:?} are not installed: run scripts/lab-install"
        ));
    }
}

/// Fails the running test unless it is root's and what the sandbox and its roots are made of is installed.
#[track_caller]
pub fn needs_sandbox() {
    machine::needs_root();
    needs(&["runc", "nft", "busybox"]);
}

/// A program of this workspace that cargo built beside the running test.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().or_fail("find the running test");
    // target/debug/deps/clients-0123 → target/debug/slipway
    let path = test
        .ancestors()
        .nth(2)
        .or_fail("the profile's folder")
        .join(name);
    if !path.is_file() {
        fail(format!(
            "{} is not there: cargo build --workspace --all-targets",
            path.display()
        ));
    }
    path
}
