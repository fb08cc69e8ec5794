//! Looking at builds, runs and their logs.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use builder::triggers::Schedule;
use humantime::format_rfc3339_seconds;
use serde_json::{Value, json};

use super::answers::{Build, Run, clean, human};
use super::follow::follow;
use super::screen::Screen;
use super::start::ended;
use super::{Place, connect};
use crate::cli::{Named, Namespace, Output, Printing, Remote};
use crate::client::Client;
use crate::commands::{print, table};

/// More than anybody reads of a list.
const MOST: usize = 100_000;

/// The builds of a namespace, or of all.
pub(super) async fn list(
    namespace: Option<&str>,
    remote: Remote,
    printing: &Printing,
) -> anyhow::Result<()> {
    let client = connect(remote).await?;
    let place = Place(namespace);
    let builds: Vec<Build> = place.list(&client, "builds", "", MOST).await?;
    if printing.form() == Output::Json {
        return print::json(&json!({ "items": builds }));
    }
    let mut rows = vec![row([
        "NAMESPACE",
        "NAME",
        "SOURCE",
        "BUILDER",
        "OUTPUT",
        "RUNS",
        "IMAGE",
    ])];
    for build in &builds {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let image = text(&build.status["image"]);
        rows.push(row([
            &build.metadata.namespace,
            &build.metadata.name,
            &source(&build.spec),
            &text(&build.spec["builder"]),
            &text(&build.spec["output"]["image"]),
            &build.status["runs"].to_string(),
            short(&image),
        ]));
    }
    if namespace.is_some() {
        for row in &mut rows {
            row.remove(0);
        }
    }
    print::whole(table::lines(&rows).as_bytes())
}

pub(super) async fn runs(
    build: Option<&str>,
    failed: bool,
    limit: usize,
    of: &Namespace,
    remote: Remote,
    printing: &Printing,
) -> anyhow::Result<()> {
    let client = connect(remote).await?;
    // One more, to know whether there are more.
    let asked = limit.saturating_add(1);
    let mut runs = runs_of(&client, &of.namespace, build, failed, asked).await?;
    if runs.len() > limit {
        runs.truncate(limit);
        eprintln!("note: the newest {limit}; there are more: --limit shows them");
    }
    if printing.form() == Output::Json {
        return print::json(&json!({ "items": runs }));
    }
    let now = now();
    let mut rows = vec![row(["NAME", "STATE", "AGE", "TOOK", "WHY", "IMAGE"])];
    for run in &runs {
        let image = run.result.as_ref().map(|result| result.image.as_str());
        let digest = image.and_then(|image| image.split_once('@'));
        rows.push(row([
            &run.metadata.name,
            &run.standing(),
            &age(run.metadata.created(), now),
            &run.took(now).map(human).unwrap_or_default(),
            &why(&run.cause),
            digest.map_or("", |(_, digest)| short(digest)),
        ]));
    }
    print::whole(table::lines(&rows).as_bytes())
}

/// A build, else a run.
pub(super) async fn show(what: &Named, remote: Remote, printing: &Printing) -> anyhow::Result<()> {
    let client = connect(remote).await?;
    let place = Place(Some(&what.of.namespace));
    let build: Option<Build> = client
        .find(&place.path(&format!("builds/{}", what.name)))
        .await?;
    if let Some(build) = build {
        return match printing.form() {
            Output::Json => print::json(&build),
            Output::Text => print::whole(of_build(&client, &build)?.as_bytes()),
        };
    }
    let run = find_run(&client, what).await?;
    match printing.form() {
        Output::Json => print::json(&run),
        Output::Text => print::whole(of_run(&client, &run).as_bytes()),
    }
}

pub(super) async fn logs(
    what: &Named,
    is_followed: bool,
    phase: Option<&str>,
    timestamps: bool,
    remote: Remote,
) -> anyhow::Result<ExitCode> {
    let client = connect(remote).await?;
    let namespace = &what.of.namespace;
    let run = find_or_newest(&client, what).await?;
    let name = &run.metadata.name;
    if is_followed {
        let mut screen = Screen::new();
        screen.has_times = timestamps;
        let run = follow(&client, namespace, name, &mut screen).await;
        screen.end();
        return ended(&client, &run?, &screen, false);
    }
    let path = Place(Some(namespace)).path(&format!("buildruns/{name}/log"));
    let mut path = format!("{path}?timestamps={timestamps}");
    if let Some(phase) = phase {
        // Writing to a String cannot fail.
        let _ = write!(path, "&phase={phase}");
    }
    client.print(&path, print::tame).await?;
    Ok(ExitCode::SUCCESS)
}

