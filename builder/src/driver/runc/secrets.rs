//! What secrets look like where they must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, MatchKind};

use super::super::SecretFiles;
use super::{Failure, failure};
use crate::plan::{Mount, Plan, Step};
use crate::sandbox;
use parts::{Part, parts};

mod forms;
mod parts;
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
    owners: Vec<Arc<str>>,
    /// Whether blanks and ends of lines do not count: tools put them between the digits of base64 and hex.
    skips_blanks: bool,
}

/// A search that goes on from one piece of bytes to the next.
pub(super) struct Search<'a> {
    secrets: &'a Secrets,
    states: [Option<StateID>; 2],
}

impl Secrets {
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
        Self::new(files)
    }

    fn new<'a>(files: impl Iterator<Item = (&'a str, &'a str, &'a [u8])>) -> Result<Self, Failure> {
        let mut unsearched = Vec::new();
        let mut wanted: Vec<(Part, Arc<str>)> = Vec::new();
        let mut left_out = BTreeSet::new();
        let mut room = MOST;
        for (name, file, content) in files {
            let owner: Arc<str> = format!("file {file} of the secret {name}").into();
            let content = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
            let content = content.trim_ascii();
            if content.len() < parts::MIN {
                unsearched.push(format!(
                    "{owner} has fewer than {} bytes: whether it is in the result is not looked for",
                    parts::MIN
                ));
                continue;
            }
            if content.len() > parts::MOST {
                unsearched.push(format!(
                    "{owner} has more than {} bytes: only its beginning is looked for",
                    parts::MOST
                ));
            }
            for part in parts(content) {
                // What has no room as it is has none in all its forms.
                if part.rank > 0 && part.bytes.len() > room {
                    left_out.insert(Arc::clone(&owner));
                    continue;
                }
                room = room.saturating_sub(part.bytes.len());
                wanted.push((part, Arc::clone(&owner)));
            }
        }
        wanted.sort_by_key(|(part, _)| part.rank);
        let mut words = Words::default();
        let mut wanted = wanted.into_iter();
        let first = wanted.find(|(part, owner)| !words.take(part, owner));
        // Nothing is published of which it is not known whether a secret is in it.
        if first.as_ref().is_some_and(|(part, _)| part.rank == 0) {
            return Err(failure::too_many_secrets());
        }
        left_out.extend(first.into_iter().chain(wanted).map(|(_, owner)| owner));
        unsearched.extend(left_out.iter().map(|owner| {
            format!("{owner} is long, or there are many secrets: not each part of it is looked for by itself")
        }));
        let compiled = words.compile(unsearched);
        compiled.map_err(|error| failure::internal(&error))
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

/// What is put into the automata.
#[derive(Default)]
struct Words {
    plain: BTreeMap<Vec<u8>, Arc<str>>,
    digits: BTreeMap<Vec<u8>, Arc<str>>,
    masks: BTreeSet<Vec<u8>>,
    bytes: usize,
}

impl Words {
    /// Takes a part in all its forms; `false` if there is no more room.
    fn take(&mut self, part: &Part, owner: &Arc<str>) -> bool {
        let content = &part.bytes[..];
        let (plain, digits) = (forms::plain(content), forms::digits(content));
        let mut masks = forms::folded(content);
        // The log has it without control characters.
        masks.insert(sandbox::plain(content).into_bytes());
        masks.extend(plain.iter().chain(&digits).cloned());
        masks.retain(|mask| mask.len() >= parts::MIN);
        let bytes = |forms: &BTreeSet<Vec<u8>>| forms.iter().map(Vec::len).sum::<usize>();
        let mut more = bytes(&masks);
        if part.refused {
            more += bytes(&plain) + bytes(&digits);
        }
        if self.bytes + more > MOST {
            return false;
        }
        self.bytes += more;
        self.masks.extend(masks);
        if part.refused {
            let with_owner = |form| (form, Arc::clone(owner));
            // A key's digits are as often broken into lines as not.
            let broken = content.iter().all(|byte| forms::is_digit(*byte));
            self.digits
                .extend(broken.then(|| with_owner(content.to_vec())));
            self.plain.extend(plain.into_iter().map(with_owner));
            self.digits.extend(digits.into_iter().map(with_owner));
        }
        true
    }

    fn compile(self, unsearched: Vec<String>) -> Result<Secrets, String> {
        if self.plain.is_empty() {
            return Ok(Secrets {
                forms: None,
                masks: None,
                unsearched,
            });
        }
        let mut builder = AhoCorasick::builder();
        // A table of all transitions would be many times as large.
        let builder = builder
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::LeftmostLongest);
        let masks = builder.build(self.masks);
        Ok(Secrets {
            forms: Some([
                Forms::new(self.plain, false)?,
                Forms::new(self.digits, true)?,
            ]),
            masks: Some(masks.map_err(|error| error.to_string())?),
            unsearched,
        })
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
    fn new(forms: BTreeMap<Vec<u8>, Arc<str>>, skips_blanks: bool) -> Result<Self, String> {
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
                return self.owners.get(form).map(AsRef::as_ref);
            }
        }
        *state = Some(at);
        None
    }
}

/// Most bytes of all forms together, which an automaton needs some twelve times in memory.
const MOST: usize = 4 << 20;

/// What some editors begin a text with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
