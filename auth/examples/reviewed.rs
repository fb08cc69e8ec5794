//! What a request pays for rights that a cluster decides: microseconds for the first review of each kind, nanoseconds
//! for one that is remembered, by the cluster's token as a password, as it is, and by a token of ours.
//!
//! `cargo run --release -p auth --example reviewed KUBECONFIG REPOSITORY < token`
//!
//! The kubeconfig's user may ask for reviews (`system:auth-delegator`); the token is one that the cluster knows, with the
//! audience `slipway` or a user's own, of somebody who may pull from the repository.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use auth::kubernetes::{AccessReviews, Cluster, Lifetimes, Place, Preset, TokenReviews};
use auth::rbac::Resource;
use auth::{Credential, Gate, Pull, Scope, Secret, Tokens};
use oci::RepoName;

const ROUNDS: u32 = 300_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "reviewed KUBECONFIG REPOSITORY < token";
    let mut words = std::env::args().skip(1);
    let kubeconfig = words.next().ok_or(usage)?;
    let repo = RepoName::parse(&words.next().ok_or(usage)?)?;
    let token = std::io::read_to_string(std::io::stdin())?.trim().to_owned();

    let place = Place::Kubeconfig(kubeconfig.into(), None);
    let cluster = Arc::new(Cluster::connect(&place, Duration::from_secs(5)).await?);
    let lifetimes = Lifetimes {
        allow: Duration::from_secs(60),
        deny: Duration::from_secs(10),
    };
    let reviews = TokenReviews::new(Arc::clone(&cluster), vec!["slipway".into()], lifetimes)?;
    let preset = Preset::Resource(Resource::default());
    let rights = AccessReviews::new(cluster, preset, lifetimes)?;
    let dir = tempfile::tempdir()?;
    let keys = dir.path().join("keys.pem");
    let tokens = Tokens::load_or_create(&keys, vec![], Tokens::DEFAULT_TTL)?;
    let gate = Gate::new(
        vec![Arc::new(reviews)],
        Arc::new(rights),
        Some(Arc::new(tokens)),
        false,
    );

    let now = SystemTime::now();
    let basic = Credential::basic("any", Secret::new(token.clone()))?;
    let bearer = Credential::Bearer(Secret::new(token));
    let first = Instant::now();
    let who = gate.identify(Some(&basic), None, now).await?;
    let asked = first.elapsed().as_micros();
    println!("{:<28}{asked:>9} µs", "first TokenReview");
    let first = Instant::now();
    gate.permit::<Pull>(&who, &repo).await?;
    let asked = first.elapsed().as_micros();
    println!("{:<28}{asked:>9} µs", "first SubjectAccessReview");
    let scopes = Scope::parse_all([format!("repository:{repo}:pull").as_str()])?;
    let issued = gate.issue(&who, &scopes, now).await?;
    let issued = Credential::Bearer(Secret::new(issued.token().to_owned()));

    for (name, credential) in [
        ("password", &basic),
        ("bearer", &bearer),
        ("issued", &issued),
    ] {
        let who = gate.identify(Some(credential), None, now).await?;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let who = gate.identify(Some(black_box(credential)), None, now);
            black_box(who.await?);
        }
        let name = format!("identify by {name}");
        println!("{name:<28}{:>9} ns", per_round(start));
        let start = Instant::now();
        for _ in 0..ROUNDS {
            let permit = gate.permit::<Pull>(black_box(&who), black_box(&repo));
            black_box(permit.await?);
        }
        println!("{:<28}{:>9} ns", "  and permit", per_round(start));
    }
    Ok(())
}

fn per_round(start: Instant) -> u128 {
    start.elapsed().as_nanos() / u128::from(ROUNDS)
}
