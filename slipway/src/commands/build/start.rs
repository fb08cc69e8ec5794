//! Asking for runs, and waiting for them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use builder::s2i::IgnoreMode;
use oci::RepoName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{Run, clean};
use super::follow::{follow, image, summary};
use super::screen::Screen;
use super::{Place, connect, source, spec};
use crate::cli::{AuthFile, Following, Named, Namespace, Remote, RunBuild, StartBuild};
use crate::client::{Client, Server};
use crate::commands::print;

/// Exit codes besides 0 and 1, which are a published image and a failure.
const CANCELLED: u8 = 3;
const LET_GO: u8 = 130;

/// How long a second Ctrl-C is waited for.
const AGAIN: Duration = Duration::from_secs(2);

pub(super) async fn run(args: RunBuild) -> anyhow::Result<ExitCode> {
    let namespace = match &args.namespace.namespace {
        Some(namespace) => namespace.clone(),
        None => namespace_of(&args.output)?,
    };
    let auth_file = copied(&args.remote);
    let named = spec::git(args.git).or_else(|| args.source.map(spec::image));
    anyhow::ensure!(
        named.is_some() || args.dir.is_some(),
        "what is to be built? Name a repository with --git, a folder or a tar with --dir, or a source in the registry with \
         --source"
    );
    if let (None, Some(tag)) = (
        &named,
        args.spec.tag.iter().find(|tag| tag.contains("{commit}")),
    ) {
        anyhow::bail!(
            "--tag {tag}: a folder has no commit: name the tag, or build the repository with --git"
        );
    }
    // Before anything is sent: what is wrong with an option.
    let nothing = spec::image(String::new());
    let mut spec = spec::spec(nothing, args.builder, &args.output, args.spec)?;
    let client = connect(args.remote).await?;
    let output = placed(&args.output, &namespace, client.server());
    within(&output, &namespace)?;
    spec.source = match (named, &args.dir) {
        (Some(named), _) => named,
        (None, dir) => {
            let repository = sources_of(&namespace, args.name.as_deref(), &output)?;
            let dir = dir.as_deref().context("--dir")?;
            source::upload(&client, auth_file, repository, dir, spec.ignore).await?
        }
    };
    spec.output.image = output;
    let mut spec = json!(spec);
    local_images(&mut spec, client.server());
    let wanted = json!({
        "name": args.name,
        "spec": spec,
        "fresh": args.no_reuse,
        "noCache": args.no_cache,
    });
    let run: Run = client
        .post(&Place(Some(&namespace)).path("buildruns"), &wanted)
        .await?;
    wait(&client, run, &args.following).await
}

pub(super) async fn start(args: StartBuild) -> anyhow::Result<ExitCode> {
    let namespace = args.what.of.namespace;
    let name = args.what.name;
    let auth_file = copied(&args.remote);
    let client = connect(args.remote).await?;
    let source = match &args.dir {
        None => {
            let source = args.source.as_deref();
            source.map(|source| spec::image(local(source, client.server()).to_owned()))
        }
        Some(dir) => {
            // As the build reads it: what this leaves out nobody brings back.
            let path = Place(Some(&namespace)).path(&format!("builds/{name}"));
            let build: Of = client.get(&path).await?;
            let ignore = build.spec.ignore;
            let repository = RepoName::of_sources(&namespace, &name).context("the build's name")?;
            Some(source::upload(&client, auth_file, repository, dir, ignore).await?)
        }
    };
    let mut wanted = json!({ "fresh": args.no_reuse, "noCache": args.no_cache });
    if let Some(revision) = args.revision {
        wanted["revision"] = revision.into();
    }
    if let Some(source) = source {
        wanted["source"] = json!(source);
    }
    let path = Place(Some(&namespace)).path(&format!("builds/{name}/runs"));
    let run: Run = client.post(&path, &wanted).await?;
    wait(&client, run, &args.following).await
}

/// What a client needs to know of a build before it sends a folder.
#[derive(Deserialize)]
struct Of {
    spec: OfSpec,
}

/// A newer server may say more.
#[derive(Deserialize)]
struct OfSpec {
    #[serde(default)]
    ignore: IgnoreMode,
}

