//! `slipway copy`, and `slipway push` from one registry to another.

use super::super::print;
use super::size::human;
use super::{engine, interruptible};
use crate::cli::{AuthFile, Copy, Copying, Output, Push, Transport};
use crate::client::images::{self, Copied, Place, Plan, Platform};

pub(in super::super) async fn copy(args: Copy) -> anyhow::Result<()> {
    let source = Transport {
        plain_http: args.src_plain_http,
        ca_file: args.src_ca_file,
    };
    let target = Transport {
        plain_http: args.dest_plain_http,
        ca_file: args.dest_ca_file,
    };
    let (from, to) = (Place::parse(&args.source)?, Place::parse(&args.target)?);
    let plan = plan(from, to, &args.copying, args.auth_file, source, target)?;
    let shown = (plan.from.to_string(), plan.to.to_string());
    let copied = interruptible(images::copy(plan)).await?;
    match args.printing.form() {
        Output::Json => print::json(&copied),
        Output::Text => print::line(&told(&shown, &copied)),
    }
}

/// One name is an image of this machine, two are a copy from registry to registry.
pub(in super::super) async fn push(args: Push) -> anyhow::Result<()> {
    let Some(target) = &args.target else {
        return engine::push(args).await;
    };
    let source = Transport {
        plain_http: false,
        ca_file: args.transport.ca_file.clone(),
    };
    let (from, to) = (Place::parse(&args.image)?, Place::parse(target)?);
    let plan = plan(
        from,
        to,
        &args.copying,
        args.auth_file,
        source,
        args.transport,
    )?;
    let shown = (plan.from.to_string(), plan.to.to_string());
    print::line(&told(&shown, &interruptible(images::copy(plan)).await?))
}

fn plan(
    from: Place,
    to: Place,
    how: &Copying,
    auth_file: AuthFile,
    source: Transport,
    target: Transport,
) -> anyhow::Result<Plan> {
    let platform = how.platform.as_deref().map(Platform::parse).transpose()?;
    Ok(Plan {
        from,
        to,
        platform,
        referrers: how.referrers,
        jobs: how.jobs.into(),
        auth_file,
        source,
        target,
    })
}

fn told((from, to): &(String, String), copied: &Copied) -> String {
    let Copied {
        digest,
        manifests,
        sent,
        mounted,
        present,
        bytes_sent,
    } = copied;
    let sent_bytes = human(*bytes_sent);
    format!(
        "{from} → {to}\n{digest}: {manifests} manifests; blobs: {sent} sent ({sent_bytes}), \
         {mounted} mounted, {present} there already"
    )
}
