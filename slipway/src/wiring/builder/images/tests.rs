use std::io::Write as _;

use auth::opaque::{Limits, NewToken, Settings};
use auth::{Credential, Htpasswd, OpaqueTokens, Rbac, Secret, TokenId};
use oci::Algorithm;
use registry::IndexedTokens;
use storage::{MemoryStore, SqliteIndex, Storage};
use tempfile::TempDir;

use super::*;

const RULES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: create-only}
rules:
- {apiGroups: [registry.alauda.io], resources: [images], verbs: [get, create]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: ada, namespace: team}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-pusher"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: ada, namespace: base}, subjects: [{kind: User, name: ada}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-puller"}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: bob, namespace: team}, subjects: [{kind: User, name: bob}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: create-only}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: base, namespace: base}, subjects: [{kind: User, name: root}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:image-pusher"}}
"#;

const PASSWORD: &str = "password";

type Found = Result<Option<Box<dyn Read + Send>>, ImagesError>;

struct Lab {
    folder: TempDir,
    htpasswd: Arc<Htpasswd>,
    opaque: Arc<OpaqueTokens>,
    registry: Arc<Registry>,
    images: Arc<dyn Images>,
}

async fn lab() -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let mut users = auth::htpasswd::File::load(&path).unwrap();
    for user in ["ada", "bob", "root"] {
        let secret = Secret::new(PASSWORD.to_owned());
        users.set_password(user, &secret).unwrap();
    }
    users.save().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("rules.yaml"), RULES).unwrap();
    let store = Arc::new(MemoryStore::new());
    let index = Arc::new(SqliteIndex::in_memory().unwrap());
    let storage = Storage::open(store, index, storage::Limits::default());
    let storage = storage.await.unwrap();
    let kept = IndexedTokens::new(Arc::clone(storage.index()));
    let opaque = OpaqueTokens::new(Arc::new(kept), Settings::default());
    let opaque = Arc::new(opaque.unwrap());
    let htpasswd = Arc::new(Htpasswd::load(&path).unwrap());
    let policy = Rbac::load(&rules, auth::rbac::Resource::default()).unwrap();
    let vouchers = vec![Arc::clone(&htpasswd) as Arc<dyn auth::Authenticator>];
    let gate = Gate::new(vouchers, Arc::new(policy), None, false);
    let registry = Registry::new(storage, gate.with_opaque(Arc::clone(&opaque)));
    let registry = Arc::new(registry);
    Lab {
        folder,
        htpasswd,
        opaque,
        images: RegistryImages::new(Arc::clone(&registry), &[]).for_run("app-7"),
        registry,
    }
}

impl Lab {
    async fn identify(&self, user: &str, password: &str) -> Identity {
        let secret = Secret::new(password.to_owned());
        let credential = Credential::basic(user, secret).unwrap();
        let found = self.registry.gate();
        let found = found.identify(Some(&credential), None, SystemTime::now());
        found.await.unwrap()
    }

    fn actor_of(&self, who: &Identity) -> Actor {
        let proof = self.registry.gate().proof(who, SystemTime::now());
        Actor {
            name: who.name().to_owned(),
            proof: proof.unwrap(),
        }
    }

    /// By a new API token of `user` for `verbs` in `team`.
    async fn by_token(&self, user: &str, verbs: &[&str]) -> (Identity, TokenId) {
        let who = self.identify(user, PASSWORD).await;
        let verbs: Vec<_> = verbs.iter().map(ToString::to_string).collect();
        let new = NewToken {
            description: String::new(),
            limits: Limits::new(&["team".to_owned()], &verbs).unwrap(),
            lifetime: None,
        };
        let made = self.opaque.create(&who, new, SystemTime::now()).await;
        let (secret, token) = made.unwrap();
        let found = self.identify(user, secret.expose()).await;
        (found, token.id().clone())
    }

    async fn actor(&self, user: &str) -> Actor {
        self.actor_of(&self.identify(user, PASSWORD).await)
    }

    /// Stores `content` under the name of `named`.
    async fn put(
        &self,
        actor: &Actor,
        repo: &RepoName,
        named: &[u8],
        content: &[u8],
    ) -> Result<(), ImagesError> {
        let digest = sha256(named);
        let put = self.images.put_blob(actor, repo, &digest, file(content));
        put.await
    }

    async fn publish(
        &self,
        actor: &Actor,
        repo: &RepoName,
        layer: &[u8],
    ) -> Result<(), ImagesError> {
        let (manifest, tags) = (image(layer), [tag("v1")]);
        let put = self.images.put_manifest(actor, repo, &manifest, &tags);
        put.await
    }

    async fn blob(&self, actor: &Actor, repo: &RepoName, content: &[u8]) -> Found {
        let digest = sha256(content);
        self.images.blob(actor, repo, &digest).await
    }

