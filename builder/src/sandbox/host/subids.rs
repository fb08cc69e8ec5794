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
            "the user namespace has {count} ids, and images need {NEEDED}: give the server's user as many in /etc/subuid and \
             /etc/subgid, and start the server outside of it, or under `unshare --user --map-auto --map-root-user --mount`"
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

/// Reads `/etc/passwd`, `/etc/subuid` and `/etc/subgid` (`subuid(5)`).
pub(super) fn granted(user: u32, group: u32) -> Result<SandboxIds, SandboxError> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let passwd = read("/etc/passwd");
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user.to_string()).then_some(name)
    });
    let number = user.to_string();
    let name = name.unwrap_or(&number);
    let refuse = |why: String| {
        Err(SandboxError::Unsupported(format!(
            "{why}: as root, run `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}` with a range that \
             nobody has"
        )))
    };
    // One map serves users and groups.
    if user != group {
        return refuse(format!(
            "the group of user {name} must have the number {user}, as the user has"
        ));
    }
    let uids = range(&read("/etc/subuid"), name, &number);
    let gids = range(&read("/etc/subgid"), name, &number);
    match (uids, gids) {
        (Some(uids), Some(gids)) if uids == gids => {
            let map = SandboxIds::ordinary(user, uids.0, uids.1);
            map.or_else(|error| refuse(error.to_string()))
        }
        (Some(_), Some(_)) => refuse(format!(
            "/etc/subuid and /etc/subgid give {name} different ranges"
        )),
        _ => refuse(format!(
            "/etc/subuid and /etc/subgid give {name} no range of {NEEDED} ids"
        )),
    }
}

/// The first range that is large enough.
fn range(text: &str, name: &str, number: &str) -> Option<(u32, u32)> {
    let parse = |line: &str| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let first = fields.next()?.parse().ok()?;
        let count = fields.next()?.trim().parse().ok()?;
        ((owner == name || owner == number) && count >= NEEDED).then_some((first, count))
    };
    text.lines().find_map(parse)
}
