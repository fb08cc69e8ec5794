//! `auth`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// Who may do what. With none of the keys set, everyone may do everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Auth {
    /// Strangers are `system:anonymous` and the rules of `rbac` decide what they may do.
    pub(crate) anonymous: bool,
    /// Users and bcrypt hashes in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) htpasswd: Option<Htpasswd>,
    /// Rights from a folder of Kubernetes RBAC objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rbac: Option<Rbac>,
    /// The tokens that `/auth/token` issues.
    pub(crate) tokens: Tokens,
}

/// Users and bcrypt hashes in a file, as `slipway user` and `htpasswd -B` write it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Htpasswd {
    /// The file; read again when it changes.
    pub(crate) file: PathBuf,
}

/// Rights from a folder of Kubernetes RBAC objects.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rbac {
    /// The folder with the YAML files; read again when they change.
    pub(crate) dir: PathBuf,
    /// API group of the virtual resource that rules name.
    #[serde(default = "group")]
    pub(crate) group: String,
    /// The virtual resource that rules name.
    #[serde(default = "resource")]
    pub(crate) resource: String,
}

/// The tokens that `/auth/token` issues.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Tokens {
    /// How long a token is good: from one minute to one hour.
    pub(crate) lifetime: Span,
    /// Signing keys in PEM, the last signs. Default: made below `dataDir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
}

fn group() -> String {
    "registry.alauda.io".to_owned()
}

fn resource() -> String {
    "images".to_owned()
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            lifetime: Span::seconds(300),
            key_file: None,
        }
    }
}

impl Auth {
    /// Nothing is configured: everyone may do everything.
    pub(crate) fn is_open(&self) -> bool {
        self.htpasswd.is_none() && self.rbac.is_none() && !self.anonymous
    }
}
