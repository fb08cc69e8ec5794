//! Names of members of JSON's objects as programs in Go compare them.

/// A name with the differences taken out that Go's `encoding/json` does not look at: ASCII case, and the two letters beyond ASCII
/// that fold into it.
pub fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| match c {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        _ => c.to_ascii_lowercase(),
    })
}
