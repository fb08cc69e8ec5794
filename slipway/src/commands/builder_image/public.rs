//! Public builder images of others, on their way into the registry.

use anyhow::Context as _;
use builder::{PUBLIC_IMAGES, PublicImage};
use serde_json::json;

use crate::cli::{AddBuilderImage, Output, Printing, Transport};
use crate::client::Client;
use crate::client::images::{self, ImageName, Place, Plan, Platform};
use crate::commands::images::interruptible;
use crate::commands::{print, table};

pub(super) fn named(name: Option<&str>) -> anyhow::Result<Option<PublicImage>> {
    let found = name.map(|name| {
        let found = PublicImage::find(name);
        found.with_context(|| {
            format!(
                "--public {name}: slipway builder-image list --public names those that there are"
            )
        })
    });
    found.transpose()
}

/// Copies the image to where the entry says, and says how the catalogue names it.
pub(super) async fn bring(
    client: &Client,
    public: PublicImage,
    args: &AddBuilderImage,
    name: &str,
) -> anyhow::Result<String> {
    let place = args.of.namespace.as_deref().unwrap_or("slipway");
    let image = match &args.image {
        Some(image) => image.clone(),
        None => format!("{place}/{name}:latest"),
    };
    let from = ImageName::parse(&public.reference(args.mirror.as_deref()), None)?;
    let to = ImageName::parse(&image, Some(client.server()))?;
    anyhow::ensure!(
        to.server().name() == client.server().name(),
        "--image {image}: the catalogue of {} has images of its own alone",
        client.server()
    );
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let plan = Plan {
        from: Place::Registry(from),
        to: Place::Registry(to),
        platform,
        is_demanded: true,
        referrers: false,
        jobs: 4,
        auth_file: args.remote.auth_file.clone(),
        source: Transport {
            plain_http: false,
            ca_file: args.remote.transport.ca_file.clone(),
        },
        target: client.transport(),
    };
    let shown = plan.from.to_string();
    interruptible(images::copy(plan))
        .await
        .with_context(|| format!("bringing {shown}"))?;
    Ok(image)
}

pub(super) fn list(printing: &Printing) -> anyhow::Result<()> {
    if printing.form() == Output::Json {
        let items = PUBLIC_IMAGES.map(|image| {
            json!({
                "name": image.name,
                "language": image.language,
                "version": image.version,
                "image": image.reference(None),
            })
        });
        return print::json(&json!({ "items": items }));
    }
    let head = ["NAME", "LANGUAGE", "VERSION", "IMAGE"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(PUBLIC_IMAGES.iter().map(|image| {
        let version = image.version.unwrap_or_default();
        [image.name, image.language, version, &image.reference(None)]
            .map(str::to_owned)
            .to_vec()
    }));
    print::whole(table::lines(&rows).as_bytes())
}