async fn runs_of(
    client: &Client,
    namespace: &str,
    build: Option<&str>,
    failed: bool,
    limit: usize,
) -> anyhow::Result<Vec<Run>> {
    let mut query = build.map_or_else(String::new, |build| format!("&build={build}"));
    if failed {
        query.push_str("&state=failed");
    }
    let place = Place(Some(namespace));
    place.list(client, "buildruns", &query, limit).await
}

async fn find_run(client: &Client, what: &Named) -> anyhow::Result<Run> {
    let path = Place(Some(&what.of.namespace)).path(&format!("buildruns/{}", what.name));
    let found: Option<Run> = client.find(&path).await?;
    found.with_context(|| missing(what))
}

/// The run of this name, else the newest run of the build of this name.
async fn find_or_newest(client: &Client, what: &Named) -> anyhow::Result<Run> {
    let path = Place(Some(&what.of.namespace)).path(&format!("buildruns/{}", what.name));
    if let Some(run) = client.find(&path).await? {
        return Ok(run);
    }
    let namespace = &what.of.namespace;
    let path = Place(Some(namespace)).path(&format!("builds/{}", what.name));
    let build: Option<Build> = client.find(&path).await?;
    build.with_context(|| missing(what))?;
    let newest = runs_of(client, namespace, Some(&what.name), false, 1).await?;
    newest.into_iter().next().with_context(|| {
        let name = &what.name;
        format!(
            "the build {name} has no runs yet: slipway build start {name} -n {namespace} starts one"
        )
    })
}

fn missing(what: &Named) -> String {
    let namespace = &what.of.namespace;
    format!(
        "there is no build or run {} in namespace {namespace}",
        what.name
    )
}

fn of_build(client: &Client, build: &Build) -> anyhow::Result<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spec = &build.spec;
    let mut lines = String::new();
    let place = format!("{}/{}", build.metadata.namespace, build.metadata.name);
    line(&mut lines, "build", &place);
    line(&mut lines, "owner", &build.whose());
    line(&mut lines, "source", &source(spec));
    line(&mut lines, "builder", &text(&spec["builder"]));
    line(&mut lines, "output", &text(&spec["output"]["image"]));
    line(&mut lines, "policy", &text(&spec["policy"]));
    for webhook in build.webhooks(client)? {
        line(&mut lines, "webhook", &webhook);
    }
    for lack in build.lacks() {
        line(&mut lines, "note", &lack);
    }
    let triggers = &spec["triggers"];
    if triggers["image"] == true {
        let said = "starts a run when the builder image, or the runtime image, is another";
        line(&mut lines, "image moved", said);
    }
    let schedule = text(&triggers["schedule"]);
    line(&mut lines, "schedule", &schedule);
    line(
        &mut lines,
        "next start",
        &next(&schedule, SystemTime::now()),
    );
    if let Some(since) = build.status["missed"]["since"].as_u64() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(since);
        let why = text(&build.status["missed"]["why"]);
        let said = format!(
            "starts nothing since {}: {why}",
            format_rfc3339_seconds(since)
        );
        let trigger = match &*schedule {
            "" => "image moved",
            _ => "schedule",
        };
        line(&mut lines, trigger, &said);
    }
    line(&mut lines, "runs", &build.status["runs"].to_string());
    line(&mut lines, "succeeded", &text(&build.status["succeeded"]));
    line(&mut lines, "image", &text(&build.status["image"]));
    line(&mut lines, "created", &at(build.metadata.created()));
    line(&mut lines, "revision", &build.revision.to_string());
    Ok(lines)
}

