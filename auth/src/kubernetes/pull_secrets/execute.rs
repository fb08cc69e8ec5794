//! Steps as requests. Each may be sent twice, and says what it found when somebody was quicker.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use zeroize::Zeroizing;

use super::content;
use super::observed::{Account, Key, OWNER, PullSecret};
use super::plan::Step;
use super::settings::Settings;
use super::within;
use super::world::{Fact, Seen};

/// How long a request may take.
pub(super) const REQUEST: Duration = Duration::from_secs(10);
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Whose fields those are that server-side apply writes.
pub(super) const MANAGER: &str = "slipway";

/// Why a step was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// Somebody else wrote at the same time; what they wrote is seen soon.
    Overtaken,
    Kube(kube::Error),
    /// The API server gave no token.
    NoToken,
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 409 => Self::Overtaken,
            error => Self::Kube(error),
        }
    }
}

/// The objects around one ServiceAccount, and how ours must be.
pub(super) struct Hands<'a> {
    client: &'a Client,
    settings: &'a Settings,
    key: &'a Key,
    secret: String,
}

impl<'a> Hands<'a> {
    pub(super) fn new(client: &'a Client, settings: &'a Settings, key: &'a Key) -> Self {
        Self {
            client,
            settings,
            key,
            secret: settings.secret_of(&key.account),
        }
    }

    /// Does it; what is known thereafter.
    pub(super) async fn perform(&self, step: &Step) -> Result<Vec<Fact>, Failure> {
        match step {
            Step::Make => self.make().await,
            Step::Fill { uid, version, .. } => self.fill(uid, version).await,
            Step::Refer {
                version,
                references,
            } => self.refer(version, references).await,
            Step::Withdraw { secret } => self.withdraw(secret.as_deref()).await,
            Step::Remove { uid } => self.remove(uid).await,
        }
    }

    /// By server-side apply, which creates by name, so that the server's role can name what it may create. Without force:
    /// another type or content than the empty one is a conflict, and stays.
    async fn make(&self) -> Result<Vec<Fact>, Failure> {
        let content = ByteString(content::EMPTY.to_vec());
        let new = Secret {
            metadata: ObjectMeta {
                name: Some(self.secret.clone()),
                labels: Some(labels(self.settings)),
                ..ObjectMeta::default()
            },
            type_: Some(content::TYPE.to_owned()),
            data: Some(BTreeMap::from([(content::KEY.to_owned(), content)])),
            ..Secret::default()
        };
        let secrets = self.secrets();
        let parameters = PatchParams::apply(MANAGER);
        let apply = Patch::Apply(&new);
        let applied = secrets.patch(&self.secret, &parameters, &apply);
        let made = match within(REQUEST, applied).await {
            Ok(made) => made,
            // It may be ours, made by the server that did the work before, or anybody's.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                match within(REQUEST, secrets.get_opt(&self.secret)).await? {
                    Some(there) => there,
                    None => return Err(Failure::Overtaken),
                }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(vec![self.fact_of(&made)])
    }

    async fn fill(&self, uid: &str, version: &str) -> Result<Vec<Fact>, Failure> {
        let token = self.token(uid).await?;
        let content = content::logins(&self.settings.hosts, &token);
        let patch = json!({
            "metadata": {"resourceVersion": version},
            "data": {content::KEY: ByteString(content.to_vec())},
        });
        let secrets = self.secrets();
        let parameters = PatchParams::default();
        let patch = Patch::Merge(patch);
        let patched = secrets.patch(&self.secret, &parameters, &patch);
        Ok(vec![self.fact_of(&within(REQUEST, patched).await?)])
    }

    /// A token that ends with the secret: whoever removes it ends the token.
    async fn token(&self, uid: &str) -> Result<Zeroizing<String>, Failure> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![self.settings.audience.clone()],
                expiration_seconds: i64::try_from(self.settings.lifetime.as_secs()).ok(),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Secret".to_owned()),
                    name: Some(self.secret.clone()),
                    uid: Some(uid.to_owned()),
                }),
            },
            ..TokenRequest::default()
        };
        let accounts = self.accounts();
        let parameters = PostParams::default();
        let issued = accounts.create_token_request(&self.key.account, &parameters, &request);
        let status = within(REQUEST, issued).await?.status;
        let token = status.map(|status| Zeroizing::new(status.token));
        token
            .filter(|token| !token.is_empty())
            .ok_or(Failure::NoToken)
    }

    async fn refer(&self, version: &str, references: &[String]) -> Result<Vec<Fact>, Failure> {
        let mut names = references.to_vec();
        names.push(self.secret.clone());
        self.write_references(version, &names, Some(&self.secret))
            .await
    }

    async fn withdraw(&self, secret: Option<&str>) -> Result<Vec<Fact>, Failure> {
        let mut facts = Vec::new();
        let found = within(REQUEST, self.accounts().get_opt(&self.key.account)).await?;
        let account = found.map(|found| Account::of(&found, self.settings));
        if let Some(account) = account
            && account.is_marked
        {
            let mut names = account.references;
            names.retain(|name| *name != self.secret);
            facts.extend(
                self.write_references(&account.version, &names, None)
                    .await?,
            );
        }
        if let Some(uid) = secret {
            facts.extend(self.remove(uid).await?);
        }
        Ok(facts)
    }

    /// The list is atomic to Kubernetes: it is replaced whole or not at all, and a merge would lose what others wrote
    /// at the same time. The version is what prevents that.
    async fn write_references(
        &self,
        version: &str,
        names: &[String],
        mark: Option<&str>,
    ) -> Result<Vec<Fact>, Failure> {
        let references: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        let patch = json!({
            "metadata": {
                "resourceVersion": version,
                "annotations": {self.settings.mark(): mark},
            },
            "imagePullSecrets": references,
        });
        let accounts = self.accounts();
        let parameters = PatchParams::default();
        let patch = Patch::Merge(patch);
        let patched = accounts.patch(&self.key.account, &parameters, &patch);
        let account = Account::of(&within(REQUEST, patched).await?, self.settings);
        Ok(vec![Fact::Account(self.key.clone(), Seen::Is(account))])
    }

    async fn remove(&self, uid: &str) -> Result<Vec<Fact>, Failure> {
        let seen = remove(&self.secrets(), &self.secret, uid).await?;
        let seen = seen.map(|secret| PullSecret::of(&secret, self.settings));
        Ok(vec![Fact::Secret(self.key.clone(), seen)])
    }

    fn fact_of(&self, secret: &Secret) -> Fact {
        let secret = PullSecret::of(secret, self.settings);
        Fact::Secret(self.key.clone(), Seen::Is(secret))
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.key.namespace)
    }

    fn accounts(&self) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), &self.key.namespace)
    }
}

/// Removes the object of this name if it has this uid.
pub(super) async fn remove<K>(api: &Api<K>, name: &str, uid: &str) -> Result<Seen<K>, Failure>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let gone = || Seen::Gone(uid.to_owned());
    match within(REQUEST, api.delete(name, &parameters)).await {
        // Where somebody's finalizer keeps it, it is still there.
        Ok(answer) => {
            let kept = answer.left();
            let kept = kept.filter(|left| left.meta().finalizers.is_some());
            Ok(kept.map_or_else(gone, Seen::Is))
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(gone()),
        Err(error) => Err(error.into()),
    }
}

/// What says that an object is ours.
pub(super) fn labels(settings: &Settings) -> BTreeMap<String, String> {
    [(OWNER, settings.name.as_str()), (MANAGED_BY, "slipway")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}
