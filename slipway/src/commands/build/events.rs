//! What builds have published, and which have failed.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
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

/// Events asked for at a time.
const PAGE: usize = 500;

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Event>,
}

/// As it came, which is what programs get, and what is read of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
struct Event {
    came: Value,
    known: Known,
}

impl TryFrom<Value> for Event {
    type Error = serde_json::Error;

    fn try_from(came: Value) -> Result<Self, Self::Error> {
        let known = Known::deserialize(&came)?;
        Ok(Self { came, known })
    }
}

#[derive(Debug, Deserialize)]
struct Known {
    id: String,
    position: u64,
    kind: String,
    run: String,
    at: u64,
    #[serde(flatten)]
    what: What,
}

/// What is printed of it.
#[derive(Debug, Deserialize)]
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

impl Known {
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

/// The last event that was read.
#[derive(Debug)]
struct Read {
    position: u64,
    /// So that the server sees whether another has its position by now.
    id: Option<String>,
}

impl Read {
    /// What asks for those behind it.
    fn query(&self) -> String {
        let mut query = format!("&after={}", self.position);
        if let Some(id) = &self.id {
            query.push_str("&id=");
            query.extend(byte_serialize(id.as_bytes()));
        }
        query
    }
}

pub(super) async fn list(args: EventsArgs) -> anyhow::Result<()> {
    let client = connect(args.remote).await?;
    let place = Place(Some(&args.of.namespace));
    let is_json = args.printing.form() == Output::Json;
    if args.follow {
        let last = args.after.map(|position| Read {
            position,
            id: args.id,
        });
        return follow(&client, place, last, is_json).await;
    }
    let query = args.after.map(|position| {
        let id = args.id;
        Read { position, id }.query()
    });
    let query = query.unwrap_or_default();
    let events: Vec<Event> = place.list(&client, "buildevents", &query, MOST).await?;
    if is_json {
        let events: Vec<_> = events.into_iter().map(|event| event.came).collect();
        return print::json(&json!({ "items": events }));
    }
    let mut rows = vec![
        ["TIME", "EVENT", "RUN", "RESULT", "TAGS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(events.iter().map(|event| event.known.row()));
    print::whole(table::lines(&rows).as_bytes())
}

/// Prints events as they come, across a server that is away for a while, until nobody reads any more.
async fn follow(
    client: &Client,
    place: Place<'_>,
    mut last: Option<Read>,
    is_json: bool,
) -> anyhow::Result<()> {
    let mut is_away = false;
    loop {
        let after = last.as_ref().map(Read::query).unwrap_or_default();
        let path = place.path(&format!("buildevents?limit={PAGE}{after}"));
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
        for Event { came, known } in events {
            let before = last.as_ref().map(|last| last.position);
            if let Some((first, to)) = missed(before, known.position) {
                eprintln!(
                    "events {first} to {to} were removed before they were read here, or are such as the server cannot read"
                );
            }
            last = Some(Read {
                position: known.position,
                id: Some(known.id.clone()),
            });
            let line = if is_json {
                came.to_string()
            } else {
                known.row().join("  ")
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

/// Positions between the last that was read and the one that came after it: they have no gaps but of what was removed, and of
/// what another version wrote.
fn missed(last: Option<u64>, next: u64) -> Option<(u64, u64)> {
    let first = last? + 1;
    (first < next).then(|| (first, next - 1))
}

#[cfg(test)]
mod tests {
    use super::{Read, missed};

    #[test]
    fn what_was_read_is_said_to_the_server() {
        let position = 7;
        let query = |id: Option<&str>| {
            let id = id.map(str::to_owned);
            Read { position, id }.query()
        };
        assert_eq!(query(None), "&after=7");
        assert_eq!(query(Some("0a&b=c")), "&after=7&id=0a%26b%3Dc");
    }

    #[test]
    fn what_was_not_read_is_known() {
        assert_eq!(missed(None, 9), None, "nobody asked for those before");
        assert_eq!(missed(Some(8), 9), None);
        assert_eq!(missed(Some(7), 9), Some((8, 8)));
        assert_eq!(missed(Some(0), 9), Some((1, 8)));
    }
}
