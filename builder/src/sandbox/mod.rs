//! One process of a build, run by runc where it can harm nothing.
//!
//! [`Host`] is what this machine offers and was configured to; [`Host::run`] takes a [`Root`] (a file tree), a
//! [`Process`] (what to run in it, with which mounts, [`Limits`] and [`Egress`]) and an [`Output`], and comes back with an
//! [`Outcome`] once nothing of the process is left.
//!
//! What holds, whoever wrote the code that runs inside:
//!
//! - **The runtime has no privilege either.** User, mount, PID, network, IPC, UTS and cgroup namespaces are made first;
//!   runc is started inside them, as root of a user namespace that is nobody outside. A hole in runc is not a hole in
//!   the host.
//! - **The kernel cleans up.** The first process of the PID namespace reads a pipe from us. When we end, by whatever
//!   means, it ends, and with it every process, mount and interface of the run. What outlives us is empty
//!   cgroups and a folder with their names, which [`Host::open`] removes.
//! - **No interface, route or firewall rule on the host.** The namespace has a loopback and nothing else. Its TCP
//!   connections and DNS questions are turned (inside it) to sockets that we hold, and we connect on its behalf to where
//!   the policy lets it ([`Egress`]).
//! - **Limits are read back** before the process starts: what is not in force is an error, never a run without it.

mod bundle;
mod cgroup;
mod disk;
mod doctor;
mod egress;
mod error;
mod gauge;
mod host;
mod ids;
mod namespaces;
mod nest;
mod oci_runtime;
mod outcome;
mod output;
mod prepare;
mod process;
mod record;
mod root;
mod rootfs;
mod run;
mod tool;
mod trust;
mod user;
mod view;
mod watching;

pub use doctor::{Check, Standing, enforces_limits, examine, examine_folder, examine_room};
pub use egress::{AddressRules, Egress, HostRule, InvalidHostRule, InvalidUpstream, Upstream};
pub use error::SandboxError;
pub use gauge::{Gauge, Reading};
pub use host::{Host, Settings};
pub use ids::{InvalidIds, SandboxIds};
pub use nest::nested;
pub use outcome::{Outcome, Reason, UNMEASURED, Usage};
pub use output::{Line, Output, Raw, Stream};
pub use process::{Capabilities, InvalidProcess, Limits, Mount, Process, SecretFile, Source};
pub use record::Recovered;
pub use root::Root;
pub(crate) use trust::is_javas_note;

pub(crate) use egress::single;
pub(crate) use oci_runtime::ThreadFilter;
pub(crate) use output::plain;

/// The numbers, inside, of a user that an image's configuration or a plan names, with the texts of the image's
/// `/etc/passwd` and `/etc/group`. The error is a sentence.
pub(crate) fn look_up(user: &str, passwd: &str, group: &str) -> Result<(u32, u32), String> {
    let user = user::look_up(user, passwd, group).map_err(|error| error.to_string())?;
    Ok((user.uid, user.gid))
}
