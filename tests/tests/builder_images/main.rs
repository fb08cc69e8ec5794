//! Builder images of our own, made for real, each building real applications with dependencies from the package
//! registries, by the reference program: what `s2i build --as-dockerfile` writes, run by buildah. What was built is started
//! with podman and asked over HTTP.
//!
//! The images are made once and kept in the lab's cache, under a name that says what they were made from.

mod applications;
mod built;
mod contract;
mod git;

use tests::{Lab, podman::Storage};

/// A lab with storage for large images.
fn storage(lab: &Lab) -> Storage<'_> {
    Storage::with_kept(lab, "s")
}
