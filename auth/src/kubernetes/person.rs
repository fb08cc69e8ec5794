//! Somebody whom a context of a kubeconfig stands for, and how they show themselves to others than the API server.
//!
//! Format: <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::client::{Body, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::{Layer as _, ServiceExt as _};

use super::{transport, unanswered};
use crate::Secret;

#[cfg(test)]
mod tests;

/// How long the API server may take for a request, and to be reached at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer: a page of a list is the longest.
const MAX_ANSWER: usize = 64 << 20;
/// How long a token of a ServiceAccount is to live: it is asked for anew at each use, and an upload may take long.
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// What the user names of ServiceAccounts begin with.
const ACCOUNT_USER: &str = "system:serviceaccount:";

/// A person (or robot) of a kubeconfig.
#[derive(Clone)]
pub struct Person {
    pub(super) config: Config,
    files: Vec<PathBuf>,
    context: String,
    user: String,
    is_renewed: bool,
    /// Made once, as making it runs the program that makes the token.
    pub(super) client: Arc<OnceLock<Client>>,
}

/// Why a kubeconfig gives no token.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The files, or the context in them, cannot be used.
    #[error("{0}")]
    Kubeconfig(String),
    /// None of these files is there.
    #[error("{0}: there is no such kubeconfig")]
    NoKubeconfig(String),
    /// The context proves who it is in another way than by a token, which a registry cannot be shown.
    #[error(
        "context {context}: {user} has {what} and no token, and only tokens can be sent to a registry"
    )]
    NoToken {
        /// Which context.
        context: String,
        /// Its user.
        user: String,
        /// What there is instead: `a client certificate`.
        what: &'static str,
    },
    /// The program that makes the token does not.
    #[error("context {context}: {message}")]
    Plugin {
        /// Which context.
        context: String,
        /// What it said.
        message: String,
    },
    /// The API server refuses, or does not answer.
    #[error("{0}")]
    Cluster(String),
}

/// A ServiceAccount by `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    namespace: String,
    name: String,
}

impl AccountName {
    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name in the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of the user that the cluster takes it for: `system:serviceaccount:NAMESPACE:NAME`. `None` for other users.
    pub fn of_user(user: &str) -> Option<Self> {
        let (namespace, name) = user.strip_prefix(ACCOUNT_USER)?.split_once(':')?;
        Self::parse(&format!("{namespace}/{name}"))
    }

    /// The user that the cluster takes it for.
    pub fn user(&self) -> String {
        format!("{ACCOUNT_USER}{}:{}", self.namespace, self.name)
    }

