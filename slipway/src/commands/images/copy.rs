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
        return Box::pin(engine::push(args)).await;
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
        is_demanded: true,
        referrers: how.referrers,
        jobs: how.jobs.into(),
        auth_file,
        source,
        target,
    })
}

/// What was copied and where it is now, and what of it was there before.
fn told((from, to): &(String, String), copied: &Copied) -> String {
    let Copied {
        digest,
        manifests,
        sent,
        mounted,
        present,
        bytes_sent,
    } = copied;
    let counted = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let mut parts = vec![format!(
        "{} sent ({})",
        counted(*sent, "blob"),
        human(*bytes_sent)
    )];
    if *mounted > 0 {
        parts.push(format!("{mounted} taken over within the registry"));
    }
    if *present > 0 {
        parts.push(format!("{present} there already"));
    }
    format!(
        "copied {from} to {to}: {}; {}\n{digest}",
        counted(*manifests, "manifest"),
        parts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::{Copied, told};

    #[test]
    fn what_was_done_is_said_with_the_digest_last() {
        let told = |sent, mounted, present, bytes_sent| {
            let copied = Copied {
                digest: "sha256:abc".to_owned(),
                manifests: 1,
                sent,
                mounted,
                present,
                bytes_sent,
            };
            told(&("oci:a".to_owned(), "r.example/b:v1".to_owned()), &copied)
        };
        assert_eq!(
            told(2, 0, 0, 1_500),
            "copied oci:a to r.example/b:v1: 1 manifest; 2 blobs sent (1.5 kB)\nsha256:abc"
        );
        assert_eq!(
            told(1, 3, 4, 17),
            "copied oci:a to r.example/b:v1: 1 manifest; 1 blob sent (17 B), 3 taken over within the \
             registry, 4 there already\nsha256:abc"
        );
    }
}
