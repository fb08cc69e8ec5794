//! The registry that an explanation is held against.

use auth::Deed;
use auth::kubernetes::Preset;
use auth::rbac::Resource;
use serde::Deserialize;

use super::asked::{Answer, question, scope};
use crate::cli::{AuthFile, Explain, Remote};
use crate::client::Client;

/// The way to it, as whoever is logged in there.
pub(super) struct Registry(Client);

/// What it said.
pub(super) struct Said {
    pub(super) server: String,
    /// Who is logged in there, and whether they may; `None` where the question is about somebody else.
    pub(super) answer: Option<(String, bool)>,
}

#[derive(Deserialize)]
struct Rules {
    kept: String,
    preset: Option<String>,
    group: Option<String>,
    resource: Option<String>,
}

#[derive(Deserialize)]
struct Whoami {
    name: String,
}

impl Registry {
    /// `None` where none is named.
    pub(super) async fn of(args: &Explain, deed: &Deed) -> anyhow::Result<Option<Self>> {
        let Some(server) = args.server.clone() else {
            return Ok(None);
        };
        let remote = Remote {
            server: Some(server),
            auth_file: AuthFile {
                authfile: args.auth_file.authfile.clone(),
            },
            transport: args.transport.clone(),
        };
        let client = Client::connect(remote, Some(&scope(deed))).await?;
        Ok(Some(Self(client)))
    }

    /// The words that it asks its cluster in.
    pub(super) async fn preset(&self) -> anyhow::Result<Preset> {
        let server = self.0.server();
        let rules: Rules = self.0.get("/api/v1/rules").await?;
        match (rules.kept.as_str(), rules.preset.as_deref()) {
            ("kubernetes", Some("openshift")) => Ok(Preset::Openshift),
            ("kubernetes", Some("acp")) => {
                let usual = Resource::default();
                Ok(Preset::Resource(Resource {
                    group: rules.group.unwrap_or(usual.group),
                    resource: rules.resource.unwrap_or(usual.resource),
                }))
            }
            ("files", _) => anyhow::bail!(
                "{server}: its rules are in files and in no cluster: on its machine, or with a copy of them, use \
                 --config FILE or --rbac DIR instead of --server"
            ),
            ("nowhere", _) => anyhow::bail!(
                "{server}: it has no rules: whoever may log in may do everything with images, and nobody administers"
            ),
            (kept, _) => anyhow::bail!(
                "{server}: it keeps its rules in a way that is not known here: {kept}"
            ),
        }
    }

    /// What it would do for the login there, unless the question is about somebody else.
    pub(super) async fn said(self, is_about_me: bool, deed: &Deed) -> anyhow::Result<Said> {
        let Self(client) = self;
        let mut answer = None;
        if is_about_me {
            let whoami: Whoami = client.get("/api/v1/whoami").await?;
            let said: Answer = client.post("/api/v1/can-i", &question(deed)).await?;
            answer = Some((whoami.name, said.allowed));
        }
        let server = client.server().to_string();
        Ok(Said { server, answer })
    }
}
