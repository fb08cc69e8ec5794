//! `slipway builder-image`: the catalogue of what images are built with, and builder images of our own.

mod create;
mod public;

use anyhow::Context as _;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use super::build::{Place, connect, local};
use super::{print, table};
use crate::cli::{AddBuilderImage, BuilderImageCommand, Output};

pub(super) async fn run(command: BuilderImageCommand) -> anyhow::Result<()> {
    match command {
        BuilderImageCommand::Create(args) => create::run(*args).await,
        BuilderImageCommand::List {
            public: true,
            printing,
            ..
        } => public::list(&printing),
        BuilderImageCommand::List {
            public: false,
            of,
            remote,
            printing,
        } => {
            let client = connect(remote).await?;
            let place = Place(of.namespace.as_deref());
            let images: Vec<Value> = place.list(&client, "builderimages", "", usize::MAX).await?;
            match printing.form() {
                Output::Json => print::json(&json!({ "items": images })),
                Output::Text => print::whole(table::lines(&rows(&images)).as_bytes()),
            }
        }
        BuilderImageCommand::Add(args) => Box::pin(add(*args)).await,
        BuilderImageCommand::Usage { name, of, remote } => {
            let client = connect(remote).await?;
            let place = Place(Some(&of.namespace));
            let word: String = byte_serialize(local(&name, client.server()).as_bytes()).collect();
            let path = place.path(&format!("builderimages/{word}/usage"));
            let said: Value = client.post_patiently(&path, &json!({})).await?;
            let text = said["usage"].as_str().unwrap_or_default();
            print::tame(text.as_bytes()).map(drop)
        }
        BuilderImageCommand::Remove { names, of, remote } => {
            let client = connect(remote).await?;
            for name in names {
                let path = Place(of.namespace.as_deref()).path(&format!("builderimages/{name}"));
                client.delete(&path).await?;
                print::line(&format!(
                    "builder image {name} is removed from the catalogue"
                ))?;
            }
            Ok(())
        }
    }
}

async fn add(args: AddBuilderImage) -> anyhow::Result<()> {
    let client = connect(args.remote.clone()).await?;
    let public = public::named(args.public.as_deref())?;
    let name = args.name.as_deref().or(public.map(|public| public.name));
    let name = name.context("which entry?")?;
    let image = if let Some(public) = public {
        public::bring(&client, public, &args, name).await?
    } else {
        let image = args.image.as_deref().context("--image is needed")?;
        local(image, client.server()).to_owned()
    };
    let path = Place(args.of.namespace.as_deref()).path(&format!("builderimages/{name}"));
    let language = public.map(|public| public.language.to_owned());
    let version = public.and_then(|public| public.version.map(str::to_owned));
    let wanted = json!({
        "image": image,
        "language": args.language.or(language),
        "version": args.version.or(version),
        "displayName": args.display_name,
        "description": args.description,
    });
    let entered: Value = client.put(&path, &wanted, None).await?;
    match args.printing.form() {
        Output::Json => print::json(&entered),
        Output::Text => print::whole(table::lines(&rows(&[entered])).as_bytes()),
    }
}

fn rows(images: &[Value]) -> Vec<Vec<String>> {
    let head = ["NAME", "LANGUAGE", "VERSION", "WHOSE", "IMAGE", "CALLED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for image in images {
        let text = |value: &Value| {
            let text = value.as_str().unwrap_or_default().chars();
            text.filter(|char| !char.is_control()).collect::<String>()
        };
        let namespace = text(&image["metadata"]["namespace"]);
        rows.push(vec![
            text(&image["metadata"]["name"]),
            text(&image["language"]),
            text(&image["version"]),
            if namespace.is_empty() {
                "everybody".to_owned()
            } else {
                namespace
            },
            text(&image["image"]),
            text(&image["displayName"]),
        ]);
    }
    rows
}
