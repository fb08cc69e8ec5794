//! What secrets look like where they must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{AhoCorasick, Anchored, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::super::SecretFiles;
use super::{Failure, failure};
use crate::plan::{Mount, Plan, Step};

#[cfg(test)]
mod tests;

/// The secrets that programs of a run see, in the forms in which they are looked for.
pub(super) struct Secrets {
    forms: Option<[Forms; 2]>,
    masks: Option<AhoCorasick>,
    unsearched: Vec<String>,
}

/// Forms that are looked for in the same bytes.
struct Forms {
    automaton: NFA,
    /// Of each form, whose it is: words for people.
    owners: Vec<String>,
    /// Whether blanks and ends of lines do not count: tools put them between the digits of base64 and hex.
    skips_blanks: bool,
}

/// A search that goes on from one piece of bytes to the next.
pub(super) struct Search<'a> {
    secrets: &'a Secrets,
    states: [Option<StateID>; 2],
}

impl Secrets {
    /// What is shorter is not looked for: it would be found everywhere.
    const MIN: usize = 8;
    /// Of a longer secret only its beginning is looked for.
    const MAX: usize = 4096;

    /// The secrets that the plan's programs see as files. What is injected to stay in the image is none.
    pub(super) fn of(
        plan: &Plan,
        contents: &BTreeMap<String, SecretFiles>,
    ) -> Result<Self, Failure> {
        let steps = plan.recipe.stages.iter().flat_map(|stage| &stage.steps);
        let mounts = steps.flat_map(|step| match step {
            Step::Run(run) => &run.mounts[..],
            _ => &[],
        });
        let seen: BTreeSet<_> = mounts
            .filter_map(|mount| match mount {
                Mount::Secret { name, .. } => Some(name),
                Mount::Cache { .. } => None,
            })
            .collect();
        let files = seen
            .into_iter()
            .filter_map(|name| Some((name, contents.get(name)?)));
        let files = files.flat_map(|(name, files)| {
            files
                .0
                .iter()
                .map(move |(file, content)| (name.as_str(), file.as_str(), &content[..]))
        });
        Self::new(files).map_err(|error| failure::internal(&error))
    }

    fn new<'a>(files: impl Iterator<Item = (&'a str, &'a str, &'a [u8])>) -> Result<Self, String> {
        let (mut plain, mut digits) = (BTreeMap::new(), BTreeMap::new());
        let mut masks = BTreeSet::new();
        let mut unsearched = Vec::new();
        for (name, file, content) in files {
            let owner = format!("file {file} of the secret {name}");
            let content = content.trim_ascii();
            if content.len() < Self::MIN {
                unsearched.push(format!(
                    "{owner} has fewer than {} bytes: whether it is in the result is not looked for",
                    Self::MIN
                ));
                continue;
            }
            let content = &content[..content.len().min(Self::MAX)];
            let forms = [plain_forms(content), digit_forms(content)];
            masks.extend(forms.iter().flatten().cloned());
            masks.extend(lines(content));
            let [of_plain, of_digits] = forms;
            plain.extend(of_plain.into_iter().map(|form| (form, owner.clone())));
            digits.extend(of_digits.into_iter().map(|form| (form, owner.clone())));
        }
        if plain.is_empty() {
            return Ok(Self {
                forms: None,
                masks: None,
                unsearched,
            });
        }
        let mut builder = AhoCorasick::builder();
        let masks = builder.match_kind(MatchKind::LeftmostLongest).build(masks);
        Ok(Self {
            forms: Some([Forms::new(plain, false)?, Forms::new(digits, true)?]),
            masks: Some(masks.map_err(|error| error.to_string())?),
            unsearched,
        })
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.forms.is_none()
    }

    /// What is said of those that are not looked for.
    pub(super) fn unsearched(&self) -> Vec<String> {
        self.unsearched.clone()
    }

    /// A line for the log, without secrets.
    pub(super) fn mask(&self, text: String) -> String {
        let Some(masks) = &self.masks else {
            return text;
        };
        if !masks.is_match(&text) {
            return text;
        }
        let mut masked = String::new();
        masks.replace_all_with(&text, &mut masked, |_, _, masked| {
            masked.push_str("[secret]");
            true
        });
        masked
    }

    /// Begins a search.
    pub(super) fn search(&self) -> Search<'_> {
        Search {
            secrets: self,
            states: [None; 2],
        }
    }

    /// Whose secret is in `bytes`, if one is.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<&str> {
        self.search().feed(bytes)
    }
}

