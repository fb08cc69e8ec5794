//! One run, from nothing to nothing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::bundle;
use super::cgroup::Cgroup;
use super::disk::{Disk, Excess};
use super::egress::Gateway;
use super::error::SandboxError;
use super::host::Host;
use super::namespaces::{Namespaces, Outputs};
use super::outcome::{Outcome, Reason, UNMEASURED, Usage};
use super::output::{self, Line, Output, Stream};
use super::prepare::Preparation;
use super::process::{Mount, Process, Source};
use super::record::Record;
use super::root::Root;
use super::rootfs::{Made, Rootfs};
use super::view::{self, LOG, Log, View};

/// Why a run was ended before it ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Disk(Excess),
    Time,
    Cancel,
}

impl Host {
    /// Runs a process in a root and returns when nothing of it is left: no process, mount, interface, cgroup or file of ours.
    ///
    /// `cancel` ends it. Dropping the future ends it too, and a thread removes what is left of it.
    pub async fn run(
        &self,
        root: &Root,
        process: &Process,
        output: Output,
        cancel: &CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let cgroup = Cgroup::plan(&self.hierarchies, &self.settings.cgroup, &name);
        let record = Record::make(&self.runs(), &name, cgroup)?;
        let run = Run {
            host: self,
            name: &name,
            cgroup: record.cgroup(),
            root,
            process,
        };
        let outcome = run.go(output, cancel).await;
        // Also after an error: whatever was begun is ended.
        record.remove().await?;
        outcome
    }
}

struct Run<'a> {
    host: &'a Host,
    name: &'a str,
    cgroup: &'a Cgroup,
    root: &'a Root,
    process: &'a Process,
}

