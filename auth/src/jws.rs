//! The compact form of a signed token (RFC 7515 §7.1), as far as it is looked at before any key is.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// Largest header in bytes, encoded; usual ones are about a hundred.
const MAX_HEADER: usize = 4096;

/// Three parts between two dots. What has more, such as the five of an encrypted token (RFC 7516 §7.1), is none.
pub(crate) struct Jws<'a> {
    header: &'a str,
    payload: &'a str,
    /// What is signed: header and payload with the dot between them.
    pub(crate) signed: &'a str,
    pub(crate) signature: &'a str,
}

impl<'a> Jws<'a> {
    pub(crate) fn split(token: &'a str) -> Option<Self> {
        // Looked for twice at most: a megabyte of dots costs nothing (CVE-2025-30204).
        let (header, rest) = token.split_once('.')?;
        let (payload, signature) = rest.split_once('.')?;
        if header.len() > MAX_HEADER || signature.contains('.') {
            return None;
        }
        let signed = &token[..header.len() + 1 + payload.len()];
        Some(Self {
            header,
            payload,
            signed,
            signature,
        })
    }

    pub(crate) fn header(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.header).ok()
    }

    /// Nobody has signed it yet.
    pub(crate) fn payload(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.payload).ok()
    }
}

/// A JSON object in which no name stands twice: of two, one reader takes the first and another the last.
pub(crate) struct Unambiguous(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Unambiguous;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unambiguous, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a name stands twice"));
                    }
                }
                Ok(Unambiguous(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Headers and claims, changed as attackers change them.
#[cfg(test)]
pub(crate) mod altered {
    use serde_json::Value;

    pub(crate) fn with(object: &Value, field: &str, value: Value) -> String {
        let mut object = object.clone();
        object[field] = value;
        object.to_string()
    }

    pub(crate) fn without(object: &Value, field: &str) -> String {
        let mut object = object.clone();
        object.as_object_mut().unwrap().remove(field).unwrap();
        object.to_string()
    }
}
