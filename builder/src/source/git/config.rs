//! The configuration that git is run with.

use std::fmt::Write as _;

/// A configuration file of git. Values are quoted, so that none can begin a line of its own.
pub(super) struct Config(String);

impl Config {
    /// The file's text.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// What holds for every command.
    pub(super) fn hardened() -> Self {
        let mut config = Self(String::new());
        for (section, values) in HARDENED {
            config.section(section, values);
        }
        config
    }

    pub(super) fn section(&mut self, name: &str, values: &[(&str, &str)]) {
        let _ = writeln!(self.0, "[{name}]");
        for (key, value) in values {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            // No value has a line's end in it: they are addresses, numbers and paths of ours.
            let value = value.replace(['\n', '\0'], "");
            let _ = writeln!(self.0, "\t{key} = \"{value}\"");
        }
    }
}

/// git-config(1); which attack each is against stands in the tests of hostile repositories.
const HARDENED: &[(&str, &[(&str, &str)])] = &[
    (
        "core",
        &[
            ("hooksPath", "/dev/null"),
            ("fsmonitor", "false"),
            ("attributesFile", "/dev/null"),
            ("excludesFile", "/dev/null"),
            ("askPass", ""),
            ("symlinks", "false"),
            ("protectHFS", "true"),
            ("protectNTFS", "true"),
            // Larger blobs are streamed, not held.
            ("bigFileThreshold", "16m"),
        ],
    ),
    ("protocol", &[("allow", "never"), ("version", "2")]),
    ("protocol \"https\"", &[("allow", "always")]),
    // Only on loopback: `GitUrl` knows no other, redirects are not followed.
    ("protocol \"http\"", &[("allow", "always")]),
    ("protocol \"ssh\"", &[("allow", "always")]),
    (
        "http",
        &[
            ("followRedirects", "false"),
            ("sslVerify", "true"),
            ("saveCookies", "false"),
            ("delegation", "none"),
            ("lowSpeedLimit", "1000"),
            ("lowSpeedTime", "60"),
        ],
    ),
    ("credential", &[("helper", ""), ("useHttpPath", "false")]),
    (
        "transfer",
        &[
            ("fsckObjects", "true"),
            ("bundleURI", "false"),
            ("credentialsInUrl", "die"),
            ("unpackLimit", "1"),
        ],
    ),
    (
        "fetch",
        &[
            ("fsckObjects", "true"),
            ("recurseSubmodules", "false"),
            ("unpackLimit", "1"),
            ("writeCommitGraph", "false"),
        ],
    ),
    // Old tools' slips that change nothing of what is built: many honest repositories have them.
    (
        "fetch \"fsck\"",
        &[
            ("badTimezone", "ignore"),
            ("badDateOverflow", "ignore"),
            ("missingSpaceBeforeDate", "ignore"),
            ("missingSpaceBeforeEmail", "ignore"),
            ("missingNameBeforeEmail", "ignore"),
            ("missingEmail", "ignore"),
            ("zeroPaddedFilemode", "ignore"),
            ("zeroPaddedDate", "ignore"),
            ("badFilemode", "ignore"),
        ],
    ),
    ("submodule", &[("recurse", "false")]),
    ("gc", &[("auto", "0")]),
    ("maintenance", &[("auto", "false")]),
    ("log", &[("showSignature", "false")]),
    ("pack", &[("threads", "1")]),
    ("advice", &[("detachedHead", "false")]),
    ("init", &[("defaultBranch", "none")]),
];