impl Run<'_> {
    async fn go(
        &self,
        output: Output,
        cancel: &CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        self.cgroup.make(&self.process.limits)?;
        let ids = &self.host.settings.ids;
        let command = self.command();
        let namespaces = Namespaces::make(ids, self.cgroup, &command);
        // Both to their ends, also if one fails: what is begun is not left behind.
        let (disk, namespaces) = tokio::join!(Disk::start(self.written()), namespaces);
        let (disk, (mut namespaces, outputs)) = (disk?, namespaces?);
        self.process.gauge.show(&disk, self.cgroup);
        let view = View::make(&namespaces, ids, self.process.in_memory()).await?;
        view.root(self.root).await?;
        let rootfs = Rootfs::open(&namespaces.path(view::ROOT))?;
        let mut made = Made::default();
        let preparation = Preparation {
            ids,
            process: self.process,
            cgroup: self.cgroup,
            rootfs: &rootfs,
            made: &mut made,
        };
        let started = self.start(&namespaces, view, preparation).await;
        let outcome = match started {
            Ok((gateway, log)) => {
                let ended =
                    self.supervise(&mut namespaces, outputs, output, &disk, &gateway, cancel);
                ended.await.and_then(|outcome| match log.error() {
                    Some(error) if outcome.reason == Reason::Failed => {
                        Err(SandboxError::NotStarted(error))
                    }
                    _ => Ok(outcome),
                })
            }
            Err(error) => Err(error),
        };
        self.cgroup.kill();
        namespaces.stop().await?;
        // Nobody may be at work in the root when its mount points go and it is made a layer.
        self.cgroup.remove().await?;
        let left_behind = rootfs.unmake(made);
        outcome.map(|outcome| Outcome {
            left_behind,
            ..outcome
        })
    }

    /// Everything up to the word that starts the runtime.
    async fn start(
        &self,
        namespaces: &Namespaces,
        mut view: View<'_>,
        mut preparation: Preparation<'_>,
    ) -> Result<(Gateway, Log), SandboxError> {
        let gateway = Gateway::open(namespaces, self.host, &self.process.egress);
        let (found, gateway) = tokio::join!(preparation.prepare(&mut view), gateway);
        let (found, gateway) = (found?, gateway?);
        let configuration = bundle::configuration(self.process, &found);
        let text = serde_json::to_vec(&configuration);
        let text = text.map_err(SandboxError::io("write the runtime's configuration"))?;
        view.configuration(&text)?;
        self.check(namespaces)?;
        Ok((gateway, Log::hold(namespaces)?))
    }

    /// The runtime, which finds what it needs in the run's mount namespace.
    fn command(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![self.host.settings.runtime.clone().into()];
        let fixed = ["--root", view::STATE, "--log", LOG, "--log-format", "json"];
        words.extend(fixed.map(OsString::from));
        // Its cgroup is made already, and it has no right to make one.
        let fixed = ["--rootless", "true", "run", "--bundle", view::BUNDLE];
        words.extend(fixed.map(OsString::from));
        words.push(self.name.into());
        words
    }

    /// The folders that count as the run's disk.
    fn written(&self) -> Vec<PathBuf> {
        let cache = |mount: &Mount| match &mount.source {
            Source::Cache(path) => Some(path.clone()),
            _ => None,
        };
        let caches = self.process.mounts.iter().filter_map(cache);
        std::iter::once(self.root.writable().to_owned())
            .chain(caches)
            .collect()
    }

    /// The last look before the process runs: it is where its limits are.
    fn check(&self, namespaces: &Namespaces) -> Result<(), SandboxError> {
        if self.cgroup.holds(namespaces.pid()) {
            return Ok(());
        }
        Err(SandboxError::NotInForce {
            limit: "cgroup.procs".to_owned(),
            asked: namespaces.pid().to_string(),
            found: "nothing".to_owned(),
        })
    }

    async fn supervise(
        &self,
        namespaces: &mut Namespaces,
        outputs: Outputs,
        output: Output,
        disk: &Disk,
        gateway: &Gateway,
        cancel: &CancellationToken,
    ) -> Result<Outcome, SandboxError> {
        let limits = self.process.limits;
        let lines = output.lines.clone();
        let mut pump = std::pin::pin!(output::pump(outputs.stdout, outputs.stderr, output));
        let mut read = None;
        let begun = Instant::now();
        namespaces.start().await?;
        let mut deadline = std::pin::pin!(sleep_or_never(limits.wall));
        let mut full = std::pin::pin!(async {
            match limits.disk {
                Some(limit) => disk.exceeded(limit, self.cgroup).await,
                None => std::future::pending().await,
            }
        });
        let ended = loop {
            tokio::select! {
                result = &mut pump, if read.is_none() => read = Some(result?),
                exit = namespaces.wait() => break Ok(exit?),
                () = &mut deadline => break Err(Stop::Time),
                () = cancel.cancelled() => break Err(Stop::Cancel),
                result = &mut full => break Err(Stop::Disk(result?)),
            }
        };
        let wall = begun.elapsed();
        self.cgroup.kill();
        namespaces.stop().await?;
        let read = match read {
            Some(read) => read,
            None => pump.await?,
        };
        let mut grown = disk.grown(&Cgroup::default()).await?;
        if matches!(ended, Err(Stop::Disk(_))) {
            // Deleted files that were open are gone by now.
            grown = grown.max(limits.disk.unwrap_or(0));
        }
        if ended == Err(Stop::Disk(Excess::Hidden)) {
            let text = format!("[{UNMEASURED}]");
            let stream = Stream::Sandbox;
            let _ = lines.send(Line { stream, text }).await;
        }
        for refused in gateway.refused() {
            let text = format!(
                "[not allowed by the build's network policy: {refused}; the policy is the build's (--network) and the server's (builder.network)]"
            );
            let stream = Stream::Sandbox;
            let _ = lines.send(Line { stream, text }).await;
        }
        let counted = self.cgroup.counted();
        let usage = Usage {
            wall,
            cpu: counted.cpu,
            memory: counted.memory,
            memory_kills: counted.memory_kills,
            process_refusals: counted.process_refusals,
            disk: grown,
            output: read.bytes,
            output_dropped: read.dropped,
            raw_dropped: read.raw_dropped,
        };
        let (exit, stop) = match ended {
            Ok(exit) => (exit, None),
            Err(stop) => (None, Some(stop)),
        };
        let over_disk = limits.disk.is_some_and(|limit| grown > limit);
        let reason = reason(exit, stop, &usage, over_disk);
        Ok(Outcome {
            exit,
            reason,
            usage,
            left_behind: Vec::new(),
        })
    }
}

/// Only a failure has a limit to blame: a build may have lived with a refusal.
fn reason(exit: Option<u8>, stop: Option<Stop>, usage: &Usage, over_disk: bool) -> Reason {
    match (stop, exit) {
        (Some(Stop::Disk(Excess::Known)), _) => Reason::DiskFull,
        (Some(Stop::Disk(Excess::Hidden)), _) => Reason::DiskUnmeasured,
        (Some(Stop::Time), _) => Reason::TimedOut,
        (Some(Stop::Cancel), _) => Reason::Cancelled,
        // What it left is beyond the limit, even if it was done before it was seen.
        (None, _) if over_disk => Reason::DiskFull,
        (None, Some(0)) => Reason::Succeeded,
        (None, _) if usage.memory_kills > 0 => Reason::OutOfMemory,
        (None, _) if usage.process_refusals > 0 => Reason::TooManyProcesses,
        (None, _) => Reason::Failed,
    }
}

async fn sleep_or_never(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
