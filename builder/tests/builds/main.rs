//! The service of builds, end to end: real git, images in OCI layouts, a ledger in a file; most runs with a driver that
//! makes a small layer at once, some with runc.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod bounds;
mod caches;
mod damage;
mod driver;
mod file_ledger;
mod floor;
mod flow;
mod git;
mod hooks;
#[path = "../driver/image.rs"]
#[expect(dead_code, reason = "the driver's tests use more of it")]
mod image;
mod kept;
mod kill;
mod lab;
mod logs;
mod lost;
mod mounts;
mod queue;
mod real;
#[path = "../sources/repository.rs"]
#[expect(dead_code, reason = "the sources' tests use more of it")]
mod repository;
#[path = "../sources/servers.rs"]
#[expect(dead_code, reason = "the sources' tests use more of it")]
mod servers;
mod unheard;
mod watched;
