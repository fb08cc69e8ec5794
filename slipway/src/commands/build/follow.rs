//! Following a run to its end, across broken connections.

use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::Place;
use super::answers::{Run, clean, human};
use super::screen::Screen;
use crate::client::{Client, Event};

/// Between attempts to go on, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Attempts in a row without any answer before it is given up.
const ATTEMPTS: u32 = 12;

/// So long a run that waits is not spoken of; then why it does, as often as that changes.
const SILENCE: Duration = Duration::from_secs(2);

/// What is told of a line.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    at: u64,
    #[serde(default)]
    phase: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    detail: String,
}

/// Prints what the run says until it has ended, and what became of it.
pub(super) async fn follow(
    client: &Client,
    namespace: &str,
    name: &str,
    screen: &mut Screen,
) -> anyhow::Result<Run> {
    let path = Place(Some(namespace)).path(&format!("buildruns/{name}/log"));
    screen.wait(format!("{name} waits for its turn"));
    let (mut after, mut attempts, mut told): (Option<String>, u32, String) =
        (None, 0, String::new());
    loop {
        if let Some(mut events) = client.events(&path, after.as_deref()).await? {
            loop {
                let event = tokio::select! {
                    event = events.next() => event?,
                    () = tokio::time::sleep(SILENCE), if after.is_none() => {
                        let why = why_it_waits(client, namespace, name).await;
                        if let Some(why) = why.filter(|why| *why != told) {
                            screen.waiting(&why);
                            told = why;
                        }
                        continue;
                    }
                };
                let Some(event) = event else { break };
                attempts = 0;
                if event.id.is_some() {
                    after.clone_from(&event.id);
                }
                if let Some(run) = shown(&event, screen)? {
                    return Ok(run);
                }
            }
        }
        attempts += 1;
        anyhow::ensure!(
            attempts < ATTEMPTS,
            "{}: no answer any more; the run may go on: slipway build logs {name} -n {namespace} --follow",
            client.server()
        );
        tokio::time::sleep((PAUSE * attempts).min(LONGEST_PAUSE)).await;
    }
}

/// In words; `None` if it does not wait, or cannot be looked up at the moment.
async fn why_it_waits(client: &Client, namespace: &str, name: &str) -> Option<String> {
    let path = Place(Some(namespace)).path(&format!("buildruns/{name}"));
    let run: Option<Run> = client.find(&path).await.ok()?;
    let waits = run?.waits?;
    Some(clean(&format!("{name} waits {}", waits.message)))
}

/// Prints an event; the run, if it was its end.
fn shown(event: &Event, screen: &mut Screen) -> anyhow::Result<Option<Run>> {
    if event.kind == "end" {
        let run: Run = serde_json::from_str(&event.data).context("the end of the run")?;
        screen.end_phase(run.ended.unwrap_or_default());
        return Ok(Some(run));
    }
    let told: Told = serde_json::from_str(&event.data).context("an event of the run")?;
    match &*event.kind {
        "phase" => screen.phase(&told.phase, told.at),
        "out" | "err" => screen.output(&told.text, told.at),
        "note" => screen.note(&told.text, told.at),
        "cut" => screen.wait(format!("{}; going on", clean(&told.detail))),
        // Of a newer server.
        _ => {}
    }
    Ok(None)
}

/// What became of a run, and what one does with it. Why it failed is not said again where the screen has it just above.
pub(super) fn summary(client: &Client, run: &Run, screen: &Screen) -> String {
    let name = clean(&run.metadata.name);
    let took = run.took(0).map_or_else(|| "0ms".to_owned(), human);
    let Some(result) = run.result.as_ref().filter(|_| run.state.is == "succeeded") else {
        let outcome = match (&run.state.reason, &run.state.message) {
            (Some(reason), Some(message)) if screen.has_noted(&format!("{reason}: {message}")) => {
                clean(&format!("{}: {reason}", run.state.is))
            }
            _ => run.outcome(),
        };
        return format!("{name} after {took}: {outcome}");
    };
    let image = image(client, run).unwrap_or_default();
    let how = match (&result.same_as, result.reused) {
        (Some(other), true) => format!(
            ": nothing had to be run, it is the image of {}",
            clean(other)
        ),
        (None, true) => ": nothing had to be run, the image was there".to_owned(),
        (Some(other), false) => format!(": the same image as that of {}", clean(other)),
        (None, false) => String::new(),
    };
    let repository = result.image.split('@').next().unwrap_or_default();
    let tagged = result.tags.first().map_or_else(
        || image.clone(),
        |tag| format!("{}/{repository}:{tag}", client.server()),
    );
    // Podman asks for TLS everywhere, on loopback too.
    let insecure = if client.is_plain() {
        "--tls-verify=false "
    } else {
        ""
    };
    format!(
        "{name} succeeded in {took}{how}\n  {image}\n  podman run --rm {insecure}{}",
        clean(&tagged)
    )
}

/// The image that came out, as clients pull it: by digest.
pub(super) fn image(client: &Client, run: &Run) -> Option<String> {
    let result = run.result.as_ref()?;
    Some(clean(&format!("{}/{}", client.server(), result.image)))
}
