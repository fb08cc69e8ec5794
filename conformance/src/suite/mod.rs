//! The clauses, one file a subject.

mod authorization;
mod blobs;
mod confusion;
mod data;
mod isolation;
mod limits;
mod lists;
mod paths;
mod ping;
mod ranges;
mod smuggling;
mod steps;
mod uploads;

use crate::Edition;
use crate::clause::Clause;

/// All clauses of an edition, in the order in which they run. What cannot be asked of this registry says so
/// itself, so that a report never lacks a group in silence.
pub(crate) fn all(edition: Edition) -> Vec<Clause> {
    let mut clauses = ping::clauses();
    clauses.extend(blobs::clauses(edition));
    clauses.extend(uploads::clauses(edition));
    clauses.extend(ranges::clauses());
    clauses.extend(data::clauses(edition));
    clauses.extend(lists::clauses());
    clauses.extend(confusion::clauses());
    clauses.extend(isolation::clauses());
    clauses.extend(paths::clauses());
    clauses.extend(limits::clauses());
    clauses.extend(smuggling::clauses());
    clauses.extend(authorization::clauses());
    clauses
}
