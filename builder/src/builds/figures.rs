//! What is counted of runs since the start, for Prometheus. Labels are words of this program's own, none a namespace's or a user's,
//! so that there are few.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Builds;
use crate::driver::Phase;
use crate::records::{Cause, Run, State};

#[cfg(test)]
mod tests;

/// Seconds: from a phase that has nothing to do to the longest that a run may take.
const BUCKETS: [f64; 12] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 180.0, 600.0, 1_800.0, 3_600.0, 14_400.0,
];

/// What a run that came for nothing has for a reason.
const REUSED: &str = "reused";

const CAUSES: [&str; 5] = ["asked", "webhook", "image", "schedule", "again"];

const PHASES: [Phase; 10] = [
    Phase::Resolve,
    Phase::Fetch,
    Phase::Prepare,
    Phase::SaveArtifacts,
    Phase::Assemble,
    Phase::AssembleRuntime,
    Phase::Export,
    Phase::Scan,
    Phase::Test,
    Phase::Publish,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    cause: &'static str,
}

/// A failure's reason is one of some fifty words; of what did not fail it is empty, or `reused`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    state: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct In {
    phase: &'static str,
}

type Durations = Family<In, Histogram, fn() -> Histogram>;

/// The counts.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    asked: Family<Asked, Counter>,
    ended: Family<Ended, Counter>,
    waited: Histogram,
    phases: Durations,
}

impl Default for Figures {
    /// All that is known beforehand is shown as 0: what appears with its first count has no rate then.
    fn default() -> Self {
        let (asked, ended) = (Family::default(), Family::default());
        for cause in CAUSES {
            drop(asked.get_or_create(&Asked { cause }));
        }
        for (state, reason) in [("succeeded", ""), ("succeeded", REUSED), ("cancelled", "")] {
            let reason = reason.to_owned();
            drop(ended.get_or_create(&Ended { state, reason }));
        }
        let phases = Durations::new_with_constructor(|| Histogram::new(BUCKETS));
        for phase in PHASES {
            let phase = word(phase);
            drop(phases.get_or_create(&In { phase }));
        }
        Self {
            asked,
            ended,
            waited: Histogram::new(BUCKETS),
            phases,
        }
    }
}

impl Figures {
    /// A run was asked for.
    pub(super) fn asked(&self, run: &Run) {
        let cause = match run.cause {
            Cause::Asked { .. } => "asked",
            Cause::Webhook { .. } => "webhook",
            Cause::ImageMoved { .. } => "image",
            Cause::Schedule => "schedule",
            Cause::Again { .. } => "again",
        };
        self.asked.get_or_create(&Asked { cause }).inc();
    }

    /// A run has ended, and its record says so.
    pub(super) fn ended(&self, run: &Run) {
        let (state, reason) = match &run.state {
            State::Queued | State::Running => return,
            State::Succeeded => {
                let reused = run.result.as_ref().is_some_and(|result| result.reused);
                ("succeeded", if reused { REUSED } else { "" })
            }
            State::Failed { reason, .. } => ("failed", reason.as_str()),
            State::Cancelled { .. } => ("cancelled", ""),
        };
        let reason = reason.to_owned();
        self.ended.get_or_create(&Ended { state, reason }).inc();
        if let Some(started) = run.started {
            self.waited.observe(seconds(run.asked, started));
        }
        for timing in &run.phases {
            if let Some(ended) = timing.ended {
                let phase = word(timing.phase);
                let of_phase = self.phases.get_or_create(&In { phase });
                of_phase.observe(seconds(timing.started, ended));
            }
        }
    }

    fn register(&self, names: &mut Registry) {
        names.register(
            "build_runs_asked",
            "Runs of builds that were asked for, by what asked for them",
            self.asked.clone(),
        );
        names.register(
            "build_runs",
            "Runs of builds that have ended, by how, and why where they failed",
            self.ended.clone(),
        );
        names.register(
            "build_queue_duration_seconds",
            "How long runs that have ended waited for their turn",
            self.waited.clone(),
        );
        names.register(
            "build_phase_duration_seconds",
            "How long the phases of runs that have ended took",
            self.phases.clone(),
        );
    }
}

impl Builds {
    /// Enters what is counted of runs into the names of a server's metrics.
    pub fn register_metrics(&self, names: &mut Registry) {
        self.figures().register(names);
    }
}

/// Of times in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53")]
fn seconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}

/// As it is written in records.
fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "resolve",
        Phase::Fetch => "fetch",
        Phase::Prepare => "prepare",
        Phase::SaveArtifacts => "save-artifacts",
        Phase::Assemble => "assemble",
        Phase::AssembleRuntime => "assemble-runtime",
        Phase::Export => "export",
        Phase::Scan => "scan",
        Phase::Test => "test",
        Phase::Publish => "publish",
    }
}
