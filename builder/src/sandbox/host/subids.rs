//! The ids that an ordinary user was given.

use std::fs;

use super::super::error::SandboxError;
use super::super::ids::SandboxIds;

#[cfg(test)]
mod tests;

/// Fewer are not enough for the users of an image (`nobody` is 65534).
const NEEDED: u32 = 65_534;

/// The ids of the namespace that we are root of, without root's own (`user_namespaces(7)`).
pub(super) fn of_namespace() -> Result<SandboxIds, SandboxError> {
    let count = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        mapped(&text)
    };
    let count = count("/proc/self/uid_map").min(count("/proc/self/gid_map"));
    let ids = SandboxIds::range(1, count.saturating_sub(1));
    ids.ok().filter(|_| count > NEEDED).ok_or_else(|| {
        SandboxError::Unsupported(format!(
            "the user namespace has {count} ids, and images need more than {NEEDED}: give the server's user as many in /etc/subuid \
             and /etc/subgid, and start the server outside of it"
        ))
    })
}

/// How many ids from 0 on are there without a gap.
fn mapped(map: &str) -> u32 {
    let mut ranges: Vec<(u32, u32)> = map
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let inside = fields.next()?.parse().ok()?;
            Some((inside, fields.nth(1)?.parse().ok()?))
        })
        .collect();
    ranges.sort_unstable();
    let next = |end: u32, (first, length): (u32, u32)| {
        if first == end {
            end.saturating_add(length)
        } else {
            end
        }
    };
    ranges.into_iter().fold(0, next)
}

/// Whether `/etc/subuid` and `/etc/subgid` give a user enough (`subuid(5)`). If not, how it gets them.
pub(crate) fn check_granted(user: u32) -> Result<(), SandboxError> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let number = user.to_string();
    let passwd = read("/etc/passwd");
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then_some(name)
    });
    let name = name.unwrap_or(&number);
    let is_given = |path: &str| is_enough(&read(path), name, &number);
    if is_given("/etc/subuid") && is_given("/etc/subgid") {
        return Ok(());
    }
    Err(SandboxError::Unsupported(format!(
        "/etc/subuid and /etc/subgid give {name} no range of more than {NEEDED} ids: as root, run `usermod --add-subuids 100000-165535 \
         --add-subgids 100000-165535 {name}` with a range that nobody has"
    )))
}

/// Whether a user's range is large enough: the first, which `unshare --map-auto` takes.
fn is_enough(text: &str, name: &str, number: &str) -> bool {
    let count = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let count = fields.nth(1)?.trim().parse::<u32>().ok()?;
        (owner == name || owner == number).then_some(count)
    });
    count.is_some_and(|count| count > NEEDED)
}
