//! Running a closed loop: N connections, each sending its next request when the last is answered.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use tokio::task::LocalSet;

use super::tally::{Tally, Window};
use super::{Connection, Done, Outcome, Target};
use crate::accounting::{Usage, own_cpu};
use crate::machine::Machine;
use crate::process::Server;

/// A failed turn waits this long, so that a broken server does not become a busy loop.
const AFTER_FAILURE: Duration = Duration::from_millis(20);
/// No counted run takes longer.
const LIMIT: Duration = Duration::from_secs(900);

/// What a connection does over and over.
pub(crate) trait Work: Send + Sync + 'static {
    /// Does it once, with `turn` unique within the run. An error is anything but the expected reply.
    async fn once(&self, connection: &mut Connection, turn: u64) -> Result<Done>;
}

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// Warm up, then count what ends within the window.
    Time {
        /// Not counted.
        warm_up: Duration,
        /// Counted.
        window: Duration,
    },
    /// So many turns in all, the first ones included.
    Turns(u64),
}

/// A closed loop's shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections, each with one request in flight.
    pub(crate) connections: usize,
    /// How long.
    pub(crate) extent: Extent,
    /// Requests per second in all, evenly spread over the connections; `None`: as fast as they are answered.
    pub(crate) pace: Option<f64>,
}

impl Load {
    /// A closed loop.
    pub(crate) fn closed(connections: usize, extent: Extent) -> Self {
        Self {
            connections,
            extent,
            pace: None,
        }
    }
}

/// Runs `work` on `server` and returns what was seen, with the server's use of CPU and memory in that time.
///
/// # Errors
/// No connection could be opened, or the run took longer than its limit.
pub(crate) fn run<W: Work>(
    machine: &Machine,
    server: &Server,
    target: &Target,
    load: Load,
    work: W,
) -> Result<(Outcome, Usage)> {
    // Leaked on purpose, a few dozen bytes a run: generator threads outlive a run that failed.
    let window: &'static OnceLock<Window> = Box::leak(Box::default());
    let threads = machine.generator_threads().min(load.connections);
    let shared = Arc::new(Shared {
        work,
        target: Arc::new(target.clone()),
        turns: AtomicU64::new(0),
        last: match load.extent {
            Extent::Turns(turns) => turns,
            Extent::Time { .. } => u64::MAX,
        },
        interval: load
            .pace
            .map(|pace| Duration::from_secs_f64(crate::number(load.connections as u64) / pace)),
        connected: Barrier::new(threads + 1),
        started: Barrier::new(threads + 1),
        window,
    });
    let handles: Vec<_> = (0..threads)
        .map(|thread| {
            let connections =
                load.connections / threads + usize::from(thread < load.connections % threads);
            let (shared, machine) = (Arc::clone(&shared), machine.clone());
            std::thread::spawn(move || {
                machine.pin_generator();
                generate(&shared, connections)
            })
        })
        .collect();

    shared.connected.wait();
    server.forget_peak();
    let start = Instant::now();
    let (start, end) = match load.extent {
        Extent::Time { warm_up, window } => (start + warm_up, Some(start + warm_up + window)),
        Extent::Turns(_) => (start, None),
    };
    // Nobody else sets it.
    let _ = window.set(Window { start, end });
    shared.started.wait();

    sleep_until(start);
    let (before, own_before, begun) = (server.usage()?, own_cpu()?, Instant::now());
    let mut measured = None;
    if let Some(end) = end {
        sleep_until(end);
        measured = Some((server.usage()?, own_cpu()?, begun.elapsed()));
    }
    let mut total = Outcome::empty();
    for handle in handles {
        let outcome = handle
            .join()
            .map_err(|_| anyhow!("a generator thread failed"))??;
        total.merge(outcome);
    }
    let (after, own_after, elapsed) = match measured {
        Some(measured) => measured,
        None => (server.usage()?, own_cpu()?, begun.elapsed()),
    };
    total.elapsed = elapsed;
    total.busy = (own_after - own_before) / (elapsed.as_secs_f64() * crate::number(threads as u64));
    Ok((total, after.since(&before)))
}

struct Shared<W> {
    work: W,
    target: Arc<Target>,
    turns: AtomicU64,
    last: u64,
    /// Between a connection's requests, when they are paced.
    interval: Option<Duration>,
    connected: Barrier,
    started: Barrier,
    window: &'static OnceLock<Window>,
}

/// One generator thread: its connections take turns on one core.
fn generate<W: Work>(shared: &Arc<Shared<W>>, connections: usize) -> Result<Outcome> {
    let tally = Rc::new(Tally::new(shared.window));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let opened = match &runtime {
        Ok(runtime) => runtime.block_on(open(&shared.target, connections, &tally)),
        Err(error) => Err(anyhow!("{error}")),
    };
    // Every thread comes to both barriers, whatever happened, or the others would wait for ever.
    shared.connected.wait();
    shared.started.wait();
    let opened = opened?;
    let runtime = runtime?;
    let local = LocalSet::new();
    for connection in opened {
        local.spawn_local(turn_around(
            Arc::clone(shared),
            connection,
            Rc::clone(&tally),
        ));
    }
    let end = shared.window.get().and_then(|window| window.end);
    match end {
        Some(end) => runtime.block_on(async {
            let time_is_up = tokio::time::sleep_until(end.into());
            local.run_until(time_is_up).await;
        }),
        None => runtime
            .block_on(async { tokio::time::timeout(LIMIT, local).await })
            .with_context(|| format!("the turns were not done after {LIMIT:?}"))?,
    }
    Ok(tally.finish())
}

async fn open(
    target: &Arc<Target>,
    connections: usize,
    tally: &Rc<Tally>,
) -> Result<Vec<Connection>> {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut connection = Connection::new(Arc::clone(target), Rc::clone(tally));
        connection.open().await?;
        opened.push(connection);
    }
    Ok(opened)
}

async fn turn_around<W: Work>(
    shared: Arc<Shared<W>>,
    mut connection: Connection,
    tally: Rc<Tally>,
) {
    let mut due = shared
        .interval
        .map(|interval| Instant::now() + interval.mul_f64(fastrand::f64()));
    loop {
        let turn = shared.turns.fetch_add(1, Ordering::Relaxed);
        if turn >= shared.last {
            return;
        }
        let began = wait_until_due(&mut due, shared.interval).await;
        match shared.work.once(&mut connection, turn).await {
            Ok(done) => tally.done(began, done),
            Err(error) => {
                tally.failed(&error);
                connection.close();
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// The moment from which a turn's time counts. A request that was due while the last one was still under way counts
/// from when it was due: a client that waits for a slow server must not hide how slow it is.
async fn wait_until_due(due: &mut Option<Instant>, interval: Option<Duration>) -> Instant {
    let now = Instant::now();
    let (Some(moment), Some(interval)) = (due.as_mut(), interval) else {
        return now;
    };
    let this = *moment;
    *moment = this + interval;
    if this <= now {
        return this;
    }
    tokio::time::sleep_until(this.into()).await;
    // The timer's millisecond is ours, not the server's.
    Instant::now()
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}
