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
use super::execute::{Failure, Hands};
use super::observed::Key;
use super::plan::{Plan, Step, Why, plan};
use super::report;
use super::settings::Settings;
use super::status::Status;
use super::watch::{Watches, watches};
use super::world::{Fact, News, World};
use crate::complaints::Complaints;

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
    /// Foreign secrets that were reported, by uid.
    reported: HashMap<Key, String>,
}

/// A step that has ended; without one, something was reported.
struct Done {
    key: Key,
    step: Option<Step>,
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
            let is_free = self.running.len() < AT_ONCE && self.world.is_whole();
            let next = self.agenda.next().filter(|_| is_free);
            tokio::select! {
                Some(news) = watches.next() => match news {
                    Ok(news) => self.hear(news),
                    Err(error) if report::is_usual(&error) => {
                        tracing::debug!(%error, "pull secrets: a watch begins again");
                    }
                    Err(error) => {
                        self.status.failed();
                        report::complain(self.complaints, &report::explain_watch(&error));
                    }
                },
                Some(done) = self.running.next() => self.take_in(done),
                () = until(next) => {}
            }
        }
    }

    fn hear(&mut self, news: News) {
        let was_whole = self.world.is_whole();
        let touched = self.world.hear(news);
        let now = Instant::now();
        for key in touched {
            self.agenda.at(&key, now);
        }
        if !was_whole && self.world.is_whole() {
            tracing::info!(
                kept = self.world.kept(),
                "pull secrets: the cluster is known"
            );
        }
    }

    fn begin_what_is_due(&mut self) {
        if !self.world.is_whole() {
            return;
        }
        let now = Instant::now();
        while self.running.len() < AT_ONCE
            && let Some(key) = self.agenda.pop(now)
        {
            self.look_at(key, now);
        }
    }

    fn look_at(&mut self, key: Key, now: Instant) {
        let view = self.world.view(&key);
        let time = SystemTime::now();
        let planned = plan(&key, view, self.settings, time);
        if !matches!(planned, Plan::Blocked(_)) {
            self.reported.remove(&key);
        }
        match planned {
            Plan::Rest(None) => self.agenda.forget(&key),
            Plan::Rest(Some(until)) => {
                let wait = until.duration_since(time).unwrap_or_default();
                self.agenda.at(&key, now + wait.min(AT_LEAST));
            }
            Plan::Blocked(uid) => {
                let account = view.account.map(|account| account.uid.clone());
                if self.reported.insert(key.clone(), uid.clone()) != Some(uid) {
                    self.agenda.begin(&key, now);
                    self.report_taken(key, account);
                }
            }
            Plan::Act(step) => {
                self.agenda.begin(&key, now);
                self.perform(key, step);
            }
        }
    }

    fn perform(&mut self, key: Key, step: Step) {
        let (client, settings) = (self.client, self.settings);
        self.running.push(Box::pin(async move {
            let result = Hands::new(client, settings, &key).perform(&step).await;
            let step = Some(step);
            Done { key, step, result }
        }));
    }

    fn take_in(&mut self, Done { key, step, result }: Done) {
        let now = Instant::now();
        let failed = result.is_err();
        match result {
            Ok(facts) => {
                if let Some(step) = &step {
                    report::done(&key, step, self.settings);
                }
                if let Some(Step::Fill {
                    why: Why::Renewal, ..
                }) = step
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
                report::complain(self.complaints, &report::explain(&key, &failure));
            }
        }
        self.agenda.end(&key, now, failed);
    }

    /// As an event of the ServiceAccount, where its owners look, and in the log.
    fn report_taken(&mut self, key: Key, account_uid: Option<String>) {
        let secret = self.settings.secret_of(&key.account);
        tracing::warn!(
            namespace = %key.namespace,
            secret,
            "the secret was not made by Slipway: it is left alone, and {} has no pull secret",
            key.account
        );
        let recorder = self.recorder;
        self.running.push(Box::pin(async move {
            report::publish(recorder, &key, &secret, account_uid).await;
            Done {
                key,
                step: None,
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
