//! Sizes for people.

/// `17 B`, `1.5 kB`, `100 MB`: three digits are enough to compare.
pub(in super::super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, so that no fraction of a float is needed.
    let mut tenths = bytes / 100;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    match tenths {
        0..1000 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
        _ => format!("{} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_550, "1.5 kB"),
            (999_999, "999 kB"),
            (104_857_600, "104 MB"),
            (2_500_000_000, "2.5 GB"),
        ] {
            assert_eq!(super::human(bytes), text, "{bytes}");
        }
    }
}
