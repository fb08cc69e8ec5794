//! The commands that move images, and look at them where they are.

mod copy;
mod engine;
mod look;
mod size;

pub(super) use copy::{copy, push};
pub(super) use engine::pull;
pub(super) use look::{default_server, inspect, ls, rm, tag};
pub(super) use size::human;

/// Ends the work when the user does, so that what it made for the time being is cleared up.
pub(super) async fn interruptible<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done,
        interrupt = tokio::signal::ctrl_c() => {
            interrupt?;
            anyhow::bail!("interrupted; the same command goes on with what has arrived")
        }
    }
}
