//! What a request pays for an identity and a right that a Kubernetes cluster decides: the gate in this process, before a
//! real API server.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use auth::kubernetes::{AccessReviews, Cluster, Lifetimes, Place, Preset, TokenReviews};
use auth::rbac::Resource;
use auth::{Credential, Gate, Identity, Pull, Scope, Secret, Tokens};
use oci::RepoName;
use tempfile::TempDir;
use tests::{Lab, cluster, toolbox};

use super::Case;
use crate::bench::{Bench, REPO};
use crate::measure::{Aim, Measure, Sample, Unit};
use crate::number;
use crate::peers::Subject;

pub(super) const CASE: Case = Case {
    name: "reviews",
    about: "identity and right from a Kubernetes API server: what one costs when asked, and when remembered",
    run,
};

/// That of [`REPO`].
const NAMESPACE: &str = "bench";
const ACCOUNT: &str = "puller";

/// The aim for whatever is remembered.
const HIT: &[Aim] = &[Aim::Below(2.0)];

fn run(bench: &Bench) -> Result<Vec<Measure>> {
    if bench.present(&[Subject::Slipway]).is_empty() {
        return Ok(Vec::new());
    }
    // The lab itself would end the whole run.
    for program in ["etcd", "kube-apiserver", "kubectl", "openssl"] {
        toolbox::installed(program)
            .with_context(|| format!("{program} is not installed: run scripts/lab-install"))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let world = World::start(bench);
    let times = bench.size(300_000, 50_000);
    let mut rows = Rows::new(times);
    for _ in 0..bench.rounds {
        runtime.block_on(round(&world, times, &mut rows))?;
    }
    let measures = rows.into_measures();
    for measure in &measures {
        bench.tell(measure);
    }
    Ok(measures)
}

/// A cluster, and somebody in it who may pull.
struct World {
    lab: Lab,
    cluster: tests::Cluster,
    token: String,
}

impl World {
    fn start(bench: &Bench) -> Self {
        let lab = Lab::new("bench-reviews");
        let cluster = bench.machine.as_server(|| tests::Cluster::start(&lab));
        cluster.apply(&lab, cluster::ROLES);
        cluster.create_namespace(&lab, NAMESPACE);
        cluster.create_service_account(&lab, NAMESPACE, ACCOUNT);
        let bind = "create rolebinding pulls --clusterrole=system:image-puller";
        let kubectl = || cluster.kubectl(&lab).args(["--namespace", NAMESPACE]);
        kubectl()
            .args(bind.split(' '))
            .arg(format!("--serviceaccount={NAMESPACE}:{ACCOUNT}"))
            .ok();
        // The API server takes a moment to know of a binding.
        tests::until("the right is known", || {
            kubectl()
                .args("auth can-i get images.registry.alauda.io --as".split(' '))
                .arg(format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}"))
                .run()
                .status
                .success()
        });
        let token = cluster.service_account_token(&lab, NAMESPACE, ACCOUNT);
        Self {
            lab,
            cluster,
            token,
        }
    }

    /// Reviews that the API server has answered, as it counts them itself.
    fn reviews(&self) -> Result<u64> {
        let get = ["get", "--raw", "/metrics"];
        let text = self.cluster.kubectl(&self.lab).args(get).ok();
        let mut all = 0;
        for line in text.lines() {
            let of = |resource: &str| line.contains(&format!("resource=\"{resource}\""));
            if line.starts_with("apiserver_request_total{")
                && (of("tokenreviews") || of("subjectaccessreviews"))
            {
                let (_, value) = line.rsplit_once(' ').context("a sample without a value")?;
                all += value.parse::<u64>()?;
            }
        }
        Ok(all)
    }
}

/// A gate that asks the cluster and remembers nothing yet. Its keys last as long as the folder.
struct Fresh {
    gate: Gate,
    cluster: Arc<Cluster>,
    _keys: TempDir,
}

impl Fresh {
    async fn connect(world: &World) -> Result<Self> {
        let place = Place::Kubeconfig(world.cluster.kubeconfig("registry"), None);
        let cluster = Arc::new(Cluster::connect(&place, Duration::from_secs(5)).await?);
        let lifetimes = Lifetimes {
            allow: Duration::from_secs(60),
            deny: Duration::from_secs(10),
        };
        let audiences = vec![cluster::AUDIENCE.to_owned()];
        let people = TokenReviews::new(Arc::clone(&cluster), audiences, lifetimes)?;
        let preset = Preset::Resource(Resource::default());
        let rights = AccessReviews::new(Arc::clone(&cluster), preset, lifetimes)?;
        let keys = TempDir::new()?;
        let tokens =
            Tokens::load_or_create(&keys.path().join("keys.pem"), vec![], Tokens::DEFAULT_TTL)?;
        let (people, rights) = (Arc::new(people), Arc::new(rights));
        Ok(Self {
            gate: Gate::new(vec![people], rights, Some(Arc::new(tokens)), false),
            cluster,
            _keys: keys,
        })
    }
}

/// The rows of the report, filled round by round.
struct Rows {
    connection: Measure,
    asked_who: Measure,
    asked_may: Measure,
    password: Measure,
    bearer: Measure,
    issued: Measure,
    right: Measure,
    right_of_issued: Measure,
    reviews: Measure,
}

impl Rows {
    fn new(times: u32) -> Self {
        let hit = |name: &str| Measure::new(name, Unit::Microseconds, HIT);
        let decisions = 5 * times;
        Self {
            connection: Measure::new(
                "who it is, asked by a new connection",
                Unit::Milliseconds,
                &[],
            ),
            asked_who: Measure::new("who it is, asked (TokenReview)", Unit::Milliseconds, &[]),
            asked_may: Measure::new(
                "one right, asked (SubjectAccessReview)",
                Unit::Milliseconds,
                &[],
            ),
            password: hit("who it is, remembered, token as a password"),
            bearer: hit("who it is, remembered, token as Bearer"),
            issued: hit("who it is, by a token of the registry"),
            right: hit("one right, remembered"),
            right_of_issued: hit("one right, remembered, by a token of the registry"),
            reviews: Measure::new(
                format!("asked of the API server for {decisions} decisions"),
                Unit::Reviews,
                // One of each kind.
                &[Aim::Below(3.0)],
            ),
        }
    }

    fn into_measures(self) -> Vec<Measure> {
        vec![
            self.connection,
            self.asked_who,
            self.asked_may,
            self.password,
            self.bearer,
            self.issued,
            self.right,
            self.right_of_issued,
            self.reviews,
        ]
    }
}

async fn round(world: &World, times: u32, rows: &mut Rows) -> Result<()> {
    let fresh = Fresh::connect(world).await?;
    let gate = &fresh.gate;
    let repo = RepoName::parse(REPO)?;
    let now = SystemTime::now();
    let stranger = Credential::basic("any", Secret::new("made-up".to_owned()))?;
    let begun = Instant::now();
    let refused = gate.identify(Some(&stranger), None, now).await;
    add(&mut rows.connection, begun.elapsed().as_secs_f64() * 1e3);
    ensure!(refused.is_err(), "a made-up token is taken");

    let (before, sent_before) = (world.reviews()?, fresh.cluster.asked());
    let password = Credential::basic("any", Secret::new(world.token.clone()))?;
    let bearer = Credential::Bearer(Secret::new(world.token.clone()));

    let begun = Instant::now();
    let who = gate.identify(Some(&password), None, now).await?;
    add(&mut rows.asked_who, begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    gate.permit::<Pull>(&who, &repo).await?;
    add(&mut rows.asked_may, begun.elapsed().as_secs_f64() * 1e3);
    let scopes = Scope::parse_all([format!("repository:{repo}:pull").as_str()])?;
    let token = gate.issue(&who, &scopes, now).await?;
    let issued = Credential::Bearer(Secret::new(token.token().to_owned()));

    add(
        &mut rows.password,
        identify(gate, &password, now, times).await?,
    );
    add(&mut rows.bearer, identify(gate, &bearer, now, times).await?);
    add(&mut rows.issued, identify(gate, &issued, now, times).await?);
    add(&mut rows.right, permit(gate, &who, &repo, times).await?);
    let who = gate.identify(Some(&issued), None, now).await?;
    add(
        &mut rows.right_of_issued,
        permit(gate, &who, &repo, times).await?,
    );

    let asked = world.reviews()? - before;
    let sent = fresh.cluster.asked() - sent_before;
    ensure!(
        asked == sent,
        "the API server answered {asked} reviews, the gate sent {sent}"
    );
    add(&mut rows.reviews, number(asked));
    Ok(())
}

fn add(measure: &mut Measure, value: f64) {
    measure.add(Subject::Slipway, Ok(Sample::bare(value)));
}

/// Microseconds for each of so many look-ups of whose a credential is, which is known.
async fn identify(
    gate: &Gate,
    credential: &Credential,
    now: SystemTime,
    times: u32,
) -> Result<f64> {
    gate.identify(Some(credential), None, now).await?;
    let begun = Instant::now();
    for _ in 0..times {
        let who = gate.identify(Some(black_box(credential)), None, now);
        black_box(who.await?);
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(times))
}

/// Microseconds for each of so many permits for what is known to be allowed.
async fn permit(gate: &Gate, who: &Identity, repo: &RepoName, times: u32) -> Result<f64> {
    gate.permit::<Pull>(who, repo).await?;
    let begun = Instant::now();
    for _ in 0..times {
        let permit = gate.permit::<Pull>(black_box(who), black_box(repo));
        black_box(permit.await?);
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(times))
}
