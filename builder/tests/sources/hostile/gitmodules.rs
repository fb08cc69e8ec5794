//! What `.gitmodules` may say, and what comes of it.

use builder::source::FaultClass;

use super::{Canaries, Expected, check, whole};
use crate::servers::Servers;

const REFUSED: Expected = Expected::Fault(FaultClass::SourceRefused);
const FORBIDDEN: Expected = Expected::Fault(FaultClass::AddressForbidden);
const FINE: Expected = Expected::Paths(&[".gitmodules", "x/", "x/lib.txt"]);

/// URLs of a submodule. `COMMAND` would make one canary, `KEPT` is the other.
const URLS: &[(&str, &str, Expected)] = &[
    ("ext transport", "\"ext::sh -c 'COMMAND' %S\"", REFUSED),
    ("file transport", "file://KEPT", REFUSED),
    ("a path of this machine", "KEPT", REFUSED),
    ("http", "http://localhost/x", REFUSED),
    ("git transport", "git://localhost/x", REFUSED),
    ("an option", "--upload-pack=touch", REFUSED),
    ("an option as a short host", "\"-u./COMMAND;:x\"", REFUSED),
    ("an option to ssh", "ssh://-oProxyCommand=touch/x", REFUSED),
    (
        "an option as user",
        "ssh://-oProxyCommand=touch@h/x",
        REFUSED,
    ),
    (
        "a second line",
        "\"https://localhost/x\\nhost=evil\"",
        REFUSED,
    ),
    (
        "an encoded line",
        "https://localhost/x%0ahost=evil",
        REFUSED,
    ),
    ("a password", "https://a:b@localhost/x", REFUSED),
    ("above the server's root", "../../../../x", REFUSED),
    ("metadata", "https://169.254.169.254/latest", FORBIDDEN),
    ("an inner network", "https://10.0.0.1/x", FORBIDDEN),
    ("an inner network by number", "https://167772161/x", REFUSED),
    (
        "IPv6 that is IPv4",
        "https://[::ffff:10.0.0.1]/x",
        FORBIDDEN,
    ),
    ("an honest one", "GOOD", FINE),
];

/// Whole files. `GOOD` is the URL of an honest repository.
const FILES: &[(&str, &str, Expected)] = &[
    (
        "a command for updates",
        "[submodule \"x\"]\npath = x\nurl = GOOD\nupdate = !COMMAND\n",
        REFUSED,
    ),
    (
        "a name above itself",
        "[submodule \"../../x\"]\npath = x\nurl = GOOD\n",
        REFUSED,
    ),
    (
        "a carriage return in the path (CVE-2025-48384)",
        "[submodule \"x\"]\npath = \"x\r\"\nurl = GOOD\n",
        REFUSED,
    ),
    (
        "another path",
        "[submodule \"x\"]\npath = ../../etc\nurl = GOOD\n",
        REFUSED,
    ),
    (
        "a path in git's folder",
        "[submodule \"x\"]\npath = .git/hooks\nurl = GOOD\n",
        REFUSED,
    ),
    (
        "other settings",
        "[core]\nfsmonitor = COMMAND\nsshCommand = COMMAND\n[submodule \"x\"]\npath = x\nurl = GOOD\n",
        FINE,
    ),
    (
        "an include",
        "[include]\npath = KEPT\n[submodule \"x\"]\npath = x\nurl = GOOD\n",
        FINE,
    ),
    ("no settings at all", "nonsense [", REFUSED),
    ("nothing", "", REFUSED),
];

#[tokio::test]
async fn t75_gitmodules_run_and_reach_nothing() {
    let servers = Servers::start("gitmodules");
    let canaries = Canaries::set(&servers);
    let lib = servers.repository("public/lib.git");
    let commit = lib.files("main", &[("lib.txt", "1")]);
    let good = servers.url("public/lib.git").to_string();
    let kept = canaries.kept.display().to_string();
    let with_url = |url: &str| format!("[submodule \"x\"]\npath = x\nurl = {url}\n");

    let urls = URLS
        .iter()
        .map(|(case, url, expected)| (*case, with_url(url), expected));
    let files = FILES
        .iter()
        .map(|(case, file, expected)| (*case, (*file).to_owned(), expected));
    let long = (
        "very long",
        "#\n".repeat(50_000),
        &Expected::Fault(FaultClass::SourceTooLarge),
    );
    for (number, (case, modules, expected)) in urls.chain(files).chain([long]).enumerate() {
        let modules = modules
            .replace("COMMAND", &canaries.command())
            .replace("KEPT", &kept)
            .replace("GOOD", &good);
        let path = format!("public/case-{number}.git");
        let repository = servers.repository(&path);
        let modules = repository.blob(modules.as_bytes());
        let tree = repository.tree(&[
            ("100644", b".gitmodules", modules),
            ("160000", b"x", commit.clone()),
        ]);
        repository.commit("main", &tree, case);
        check(case, servers.fetch(&whole(&servers, &path)).await, expected);
        canaries.check(case);
    }
}

#[tokio::test]
async fn t75_a_gitmodules_that_is_a_link_is_refused() {
    let servers = Servers::start("module-link");
    let repository = servers.repository("public/app.git");
    let target = repository.blob(b".git/config");
    let commit = repository.files("other", &[("x", "x")]);
    let tree = repository.tree(&[("120000", b".gitmodules", target), ("160000", b"x", commit)]);
    repository.commit("main", &tree, "x");
    let found = servers.fetch(&whole(&servers, "public/app.git")).await;
    check("link", found, &REFUSED);
}
