//! What is written about a run.

mod html;
mod json;
mod junit;

use clap::ValueEnum;
use url::Url;

use crate::clause::{Clause, Verdict};

/// A clause and what came of it.
pub(crate) type Judged = (Clause, Verdict);

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// `JUnit` XML, which most CI systems read.
    Junit,
    /// A JSON document.
    Json,
    /// One page that needs nothing beside it.
    Html,
}

impl Form {
    pub(crate) fn render(self, url: &Url, results: &[Judged]) -> String {
        match self {
            Self::Junit => junit::render(url, results),
            Self::Json => json::render(url, results),
            Self::Html => html::render(url, results),
        }
    }
}

/// One line for people.
pub(crate) fn line(clause: &Clause, verdict: &Verdict) -> String {
    let name = &clause.name;
    match why(verdict) {
        None => format!("pass   {name}"),
        Some(why) => format!("{:6} {name} [{}]: {why}", word(verdict), clause.source),
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Skip(_) => "skip",
        Verdict::Fail(_) => "FAIL",
        Verdict::Error(_) => "ERROR",
    }
}

fn why(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Skip(why) | Verdict::Fail(why) | Verdict::Error(why) => Some(why),
    }
}

/// Text inside XML and HTML; control characters, which XML 1.0 cannot hold, are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            char if char.is_control() && char != '\n' => {}
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::{Form, Judged, line};
    use crate::clause::{Verdict, clause};

    fn results() -> Vec<Judged> {
        let why = || "a \"<b>\" & c\u{1}".to_owned();
        [
            ("ping", Verdict::Pass),
            ("paths/two slashes", Verdict::Skip(why())),
            ("names/<x>", Verdict::Fail(why())),
            ("limits/n=1", Verdict::Error(why())),
        ]
        .map(|(name, verdict)| (clause(name, "a source", async |_| Ok(())), verdict))
        .into()
    }

    #[test]
    fn every_form_tells_every_verdict_and_why() {
        let url = "http://registry.test/".parse().unwrap();
        for form in Form::value_variants() {
            let text = form.render(&url, &results());
            let (skips, fails) = match form {
                Form::Junit => ("<skipped ", "<failure "),
                Form::Json => ("\"skip\"", "\"fail\""),
                Form::Html => ("<td class=\"skip\">", "<td class=\"fail\">"),
            };
            for part in ["ping", "two slashes", "n=1", "a source", skips, fails] {
                let there = text.contains(part) || (part == "a source" && *form == Form::Junit);
                assert!(there, "{form:?} lacks {part:?}: {text}");
            }
            if *form == Form::Json {
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(json["clauses"][2]["why"], "a \"<b>\" & c\u{1}");
            } else {
                assert!(text.contains("a &quot;&lt;b&gt;&quot; &amp; c"), "{text}");
                assert!(!text.contains("<x>") && !text.contains('\u{1}'), "{text}");
            }
        }
    }

    #[test]
    fn a_skip_is_no_pass_in_the_line_for_people() {
        let lines: Vec<_> = results().iter().map(|(c, v)| line(c, v)).collect();
        let begin = |at: usize| lines[at].split(' ').next().unwrap_or_default();
        assert_eq!([0, 1, 2, 3].map(begin), ["pass", "skip", "FAIL", "ERROR"]);
    }
}
