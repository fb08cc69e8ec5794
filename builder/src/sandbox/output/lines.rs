//! Bytes into lines of plain text.

#[cfg(test)]
mod tests;

/// A longer line is cut into several.
const MAX_LINE: usize = 16 << 10;

/// Bytes that came, up to the end of a line that has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    /// The last byte was a carriage return, whose line feed belongs to it.
    returned: bool,
}

impl Lines {
    /// The lines that `bytes` complete. A carriage return ends a line too: on a terminal it would let what follows
    /// hide what was before.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => lines.push(plain(&std::mem::take(&mut self.held))),
                _ => {
                    self.held.push(byte);
                    if self.held.len() >= MAX_LINE {
                        lines.push(self.cut());
                    }
                }
            }
        }
        lines
    }

    /// What is left when no more comes.
    pub(super) fn finish(&mut self) -> Option<String> {
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then(|| plain(&held))
    }

    /// A full line, but not within a character.
    fn cut(&mut self) -> String {
        let end = match std::str::from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.held.len(),
        };
        let end = if end == 0 { self.held.len() } else { end };
        let rest = self.held.split_off(end);
        plain(&std::mem::replace(&mut self.held, rest))
    }
}

/// Text without escape sequences and control characters; tabs stay.
pub(crate) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\t' => plain.push('\t'),
            '\u{1b}' => skip_sequence(&mut characters),
            // One character that begins a sequence as `ESC [` does.
            '\u{9b}' => skip_parameters(&mut characters),
            _ if is_harmless(character) => plain.push(character),
            _ => {}
        }
    }
    plain
}

/// Not a control character, nor one that turns the direction of text (CVE-2021-42574).
fn is_harmless(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    !character.is_control() && !turns && !breaks
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// What follows ESC: `[`, parameters and a letter (ECMA-48 CSI); `]` up to BEL or ESC `\` (OSC and the other strings); or one
/// character. A sequence that does not end takes the rest of its line with it.
fn skip_sequence(characters: &mut Characters<'_>) {
    match characters.next() {
        Some('[') => skip_parameters(characters),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                if character == '\u{7}' {
                    break;
                }
                if character == '\u{1b}' {
                    characters.next_if_eq(&'\\');
                    break;
                }
            }
        }
        Some('(' | ')' | '#' | '%') => {
            characters.next();
        }
        _ => {}
    }
}

fn skip_parameters(characters: &mut Characters<'_>) {
    while characters
        .next_if(|character| matches!(character, ' '..='?'))
        .is_some()
    {}
    characters.next_if(|character| matches!(character, '@'..='~'));
}
