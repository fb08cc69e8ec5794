//! What builds have published, and which have failed.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answers::clean;
use super::{Place, connect};
use crate::cli::{EventsArgs, Output};
use crate::client::Client;
use crate::commands::{print, table};

/// More than a server keeps.
const MOST: usize = 100_000;

/// How often a server is asked for more.
const EVERY: Duration = Duration::from_secs(2);

/// Events asked for at a time.
const PAGE: usize = 500;

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Event {
    position: u64,
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
    if args.follow {
        return follow(&client, place, args.after, is_json).await;
    }
    let query = format!("&after={}", args.after.unwrap_or_default());
    let events: Vec<Event> = place.list(&client, "buildevents", &query, MOST).await?;
    if is_json {
        return print::json(&json!({ "items": events }));
    }
    let mut rows = vec![
        ["TIME", "EVENT", "RUN", "RESULT", "TAGS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(events.iter().map(Event::row));
    print::whole(table::lines(&rows).as_bytes())
}

/// Prints events as they come, across a server that is away for a while, until nobody reads any more.
async fn follow(
    client: &Client,
    place: Place<'_>,
    mut last: Option<u64>,
    is_json: bool,
) -> anyhow::Result<()> {
    let mut is_away = false;
    loop {
        let after = last.unwrap_or_default();
        let path = place.path(&format!("buildevents?limit={PAGE}&after={after}"));
        let page: Option<Page> = client.poll(&path).await?;
        if is_away != page.is_none() {
            is_away = page.is_none();
            let is = if is_away {
                "does not answer: trying on"
            } else {
                "answers again"
            };
            eprintln!("{} {is}", client.server());
        }
        let events = page.map(|page| page.items).unwrap_or_default();
        let is_full = events.len() == PAGE;
        for event in events {
            if let Some((first, to)) = missed(last, event.position) {
                eprintln!("events {first} to {to} were removed before they were read here");
            }
            last = Some(event.position);
            let line = if is_json {
                serde_json::to_string(&event)?
            } else {
                event.row().join("  ")
            };
            if !print::tame(format!("{line}\n").as_bytes())? {
                return Ok(());
            }
        }
        if !is_full {
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Positions between the last that was read and the one that came after it: they have no gaps but of what was removed.
fn missed(last: Option<u64>, next: u64) -> Option<(u64, u64)> {
    let first = last? + 1;
    (first < next).then(|| (first, next - 1))
}

#[cfg(test)]
mod tests {
    use super::missed;

    #[test]
    fn what_was_not_read_is_known() {
        assert_eq!(missed(None, 9), None, "nobody asked for those before");
        assert_eq!(missed(Some(8), 9), None);
        assert_eq!(missed(Some(7), 9), Some((8, 8)));
        assert_eq!(missed(Some(0), 9), Some((1, 8)));
    }
}