    /// Pushes an image of one layer as `user`.
    async fn push(&self, user: &str, repo: &str, layer: &[u8], tags: &[Tag]) -> Manifest {
        let (actor, repo) = (self.actor(user).await, repo_of(repo));
        for content in [layer, b"{}"] {
            self.put(&actor, &repo, content, content).await.unwrap();
        }
        let manifest = image(layer);
        let put = self.images.put_manifest(&actor, &repo, &manifest, tags);
        put.await.unwrap();
        manifest
    }
}

fn repo_of(name: &str) -> RepoName {
    RepoName::parse(name).unwrap()
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

fn sha256(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

fn image(layer: &[u8]) -> Manifest {
    let body = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(b"{}").to_string(), "size": 2},
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": sha256(layer).to_string(),
            "size": layer.len(),
        }],
    });
    let body = serde_json::to_vec(&body).unwrap();
    Manifest::parse(body.into(), None, Algorithm::Sha256).unwrap()
}

fn forbidden<T: std::fmt::Debug>(result: Result<T, ImagesError>) -> String {
    match result {
        Err(ImagesError::Forbidden(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_pushes_is_there_and_recorded_as_its_actors() {
    let lab = lab().await;
    let manifest = lab
        .push("ada", "team/app", b"layer", &[tag("v1"), tag("v2")])
        .await;
    let (ada, repo) = (lab.actor("ada").await, repo_of("team/app"));
    for name in ["v1", "v2"] {
        let reference = Reference::Tag(tag(name));
        let found = lab.images.manifest(&ada, &repo, &reference).await.unwrap();
        assert_eq!(found.unwrap().bytes(), manifest.bytes());
    }
    let blob = lab.blob(&ada, &repo, b"layer").await;
    let mut read = Vec::new();
    blob.unwrap().unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, b"layer");
    let rows = lab.registry.storage().audit.since(0, 10).await.unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let origin = &row.entry.origin;
            assert_eq!(origin.request_id, "app-7");
            assert_eq!(origin.credential, Proof::Run);
            (origin.user.as_str(), row.entry.verb)
        })
        .collect();
    let expected = [Verb::Upload, Verb::Upload, Verb::Push, Verb::Push];
    assert_eq!(told, expected.map(|verb| ("ada", verb)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_no_error() {
    let lab = lab().await;
    let (ada, repo) = (lab.actor("ada").await, repo_of("team/app"));
    let reference = Reference::Tag(tag("v1"));
    let found = lab.images.manifest(&ada, &repo, &reference).await;
    assert!(found.unwrap().is_none());
    let found = lab.blob(&ada, &repo, b"layer").await;
    assert!(found.unwrap().is_none());
    let base = repo_of("base/image");
    let digest = sha256(b"layer");
    let mounted = lab.images.mount(&ada, &repo, &base, &digest);
    assert!(!mounted.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_those_of_the_actor() {
    let lab = lab().await;
    lab.push("root", "base/image", b"base", &[tag("v1")]).await;
    let [ada, bob] = [lab.actor("ada").await, lab.actor("bob").await];
    let (team, base) = (repo_of("team/app"), repo_of("base/image"));
    let reference = Reference::Tag(tag("v1"));
    let pulled = lab.images.manifest(&ada, &base, &reference).await;
    assert!(pulled.unwrap().is_some());
    let sentence = forbidden(lab.images.manifest(&bob, &base, &reference).await);
    assert!(
        sentence.contains(r#"user "bob" may not get images in namespace "base""#),
        "{sentence}"
    );
    let digest = sha256(b"base");
    // A second time nothing is changed, and so nothing is recorded; rights are asked all the same.
    for _ in 0..2 {
        assert!(lab.images.mount(&ada, &team, &base, &digest).await.unwrap());
    }
    let rows = lab.registry.storage().audit.since(0, 100).await.unwrap();
    let mounts = rows.iter().filter(|row| {
        let entry = &row.entry;
        entry.outcome == Outcome::Allowed && entry.verb == Verb::Mount
    });
    assert_eq!(mounts.count(), 1);
    forbidden(lab.images.mount(&bob, &team, &base, &digest).await);
    let rows = lab.registry.storage().audit.since(0, 100).await.unwrap();
    let denied = rows.iter().map(|row| &row.entry);
    let denied = denied.filter(|entry| entry.outcome == Outcome::Denied);
    let told: Vec<_> = denied
        .map(|entry| {
            (
                entry.origin.user.as_str(),
                entry.origin.request_id.as_str(),
                entry.verb,
            )
        })
        .collect();
    assert_eq!(told, [("bob", "app-7", Verb::Pull); 2]);
    let put = lab.put(&ada, &base, b"x", b"x");
    forbidden(put.await);
    let put = lab.publish(&ada, &base, b"x");
    forbidden(put.await);
}

/// `create` makes tags, `update` moves them.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_moved_by_whoever_may() {
    let lab = lab().await;
    lab.push("bob", "team/app", b"one", &[tag("v1")]).await;
    let (bob, repo) = (lab.actor("bob").await, repo_of("team/app"));
    // Known before anything is built.
    let [there, new] = [[tag("v2"), tag("v1")], [tag("v2"), tag("v3")]];
    let told = forbidden(lab.images.may_push(&bob, &repo, &there).await);
    assert!(told.contains("v1") && told.contains("update"), "{told}");
    lab.images.may_push(&bob, &repo, &new).await.unwrap();
    lab.images.may_push(&bob, &repo, &[]).await.unwrap();
    let ada = lab.actor("ada").await;
    lab.images.may_push(&ada, &repo, &there).await.unwrap();
    let put = lab.put(&bob, &repo, b"two", b"two");
    put.await.unwrap();
    let put = lab.publish(&bob, &repo, b"two");
    let sentence = forbidden(put.await);
    assert!(sentence.contains("tag v1 exists"), "{sentence}");
    lab.push("ada", "team/app", b"two", &[tag("v1")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_removed_has_no_rights_any_more() {
    let lab = lab().await;
    let ada = lab.actor("ada").await;
    let (repo, digest) = (repo_of("team/app"), sha256(b"x"));
    let look = async || lab.images.blob(&ada, &repo, &digest).await;
    assert!(look().await.is_ok());
    let path = lab.folder.path().join("users");
    let mut users = auth::htpasswd::File::load(&path).unwrap();
    users.remove("ada");
    users.save().unwrap();
    lab.htpasswd.reload().unwrap();
    let Err(ImagesError::Forbidden(sentence)) = look().await else {
        panic!("she is gone");
    };
    assert!(
        sentence.contains("ada, for whom this is done"),
        "{sentence}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_an_api_token_asked_for_is_within_it() {
    let lab = lab().await;
    let (by_token, id) = lab.by_token("ada", &["pull"]).await;
    let actor = lab.actor_of(&by_token);
    let repo = repo_of("team/app");
    let look = async || lab.blob(&actor, &repo, b"x").await;
    assert!(look().await.is_ok());
    let put = lab.put(&actor, &repo, b"x", b"x");
    forbidden(put.await);
    let now = SystemTime::now();
    lab.opaque.revoke(None, &id, now).await.unwrap();
    assert!(matches!(look().await, Err(ImagesError::Forbidden(_))));
}

/// What a pipeline's token needs of the namespaces of builder images, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_builds_stands_on_builder_images_that_its_owner_may_pull() {
    let lab = lab().await;
    lab.push("root", "base/image", b"base", &[tag("v1")]).await;
    let (team, base) = (repo_of("team/app"), repo_of("base/image"));
    let (reference, digest) = (Reference::Tag(tag("v1")), sha256(b"base"));
    let bases = ["base".to_owned()];
    let images = RegistryImages::new(Arc::clone(&lab.registry), &bases).for_run("app-7");
    let verbs = ["build", "pull", "push"];
    let (by_token, _) = lab.by_token("ada", &verbs).await;
    let ada = lab.actor_of(&by_token);
    let found = images.manifest(&ada, &base, &reference).await;
    assert!(found.unwrap().is_some());
    let found = images.blob(&ada, &base, &digest).await;
    assert!(found.unwrap().is_some());
    assert!(images.mount(&ada, &team, &base, &digest).await.unwrap());
    // Neither what is named nowhere, nor anything that is not a run's reading.
    forbidden(lab.images.manifest(&ada, &base, &reference).await);
    let gate = lab.registry.gate();
    let by_hand = gate.permit::<Pull>(&by_token, &base).await;
    assert!(matches!(by_hand, Err(Refusal::Forbidden(_))), "{by_hand:?}");
    forbidden(images.put_blob(&ada, &base, &digest, file(b"base")).await);
    let (by_token, _) = lab.by_token("ada", &["pull", "push"]).await;
    let no_builder = lab.actor_of(&by_token);
    forbidden(images.manifest(&no_builder, &base, &reference).await);
    let (by_token, _) = lab.by_token("bob", &verbs).await;
    let bob = lab.actor_of(&by_token);
    let sentence = forbidden(images.manifest(&bob, &base, &reference).await);
    assert!(
        sentence.contains(r#"user "bob" may not get images in namespace "base""#)
            && !sentence.contains("token"),
        "{sentence}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_it_says_is_refused() {
    let lab = lab().await;
    let (ada, repo) = (lab.actor("ada").await, repo_of("team/app"));
    let put = lab.put(&ada, &repo, b"x", b"y");
    assert!(matches!(put.await, Err(ImagesError::Refused(_))));
    let found = lab.blob(&ada, &repo, b"x").await;
    assert!(found.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_blob_goes_in_and_comes_out_from_its_beginning() {
    let lab = lab().await;
    let (ada, repo) = (lab.actor("ada").await, repo_of("team/app"));
    let content: Vec<u8> = (0..=250).cycle().take((3 << 20) + 7).collect();
    let digest = sha256(&content);
    let put = lab.images.put_blob(&ada, &repo, &digest, file(&content));
    put.await.unwrap();
    for _ in 0..2 {
        let blob = lab.images.blob(&ada, &repo, &digest).await.unwrap();
        let mut blob = blob.unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            blob.read_to_end(&mut read).unwrap();
            read
        });
        assert!(read.await.unwrap() == content);
    }
}
