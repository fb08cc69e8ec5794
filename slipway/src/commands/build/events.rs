//! What builds have published, and which have failed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use super::answers::clean;
use super::{Place, connect};
use crate::cli::{EventsArgs, Output};
use crate::client::Client;
use crate::commands::{print, table};

/// More than a server keeps.
const MOST: usize = 100_000;

/// How often a server is asked for more.
const EVERY: Duration = Duration::from_secs(2);

/// How far back events may still come, in milliseconds: two that end at the same time are recorded one after the other.
const LATE: u64 = 60_000;

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Event {
    id: String,
    kind: String,
    run: String,
    at: u64,
    #[serde(flatten)]
    what: What,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What is printed of it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
enum What {
    Published {
        repository: String,
        digest: String,
        #[serde(default)]
        tags: Vec<String>,
    },
    Failed {
        reason: String,
        message: String,
    },
    /// Of a newer server.
    Other {},
}

impl Event {
    fn row(&self) -> Vec<String> {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(self.at);
        let (result, tags) = match &self.what {
            What::Published {
                repository,
                digest,
                tags,
            } => (format!("{repository}@{digest}"), tags.join(",")),
            What::Failed { reason, message } => {
                let first = message.lines().next().unwrap_or_default();
                let short: String = first.chars().take(100).collect();
                (format!("{reason}: {short}"), String::new())
            }
            What::Other {} => Default::default(),
        };
        let cells = [&self.kind, &self.run, &result, &tags];
        let time = humantime::format_rfc3339_seconds(at).to_string();
        [time]
            .into_iter()
            .chain(cells.map(|cell| clean(cell)))
            .collect()
    }
}

pub(super) async fn list(args: EventsArgs) -> anyhow::Result<()> {
    let client = connect(args.remote).await?;
    let place = Place(Some(&args.of.namespace));
    let is_json = args.printing.form() == Output::Json;
    let events = behind(&client, place, args.after.as_deref()).await?;
    if !args.follow {
        if is_json {
            return print::json(&json!({ "items": events }));
        }
        let mut rows = vec![
            ["TIME", "EVENT", "RUN", "RESULT", "TAGS"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(events.iter().map(Event::row));
        return print::whole(table::lines(&rows).as_bytes());
    }
    let mut known = BTreeMap::new();
    let (mut new, mut from) = (events, args.after);
    loop {
        for event in new {
            let line = if is_json {
                serde_json::to_string(&event)?
            } else {
                event.row().join("  ")
            };
            print::whole(format!("{line}\n").as_bytes())?;
            known.insert(event.id, event.at);
        }
        if let Some(newest) = known.values().max().copied() {
            let since = newest.saturating_sub(LATE);
            known.retain(|_, at| *at >= since);
            // Not before what was asked for.
            from = from.max(Some(format!("{since:013}")));
        }
        tokio::time::sleep(EVERY).await;
        new = behind(&client, place, from.as_deref()).await?;
        new.retain(|event| !known.contains_key(&event.id));
    }
}

async fn behind(
    client: &Client,
    place: Place<'_>,
    after: Option<&str>,
) -> anyhow::Result<Vec<Event>> {
    let from: String = byte_serialize(after.unwrap_or_default().as_bytes()).collect();
    place.list_from(client, "buildevents", from, "", MOST).await
}
