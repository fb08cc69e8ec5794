//! `JUnit` XML.

use std::fmt::Write as _;

use url::Url;

use super::{Judged, escaped};
use crate::clause::Verdict;

pub(super) fn render(url: &Url, results: &[Judged]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(
        xml,
        "<testsuite name=\"OCI Distribution\" hostname=\"{}\" tests=\"{}\">",
        escaped(url.as_str()),
        results.len()
    );
    for (clause, verdict) in results {
        let (group, name) = clause.name.split_once('/').unwrap_or(("", &clause.name));
        let _ = write!(
            xml,
            "  <testcase classname=\"{}\" name=\"{}\"",
            escaped(group),
            escaped(name)
        );
        let (element, why) = match verdict {
            Verdict::Pass => {
                xml.push_str("/>\n");
                continue;
            }
            Verdict::Skip(why) => ("skipped", why),
            Verdict::Fail(why) => ("failure", why),
            Verdict::Error(why) => ("error", why),
        };
        let _ = writeln!(xml, "><{element} message=\"{}\"/></testcase>", escaped(why));
    }
    xml.push_str("</testsuite>\n");
    xml
}
