//! One page that needs nothing beside it.

use std::fmt::Write as _;

use url::Url;

use super::{Judged, escaped, why, word};

const STYLE: &str = "body{font:16px/1.4 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .6em;\
border-bottom:1px solid #ccc;vertical-align:top}.pass{color:#075}.skip{color:#850}\
.fail,.error{color:#b00;font-weight:bold}";

pub(super) fn render(url: &Url, results: &[Judged]) -> String {
    let count = |wanted: &str| results.iter().filter(|(_, v)| word(v) == wanted).count();
    let mut rows = String::new();
    for (clause, verdict) in results {
        let word = word(verdict).to_ascii_lowercase();
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr><td class=\"{word}\">{word}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&clause.name),
            escaped(clause.source),
            escaped(why(verdict).unwrap_or_default())
        );
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>OCI conformance of {url}</title>\
         <style>{STYLE}</style><h1>OCI conformance</h1><p>{url}: {} passed, {} failed, {} errors, {} skipped</p>\
         <table><tr><th>Verdict<th>Clause<th>Source<th>Why</tr>\n{rows}</table></html>\n",
        count("pass"),
        count("FAIL"),
        count("ERROR"),
        count("skip"),
        url = escaped(url.as_str()),
    )
}
