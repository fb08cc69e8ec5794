//! Which git servers a secret may be shown to: its file `hosts`, `name`, which means the usual port of the
//! URL's scheme, or `name:port`, one a line.
//!
//! Whoever may save a build chooses the URL that is fetched. A secret that any server may see would be theirs to read.

use crate::driver::SecretFiles;
use crate::source::git::{self, GitUrl};

use super::Invalid;

/// The servers of a secret, at least one.
pub(super) struct Hosts(Vec<(String, Option<u16>)>);

impl Hosts {
    /// The file of a secret that has one.
    pub(super) const FILE: &str = "hosts";

    /// Those that a secret for git names.
    pub(super) fn of(files: &SecretFiles) -> Result<Self, Invalid> {
        let wrong = |why: String| Invalid::new(format!("files[{:?}]", Self::FILE), why);
        let content = files.0.get(Self::FILE).map_or(&[][..], |file| &file[..]);
        let text = std::str::from_utf8(content).map_err(|_| wrong("is no text".to_owned()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        // What stands there is not said: it may be another file of the secret by mistake.
        let hosts = lines.enumerate().map(|(number, line)| {
            git::server(line).ok_or_else(|| {
                wrong(format!(
                    "server {} is none: write its name, git.example.com, and :port if it is not the usual one",
                    number + 1
                ))
            })
        });
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            let why = "a secret for git names the servers that it may be shown to, one a line (slipway secret set --host)";
            return Err(wrong(why.to_owned()));
        }
        Ok(Self(hosts))
    }

    /// The servers, as `--host` takes them.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |(host, port): &(String, Option<u16>)| match port {
            None => host.clone(),
            Some(port) => format!("{host}:{port}"),
        };
        self.0.iter().map(name).collect()
    }

    /// Whether the server of a URL is one of them.
    pub(super) fn hold(&self, url: &GitUrl) -> bool {
        self.0.iter().any(|(host, port)| {
            host == url.host() && port.unwrap_or(url.usual_port()) == url.port()
        })
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn hosts(text: &str) -> Result<Hosts, Invalid> {
        let content = Zeroizing::new(text.as_bytes().to_vec());
        Hosts::of(&SecretFiles([(Hosts::FILE.to_owned(), content)].into()))
    }

    #[test]
    fn a_server_is_named_with_or_without_a_port() {
        let named = hosts("Git.Example.com\r\n\n other.example:8443 \n[::1]:2222\n").unwrap();
        for (url, holds) in [
            ("https://git.example.com/a.git", true),
            ("https://git.example.com:8443/a.git", false),
            ("ssh://git@git.example.com:2222/a.git", false),
            ("https://git.example.com:443/a.git", true),
            ("git@git.example.com:a.git", true),
            ("https://other.example:8443/a.git", true),
            ("https://other.example/a.git", false),
            ("https://git.example.com.evil.example/a.git", false),
            ("https://evil.example/git.example.com", false),
            ("ssh://git@[::1]:2222/a.git", true),
            ("ssh://git@[::1]/a.git", false),
        ] {
            assert_eq!(named.hold(&url.parse().unwrap()), holds, "{url}");
        }
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for text in [
            "",
            "\n \n",
            "*",
            "git.example.com:",
            "git:x",
            "https://a.example",
            "a b",
            "::1",
            "git.example.com.",
            "127.1",
            "hunter2/hunter2",
        ] {
            let refused = hosts(text).err().unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!(refused.field, "files[\"hosts\"]");
            assert!(!refused.to_string().contains("hunter2"), "{refused}");
        }
        Hosts::of(&SecretFiles::default()).err().unwrap();
    }
}
