//! What the environment says of tests that kill: how often, and with which random choices.

use crate::OrFail;

/// `SLIPWAY_KILLS`, or `usual`.
pub fn rounds(usual: u64) -> u64 {
    number("SLIPWAY_KILLS").unwrap_or(usual)
}

/// Random choices that `SLIPWAY_SEED` repeats; says how many kills there will be, and the seed.
pub fn random(kills: u64) -> fastrand::Rng {
    let seed = number("SLIPWAY_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    println!("{kills} kills, SLIPWAY_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().or_fail(format!("{variable} is a number")))
}
