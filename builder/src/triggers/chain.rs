//! Why runs that moved images cause do not go on for ever.
//!
//! A build may stand on what another one makes, and that on what the first one makes. Each run that a moved image causes
//! carries the chain of builds whose runs led to it, back to one that a person, a push or the time caused. A build that is in
//! the chain already is not started: each build is in a chain once, and so every chain ends.

/// Longest chain. Builds that stand on one another deeper than this are a mistake.
const LONGEST: usize = 32;

/// The chain of a run of `build` for an image that a run with the chain `made_by`, itself at its end, has made; empty if no run
/// of a build has. `None`: there is to be no run.
pub fn next(build: &str, made_by: &[String]) -> Option<Vec<String>> {
    let is_over = made_by.len() >= LONGEST || made_by.iter().any(|earlier| earlier == build);
    (!is_over).then(|| made_by.to_vec())
}
