//! Builds end to end: `slipway serve` with the sandbox of runc, a real git server, builder images of our own, applications with
//! dependencies from the package registries, pulled and started by podman; and a server that is killed while it builds.
//!
//! They want root (one becomes another user), and what `slipway build doctor` asks for.

mod contract;
mod git;
mod image;
mod kill;
mod languages;
mod ordinary;
mod site;
