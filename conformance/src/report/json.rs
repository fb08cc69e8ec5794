//! A JSON document.

use serde_json::json;
use url::Url;

use super::{Judged, why, word};

pub(super) fn render(url: &Url, results: &[Judged]) -> String {
    let clauses: Vec<_> = results
        .iter()
        .map(|(clause, verdict)| {
            json!({
                "name": clause.name,
                "source": clause.source,
                "verdict": word(verdict).to_ascii_lowercase(),
                "why": why(verdict),
            })
        })
        .collect();
    let document = json!({ "registry": url.as_str(), "clauses": clauses });
    format!("{document:#}\n")
}
