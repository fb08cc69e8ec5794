//! `slipway build`.

mod answers;
mod convert;
mod definitions;
mod doctor;
mod events;
mod follow;
mod look;
mod path;
mod references;
mod screen;
mod set;
mod source;
mod spec;
mod start;

use std::process::ExitCode;

use crate::cli::{BuildCommand, Remote};
use crate::client::{ACCOUNT, Client};

pub(super) use path::Place;
pub(super) use start::local;

pub(super) async fn run(command: BuildCommand) -> anyhow::Result<ExitCode> {
    match command {
        BuildCommand::Doctor(args) => return doctor::run(args).await,
        BuildCommand::Run(args) => return start::run(*args).await,
        BuildCommand::Start(args) => return start::start(*args).await,
        BuildCommand::Rebuild {
            what,
            same,
            following,
            remote,
        } => return start::rebuild(&what, same, &following, remote).await,
        BuildCommand::Logs {
            what,
            follow,
            phase,
            timestamps,
            remote,
        } => return look::logs(&what, follow, phase.as_deref(), timestamps, remote).await,
        BuildCommand::Create(args) => definitions::create(*args).await?,
        BuildCommand::Set(args) => set::set(*args).await?,
        BuildCommand::Apply {
            file,
            namespace,
            remote,
            printing,
        } => definitions::apply(&file, namespace.namespace, remote, &printing).await?,
        BuildCommand::Convert {
            files,
            namespace,
            strict,
        } => return convert::run(&files, namespace.as_deref(), strict),
        BuildCommand::List {
            all_namespaces,
            namespace,
            remote,
            printing,
        } => {
            let namespace = namespace.filter(|_| !all_namespaces);
            look::list(namespace.as_deref(), remote, &printing).await?;
        }
        BuildCommand::Show {
            what,
            remote,
            printing,
        } => look::show(&what, remote, &printing).await?,
        BuildCommand::Runs {
            build,
            failed,
            limit,
            of,
            remote,
            printing,
        } => look::runs(build.as_deref(), failed, limit, &of, remote, &printing).await?,
        BuildCommand::Events(args) => events::list(args).await?,
        BuildCommand::References {
            build,
            git,
            git_secret,
            of,
            remote,
            printing,
        } => {
            let repository = git.map(|url| (url, git_secret));
            references::list(build.as_deref(), repository, &of, remote, &printing).await?;
        }
        BuildCommand::Delete {
            names,
            all,
            of,
            remote,
        } => {
            let names = (!all).then_some(&names[..]);
            definitions::delete(names, &of, remote).await?;
        }
        BuildCommand::Cancel { names, of, remote } => start::cancel(&names, &of, remote).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The server, as whoever is logged in acts with its API.
pub(super) async fn connect(remote: Remote) -> anyhow::Result<Client> {
    Client::connect(remote, Some(ACCOUNT)).await
}
