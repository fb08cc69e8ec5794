//! Where a registry answers, and as whom to speak to it.

use std::path::PathBuf;

/// A registry's address with the identity to use. Clone it to speak as someone else.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `127.0.0.1:PORT`, as it stands in an image's reference.
    pub host: String,
    /// The certificate authority's PEM file; `None` means plain HTTP.
    pub ca: Option<PathBuf>,
    /// User name and password; `None` means anonymous.
    pub login: Option<(String, String)>,
}

impl Endpoint {
    /// Plain HTTP, anonymous.
    pub fn plain(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            ca: None,
            login: None,
        }
    }

    /// The same registry as this user of [`crate::Access`], who has the password that goes with the name.
    #[must_use]
    pub fn as_user(&self, name: &str) -> Self {
        Self {
            login: Some((name.to_owned(), crate::access::password_of(name))),
            ..self.clone()
        }
    }

    /// The same registry as whoever has this token, sent as a password.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            login: Some(("whoever".to_owned(), token.to_owned())),
            ..self.clone()
        }
    }

    /// The same registry as nobody.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self {
            login: None,
            ..self.clone()
        }
    }

    /// An absolute URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.host)
    }

    /// An image's full name: `127.0.0.1:PORT/name`, where `name` ends with a tag or digest.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// `user:password` when there is a login.
    pub fn user_password(&self) -> Option<String> {
        self.login
            .as_ref()
            .map(|(user, password)| format!("{user}:{password}"))
    }
}
