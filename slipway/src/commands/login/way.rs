//! The ways to prove who one is.

use auth::Secret;
use auth::kubernetes::{AccountName, Person, PersonError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::super::{links, prompt};
use crate::cli::LoginWay;
use crate::client::{ByKubeconfig, Login};
use crate::invoked::{HELPER, Invoked};

/// How somebody logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A name and a password.
    Password,
    /// A token from elsewhere.
    Token,
    /// Whoever a context of a kubeconfig stands for.
    Kubeconfig,
}

/// What is shown to the registry, and what is kept of it.
pub(super) struct Proof {
    pub(super) login: Login,
    /// Where a fresh one comes from for each use; `None` keeps this one.
    pub(super) source: Option<ByKubeconfig>,
    /// What it means when the registry does not take it.
    pub(super) refused: Refused,
}

/// What the registry does not take, and what may be done about it.
pub(super) struct Refused {
    pub(super) what: String,
    /// Behind the registry's own words; may be empty.
    pub(super) advice: String,
}

impl Way {
    /// What the arguments ask for. `kubectl slipway login` without any is the login of kubectl itself.
    pub(super) fn of(args: &LoginWay, invoked: Invoked) -> Self {
        let names_person = args.person.kubeconfig.is_some()
            || args.person.context.is_some()
            || args.service_account.is_some();
        let has_own = args.username.is_some() || args.password_stdin;
        if args.token_stdin {
            Self::Token
        } else if names_person || (invoked == Invoked::ByKubectl && !has_own) {
            Self::Kubeconfig
        } else {
            Self::Password
        }
    }

    pub(super) async fn proof(self, args: LoginWay) -> anyhow::Result<Proof> {
        match self {
            Self::Password => {
                let user = match args.username {
                    Some(user) => user,
                    None => prompt::line("User name", "--username")?,
                };
                Ok(Proof {
                    login: Login {
                        user,
                        password: prompt::password(args.password_stdin)?,
                    },
                    source: None,
                    refused: Refused {
                        what: "this user name and password".to_owned(),
                        advice: String::new(),
                    },
                })
            }
            Self::Token => {
                let password = prompt::token()?;
                Ok(Proof {
                    refused: Refused {
                        what: "this token".to_owned(),
                        advice: advice(&password),
                    },
                    login: Login {
                        user: args.username.unwrap_or_else(|| Login::TOKEN.to_owned()),
                        password,
                    },
                    source: None,
                })
            }
            Self::Kubeconfig => by_kubeconfig(args).await,
        }
    }
}

async fn by_kubeconfig(args: LoginWay) -> anyhow::Result<Proof> {
    let files: Vec<_> = args.person.kubeconfig.into_iter().collect();
    let person = Person::find(&files, args.person.context.as_deref()).await?;
    if let Some(account) = &args.service_account {
        anyhow::ensure!(
            AccountName::parse(account).is_some(),
            "--service-account {account}: name it as NAMESPACE/NAME"
        );
    }
    let has_account = args.service_account.is_some();
    let source = ByKubeconfig {
        files: person.files().collect(),
        context: person.context().to_owned(),
        audience: has_account.then_some(args.audience),
        service_account: args.service_account,
    };
    let has_helper = links::is_on_path(HELPER);
    let is_renewed = has_account || person.is_renewed();
    anyhow::ensure!(
        has_helper || !is_renewed,
        "{HELPER} is not on PATH, and podman, docker and helm are to ask it for a fresh token each \
         time: run `slipway install-links`"
    );
    let login = source.login(&person).await.map_err(advise)?;
    // What is written down and ends is written anew by somebody: then the next one is found there.
    let ends = claims(&login.password).is_some_and(|claims| claims.get("exp").is_some());
    Ok(Proof {
        refused: Refused {
            what: format!("the token of context {}", person.context()),
            advice: advice(&login.password),
        },
        login,
        source: (is_renewed || ends && has_helper).then_some(source),
    })
}

/// What helps who has no token.
fn advise(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(PersonError::NoToken { .. }) => anyhow::anyhow!(
            "{error}; add --service-account NAMESPACE/NAME to log in as a ServiceAccount that it may \
             have tokens for"
        ),
        _ => error,
    }
}

/// Why a registry refuses a token that its cluster would take, as far as the token itself shows. Of its own tokens it says
/// that best itself.
fn advice(token: &Secret) -> String {
    if auth::TokenId::begins(token) {
        return String::new();
    }
    let audiences = audiences(token);
    if audiences.is_empty() {
        return "; it is unknown there, has run out, or is for others: the registry takes tokens for \
                one of its auth.kubernetes.audiences, the API server's only if that is among them"
            .to_owned();
    }
    format!(
        "; it has run out, or it is for {}, which must be among the registry's \
         auth.kubernetes.audiences (`kubectl create token --audience` makes one that is)",
        audiences.join(", ")
    )
}

/// Whom a JWT is for (RFC 7519 §4.1.3); none for other tokens.
fn audiences(token: &Secret) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match claims(token).as_ref().map(|claims| &claims["aud"]) {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// What a JWT says, unverified.
pub(super) fn claims(token: &Secret) -> Option<Value> {
    let payload = token.expose().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}
