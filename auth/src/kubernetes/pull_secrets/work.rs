//! The loop: hear news, plan for what they touch, do it, so many at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use kube::Client;
use kube::runtime::events::Recorder;
use tokio::time::Instant;

use super::agenda::Agenda;
use super::bind;
use super::execute::{Failure, Hands};
use super::grant;
use super::observed::{Duty, Key};
use super::plan::{Plan, Step, Why, plan};
use super::report::{self, Complaints};
use super::settings::Settings;
use super::status::Status;
use super::taken::Taken;
use super::watch::{Broken, Watches, watches};
use super::world::{Fact, List, News, World};

/// Steps under way at once.
const AT_ONCE: usize = 16;
/// A far time is looked at again now and then: clocks are set.
const AT_LEAST: Duration = Duration::from_secs(3600);

pub(super) struct Work<'a> {
    client: &'a Client,
    recorder: &'a Recorder,
    settings: &'a Arc<Settings>,
    status: &'a Status,
    complaints: &'a Complaints,
    world: World,
    agenda: Agenda,
    running: FuturesUnordered<BoxFuture<'a, Done>>,
    /// Foreign objects that were reported, by uid.
    reported: HashMap<Duty, String>,
}

/// A step, and for whom.
enum Deed {
    Grant(Arc<str>, grant::Step),
    Login(Key, Step),
}

/// A step that has ended; without one, something was reported.
struct Done {
    duty: Duty,
    deed: Option<Deed>,
    result: Result<Vec<Fact>, Failure>,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        client: &'a Client,
        recorder: &'a Recorder,
        settings: &'a Arc<Settings>,
        status: &'a Status,
        complaints: &'a Complaints,
    ) -> Self {
        Self {
            client,
            recorder,
            settings,
            status,
            complaints,
            world: World::new(settings.accounts.clone()),
            agenda: Agenda::default(),
            running: FuturesUnordered::new(),
            reported: HashMap::new(),
        }
    }

    /// Works for ever. Dropped, it leaves nothing that the next could not go on with.
    pub(super) async fn run(mut self) {
        let mut watches: Watches = watches(self.client, self.settings);
        loop {
            self.begin_what_is_due();
            self.status.show(self.world.kept(), self.world.first_end());
            let is_free = self.running.len() < AT_ONCE;
            let next = self.agenda.next().filter(|_| is_free);
            tokio::select! {
                Some(news) = watches.next() => match news {
                    Ok(news) => self.hear(news),
                    Err(broken) => self.begin_again(&broken),
                },
                Some(done) = self.running.next() => self.take_in(done),
                () = until(next) => {}
            }
        }
    }

    fn hear(&mut self, news: News) {
        let was_whole = self.world.is_whole();
        let now = Instant::now();
        for duty in self.world.hear(news) {
            self.agenda.at(&duty, now);
        }
        if !was_whole && self.world.is_whole() {
            tracing::info!(
                kept = self.world.kept(),
                "pull secrets: the cluster is known"
            );
        }
    }

    fn begin_again(&self, Broken { list, error }: &Broken) {
        if report::is_usual(error) {
            tracing::debug!(?list, %error, "pull secrets: a watch begins again");
            return;
        }
        self.status.failed();
        let what = report::explain_watch(list, error);
        match list {
            List::Grants => self.complaints.of_grants(&what),
            List::Namespaces | List::Accounts(_) | List::Secrets(_) => {
                self.complaints.of_secrets(&what);
            }
        }
    }

    fn begin_what_is_due(&mut self) {
        let now = Instant::now();
        while self.running.len() < AT_ONCE
            && let Some(duty) = self.agenda.pop(now)
        {
            // What is not known yet is due again when it is.
            if self.world.is_known(&duty) {
                self.look_at(duty, now);
            }
        }
    }

    fn look_at(&mut self, duty: Duty, now: Instant) {
        let time = SystemTime::now();
        let namespace = self.world.namespace(duty.namespace());
        let planned = match &duty {
            Duty::Grant(name) => grant::plan(namespace, self.world.grant(name), self.settings)
                .map(|step| Deed::Grant(name.clone(), step)),
            Duty::Login(key) => plan(key, self.world.view(key), self.settings, time)
                .map(|step| Deed::Login(key.clone(), step)),
        };
        if !matches!(planned, Plan::Blocked(_)) {
            self.reported.remove(&duty);
        }
        match planned {
            // How often something was undone is remembered as long as there is somebody to do it.
            Plan::Rest(None) if namespace.is_some() => {}
            Plan::Rest(None) => self.agenda.forget(&duty),
            Plan::Rest(Some(until)) => {
                let wait = until.duration_since(time).unwrap_or_default();
                self.agenda.at(&duty, now + wait.min(AT_LEAST));
            }
            Plan::Blocked(uid) => {
                if self.reported.insert(duty.clone(), uid.clone()) != Some(uid.clone()) {
                    self.agenda.begin(&duty, now);
                    self.report_taken(duty, uid);
                }
            }
            Plan::Act(deed) => {
                self.agenda.begin(&duty, now);
                self.perform(duty, deed);
            }
        }
    }

    fn perform(&mut self, duty: Duty, deed: Deed) {
        let (client, settings) = (self.client, self.settings);
        self.running.push(Box::pin(async move {
            let result = match &deed {
                Deed::Grant(namespace, step) => {
                    bind::perform(client, settings, namespace, step).await
                }
                Deed::Login(key, step) => Hands::new(client, settings, key).perform(step).await,
            };
            let deed = Some(deed);
            Done { duty, deed, result }
        }));
    }

    fn take_in(&mut self, Done { duty, deed, result }: Done) {
        let now = Instant::now();
        let failed = result.is_err();
        match result {
            Ok(facts) => {
                match &deed {
                    Some(Deed::Login(key, step)) => report::done(key, step, self.settings),
                    Some(Deed::Grant(namespace, step)) => {
                        report::granted(namespace, step, self.settings);
                    }
                    None => {}
                }
                if let Some(Deed::Login(
                    _,
                    Step::Fill {
                        why: Why::Renewal, ..
                    },
                )) = deed
                {
                    self.status.renewed();
                }
                for fact in facts {
                    self.world.learn(fact);
                }
            }
            Err(Failure::Overtaken) => {}
            // The namespace ends: the watch says so soon.
            Err(Failure::Kube(kube::Error::Api(status))) if report::is_ending(&status) => {}
            Err(failure) => {
                self.status.failed();
                let what = report::explain(&duty, &failure);
                match duty {
                    Duty::Grant(_) => self.complaints.of_grants(&what),
                    Duty::Login(_) => self.complaints.of_secrets(&what),
                }
            }
        }
        self.agenda.end(&duty, now, failed);
    }

    /// As an event, where the namespace's people look, and in the log.
    fn report_taken(&mut self, duty: Duty, uid: String) {
        let taken = match &duty {
            Duty::Grant(namespace) => Taken::binding(namespace, uid, self.settings),
            Duty::Login(key) => {
                let account = self.world.view(key).account;
                let account = account.map(|account| account.uid.clone());
                Taken::secret(key, account, self.settings)
            }
        };
        taken.log();
        let recorder = self.recorder;
        self.running.push(Box::pin(async move {
            taken.publish(recorder).await;
            Done {
                duty,
                deed: None,
                result: Ok(Vec::new()),
            }
        }));
    }
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
