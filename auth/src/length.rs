//! Lengths of time, to people.

use std::time::Duration;

/// The whole seconds in the one unit that one would write them in: `365d`, `12h`, `90s`.
pub fn written(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(24 * 3600, 'd'), (3600, 'h'), (60, 'm')];
    let exact = units
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, letter) = exact.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_length_is_in_one_unit() {
        for (seconds, expected) in [
            (0, "0s"),
            (90, "90s"),
            (600, "10m"),
            (12 * 3600, "12h"),
            (365 * 86_400, "365d"),
            (90_001, "90001s"),
        ] {
            let length = std::time::Duration::from_secs(seconds);
            assert_eq!(super::written(length), expected);
        }
    }
}
