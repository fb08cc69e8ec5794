//! What a request pays for authentication when the credential is remembered: nanoseconds for `identify` and `permit`, by
//! password, by token and by API token, under rules for a thousand users.
//!
//! `cargo run --release -p auth --example cached`

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use auth::opaque::{Limits, Most, NewToken, Settings, StoreFailed, StoredToken, TokenStore};
use auth::rbac::Resource;
use auth::{Credential, Gate, Htpasswd, OpaqueTokens, Pull, Rbac, Scope, Secret, Tokens};
use oci::RepoName;

const ROUNDS: u32 = 300_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let mut users = auth::htpasswd::File::load(&at("users"))?;
    let password = Secret::new("correct horse".into());
    users.set_password("user7", &password)?;
    users.save()?;
    fs::create_dir(at("rules"))?;
    fs::write(at("rules/rules.yaml"), rules()?)?;

    let tokens = Tokens::load_or_create(&at("keys.pem"), vec![], Tokens::DEFAULT_TTL)?;
    let gate = Gate::new(
        vec![Arc::new(Htpasswd::load(&at("users"))?)],
        Arc::new(Rbac::load(&at("rules"), Resource::default())?),
        Some(Arc::new(tokens)),
        false,
    );
    let opaque = Arc::new(OpaqueTokens::new(
        Arc::<Drawer>::default(),
        Settings::default(),
    )?);
    let gate = gate.with_opaque(Arc::clone(&opaque));
    let now = SystemTime::now();
    let repo = RepoName::parse("team7/app")?;
    let basic = Credential::basic("user7", password)?;
    let first = Instant::now();
    let who = gate.identify(Some(&basic), None, now).await?;
    println!(
        "first password check      {:>9} µs",
        first.elapsed().as_micros()
    );
    let scopes = Scope::parse_all(["repository:team7/app:pull"])?;
    let issue = Instant::now();
    let issued = gate.issue(&who, &scopes, now).await?;
    println!(
        "issue a token             {:>9} µs",
        issue.elapsed().as_micros()
    );
    let bearer = Credential::Bearer(Secret::new(issued.token().to_owned()));
    let first = Instant::now();
    gate.identify(Some(&bearer), None, now).await?;
    println!(
        "first token check         {:>9} µs",
        first.elapsed().as_micros()
    );

    let new = NewToken {
        description: String::new(),
        limits: Limits::new(&["team7".into()], &["pull".into()])?,
        lifetime: None,
    };
    let (text, _) = opaque.create(&who, new, now).await?;
    let api = Credential::Bearer(text);
    let first = Instant::now();
    gate.identify(Some(&api), None, now).await?;
    println!(
        "first API token check     {:>9} µs",
        first.elapsed().as_micros()
    );

    for (name, credential) in [
        ("password", &basic),
        ("token", &bearer),
        ("API token", &api),
    ] {
        remembered(&gate, name, credential, &repo, now).await?;
    }
    Ok(())
}

/// Prints what it costs that a credential is known.
async fn remembered(
    gate: &Gate,
    name: &str,
    credential: &Credential,
    repo: &RepoName,
    now: SystemTime,
) -> Result<(), auth::Refusal> {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let who = gate.identify(Some(black_box(credential)), None, now);
        black_box(who.await?);
    }
    println!("identify by {name:<9}     {:>9} ns", per_round(start));
    let who = gate.identify(Some(credential), None, now).await?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let permit = gate.permit::<Pull>(black_box(&who), black_box(repo));
        black_box(permit.await?);
    }
    println!("permit after {name:<9}    {:>9} ns", per_round(start));
    Ok(())
}

/// Keeps one token.
#[derive(Debug, Default)]
struct Drawer(Mutex<Option<StoredToken>>);

impl Drawer {
    fn token(&self) -> Result<Option<StoredToken>, StoreFailed> {
        let token = self.0.lock();
        let token = token.map_err(|_| StoreFailed("poisoned".into()))?;
        Ok(token.clone())
    }
}

#[async_trait]
impl TokenStore for Drawer {
    async fn add(&self, token: StoredToken, _: Most, _: SystemTime) -> Result<bool, StoreFailed> {
        let mut kept = self.0.lock().map_err(|_| StoreFailed("poisoned".into()))?;
        *kept = Some(token);
        Ok(true)
    }

    async fn find(&self, _: &str) -> Result<Option<StoredToken>, StoreFailed> {
        self.token()
    }

    async fn list(
        &self,
        _: Option<&str>,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<StoredToken>, StoreFailed> {
        Ok(self.token()?.into_iter().collect())
    }

    async fn revoke(&self, _: Option<&str>, _: &str, _: SystemTime) -> Result<bool, StoreFailed> {
        Ok(false)
    }

    async fn touch(&self, _: &str, _: SystemTime) -> Result<(), StoreFailed> {
        Ok(())
    }
}

fn per_round(start: Instant) -> u128 {
    start.elapsed().as_nanos() / u128::from(ROUNDS)
}

/// Everybody may pull from their own namespace, and all from one in common.
fn rules() -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for n in 0..1000 {
        write!(
            text,
            "{}",
            binding(
                &format!("team{n}"),
                &format!("{{kind: User, name: user{n}}}")
            )
        )?;
    }
    text += &binding("common", "{kind: Group, name: 'system:authenticated'}");
    Ok(text)
}

fn binding(namespace: &str, subject: &str) -> String {
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
         metadata: {{name: pull, namespace: {namespace}}}\n\
         roleRef: {{kind: ClusterRole, name: 'system:image-puller'}}\nsubjects: [{subject}]\n"
    )
}
