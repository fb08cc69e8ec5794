//! `slipway token`: API tokens, which programs act by.

use std::io::Write as _;

use auth::{Action, Secret, TokenId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{print, table};
use crate::cli::{NewToken, Output, Printing, Remote, TokenCommand};
use crate::client::{ACCOUNT, Client};

const TOKENS: &str = "/api/v1/tokens";
/// Entries asked for at once.
const PAGE: usize = 500;

pub(super) async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create(new) => create(new).await,
        TokenCommand::List {
            all,
            remote,
            printing,
        } => list(all, remote, &printing).await,
        TokenCommand::Revoke { ids, remote } => revoke(&ids, remote).await,
    }
}

/// What the server says of a token. What this program does not know is handed on.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    id: String,
    kind: String,
    user: String,
    description: String,
    namespaces: Vec<String>,
    verbs: Vec<String>,
    expires_at: String,
    expired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize, Serialize)]
struct Listed {
    items: Vec<Entry>,
    #[serde(skip_serializing)]
    r#continue: Option<String>,
}

async fn create(new: NewToken) -> anyhow::Result<()> {
    let client = Client::connect(new.remote.clone(), Some(ACCOUNT)).await?;
    let wanted = json!({
        "description": new.description,
        "namespaces": new.namespace,
        "verbs": new.verb,
        "expiresIn": new.expires.map(|expires| expires.as_secs()),
    });
    let made: Entry = client.post(TOKENS, &wanted).await?;
    for place in &made.namespaces {
        // The token is made: what cannot be asked is not said.
        if let Ok(Some(note)) = lacking(&new.remote, place, &made.verbs).await {
            crate::note(&note);
        }
    }
    let has = |verb: &str| made.verbs.iter().any(|given| given == verb);
    if (has("create") || has("update")) && !has("get") {
        crate::note(
            "clients look before they push, which this token does not let them: make one with --verb pull besides",
        );
    }
    if new.printing.form() == Output::Json {
        return print::json(&made);
    }
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(
        std::io::stderr(),
        "token {} of {} for {}{}, until {}; it is shown this once",
        made.id,
        made.user,
        made.verbs.join(", "),
        if made.namespaces.is_empty() {
            ""
        } else {
            " in "
        }
        .to_owned()
            + &made.namespaces.join(", "),
        made.expires_at
    );
    print::line(made.token.as_deref().unwrap_or_default())
}

/// What the caller may not do there, and so the token neither.
async fn lacking(remote: &Remote, place: &str, verbs: &[String]) -> anyhow::Result<Option<String>> {
    let verbs: Vec<_> = verbs
        .iter()
        .filter(|verb| Action::parse(verb).is_some())
        .collect();
    if verbs.is_empty() {
        return Ok(None);
    }
    // Another scope: a kept login's token answers for what it was asked for.
    let client = Client::connect(remote.clone(), Some(&format!("repository:{place}:*"))).await?;
    let question = json!({ "repository": place, "verbs": verbs });
    let answer: Answer = client.post("/api/v1/can-i", &question).await?;
    let lacking = answer.verbs.iter().filter(|one| !one.allowed);
    let lacking: Vec<_> = lacking.map(|one| one.verb.as_str()).collect();
    let names = if place.contains('/') {
        ""
    } else {
        ", unless a rule gives you single names in it"
    };
    Ok((!lacking.is_empty()).then(|| {
        format!(
            "note: you may not {} in {place} now{names}; nor may the token, until you may",
            lacking.join(", ")
        )
    }))
}

/// The answer of `POST /api/v1/can-i`.
#[derive(Deserialize)]
struct Answer {
    verbs: Vec<Allowed>,
}

#[derive(Deserialize)]
struct Allowed {
    verb: String,
    allowed: bool,
}

async fn list(all: bool, remote: Remote, printing: &Printing) -> anyhow::Result<()> {
    let client = Client::connect(remote, Some(ACCOUNT)).await?;
    let mut items = Vec::new();
    let mut from = String::new();
    loop {
        let path = format!("{TOKENS}?all={all}&limit={PAGE}&continue={from}");
        let page: Listed = client.get(&path).await?;
        items.extend(page.items);
        match page.r#continue {
            Some(next) => from = next,
            None => break,
        }
    }
    if printing.form() == Output::Json {
        let listed = Listed {
            items,
            r#continue: None,
        };
        return print::json(&listed);
    }
    let mut rows = vec![row(
        all,
        [
            "ID",
            "USER",
            "KIND",
            "MAY",
            "WHERE",
            "EXPIRES",
            "LAST USED",
            "DESCRIPTION",
        ],
    )];
    for token in &items {
        let ended = format!("{} (ended)", token.expires_at);
        rows.push(row(
            all,
            [
                &token.id,
                &token.user,
                &token.kind,
                &token.verbs.join(","),
                &places(token),
                if token.expired {
                    &ended
                } else {
                    &token.expires_at
                },
                token.last_used_at.as_deref().unwrap_or("never"),
                &token.description,
            ],
        ));
    }
    print::whole(table::lines(&rows).as_bytes())
}

/// The cells, with the user where there are several.
fn row(all: bool, cells: [&str; 8]) -> Vec<String> {
    let cells = cells.into_iter().enumerate();
    let shown = cells.filter(|(column, _)| all || *column != 1);
    // A description is its owner's, and may be anybody's where all are listed.
    let clean = |cell: &str| cell.chars().filter(|char| !char.is_control()).collect();
    shown.map(|(_, cell)| clean(cell)).collect()
}

fn places(token: &Entry) -> String {
    if token.namespaces.is_empty() {
        "everywhere".to_owned()
    } else {
        token.namespaces.join(",")
    }
}

async fn revoke(ids: &[String], remote: Remote) -> anyhow::Result<()> {
    let client = Client::connect(remote, Some(ACCOUNT)).await?;
    for id in ids {
        if let Some(id) = TokenId::of(&Secret::new(id.clone())) {
            anyhow::bail!("that is a token's text; its id is {id}: slipway token revoke {id}");
        }
        anyhow::ensure!(
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{id:?} is no token's id: `slipway token list` shows them"
        );
        client.delete(&format!("{TOKENS}/{id}")).await?;
        print::line(&format!("token {id} is revoked"))?;
    }
    Ok(())
}
