//! `slipway builder-image create`.

use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use builder::debian::{Created, Language, Mirrors, Recipe, create};
use serde_json::{Value, json};

use crate::cli::{CreateBuilderImage, Remote, Transport};
use crate::client::Server;
use crate::client::images::{self, ImageName, Place, Plan, Repository, Session};
use crate::commands::build::{Place as Catalogue, connect};
use crate::commands::images::{default_server, human, interruptible};
use crate::commands::print;

pub(super) async fn run(args: CreateBuilderImage) -> anyhow::Result<()> {
    if args.list {
        list(&args)
    } else {
        Box::pin(make(args)).await
    }
}

fn list(args: &CreateBuilderImage) -> anyhow::Result<()> {
    let languages: Vec<_> = match &args.language {
        Some(name) => vec![language(name)?],
        None => Language::ALL.to_vec(),
    };
    let releases = languages.iter().flat_map(|language| {
        let releases = language.releases().into_iter();
        releases.map(|release| (language.name(), release))
    });
    if args.json {
        let all: Vec<_> = releases
            .map(|(language, release)| {
                json!({
                    "language": language,
                    "version": release.version,
                    "suite": release.suite,
                    "maintainedUntil": release.maintained_until,
                })
            })
            .collect();
        return print::json(&all);
    }
    let now = SystemTime::now();
    let row = |language: &str, version: &str, suite: &str, upstream: &str| {
        let row = format!("{language:<10}{version:<10}{suite:<10}{upstream}");
        print::line(row.trim_end())
    };
    row("LANGUAGE", "VERSION", "SUITE", "UPSTREAM")?;
    for (language, release) in releases {
        let until = release.maintained_until.as_deref();
        let upstream = match (release.ended(now), until) {
            (Some(month), _) => format!("ended {month}"),
            (None, Some(month)) => format!("until {month}"),
            (None, None) => String::new(),
        };
        row(language, &release.version, &release.suite, &upstream)?;
    }
    Ok(())
}

async fn make(args: CreateBuilderImage) -> anyhow::Result<()> {
    let name = args.language.as_deref().context("which language?")?;
    let language = language(name)?;
    let release = language.release(args.version.as_deref(), args.suite.as_deref())?;
    let default = Mirrors::default();
    let recipe = Recipe {
        language,
        release: release.clone(),
        mirrors: Mirrors {
            archive: args.mirror.clone().unwrap_or(default.archive),
            security: args.security_mirror.clone().unwrap_or(default.security),
        },
        packages: args.package.clone(),
        epoch: args.source_date_epoch,
        threads: std::thread::available_parallelism().map_or(1, Into::into),
    };
    // Before a minute of work, not after it: where it goes, and whether it may.
    let to = match &args.output {
        Some(text) => Place::parse(text)?,
        None => Place::Registry(default_output(&args.remote, name, &release.version)?),
    };
    let entry = args.add.then(|| catalogue(&args, &to)).transpose()?;
    let client = match &entry {
        Some((remote, _)) => Some(connect(remote.clone()).await?),
        None => None,
    };
    if let Place::Registry(name) = &to {
        may_push(name, &args).await?;
    }
    let layout = tempfile::tempdir().context("a folder for the image")?;
    let dir = layout.path().to_owned();
    let shown = format!("{name} {}", release.version);
    let say = move |line: &str| {
        // Where standard error is closed there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{shown}: {line}");
    };
    if let Some(month) = release.ended(SystemTime::now()) {
        say(&format!(
            "upstream's maintenance ended {month}; what is mended is what Debian mends in {}",
            release.suite
        ));
    }
    let making = tokio::task::spawn_blocking(move || create(&recipe, &dir, say));
    let created = interruptible(async { Ok(making.await??) }).await?;
    let plan = Plan {
        from: Place::Layout {
            dir: layout.path().to_owned(),
            name: None,
        },
        to,
        platform: None,
        is_demanded: false,
        referrers: false,
        jobs: 4,
        auth_file: args.remote.auth_file,
        source: Transport {
            plain_http: false,
            ca_file: None,
        },
        target: args.remote.transport,
    };
    let to = plan.to.to_string();
    interruptible(images::copy(plan)).await?;
    tell(&to, name, &created, args.json)?;
    if let (Some(client), Some((_, image))) = (client, entry) {
        let entry = format!("{name}-{}", release.version);
        let path = Catalogue(args.namespace.as_deref()).path(&format!("builderimages/{entry}"));
        let _: Value = client.put(&path, &json!({ "image": image }), None).await?;
        eprintln!("in the catalogue as {entry}");
    }
    Ok(())
}

/// Fails in the registry's words where the image would not be taken.
async fn may_push(to: &ImageName, args: &CreateBuilderImage) -> anyhow::Result<()> {
    let session =
        Session::open(to.server(), &args.remote.auth_file, &args.remote.transport).await?;
    let there = Repository::new(Arc::new(session), to.repository().clone(), "pull,push");
    there.may_push().await.with_context(|| to.to_string())
}

/// The server whose catalogue the image is entered into, and how that names it.
fn catalogue(args: &CreateBuilderImage, to: &Place) -> anyhow::Result<(Remote, String)> {
    let Place::Registry(name) = to else {
        anyhow::bail!(
            "--add: {to} is in no registry, and the catalogue has images of its own alone"
        );
    };
    // As it is named, where that is a URL.
    let named = args.remote.server.clone().filter(|text| {
        let server = Server::parse(text);
        server.is_ok_and(|server| server == *name.server())
    });
    let remote = Remote {
        server: named.or_else(|| Some(name.server().name().to_owned())),
        auth_file: args.remote.auth_file.clone(),
        transport: args.remote.transport.clone(),
    };
    let reference = name.reference()?;
    let separator = if name.digest().is_some() { '@' } else { ':' };
    Ok((
        remote,
        format!("{}{separator}{reference}", name.repository()),
    ))
}

fn tell(to: &str, language: &str, created: &Created, as_json: bool) -> anyhow::Result<()> {
    let Created {
        digest,
        version,
        size,
    } = created;
    if as_json {
        return print::json(&json!({
            "image": to,
            "digest": digest.to_string(),
            "language": language,
            "version": version,
            "size": size,
        }));
    }
    print::line(&format!(
        "{to}\n{digest}: {language} {version}, {}",
        human(*size)
    ))
}

fn language(name: &str) -> anyhow::Result<Language> {
    Language::of(name).with_context(|| {
        let known = Language::ALL.map(Language::name).join(", ");
        format!("{name}: there is no builder image for that language; there are {known}")
    })
}

/// Where the image goes that is said no place: to the server that is named, else to that of the last login.
fn default_output(remote: &Remote, language: &str, version: &str) -> anyhow::Result<ImageName> {
    let server = default_server(remote)?.context(
        "where to? Give --output (an image in a registry, oci:DIR or oci-archive:FILE), --server or SLIPWAY_SERVER, or log in: \
         slipway login SERVER",
    )?;
    ImageName::parse(&format!("slipway/{language}:{version}"), Some(&server))
}
