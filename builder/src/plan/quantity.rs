//! Numbers of bytes, as people write them.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// Reads `1073741824`, `512m`, `512Mi`, `2g`, `2GiB`: all of these are powers of 1024. `None` if it is none of these, or beyond 2⁶⁴.
pub fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let shift = match &lower[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        "t" | "tb" | "ti" | "tib" => 40,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// The schema of a number of bytes that may be written so.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema alone is used")]
#[schemars(inline)]
pub(super) enum Quantity {
    /// A number of bytes.
    Bytes(u64),
    /// With a unit: `512Mi`, `2Gi`. Answers have the number.
    Text(String),
}

/// For `deserialize_with`: a number, or a text that [`bytes`] reads.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    from.deserialize_any(Reader)
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, or one with its unit, such as 512Mi or 2Gi")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Self::Value, E> {
        Ok(Some(bytes))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Self::Value, E> {
        let positive = u64::try_from(bytes);
        positive.map_or_else(
            |_| Err(E::invalid_value(Unexpected::Signed(bytes), &self)),
            |bytes| Ok(Some(bytes)),
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let read = bytes(text).map(Some);
        read.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::bytes;
    use crate::plan::Limits;

    #[test]
    fn bytes_are_read_with_and_without_a_unit() {
        for (text, expected) in [
            ("1", 1),
            ("0", 0),
            ("512m", 512 << 20),
            ("512Mi", 512 << 20),
            ("2g", 2 << 30),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "m", "-1", "+1", "1.5g", "2x", "2 g", "99999999999t"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn limits_take_both_and_say_the_number() {
        let limits = json!({"memoryBytes": "2Gi", "diskBytes": 5});
        let limits: Limits = serde_json::from_value(limits).unwrap();
        assert_eq!(
            (limits.memory_bytes, limits.disk_bytes),
            (Some(2 << 30), Some(5))
        );
        let said = serde_json::to_value(limits).unwrap();
        assert_eq!(said["memoryBytes"], 2_u64 << 30);
        let again: Limits = serde_json::from_value(said).unwrap();
        assert_eq!(again, limits);
        for wrong in [json!("2Gx"), json!(-1), json!(1.5), json!([])] {
            let read = serde_json::from_value::<Limits>(json!({"memoryBytes": wrong}));
            let error = read.unwrap_err().to_string();
            assert!(error.contains("512Mi or 2Gi"), "{error}");
        }
    }
}
