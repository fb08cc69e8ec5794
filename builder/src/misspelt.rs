//! What a misspelt word was meant to be.

/// Which of `known` a misspelt word was meant to be, in whatever case; `None` if none is near.
pub fn meant<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |word: &str| edits(&written.to_lowercase(), &word.to_lowercase());
    let near = known.map(|word| (distance(word), word));
    let (distance, word) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= (word.len() / 3).min(2)).then_some(word)
}

/// How many letters were left out, added, replaced, or swapped with the next (optimal string alignment).
pub fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut fewest = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                let swapped: &Vec<usize> = &before_last;
                fewest = fewest.min(swapped[j - 1] + 1);
            }
            row.push(fewest);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, meant};

    #[test]
    fn mistakes_are_counted() {
        assert_eq!(edits("LISTEN", "LISTEN"), 0);
        assert_eq!(edits("LISTENN", "LISTEN"), 1);
        assert_eq!(edits("ATUH", "AUTH"), 1);
        assert_eq!(edits("", "TLS"), 3);
        assert_eq!(edits("PORT", "LOG"), 3);
    }

    #[test]
    fn a_word_is_meant_that_is_near() {
        let known = ["python", "python-3.13", "go"];
        for (written, expected) in [
            ("pyton", Some("python")),
            ("Python3.13", Some("python-3.13")),
            ("golang", None),
            ("rust", None),
        ] {
            assert_eq!(meant(written, known.into_iter()), expected, "{written}");
        }
        assert_eq!(meant("go", [].into_iter()), None);
    }
}