pub(super) async fn rebuild(
    what: &Named,
    same: bool,
    following: &Following,
    remote: Remote,
) -> anyhow::Result<ExitCode> {
    let client = connect(remote).await?;
    let place = Place(Some(&what.of.namespace));
    let path = place.path(&format!("buildruns/{}/rebuild", what.name));
    let run: Run = client.post(&path, &json!({ "same": same })).await?;
    let code = wait(&client, run.clone(), following).await?;
    if !same || following.detach || code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let path = place.path(&format!("buildruns/{}", run.metadata.name));
    let run: Run = client.get(&path).await?;
    let result = run.result.context("the run has no result any more")?;
    if result.same_as.is_some() {
        eprintln!("it reproduces: the same image came out");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("it does not reproduce: another image came out");
    for what in &result.differs {
        eprintln!("  {}", clean(what));
    }
    Ok(ExitCode::FAILURE)
}

pub(super) async fn cancel(names: &[String], of: &Namespace, remote: Remote) -> anyhow::Result<()> {
    let client = connect(remote).await?;
    for name in names {
        print::line(&cancel_one(&client, &of.namespace, name).await?)?;
    }
    Ok(())
}

/// Asks for a run's end, and says what came of it.
async fn cancel_one(client: &Client, namespace: &str, name: &str) -> anyhow::Result<String> {
    let path = Place(Some(namespace)).path(&format!("buildruns/{name}/cancel"));
    let run: Option<Run> = client.post_found(&path, &json!({})).await?;
    let Some(run) = run else {
        anyhow::bail!(no_run(client, namespace, name).await?);
    };
    let said = match &*run.state.is {
        "running" => "is being cancelled".to_owned(),
        _ => run.outcome(),
    };
    Ok(format!("{name}: {said}"))
}

/// Why `name` cannot be cancelled: it is a build's, whose runs may be meant, or nothing's.
async fn no_run(client: &Client, namespace: &str, name: &str) -> anyhow::Result<String> {
    let place = Place(Some(namespace));
    let build: Option<Value> = client.find(&place.path(&format!("builds/{name}"))).await?;
    if build.is_none() {
        return Ok(format!("there is no run {name} in namespace {namespace}"));
    }
    let open = open_runs(client, place, &format!("&build={name}")).await?;
    Ok(if open.is_empty() {
        format!("{name} is a build, and none of its runs waits or is at work")
    } else {
        format!(
            "{name} is a build; of its runs these wait or are at work: slipway build cancel {} -n {namespace}",
            open.join(" ")
        )
    })
}

/// The runs that have not ended, of those that the query's parameters say.
pub(super) async fn open_runs(
    client: &Client,
    place: Place<'_>,
    query: &str,
) -> anyhow::Result<Vec<String>> {
    let mut open = Vec::new();
    for state in ["queued", "running"] {
        let query = format!("{query}&state={state}");
        let runs: Vec<Value> = place.list(client, "buildruns", &query, usize::MAX).await?;
        let names = runs
            .iter()
            .filter_map(|run| run["metadata"]["name"].as_str());
        open.extend(names.map(clean));
    }
    Ok(open)
}

/// Waits for a run that one has asked for, unless one does not want to.
async fn wait(client: &Client, run: Run, following: &Following) -> anyhow::Result<ExitCode> {
    let (namespace, name) = (&run.metadata.namespace, &run.metadata.name);
    let how = format!(
        "slipway build logs {name} -n {namespace} --follow follows it, \
         slipway build cancel {name} -n {namespace} ends it"
    );
    if following.detach {
        if following.json {
            print::json(&run)?;
        } else {
            print::line(name)?;
            eprintln!("{how}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut screen = Screen::new();
    let followed = tokio::select! {
        followed = follow(client, namespace, name, &mut screen) => followed,
        interrupt = tokio::signal::ctrl_c() => {
            interrupt?;
            screen.end();
            eprintln!("{name} goes on: {how}; Ctrl-C once more now ends it, too");
            let again = tokio::time::timeout(AGAIN, tokio::signal::ctrl_c()).await;
            let Ok(again) = again else {
                return Ok(ExitCode::from(LET_GO));
            };
            again?;
            eprintln!("{}", cancel_one(client, namespace, name).await?);
            return Ok(ExitCode::from(CANCELLED));
        }
    };
    screen.end();
    ended(client, &followed?, &screen, following.json)
}

/// Says what became of a run: for people on standard error, for programs on standard output.
pub(super) fn ended(
    client: &Client,
    run: &Run,
    screen: &Screen,
    json: bool,
) -> anyhow::Result<ExitCode> {
    eprintln!("{}", summary(client, run, screen));
    if json {
        print::json(run)?;
    } else if run.state.is == "succeeded"
        && let Some(image) = image(client, run)
    {
        print::line(&image)?;
    }
    Ok(code(run))
}

fn code(run: &Run) -> ExitCode {
    match &*run.state.is {
        "succeeded" => ExitCode::SUCCESS,
        "cancelled" => ExitCode::from(CANCELLED),
        _ => ExitCode::FAILURE,
    }
}

/// The first part of an image's name, behind that of a registry.
pub(super) fn namespace_of(output: &str) -> anyhow::Result<String> {
    let path = without_host(output);
    let namespace = path.split_once('/').map(|(namespace, _)| namespace);
    let namespace = namespace.filter(|namespace| !namespace.is_empty());
    namespace.map(str::to_owned).with_context(|| {
        format!("--output {output}: write NAMESPACE/NAME:TAG, or give the namespace with -n")
    })
}

/// An image's name without the server's own, by which all output calls it.
pub(in crate::commands) fn local<'a>(image: &'a str, server: &Server) -> &'a str {
    let rest = image.strip_prefix(server.name());
    let rest = rest.and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or(image)
}

/// The result's name on this server: in the namespace that was given apart, where it says none.
pub(super) fn placed(output: &str, namespace: &str, server: &Server) -> String {
    match local(output, server) {
        name if name.contains('/') => name.to_owned(),
        name => format!("{namespace}/{name}"),
    }
}

/// The images that a spec, or a part of one, builds from, as the server calls its own. Where the result goes [`placed`] says.
pub(super) fn local_images(spec: &mut Value, server: &Server) {
    for field in ["/builder", "/source/reference", "/runtime/image"] {
        if let Some(Value::String(image)) = spec.pointer_mut(field) {
            *image = local(image, server).to_owned();
        }
    }
}

/// Refuses a result in another namespace than that which was given apart, which a variable may have done.
pub(super) fn within(output: &str, namespace: &str) -> anyhow::Result<()> {
    match output.split_once('/') {
        Some((own, _)) if own != namespace && !own.contains(['.', ':']) && own != "localhost" => {
            anyhow::bail!(
                "--output {output}: it must lie in the namespace of the build, which is {namespace}, as -n or SLIPWAY_NAMESPACE says"
            )
        }
        _ => Ok(()),
    }
}

/// Where the source of a run goes: as the run is called, else as the image.
fn sources_of(namespace: &str, name: Option<&str>, output: &str) -> anyhow::Result<RepoName> {
    let Some(name) = name else {
        let repository = RepoName::of_sources(namespace, &short_name(output));
        return repository.with_context(|| format!("--output {output}"));
    };
    let repository = RepoName::of_sources(namespace, name);
    repository.with_context(|| {
        format!("{name:?} is no name of a run: lower-case letters, digits and '-'")
    })
}

/// What a source is called whose run has no name: as the image, on one level.
fn short_name(output: &str) -> String {
    let path = without_host(output);
    let path = path.split_once('/').map_or(path, |(_, rest)| rest);
    let end = path.find([':', '@']).unwrap_or(path.len());
    path[..end].replace('/', "-")
}

fn without_host(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => image,
    }
}

/// Where logins are, for the way that images go.
fn copied(remote: &Remote) -> AuthFile {
    AuthFile {
        authfile: remote.auth_file.authfile.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Server, local, local_images, namespace_of, placed, short_name};

    #[test]
    fn the_servers_own_name_and_a_namespace_given_apart_are_not_said_twice() {
        let server = Server::parse("127.0.0.1:5000").unwrap();
        for (output, name) in [
            ("app:v1", "team/app:v1"),
            ("team/app:v1", "team/app:v1"),
            ("other/app:v1", "other/app:v1"),
            ("127.0.0.1:5000/team/app:v1", "team/app:v1"),
            ("127.0.0.1:50001/team/app:v1", "127.0.0.1:50001/team/app:v1"),
        ] {
            assert_eq!(placed(output, "team", &server), name);
        }
        assert_eq!(
            local("127.0.0.1:5000/slipway/go:1.24", &server),
            "slipway/go:1.24"
        );
        assert_eq!(local("site", &server), "site");
    }

    #[test]
    fn images_that_a_spec_builds_from_are_called_as_the_server_calls_its_own() {
        let server = Server::parse("127.0.0.1:5000").unwrap();
        let mut spec = json!({
            "builder": "127.0.0.1:5000/slipway/go:1.24",
            "source": {"kind": "image", "reference": "127.0.0.1:5000/team/sources/app:1"},
            "runtime": {"image": "127.0.0.1:5000/slipway/static:1", "artifacts": []},
        });
        local_images(&mut spec, &server);
        let expected = json!({
            "builder": "slipway/go:1.24",
            "source": {"kind": "image", "reference": "team/sources/app:1"},
            "runtime": {"image": "slipway/static:1", "artifacts": []},
        });
        assert_eq!(spec, expected);
        let mut part = json!({"runtime": {"artifacts": []}});
        local_images(&mut part, &server);
        assert_eq!(part, json!({"runtime": {"artifacts": []}}));
    }

    #[test]
    fn an_image_says_its_namespace_and_a_name_for_its_source() {
        for (image, namespace, name) in [
            ("team/app:v1", "team", "app"),
            ("registry.example.com:5000/team/a/b:v1", "team", "a-b"),
            ("localhost/team/app", "team", "app"),
        ] {
            assert_eq!(namespace_of(image).unwrap(), namespace);
            assert_eq!(short_name(image), name);
        }
        for image in ["app", "app:v1", "", "/app"] {
            assert!(namespace_of(image).is_err(), "{image}");
        }
    }
}
