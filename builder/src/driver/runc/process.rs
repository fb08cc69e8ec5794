//! A plan's program as the sandbox takes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::SecretFiles;
use super::Failure;
use super::failure;
use crate::plan::{Mount as Planned, Run};
use crate::records::FailureReason;
use crate::sandbox::{Mount, Process, SecretFile, Source};

/// What engines give a process whose image says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program with its secrets; its caches are mounted at `caches`, in the plan's order.
pub(super) fn planned(
    run: &Run,
    secrets: &BTreeMap<String, SecretFiles>,
    caches: &[PathBuf],
) -> Result<Process, Failure> {
    let reason = FailureReason::from(run.reason);
    let folder = run.working_dir.as_str();
    let mut process = plain(&run.argv, &run.env, run.user.as_str(), folder, &reason)?;
    let mut caches = caches.iter();
    for mount in &run.mounts {
        match mount {
            Planned::Secret { name, at, .. } | Planned::Injection { name, at, .. } => {
                let files = secrets.get(name).ok_or_else(|| {
                    let text = format!("there is no secret {name} in this namespace");
                    failure::new(reason.clone(), text)
                })?;
                for (file, content) in &files.0 {
                    let at = Path::new(at.as_str()).join(file_name(name, file, &reason)?);
                    let content = SecretFile::new(content.to_vec());
                    let source = match mount {
                        Planned::Injection { .. } => Source::Injected(content),
                        _ => Source::Secret(content),
                    };
                    add(&mut process, &at, source, &reason)?;
                }
            }
            Planned::Cache { at, .. } => {
                let path = caches.next().cloned().unwrap_or_default();
                add(
                    &mut process,
                    Path::new(at.as_str()),
                    Source::Cache(path),
                    &reason,
                )?;
            }
        }
    }
    Ok(process)
}

/// A program with nothing beside the root's files.
pub(super) fn plain(
    argv: &[String],
    env: &[String],
    user: &str,
    folder: &str,
    reason: &FailureReason,
) -> Result<Process, Failure> {
    let mut variables = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    let pairs = env.iter().filter_map(|entry| entry.split_once('='));
    variables.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Process::new(argv.to_vec(), variables, user, folder)
        .map_err(|error| failure::new(reason.clone(), error.to_string()))
}

fn add(
    process: &mut Process,
    at: &Path,
    source: Source,
    reason: &FailureReason,
) -> Result<(), Failure> {
    let mount = Mount::new(at, source).and_then(|mount| process.mount(mount));
    mount.map_err(|error| failure::new(reason.clone(), error.to_string()))
}

/// The name of a secret's file, if it is one.
pub(super) fn file_name<'a>(
    secret: &str,
    name: &'a str,
    reason: &FailureReason,
) -> Result<&'a str, Failure> {
    let is_name = !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && !name.contains(['/', '\0'])
        && !name.chars().any(char::is_control);
    is_name.then_some(name).ok_or_else(|| {
        let text = format!("secret {secret} has a file called {name:?}, which is no file's name");
        failure::new(reason.clone(), text)
    })
}