    /// `None` unless it is a namespace and a name with one `/` between.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let is_name = |part: &str| {
            !part.is_empty()
                && part.len() <= 253
                && part
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        };
        (is_name(namespace) && is_name(name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Person {
    /// Finds the context, the current one if none is named; asks nothing of anybody.
    ///
    /// `files` are merged as kubectl does, and those of them that are missing are passed over; empty, they are those of
    /// `KUBECONFIG`, else `~/.kube/config`.
    pub async fn find(files: &[PathBuf], context: Option<&str>) -> Result<Self, PersonError> {
        let files = match files {
            [] => default_files()?,
            files => files.to_vec(),
        };
        let names: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let names = names.join(", ");
        let wrong = |error: &dyn fmt::Display| PersonError::Kubeconfig(format!("{names}: {error}"));
        let present: Vec<_> = files.iter().filter(|file| file.exists()).collect();
        if present.is_empty() {
            return Err(PersonError::NoKubeconfig(names));
        }
        let merged = present
            .iter()
            .try_fold(Kubeconfig::default(), |merged, file| {
                Kubeconfig::read_from(file).and_then(|next| merged.merge(next))
            })
            .map_err(|error| wrong(&error))?;
        let context = context
            .map(str::to_owned)
            .or_else(|| merged.current_context.clone())
            .filter(|context| !context.is_empty())
            .ok_or_else(|| wrong(&"no current context: name one with --context"))?;
        let user = merged
            .contexts
            .iter()
            .find(|named| named.name == context)
            .ok_or_else(|| wrong(&format_args!("there is no context {context}")))?
            .context
            .as_ref()
            .and_then(|context| context.user.clone())
            .unwrap_or_default();
        let options = KubeConfigOptions {
            context: Some(context.clone()),
            ..KubeConfigOptions::default()
        };
        let mut config = Config::from_custom_kubeconfig(merged, &options)
            .await
            .map_err(|error| wrong(&error))?;
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        // Somebody waits, and would not be told.
        config.default_retry = false;
        let is_renewed = config.auth_info.token.is_none();
        if let Some(file) = config.auth_info.token_file.take().filter(|_| is_renewed) {
            // Files end in a line break, which is no part of a token, and `kube` would send it.
            let text = std::fs::read_to_string(&file)
                .map_err(|error| wrong(&format_args!("tokenFile {file}: {error}")))?;
            config.auth_info.token = Some(text.trim().to_owned().into());
        }
        Ok(Self {
            config,
            files,
            context,
            user,
            is_renewed,
            client: Arc::default(),
        })
    }

    /// The files that it was found in, as absolute paths where there is a working folder.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.files
            .iter()
            .map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()))
    }

    /// The context's name.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// What the kubeconfig calls the user. Who that is, the cluster says.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the token is made or read anew for each use, so that the one of today may be worth nothing tomorrow.
    pub fn is_renewed(&self) -> bool {
        self.is_renewed
    }

    /// The token that the API server would be sent: the one written down, the one of a file, or a program's (client-go
    /// credential plugins), which may ask questions on the terminal.
    pub async fn token(&self) -> Result<Secret, PersonError> {
        let failed = |error: &dyn fmt::Display| PersonError::Plugin {
            context: self.context.clone(),
            message: error.to_string(),
        };
        let config = self.config.clone();
        // It waits for the program.
        let layer = tokio::task::spawn_blocking(move || config.auth_layer())
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&unanswered::why(&error)))?
            .ok_or_else(|| self.without_token())?;
        // Whatever the kubeconfig says ends as one header; this reads it instead of sending it.
        let seen = tower::service_fn(async |request: http::Request<Body>| {
            let header = request.headers().get(AUTHORIZATION).cloned();
            Ok::<_, tower::BoxError>(http::Response::new(header))
        });
        let header = layer
            .layer(seen)
            .oneshot(http::Request::new(Body::empty()))
            .await
            .map_err(|error| match unanswered::credential(&*error) {
                Some(error) => failed(&unanswered::of_auth(error)),
                None => failed(&error),
            })?;
        header
            .body()
            .as_ref()
            .and_then(bearer)
            .ok_or_else(|| self.without_token())
    }

    /// A token of a ServiceAccount for `audience` (`TokenRequest`, authentication.k8s.io/v1), which takes the right to
    /// `create` `serviceaccounts/token` there.
    pub async fn service_account_token(
        &self,
        account: &AccountName,
        audience: &str,
    ) -> Result<Secret, PersonError> {
        let wanted = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![audience.to_owned()],
                expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let failed = |error: &dyn fmt::Display| {
            PersonError::Cluster(format!(
                "context {}: no token for ServiceAccount {account}: {error}",
                self.context
            ))
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, &account.namespace);
        let made = accounts
            .create_token_request(&account.name, &PostParams::default(), &wanted)
            .await
            .map_err(|error| failed(&self.said(&error)))?;
        let token = made.status.map(|status| status.token).unwrap_or_default();
        if token.is_empty() {
            return Err(failed(&"the answer has none"));
        }
        Ok(Secret::new(token))
    }

    pub(super) fn client(&self) -> Result<Client, PersonError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let made = transport::client(self.config.clone(), PATIENCE, MAX_ANSWER);
        let made = made.map_err(|error| PersonError::Plugin {
            context: self.context.clone(),
            message: unanswered::why(&error),
        })?;
        Ok(self.client.get_or_init(|| made).clone())
    }

    /// What the API server said; or that it said nothing, with its address, which nobody else names.
    pub(super) fn said(&self, error: &kube::Error) -> String {
        match error {
            kube::Error::Api(_) => unanswered::why(error),
            error if unanswered::credential(error).is_some() => unanswered::why(error),
            error => format!(
                "the API server {} cannot be asked: {}",
                unanswered::address(&self.config.cluster_url),
                unanswered::why(error)
            ),
        }
    }

    fn without_token(&self) -> PersonError {
        let auth = &self.config.auth_info;
        let what = if auth.client_certificate.is_some() || auth.client_certificate_data.is_some() {
            "a client certificate"
        } else if auth.username.is_some() {
            "a password"
        } else if auth.exec.is_some() {
            "a program that gives a client certificate"
        } else {
            "nothing to prove who it is"
        };
        PersonError::NoToken {
            context: self.context.clone(),
            user: self.user.clone(),
            what,
        }
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("context", &self.context)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

fn default_files() -> Result<Vec<PathBuf>, PersonError> {
    let named: Vec<PathBuf> = std::env::var_os("KUBECONFIG")
        .map(|list| std::env::split_paths(&list).collect())
        .unwrap_or_default();
    let named: Vec<_> = named
        .into_iter()
        .filter(|path| path != Path::new(""))
        .collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let home = std::env::home_dir().ok_or_else(|| {
        PersonError::Kubeconfig("no home directory: name the file with --kubeconfig".to_owned())
    })?;
    Ok(vec![home.join(".kube/config")])
}

fn bearer(header: &HeaderValue) -> Option<Secret> {
    let token = header.to_str().ok()?.strip_prefix("Bearer ")?.trim();
    (!token.is_empty()).then(|| Secret::new(token.to_owned()))
}
