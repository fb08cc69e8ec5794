//! What a repository offers to be built.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answers::clean;
use super::{Place, connect};
use crate::cli::{Namespace, Output, Printing, Remote};
use crate::commands::{print, table};

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct References {
    #[serde(skip_serializing_if = "Option::is_none")]
    default_branch: Option<String>,
    branches: Vec<Named>,
    tags: Vec<Named>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Named {
    name: String,
    commit: String,
}

/// Of a build's repository, or of one with a secret for it.
pub(super) async fn list(
    build: Option<&str>,
    repository: Option<(String, Option<String>)>,
    of: &Namespace,
    remote: Remote,
    printing: &Printing,
) -> anyhow::Result<()> {
    let client = connect(remote).await?;
    let place = Place(Some(&of.namespace));
    let found: References = match (repository, build) {
        (Some((url, secret)), _) => {
            let source = json!({"kind": "git", "url": url, "secret": secret});
            let wanted = json!({ "source": source });
            let path = place.path("references");
            client.post_patiently(&path, &wanted).await?
        }
        (None, build) => {
            let build = build.unwrap_or_default();
            let path = place.path(&format!("builds/{build}/references"));
            client.get_patiently(&path).await?
        }
    };
    match printing.form() {
        Output::Json => print::json(&found),
        Output::Text => print::whole(table::lines(&rows(&found)).as_bytes()),
    }
}

fn rows(found: &References) -> Vec<Vec<String>> {
    let mut rows = vec![["KIND", "NAME", "COMMIT"].map(str::to_owned).to_vec()];
    for (kind, all) in [("branch", &found.branches), ("tag", &found.tags)] {
        rows.extend(all.iter().map(|one| {
            let is_default = kind == "branch" && found.default_branch.as_ref() == Some(&one.name);
            let kind = if is_default { "branch, default" } else { kind };
            vec![kind.to_owned(), clean(&one.name), clean(&one.commit)]
        }));
    }
    rows
}
