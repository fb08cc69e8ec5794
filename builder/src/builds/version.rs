//! Versions of languages, as people name them: `3.13`, `21`, `1.24rc1`.

/// Where a version stands among others of its language.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Vec<Part>);

/// In this order: `1.24rc1` is before `1.24`, and that before `1.24.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Word(String),
    End,
    Number(u64),
}

impl Version {
    pub(super) fn of(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_same = |char: char| {
                char.is_ascii_digit() == first.is_ascii_digit()
                    && char.is_alphanumeric() == first.is_alphanumeric()
            };
            let end = rest.find(|char| !is_same(char)).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(end);
            rest = behind;
            if first.is_ascii_digit() {
                parts.push(Part::Number(part.parse().unwrap_or(u64::MAX)));
            } else if first.is_alphanumeric() {
                parts.push(Part::Word(part.to_lowercase()));
            }
        }
        parts.push(Part::End);
        Self(parts)
    }

    /// Whether `asked` is this version, or its beginning: `3` and `3.13` are met by `3.13.5`.
    pub(super) fn meets(&self, asked: &Self) -> bool {
        let asked = asked.0.strip_suffix(&[Part::End]).unwrap_or(&asked.0);
        self.0.starts_with(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let order = [
            "", "3", "3.9rc1", "3.9", "3.9.1", "3.13-ea", "3.13", "3.13.2", "21",
        ];
        let versions = order.map(Version::of);
        assert!(versions.is_sorted(), "{versions:?}");
        for (version, asked, is_met) in [
            ("3.13.5", "3.13", true),
            ("3.13", "3", true),
            ("3.13", "3.13", true),
            ("3.1", "3.13", false),
            ("31", "3", false),
            ("", "3", false),
        ] {
            let (version, asked) = (Version::of(version), Version::of(asked));
            assert_eq!(version.meets(&asked), is_met, "{version:?} {asked:?}");
        }
    }
}
