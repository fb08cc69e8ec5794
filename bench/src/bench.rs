//! What every case works with: the machine, the subjects, the rounds.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::load::{Extent, Load, Target, Work, run, trust};
use crate::machine::Machine;
use crate::material::{Access, Certificate};
use crate::measure::{Aim, Measure, Sample, Unit};
use crate::peers::{Auth, Subject};
use crate::process::{Server, Setup, free_address};

/// The one repository of most cases.
pub(crate) const REPO: &str = "bench/small";

/// A run of this program.
pub(crate) struct Bench {
    /// The cores.
    pub(crate) machine: Machine,
    /// Who takes part.
    pub(crate) subjects: Vec<Subject>,
    /// Smaller sizes and shorter windows.
    pub(crate) quick: bool,
    /// How often each subject has its turn.
    pub(crate) rounds: usize,
    /// Users and keys.
    pub(crate) access: Access,
    /// The certificate of those that serve TLS.
    pub(crate) certificate: Certificate,
    folder: TempDir,
    next_folder: Cell<u32>,
    left_out: RefCell<Vec<(Subject, String)>>,
}

/// How a case wants its servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Which can take part at all.
    pub(crate) among: &'a [Subject],
    /// How clients authenticate.
    pub(crate) auth: Auth,
    /// Whether they serve TLS.
    pub(crate) tls: bool,
}

impl Bench {
    /// A run with its data in a new folder under `dir`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn new(
        machine: Machine,
        subjects: Vec<Subject>,
        quick: bool,
        rounds: usize,
        dir: &std::path::Path,
    ) -> Result<Self> {
        let folder = TempDir::with_prefix_in("slipway-bench-", dir)?;
        Ok(Self {
            access: Access::make(folder.path())?,
            certificate: Certificate::make(folder.path())?,
            machine,
            subjects,
            quick,
            rounds,
            folder,
            next_folder: Cell::new(0),
            left_out: RefCell::default(),
        })
    }

    /// `full`, or `quick` in a quick run.
    pub(crate) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The subjects of `among` that are here.
    pub(crate) fn present(&self, among: &[Subject]) -> Vec<Subject> {
        self.subjects
            .iter()
            .copied()
            .filter(|subject| among.contains(subject))
            .collect()
    }

    /// A folder that nobody has.
    pub(crate) fn new_folder(&self, subject: Subject) -> PathBuf {
        let number = self.next_folder.replace(self.next_folder.get() + 1);
        self.folder
            .path()
            .join(format!("{number}-{}", subject.title().replace(' ', "-")))
    }

    /// Starts a server on an empty folder.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start(&self, subject: Subject, auth: Auth, tls: bool) -> Result<Server> {
        self.start_on(subject, &self.new_folder(subject), auth, tls)
    }

    /// Starts a server on a folder that may hold data.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn start_on(
        &self,
        subject: Subject,
        folder: &std::path::Path,
        auth: Auth,
        tls: bool,
    ) -> Result<Server> {
        let setup = self.setup(folder, auth, tls)?;
        let target = Target {
            address: setup.address,
            tls: tls
                .then(|| trust(self.certificate.der.clone()))
                .transpose()?,
            authorization: None,
        };
        let mut server = Server::start(&self.machine, subject, &setup, target)?;
        server.target.authorization =
            subject.authorization(auth, &self.access, &server.target, REPO)?;
        Ok(server)
    }

    /// The setup of a server on a folder.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn setup<'a>(
        &'a self,
        folder: &'a std::path::Path,
        auth: Auth,
        tls: bool,
    ) -> Result<Setup<'a>> {
        Ok(Setup {
            folder,
            address: free_address()?,
            tls: tls.then_some(&self.certificate),
            auth,
            access: &self.access,
            threads: self.machine.server_threads(),
            more: "",
        })
    }

    /// Starts all wanted servers and sets the stage on each; those that fail are left out, which the report says.
    pub(crate) fn start_all(
        &self,
        wanted: Wanted<'_>,
        stage: impl Fn(&Server) -> Result<()>,
    ) -> Vec<Server> {
        let able = self
            .present(wanted.among)
            .into_iter()
            .filter(|subject| subject.can(wanted.auth));
        let started = able.filter_map(|subject| {
            let server = self
                .start(subject, wanted.auth, wanted.tls)
                .and_then(|server| {
                    stage(&server)
                        .with_context(|| format!("its log ends: {}", server.log_end()))?;
                    Ok(server)
                });
            server
                .inspect_err(|error| self.leave_out(subject, error))
                .ok()
        });
        started.collect()
    }

    /// Notes that a subject cannot take part in the case at hand.
    pub(crate) fn leave_out(&self, subject: Subject, error: &anyhow::Error) {
        let why = format!("{error:#}");
        eprintln!("bench: {} is left out: {why}", subject.title());
        self.left_out.borrow_mut().push((subject, why));
    }

    /// Those left out since the last call.
    pub(crate) fn left_out(&self) -> Vec<(Subject, String)> {
        self.left_out.take()
    }

    /// The window of a timed run.
    pub(crate) fn window(&self) -> Extent {
        Extent::Time {
            warm_up: self.size(Duration::from_millis(300), Duration::from_millis(200)),
            window: self.size(Duration::from_millis(1500), Duration::from_millis(800)),
        }
    }

    /// One row: the same load on each server in turn, round by round.
    pub(crate) fn measure<W: Work>(
        &self,
        name: impl Into<String>,
        unit: Unit,
        aims: &[Aim],
        servers: &[Server],
        load: Load,
        work: impl Fn(&Server) -> Result<W>,
    ) -> Measure {
        self.rounds(name, unit, aims, servers, |server| {
            let (outcome, usage) = run(&self.machine, server, &server.target, load, work(server)?)?;
            server.calm();
            Ok(Sample::of(unit, &outcome, &usage))
        })
    }

    /// One row of anything: each server in turn, round by round.
    pub(crate) fn rounds(
        &self,
        name: impl Into<String>,
        unit: Unit,
        aims: &[Aim],
        servers: &[Server],
        sample: impl Fn(&Server) -> Result<Sample>,
    ) -> Measure {
        let mut measure = Measure::new(name, unit, aims);
        for _ in 0..self.rounds {
            for server in servers {
                measure.add(server.subject, sample(server));
            }
        }
        self.tell(&measure);
        measure
    }

    /// Says on stderr how a row went, as the whole takes its time.
    pub(crate) fn tell(&self, measure: &Measure) {
        let median = |&subject: &Subject| {
            let value = measure.median(subject)?;
            Some(format!(
                "{} {}",
                subject.title(),
                crate::report::figure(value)
            ))
        };
        let figures: Vec<_> = self.subjects.iter().filter_map(median).collect();
        eprintln!(
            "  {} [{}]: {}",
            measure.name,
            measure.unit.sign(),
            figures.join(", ")
        );
        for (subject, note) in &measure.notes {
            eprintln!("    {}: {note}", subject.title());
        }
    }

    /// Writes everything back to the disk, so that one run does not pay for another's pages.
    pub(crate) fn settle(&self) {
        rustix::fs::sync();
        std::thread::sleep(self.size(Duration::from_millis(300), Duration::from_millis(50)));
    }
}
