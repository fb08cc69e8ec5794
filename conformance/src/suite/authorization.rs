//! Who is let in, and what a stranger may learn. Without a login nothing here can be asked: all of it is skipped.

use std::sync::Arc;

use super::steps::{get, head, post, push_image};
use crate::auth::{self, Challenge};
use crate::clause::{Clause, Context, Step, Stop, clause, demand};
use crate::client::{Answer, Ask};
use crate::content::OCI_MANIFEST;

pub(super) fn clauses() -> Vec<Clause> {
    vec![
        guarded("authorization/challenge", "RFC 9110 §11.6.1", challenge),
        guarded(
            "authorization/wrong password",
            "RFC 9110 §11.6.2",
            wrong_password,
        ),
        guarded("authorization/garbage", "RFC 9110 §11.6.2", garbage),
        guarded("authorization/strangers push nothing", "end-4a", strangers),
        guarded(
            "authorization/token of another repository",
            "Docker tokens",
            other_scope,
        ),
        guarded(
            "authorization/absent and forbidden look the same",
            "CVE-2020-13794",
            alike,
        ),
    ]
}

/// A clause that needs somebody to be.
fn guarded<F, R>(name: &str, source: &'static str, run: F) -> Clause
where
    F: Fn(Arc<Context>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Step> + Send + 'static,
{
    clause(name, source, move |context| {
        let run = run.clone();
        async move {
            if context.client.login.is_none() {
                return Err(Stop::Skip("it needs a login (--user)".into()));
            }
            run(context).await
        }
    })
}

async fn challenged(context: &Context, path: &str) -> Step<Challenge> {
    let answer = context
        .client
        .send(get(path).stranger())
        .await?
        .expect(&[401])?;
    let header = answer.header("www-authenticate").to_owned();
    Challenge::parse(&header)
        .ok_or_else(|| Stop::Fail(format!("{path}: no usable challenge: {header:?}")))
}

async fn challenge(context: Arc<Context>) -> Step {
    challenged(&context, "/v2/").await?;
    context.client.send(get("/v2/")).await?.expect(&[200])?;
    Ok(())
}

async fn wrong_password(context: Arc<Context>) -> Step {
    let user = context.client.login.as_ref().map_or("", |(user, _)| user);
    for (user, password) in [(user, "surely not this one"), ("nobody-of-that-name", "x")] {
        let authorization = auth::basic(user, password);
        let answer = context
            .client
            .once(&get("/v2/"), Some(authorization))
            .await?;
        answer.expect(&[401, 429])?;
    }
    Ok(())
}

async fn garbage(context: Arc<Context>) -> Step {
    for authorization in [
        "Bearer x.y.z",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290IiwiZXhwIjo5OTk5OTk5OTk5fQ.",
        "Basic %%%",
        "Basic",
        "Negotiate x",
    ] {
        let ask = get("/v2/");
        let answer = context
            .client
            .once(&ask, Some(authorization.to_owned()))
            .await?;
        demand([400, 401].contains(&answer.status.as_u16()), || {
            format!("{authorization:?}: {}", answer.status)
        })?;
    }
    Ok(())
}

async fn strangers(context: Arc<Context>) -> Step {
    let path = format!("/v2/{}/blobs/uploads/", context.fresh());
    let answer = context.client.send(post(path).stranger()).await?;
    answer.expect(&[401, 403])?;
    Ok(())
}

/// A token for one repository opens no other, also none whose name begins alike.
async fn other_scope(context: Arc<Context>) -> Step {
    let repo = context.fresh();
    push_image(&context, &repo, "v1").await?;
    let deeper = format!("{repo}/deeper");
    push_image(&context, &deeper, "v1").await?;
    let path = format!("/v2/{repo}/manifests/v1");
    let Challenge::Bearer(parameters) = challenged(&context, &path).await? else {
        return Err(Stop::Skip("passwords only".into()));
    };
    let Some((user, password)) = &context.client.login else {
        return Err(Stop::Error("no login".into()));
    };
    let http = &context.client.http;
    let token = auth::token(http, &parameters, &[], Some((user, password))).await?;
    let bearer = || Some(format!("Bearer {token}"));
    let own = get(path).header("accept", OCI_MANIFEST);
    context.client.once(&own, bearer()).await?.expect(&[200])?;
    let other = get(format!("/v2/{deeper}/manifests/v1")).header("accept", OCI_MANIFEST);
    context
        .client
        .once(&other, bearer())
        .await?
        .expect(&[401, 403])?;
    let push = post(format!("/v2/{repo}/blobs/uploads/"));
    context
        .client
        .once(&push, bearer())
        .await?
        .expect(&[401, 403])?;
    Ok(())
}

async fn alike(context: Arc<Context>) -> Step {
    let there = context.fresh();
    push_image(&context, &there, "v1").await?;
    let absent = context.fresh();
    for path in ["manifests/v1", "tags/list", "blobs/uploads/"] {
        let of = |repo: &str| -> Vec<Ask> {
            let path = format!("/v2/{repo}/{path}");
            if path.ends_with('/') {
                vec![post(path).stranger()]
            } else {
                vec![get(&*path).stranger(), head(path).stranger()]
            }
        };
        for (one, other) in of(&there).into_iter().zip(of(&absent)) {
            let one = context.client.send(one).await?;
            let other = context.client.send(other).await?;
            let (one, other) = (masked(&one, &there), masked(&other, &absent));
            demand(one == other, || format!("{one}\nis not\n{other}"))?;
        }
    }
    Ok(())
}

/// An answer without what may differ: the repository's own name, dates and request ids.
fn masked(answer: &Answer, repo: &str) -> String {
    let mut lines: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default()))
        .collect();
    lines.sort();
    let mut body = String::from_utf8_lossy(&answer.body).into_owned();
    if let Some(id) = answer
        .headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
    {
        body = body.replace(id, "ID");
    }
    format!("{}\n{}\n{body}", answer.status, lines.join("\n")).replace(repo, "REPO")
}
