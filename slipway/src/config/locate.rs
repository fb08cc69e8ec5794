//! Where in a YAML file the value of a key stands.

use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::explain::{KeyPath, Step};

/// Line and column, from 1; `None` where the file has no such key.
pub(super) fn locate(text: &str, path: &KeyPath) -> Option<(u64, u64)> {
    found(text, path, false)
}

/// Of the key itself.
pub(super) fn locate_key(text: &str, path: &KeyPath) -> Option<(u64, u64)> {
    found(text, path, true)
}

fn found(text: &str, path: &KeyPath, is_key: bool) -> Option<(u64, u64)> {
    let mut is_found = false;
    let walked = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        let walk = Walk {
            steps: path.steps(),
            is_key,
            is_found: &mut is_found,
        };
        walk.deserialize(deserializer)
    });
    let stopped = walked.err().filter(|_| is_found)?;
    let at = stopped.location()?;
    Some((at.line(), at.column()))
}

/// Goes down to a value, or its key, and stops there: the parser puts its place into the error.
struct Walk<'a> {
    steps: &'a [Step],
    is_key: bool,
    is_found: &'a mut bool,
}

impl Walk<'_> {
    fn stop<T, E: de::Error>(self) -> Result<T, E> {
        *self.is_found = self.steps.is_empty();
        Err(E::custom("here"))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.steps.split_first() else {
            return self.stop();
        };
        let is_last = self.is_key && rest.is_empty();
        while let Some(key) = map.next_key_seed(Key {
            wanted: is_last.then_some(wanted),
            is_found: self.is_found,
        })? {
            if key != *wanted {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            return map.next_value_seed(Walk {
                steps: rest,
                is_key: self.is_key,
                is_found: self.is_found,
            });
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Step::Index(wanted), rest)) = self.steps.split_first() else {
            return self.stop();
        };
        for _ in 0..*wanted {
            seq.next_element::<IgnoredAny>()?;
        }
        let walk = Walk {
            steps: rest,
            is_key: self.is_key,
            is_found: self.is_found,
        };
        seq.next_element_seed(walk).map(|_| ())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.stop()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.stop()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.stop()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.stop()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.stop()
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.stop()
    }
}

/// A key; stops at the wanted one.
struct Key<'a> {
    wanted: Option<&'a String>,
    is_found: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if self.wanted.is_some_and(|wanted| wanted == key) {
            *self.is_found = true;
            return Err(E::custom("here"));
        }
        Ok(key.to_owned())
    }
}
