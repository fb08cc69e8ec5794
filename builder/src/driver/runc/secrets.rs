//! What secrets look like where they must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Arc;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{AhoCorasick, AhoCorasickKind, Anchored, MatchKind};

use super::super::SecretFiles;
use super::{Failure, failure};
use crate::plan::{Mount, Plan, Step};
use crate::sandbox;
use parts::{Part, Weight, parts};

mod forms;
mod parts;
#[cfg(test)]
mod tests;

/// The secrets that programs of a run see, in the forms in which they are looked for.
pub(super) struct Secrets {
    forms: Option<[Forms; 2]>,
    masks: Option<AhoCorasick>,
    unsearched: Vec<String>,
    doubtful: BTreeSet<Vec<u8>>,
}

/// A secret that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit<'a> {
    /// Whose it is: words for people.
    pub(super) owner: &'a str,
    /// It is none if the source or the base image has it too: see [`Secrets::doubtful`].
    pub(super) is_doubtful: bool,
}

/// Whose a form is, and whether it is doubtful that it is a secret.
#[derive(Clone)]
struct Mark {
    owner: Arc<str>,
    is_doubtful: bool,
}

/// Forms that are looked for in the same bytes.
struct Forms {
    automaton: NFA,
    /// Of each form.
    marks: Vec<Mark>,
    /// Whether blanks and ends of lines do not count: tools put them between the digits of base64 and hex.
    skips_blanks: bool,
}

/// A search that goes on from one piece of bytes to the next.
pub(super) struct Search<'a> {
    secrets: &'a Secrets,
    states: [Option<StateID>; 2],
}

impl Secrets {
    /// The secrets that the plan's programs see as files. What is injected to stay in the image is none, nor are those
    /// [doubtful](Self::doubtful) words that are `known`: they are only masked.
    pub(super) fn of(
        plan: &Plan,
        contents: &BTreeMap<String, SecretFiles>,
        known: &BTreeSet<Vec<u8>>,
    ) -> Result<Self, Failure> {
        let steps = plan.recipe.stages.iter().flat_map(|stage| &stage.steps);
        let mounts = steps.flat_map(|step| match step {
            Step::Run(run) => &run.mounts[..],
            _ => &[],
        });
        let seen: BTreeSet<_> = mounts
            .filter_map(|mount| match mount {
                Mount::Secret { name, .. } | Mount::Injection { name, .. } => Some(name),
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
        Self::new(files, known)
    }

    pub(super) fn new<'a>(
        files: impl Iterator<Item = (&'a str, &'a str, &'a [u8])>,
        known: &BTreeSet<Vec<u8>>,
    ) -> Result<Self, Failure> {
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
            for mut part in parts(content) {
                if part.weight == Weight::Doubtful && known.contains(&part.bytes) {
                    part.weight = Weight::Masked;
                }
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

    /// Words of the files that may be tokens, or ids and sums that others have too: whoever finds one asks whether the source or
    /// the base image [has](known) it.
    pub(super) fn doubtful(&self) -> &BTreeSet<Vec<u8>> {
        &self.doubtful
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
    pub(super) fn find(&self, bytes: &[u8]) -> Option<Hit<'_>> {
        self.search().feed(bytes)
    }
}

/// What is put into the automata.
#[derive(Default)]
struct Words {
    plain: BTreeMap<Vec<u8>, Mark>,
    digits: BTreeMap<Vec<u8>, Mark>,
    masks: BTreeSet<Vec<u8>>,
    doubtful: BTreeSet<Vec<u8>>,
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
        let is_refused = part.weight != Weight::Masked;
        if is_refused {
            more += bytes(&plain) + bytes(&digits);
        }
        if self.bytes + more > MOST {
            return false;
        }
        self.bytes += more;
        self.masks.extend(masks);
        if is_refused {
            let mark = Mark {
                owner: Arc::clone(owner),
                is_doubtful: part.weight == Weight::Doubtful,
            };
            if mark.is_doubtful {
                self.doubtful.insert(content.to_vec());
            }
            // A key's digits are as often broken into lines as not.
            let broken = content.iter().all(|byte| forms::is_digit(*byte));
            add(&mut self.digits, broken.then(|| content.to_vec()), &mark);
            add(&mut self.plain, plain, &mark);
            add(&mut self.digits, digits, &mark);
        }
        true
    }

    fn compile(self, unsearched: Vec<String>) -> Result<Secrets, String> {
        if self.plain.is_empty() {
            return Ok(Secrets {
                forms: None,
                masks: None,
                unsearched,
                doubtful: BTreeSet::new(),
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
            doubtful: self.doubtful,
        })
    }
}

/// What is a secret for certain stays so.
fn add(marks: &mut BTreeMap<Vec<u8>, Mark>, forms: impl IntoIterator<Item = Vec<u8>>, mark: &Mark) {
    for form in forms {
        let known = marks.entry(form).or_insert_with(|| mark.clone());
        known.is_doubtful &= mark.is_doubtful;
    }
}

/// Which of `words` are in what `bytes` gives; words within words may be missed.
pub(super) fn known(words: &BTreeSet<Vec<u8>>, bytes: impl Read) -> io::Result<BTreeSet<Vec<u8>>> {
    let listed: Vec<&Vec<u8>> = words.iter().collect();
    let automaton = AhoCorasick::new(&listed).map_err(io::Error::other)?;
    let mut known = BTreeSet::new();
    for found in automaton.stream_find_iter(bytes) {
        known.insert(listed[found?.pattern().as_usize()].clone());
    }
    Ok(known)
}

impl<'a> Search<'a> {
    /// Goes on with more bytes; whose secret ended in them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<Hit<'a>> {
        let forms = self.secrets.forms.as_ref()?;
        let both = forms.iter().zip(&mut self.states);
        both.into_iter()
            .find_map(|(forms, state)| forms.feed(state, bytes))
    }
}

impl Forms {
    fn new(forms: BTreeMap<Vec<u8>, Mark>, skips_blanks: bool) -> Result<Self, String> {
        let (forms, marks): (Vec<_>, Vec<_>) = forms.into_iter().unzip();
        let automaton = NFA::new(forms).map_err(|error| error.to_string())?;
        Ok(Self {
            automaton,
            marks,
            skips_blanks,
        })
    }

    fn feed(&self, state: &mut Option<StateID>, bytes: &[u8]) -> Option<Hit<'_>> {
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
                return self.marks.get(form).map(|mark| Hit {
                    owner: &mark.owner,
                    is_doubtful: mark.is_doubtful,
                });
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
