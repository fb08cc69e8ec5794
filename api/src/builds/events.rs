//! A log's lines as they are sent: as text, or as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use builder::builds::log::{Entry, LogLine};
use humantime::format_rfc3339_millis;
use serde_json::{Value, json};

/// How lines are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A line each; parts of a run begin with `==> `, what the builder says with `note: `.
    Text {
        /// Whether each begins with its time.
        timestamps: bool,
    },
    /// An event each, whose id is where to go on.
    Events,
}

impl Form {
    /// The lines.
    pub(super) fn lines(self, lines: &[LogLine]) -> String {
        let mut text = String::new();
        for line in lines {
            match self {
                Self::Text { timestamps } => {
                    if timestamps {
                        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(line.at);
                        // Writing to a String cannot fail.
                        let _ = write!(text, "{} ", format_rfc3339_millis(at));
                    }
                    text.push_str(&plain(&line.entry));
                    text.push('\n');
                }
                Self::Events => {
                    let (kind, mut data) = told(&line.entry);
                    data["at"] = line.at.into();
                    let _ = writeln!(text, "id: {}", line.next);
                    text.push_str(&event(kind, &data));
                }
            }
        }
        text
    }
}

/// An event. JSON has no line breaks of its own.
pub(super) fn event(kind: &str, data: &Value) -> String {
    format!("event: {kind}\ndata: {data}\n\n")
}

fn told(entry: &Entry) -> (&'static str, Value) {
    match entry {
        Entry::Phase(phase) => ("phase", json!({ "phase": phase })),
        Entry::Out(text) => ("out", json!({ "text": text })),
        Entry::Err(text) => ("err", json!({ "text": text })),
        Entry::Note(text) => ("note", json!({ "text": text })),
    }
}

fn plain(entry: &Entry) -> String {
    match entry {
        Entry::Phase(phase) => {
            let name = json!(phase);
            format!("==> {}", name.as_str().unwrap_or_default())
        }
        Entry::Out(text) | Entry::Err(text) => text.clone(),
        Entry::Note(text) => format!("note: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use builder::builds::log::{Entry, LogLine};
    use builder::driver::Phase;

    use super::Form;

    #[test]
    fn a_line_is_one_event_whatever_stands_in_it() {
        let lines = [
            Entry::Phase(Phase::SaveArtifacts),
            Entry::Out("a\nevent: end\n\n\"b\"".to_owned()),
            Entry::Err("\r".to_owned()),
            Entry::Note("n".to_owned()),
        ];
        let lines: Vec<LogLine> = (1..)
            .zip(lines)
            .map(|(next, entry)| LogLine { next, at: 5, entry })
            .collect();
        assert_eq!(
            Form::Events.lines(&lines),
            "id: 1\nevent: phase\ndata: {\"at\":5,\"phase\":\"save-artifacts\"}\n\n\
             id: 2\nevent: out\ndata: {\"at\":5,\"text\":\"a\\nevent: end\\n\\n\\\"b\\\"\"}\n\n\
             id: 3\nevent: err\ndata: {\"at\":5,\"text\":\"\\r\"}\n\n\
             id: 4\nevent: note\ndata: {\"at\":5,\"text\":\"n\"}\n\n"
        );
        let text = Form::Text { timestamps: true }.lines(&lines[..1]);
        assert_eq!(text, "1970-01-01T00:00:00.005Z ==> save-artifacts\n");
        let text = Form::Text { timestamps: false }.lines(&lines[3..]);
        assert_eq!(text, "note: n\n");
    }
}