fn of_run(client: &Client, run: &Run) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = String::new();
    let place = format!("{}/{}", run.metadata.namespace, run.metadata.name);
    line(&mut lines, "run", &place);
    line(&mut lines, "state", &run.outcome());
    line(&mut lines, "why", &why(&run.cause));
    line(&mut lines, "source", &source(&run.spec));
    line(&mut lines, "asked", &at(run.metadata.created()));
    line(&mut lines, "began", &at(run.started));
    line(&mut lines, "ended", &at(run.ended));
    line(&mut lines, "attempts", &attempts(run));
    for name in ["commit", "source", "builder", "runtime", "previous"] {
        let shown = if name == "source" { "snapshot" } else { name };
        line(&mut lines, shown, &text(&run.resolved[name]));
    }
    line(
        &mut lines,
        "took",
        &run.took(now()).map(human).unwrap_or_default(),
    );
    for phase in &run.phases {
        let took = phase.ended.map(|ended| ended.saturating_sub(phase.started));
        let took = took.map_or("at work".to_owned(), |took| {
            human(Duration::from_millis(took))
        });
        line(
            &mut lines,
            "phase",
            &format!("{:<17}{took}", clean(&phase.name)),
        );
    }
    if let Some(result) = &run.result {
        line(
            &mut lines,
            "image",
            &format!("{}/{}", client.server(), result.image),
        );
        line(&mut lines, "tags", &result.tags.join(", "));
        line(
            &mut lines,
            "same as",
            result.same_as.as_deref().unwrap_or_default(),
        );
    }
    lines
}

/// How often a run was begun, where that is worth a word.
fn attempts(run: &Run) -> String {
    match run.attempts() {
        0 | 1 => String::new(),
        attempts => format!("{attempts}: a server was killed while it was at work"),
    }
}

/// When a schedule comes due next, for people; nothing where there is none, or this program does not understand it.
fn next(schedule: &str, now: SystemTime) -> String {
    let schedule = schedule.parse::<Schedule>();
    said(schedule.ok().and_then(|schedule| schedule.next(now)))
}

/// A time for people; nothing where there is none.
fn at(millis: Option<u64>) -> String {
    let since = millis.map(Duration::from_millis);
    said(since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)))
}

fn said(at: Option<SystemTime>) -> String {
    let mut text = String::new();
    if let Some(at) = at
        && write!(text, "{}", format_rfc3339_seconds(at)).is_err()
    {
        // After the year 9999.
        text.clear();
    }
    text
}

/// How long ago that was, in one unit, as kubectl says it.
fn age(millis: Option<u64>, now: u64) -> String {
    let Some(millis) = millis else {
        return String::new();
    };
    let seconds = now.saturating_sub(millis) / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// One line a fact, those that are there.
fn line(lines: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{name:<12}{}", clean(value));
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(clean).to_vec()
}

/// Where a spec's source is, in few words.
fn source(spec: &Value) -> String {
    let source = &spec["source"];
    let text = |name: &str| source[name].as_str().unwrap_or_default();
    match (text("kind"), source["revision"].as_str()) {
        ("git", Some(revision)) => format!("{}#{revision}", text("url")),
        ("git", None) => text("url").to_owned(),
        _ => text("reference")
            .split('@')
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn why(cause: &Value) -> String {
    let text = |name: &str| cause[name].as_str().unwrap_or_default();
    match text("kind") {
        "asked" => format!("asked by {}", text("by")),
        "webhook" => format!("webhook of {}", text("from")),
        "imageMoved" => format!("{} moved", text("image")),
        "again" => format!("again as {}, by {}", text("run"), text("by")),
        other => other.to_owned(),
    }
}

/// Enough of a digest to tell it from others.
fn short(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::{Run, age, at, attempts, next};

    #[test]
    fn a_run_that_was_begun_anew_says_so() {
        let run = |attempts: u32| -> Run {
            let run = json!({
                "metadata": {"namespace": "team", "name": "app-1"}, "state": {"is": "running"},
                "cause": {}, "spec": {}, "attempts": attempts,
            });
            serde_json::from_value(run).unwrap()
        };
        assert_eq!(attempts(&run(1)), "");
        let said = "2: a server was killed while it was at work";
        assert_eq!(attempts(&run(2)), said);
    }

    #[test]
    fn times_are_said_in_one_unit_and_in_full() {
        let now = 1_000_000_000_000;
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7199, "119m"),
            (7200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(Some(now - seconds * 1000), now), text);
        }
        assert_eq!(age(Some(now + 5000), now), "0s", "clocks differ");
        assert_eq!(age(None, now), "");
        assert_eq!(at(Some(1_000_000_000_000)), "2001-09-09T01:46:40Z");
        assert_eq!(at(None), "");
        assert_eq!(at(Some(u64::MAX)), "");
        // 2001-09-09 is a Sunday.
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
        assert_eq!(next("30 3 * * 1-5", now), "2001-09-10T03:30:00Z");
        assert_eq!(next("every day", now), "");
    }
}
