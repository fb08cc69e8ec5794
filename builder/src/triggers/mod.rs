//! What starts runs by itself, besides webhooks: time, and images that move.
//!
//! Both look at the ledger, not at what they remember: whatever was missed while nobody looked is seen at the next look, and
//! two servers that look at the same time start one run. A run has the rights of its build's owner, who must still have the right
//! to build when it starts.

mod chain;
mod drive;
mod image;
#[cfg(test)]
pub(crate) mod lab;
mod moves;
mod owners;
mod schedule;
mod warned;

#[cfg(test)]
mod tests;

pub use chain::next as next_in_chain;
pub use drive::Triggers;
pub use moves::{Moved, Moves};
pub use owners::{OwnerRefused, Owners};
pub use schedule::{InvalidSchedule, Schedule};
