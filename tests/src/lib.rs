//! The harness of the end-to-end tests: it starts real registries, makes real images and runs
//! real clients, each test in folders and on ports of its own.
//!
//! A test usually opens a [`Lab`], starts a registry in it with [`registry_under_test`] and runs
//! programs against the returned [`Endpoint`]. Everything started is ended, and every folder removed,
//! when the `Lab` is dropped; a failing test prints the logs and keeps its folder.
//!
//! Nothing here skips: a program that is missing fails the test and names `scripts/lab-install`.

#![expect(
    clippy::missing_panics_doc,
    reason = "every function here fails the running test when it cannot do its work"
)]

pub mod access;
pub mod api;
pub mod application;
pub mod builder_image;
pub mod cluster;
pub mod containerd;
pub mod cut;
pub mod daemon;
pub mod endpoint;
pub mod image;
pub mod kills;
pub mod lab;
pub mod layout;
pub mod machine;
pub mod node;
pub mod or_fail;
pub mod packages;
pub mod peer;
pub mod podman;
pub mod port;
pub mod program;
pub mod provider;
pub mod remains;
pub mod repository;
pub mod server;
pub mod tls;
pub mod toolbox;
pub mod wait;
pub mod weather;

pub use access::Access;
pub use api::Api;
pub use cluster::Cluster;
pub use cut::Wire;
pub use daemon::Daemon;
pub use endpoint::Endpoint;
pub use image::Image;
pub use lab::Lab;
pub use layout::Layout;
pub use node::Node;
pub use or_fail::{OrFail, fail};
pub use program::Program;
pub use provider::Provider;
pub use repository::Repository;
pub use server::{Server, Settings, registry_under_test};
pub use wait::{eventually, eventually_or, until, until_within};
pub use weather::{Proxy, Weather};
