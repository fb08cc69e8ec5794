//! `slipway build convert`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use builder::convert::{Weight, convert};
use serde_json::Value;

use super::definitions::{documents, text_of};
use crate::commands::print;
use crate::config;

/// More than all the builds of a cluster.
const MAX_FILE: u64 = 64 << 20;

pub(super) fn run(
    files: &[PathBuf],
    namespace: Option<&str>,
    strict: bool,
) -> anyhow::Result<ExitCode> {
    // Nothing is written unless all can be read.
    let mut read = Vec::new();
    for file in files {
        let place = file.display().to_string();
        let text = text_of(file, MAX_FILE)?;
        for document in documents(&text) {
            let document = config::read::<Value>(&document, "document");
            let document = document.map_err(|error| anyhow::anyhow!("{place}:{error}"))?;
            if let Some(document) = document.filter(|document| !document.is_null()) {
                read.push((place.clone(), document));
            }
        }
    }
    anyhow::ensure!(!read.is_empty(), "there is nothing in it");
    let (mut out, mut heaviest) = (String::new(), None);
    for (place, document) in read {
        for converted in convert(document, namespace) {
            for note in &converted.notes {
                let line = format!("{place}: {}: {note}", converted.was);
                eprintln!("{}", line.replace(char::is_control, " "));
                heaviest = heaviest.max(Some(note.weight));
            }
            if let Some(build) = &converted.build {
                let yaml = serde_saphyr::to_string(build)?;
                write!(out, "---\n# {place}: {}\n{yaml}", converted.was)?;
            }
        }
    }
    print::whole(out.as_bytes())?;
    let is_too_much = match heaviest {
        _ if out.is_empty() => true,
        Some(Weight::Error) => true,
        Some(Weight::Warning) => strict,
        Some(Weight::ToDo) | None => false,
    };
    Ok(ExitCode::from(u8::from(is_too_much)))
}
