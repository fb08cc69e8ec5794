//! The commands that move images, and look at them where they are.

mod copy;
mod engine;
mod look;
mod size;

pub(super) use copy::{copy, push};
pub(super) use engine::pull;
pub(super) use look::{inspect, ls, rm, tag};