impl<'a> Search<'a> {
    /// Goes on with more bytes; whose secret ended in them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<&'a str> {
        let forms = self.secrets.forms.as_ref()?;
        let both = forms.iter().zip(&mut self.states);
        both.into_iter()
            .find_map(|(forms, state)| forms.feed(state, bytes))
    }
}

impl Forms {
    fn new(forms: BTreeMap<Vec<u8>, String>, skips_blanks: bool) -> Result<Self, String> {
        let (forms, owners): (Vec<_>, Vec<_>) = forms.into_iter().unzip();
        let automaton = NFA::new(forms).map_err(|error| error.to_string())?;
        Ok(Self {
            automaton,
            owners,
            skips_blanks,
        })
    }

    fn feed(&self, state: &mut Option<StateID>, bytes: &[u8]) -> Option<&str> {
        let automaton = &self.automaton;
        let mut at = match *state {
            Some(state) => state,
            None => automaton.start_state(Anchored::No).ok()?,
        };
        for &byte in bytes {
            if self.skips_blanks && matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                continue;
            }
            at = automaton.next_state(Anchored::No, at, byte);
            if automaton.is_special(at) && automaton.is_match(at) {
                let form = automaton.match_pattern(at, 0).as_usize();
                return self.owners.get(form).map(String::as_str);
            }
        }
        *state = Some(at);
        None
    }
}

/// As it is, in a URL, in JSON.
fn plain_forms(content: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([content.to_vec()]);
    for set in [NON_ALPHANUMERIC, UNRESERVED, COMPONENT] {
        let upper = percent_encode(content, set).to_string();
        forms.insert(lower_escapes(&upper).into_bytes());
        forms.insert(upper.into_bytes());
    }
    if let Ok(text) = std::str::from_utf8(content)
        && let Ok(json) = serde_json::to_string(text)
    {
        forms.insert(json.trim_matches('"').as_bytes().to_vec());
    }
    forms
}

/// In hex, and in base64 wherever it stands in what is encoded: its digits depend on how many bytes come before it, modulo
/// three. Those that depend on their neighbours' content as well are left out.
fn digit_forms(content: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut lower = String::with_capacity(2 * content.len());
    for byte in content {
        let _ = write!(lower, "{byte:02x}");
    }
    let upper = lower.to_ascii_uppercase();
    let mut forms = BTreeSet::from([lower.into_bytes(), upper.into_bytes()]);
    for before in 0..3 {
        let padded = [&[0; 3][..before], content].concat();
        let (first, end) = ((8 * before).div_ceil(6), 8 * padded.len() / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let digits = engine.encode(&padded).into_bytes();
            forms.insert(digits[first..end].to_vec());
        }
    }
    forms
}

/// The lines of a secret that has several: a log has them one by one. The frame of a PEM block is none.
fn lines(content: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| line.len() >= Secrets::MIN && !line.starts_with(b"-----"));
    lines.map(<[u8]>::to_vec)
}

fn lower_escapes(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    let mut digits = 0;
    for character in text.chars() {
        let is_digit = digits > 0;
        digits = if character == '%' {
            2
        } else {
            digits.max(1) - 1
        };
        lower.push(if is_digit {
            character.to_ascii_lowercase()
        } else {
            character
        });
    }
    lower
}

/// RFC 3986 section 2.3.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// What `encodeURIComponent` leaves (ECMA-262).
const COMPONENT: &AsciiSet = &UNRESERVED
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
