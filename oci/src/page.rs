//! Which part of a list is wanted.

#[cfg(test)]
mod tests;

/// The parameters `n` and `last` of a list (distribution-spec, "Listing Tags").
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Page {
    n: Option<u32>,
    last: Option<String>,
}

impl Page {
    /// The greatest page that is ever served; a greater `n` means this.
    pub const MAX_N: u32 = 10_000;

    /// Longest `last` in bytes: nothing that is listed is longer.
    pub const MAX_LAST: usize = 512;

    /// A page of `n` items after `last`.
    pub fn new(n: Option<u32>, last: Option<String>) -> Result<Self, InvalidPage> {
        if let Some(last) = &last
            && (last.len() > Self::MAX_LAST || last.chars().any(char::is_control))
        {
            return Err(InvalidPage::Last);
        }
        Ok(Self {
            n: n.map(|n| n.min(Self::MAX_N)),
            last,
        })
    }

    /// How many items at most, never over [`Page::MAX_N`]. 0 asks for an empty list; `None` leaves it to the registry.
    pub fn n(&self) -> Option<u32> {
        self.n
    }

    /// List what comes after this, in byte order; it need not exist.
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Reads the decimal digits of `n`. However many there are, no more than [`Page::MAX_N`] comes out, so that
    /// nothing can be made to allocate for a number alone (CVE-2023-2253).
    pub(crate) fn parse_n(text: &str) -> Result<u32, InvalidPage> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPage::N);
        }
        Ok(text.parse().unwrap_or(Self::MAX_N).min(Self::MAX_N))
    }
}

/// Why there is no such page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// `n` is no number.
    #[error("n: not a number: give how many results you want in decimal digits, or leave it out")]
    N,
    /// `last` can be no item.
    #[error(
        "last: over {} bytes or with control characters: give the last item of the page before",
        Page::MAX_LAST
    )]
    Last,
}
