//! `slipway auth`: who one is to a registry, and what one may do there.

mod asked;
mod explain;

use std::fmt::Write as _;
use std::process::ExitCode;

use asked::Answer;
use auth::Deed;
use serde_json::Value;

use super::print;
use crate::cli::{AuthCommand, Output, Printing, Remote};
use crate::client::Client;

pub(super) async fn run(command: AuthCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuthCommand::Whoami { remote, printing } => whoami(remote, &printing).await,
        AuthCommand::CanI {
            asked,
            user: Some(user),
            ..
        } => anyhow::bail!(
            "--as {user}: a registry answers for your own login only; the cluster's rules tell of somebody else: \
             slipway auth explain {} {} --as {user}",
            asked.verb,
            asked.object
        ),
        AuthCommand::CanI {
            asked,
            user: None,
            remote,
            printing,
        } => can_i(&asked::deed(&asked)?, remote, &printing).await,
        AuthCommand::Explain(args) => explain::explain(*args).await,
    }
}

async fn whoami(remote: Remote, printing: &Printing) -> anyhow::Result<ExitCode> {
    let client = Client::connect(remote, None).await?;
    let said: Value = client.get("/api/v1/whoami").await?;
    match printing.form() {
        Output::Json => print::json(&said)?,
        Output::Text => print::whole(told(&client.server().to_string(), &said).as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One line a fact, those that are there.
fn told(server: &str, said: &Value) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name:<12}{value}");
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| {
        let entries = value.as_array().into_iter().flatten();
        entries
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    line("server", server);
    line("user", &text(&said["name"]));
    line("groups", &list(&said["groups"]));
    line("uid", &text(&said["uid"]));
    for (key, values) in said["extra"].as_object().into_iter().flatten() {
        line("extra", &format!("{key}={}", list(values)));
    }
    line("known by", &text(&said["provider"]));
    for repository in said["limitedTo"]["repositories"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let (name, verbs) = (text(&repository["name"]), list(&repository["verbs"]));
        line("limited to", &format!("{verbs} in {name}"));
    }
    let token = &said["token"];
    if let Some(id) = token["id"].as_str() {
        let namespaces = list(&token["namespaces"]);
        let places = if namespaces.is_empty() {
            "everywhere".to_owned()
        } else {
            format!("in {namespaces}")
        };
        let verbs = list(&token["verbs"]);
        line("token", &format!("{id}: {verbs} {places}"));
    }
    line("until", &text(&said["expiresAt"]));
    lines
}

async fn can_i(deed: &Deed, remote: Remote, printing: &Printing) -> anyhow::Result<ExitCode> {
    let client = Client::connect(remote, Some(&asked::scope(deed))).await?;
    let answer: Answer = client.post("/api/v1/can-i", &asked::question(deed)).await?;
    match printing.form() {
        Output::Json => print::json(&answer)?,
        Output::Text => print::line(if answer.allowed { "yes" } else { "no" })?,
    }
    if let Some(look) = asked::look(deed).filter(|_| answer.allowed) {
        let answer: Answer = client
            .post("/api/v1/can-i", &asked::question(&look))
            .await?;
        if !answer.allowed {
            crate::note(asked::LOOKS_FIRST);
        }
    }
    Ok(if answer.allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
