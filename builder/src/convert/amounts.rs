//! Quantities and durations as Kubernetes writes them.

use std::time::Duration;

use serde_json::Value;

/// Suffixes of quantities (apimachinery, `resource.Quantity`), in thousandths of one.
const SUFFIXES: [(&str, u128); 14] = [
    ("Ki", 1000 << 10),
    ("Mi", 1000 << 20),
    ("Gi", 1000 << 30),
    ("Ti", 1000 << 40),
    ("Pi", 1000 << 50),
    ("Ei", 1000 << 60),
    ("m", 1),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
    ("", 1000),
];

/// `500m`, `1.5Gi`, `2`: in thousandths, rounded up. Exponents (`1e3`) are not read.
pub(super) fn thousandths(value: &Value) -> Option<u64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (digits, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than any amount has.
    if !is_number(whole) || !is_number(part) || digits.len() > 18 || whole.is_empty() {
        return None;
    }
    let all: u128 = format!("{whole}{part}").parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
    u64::try_from(all.checked_mul(unit)?.div_ceil(scale)).ok()
}

/// The same in ones, rounded up.
pub(super) fn ones(value: &Value) -> Option<u64> {
    thousandths(value).map(|amount| amount.div_ceil(1000))
}

/// `1h30m`, `90s` (Go, `time.ParseDuration`): in seconds, rounded up. Fractions are not read.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let length: Duration = humantime::parse_duration(text).ok()?;
    let rest = u64::from(length.subsec_nanos() > 0);
    length.as_secs().checked_add(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ones, seconds, thousandths};

    #[test]
    fn amounts_are_read() {
        for (value, expected) in [
            (json!("500m"), Some(500)),
            (json!("2"), Some(2000)),
            (json!(2), Some(2000)),
            (json!(0.5), Some(500)),
            (json!("1.5"), Some(1500)),
            (json!("1e3"), None),
            (json!("-1"), None),
            (json!(""), None),
            (json!("many"), None),
            (json!("99999999999999999Ei"), None),
        ] {
            assert_eq!(thousandths(&value), expected, "{value}");
        }
        assert_eq!(ones(&json!("1.5Gi")), Some(3 << 29));
        assert_eq!(ones(&json!("512Mi")), Some(512 << 20));
        assert_eq!(ones(&json!("1G")), Some(1_000_000_000));
        assert_eq!(ones(&json!("1500m")), Some(2));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("500ms"), Some(1));
        assert_eq!(seconds("10"), None);
    }
}
