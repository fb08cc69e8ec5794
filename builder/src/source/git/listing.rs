//! What a server lists of a repository.

use super::revision::ObjectId;

#[cfg(test)]
mod tests;

/// References, in the order in which a server names them.
#[derive(Debug, Default)]
pub(super) struct Listing(Vec<Reference>);

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// `HEAD`, `refs/heads/main`, `refs/tags/v1`, or, for what an annotated tag points at, `refs/tags/v1^{}`.
    pub(super) name: String,
    pub(super) id: ObjectId,
    /// The reference that it stands for, if it is symbolic.
    pub(super) target: Option<String>,
}

impl Listing {
    /// Reads what `git ls-remote --symref` prints (git-ls-remote(1), "OUTPUT"). Lines that are none are left out.
    pub(super) fn printed(text: &str) -> Self {
        let (mut found, mut target) = (Vec::new(), None);
        for (value, name) in text.lines().filter_map(|line| line.split_once('\t')) {
            if let Some(symbolic) = value.strip_prefix("ref: ") {
                // Of what the next line says.
                target = Some(symbolic.to_owned());
            } else if let Some(id) = ObjectId::parse(value) {
                let name = name.to_owned();
                let target = target.take();
                found.push(Reference { name, id, target });
            }
        }
        Self(found)
    }

    /// Reads a server's answer to `ls-refs` (gitprotocol-v2(5), "ls-refs"; gitprotocol-common(5), "pkt-line Format"). `None` if it is
    /// anything but a whole one.
    pub(super) fn answered(mut answer: &[u8]) -> Option<Self> {
        let mut found = Vec::new();
        loop {
            let (length, rest) = answer.split_at_checked(4)?;
            let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
            if length == 0 {
                return rest.is_empty().then_some(Self(found));
            }
            let (line, rest) = rest.split_at_checked(length.checked_sub(4)?)?;
            let line = std::str::from_utf8(line).ok()?;
            read(line.strip_suffix('\n').unwrap_or(line), &mut found)?;
            answer = rest;
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Reference> {
        self.0.iter().find(|reference| reference.name == name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Reference> {
        self.0.iter()
    }
}

/// `<id> <name>[ symref-target:<name>][ peeled:<id>]`.
fn read(line: &str, found: &mut Vec<Reference>) -> Option<()> {
    let mut words = line.split(' ');
    let (id, name) = (ObjectId::parse(words.next()?)?, words.next()?);
    let (mut target, mut peeled) = (None, None);
    for attribute in words {
        match attribute.split_once(':')? {
            ("symref-target", name) => target = Some(name.to_owned()),
            ("peeled", id) => peeled = Some(ObjectId::parse(id)?),
            _ => {}
        }
    }
    let name = name.to_owned();
    let pointed_at = peeled.map(|id| Reference {
        name: format!("{name}^{{}}"),
        id,
        target: None,
    });
    found.push(Reference { name, id, target });
    found.extend(pointed_at);
    Some(())
}
