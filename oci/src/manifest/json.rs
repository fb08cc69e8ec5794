//! JSON objects read so that no other reader can see another object.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{InvalidManifest, MAX_DEPTH, MAX_VALUES};
use crate::fold::folded;

/// Most members of one object that is looked into.
const MAX_MEMBERS: usize = 10_000;

/// An object's members, their values still text.
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object at `at` whose members named `known` mean something.
    ///
    /// Refused besides what is no object: a name given twice (readers take the first or the last), and a name that
    /// differs from a known one in case alone (Go's encoding/json takes it for the known one).
    pub(super) fn parse(text: &'a str, at: &str, known: &[&str]) -> Result<Self, InvalidManifest> {
        let members: Self = serde_json::from_str(text).map_err(|error| InvalidManifest::Field {
            at: at.to_owned(),
            reason: error.to_string(),
        })?;
        let mut seen = HashSet::new();
        for (name, _) in &members.0 {
            let shown: String = name.chars().take(64).collect();
            if !seen.insert(name) {
                let reason = format!("{at} has {shown:?} twice");
                return Err(InvalidManifest::Ambiguous(reason));
            }
            if let Some(known) = known
                .iter()
                .find(|known| name != *known && folded(name).eq(folded(known)))
            {
                let reason = format!("{at} has {shown:?}, which some read as {known:?}");
                return Err(InvalidManifest::Ambiguous(reason));
            }
        }
        Ok(members)
    }

    /// A member's text; `None` if there is none.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let member = self.0.iter().find(|(found, _)| found == name);
        member.map(|(_, value)| value.get())
    }

    /// Whether there is such a member, were it `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = entries.next_key::<Name<'de>>()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(Error::custom(format!("over {MAX_MEMBERS} members")));
                    }
                    members.push((name.0, entries.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, borrowed unless it holds escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The elements of an array, their values still text; `null`, as Go writes an empty list, is none.
pub(super) fn elements<'a>(text: &'a str, at: &str) -> Result<Vec<&'a RawValue>, InvalidManifest> {
    let elements: Option<Vec<&RawValue>> =
        serde_json::from_str(text).map_err(|error| InvalidManifest::Field {
            at: at.to_owned(),
            reason: error.to_string(),
        })?;
    Ok(elements.unwrap_or_default())
}

/// Refuses what nests deeper than [`MAX_DEPTH`] or holds more than [`MAX_VALUES`], before any of it is built: some
/// bodies would grow to twenty times their length in memory.
pub(super) fn check_extent(text: &str) -> Result<(), InvalidManifest> {
    let (mut depth, mut values, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' if depth == MAX_DEPTH => return Err(InvalidManifest::TooDeep),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            // Every value but a container's first follows a comma.
            b',' if values == MAX_VALUES => return Err(InvalidManifest::TooManyValues),
            b',' => values += 1,
            _ => {}
        }
    }
    Ok(())
}
