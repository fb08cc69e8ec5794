//! Which numbers a user of an image has.

use super::error::SandboxError;

#[cfg(test)]
mod tests;

/// Numbers inside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary groups.
    pub(super) groups: Vec<u32>,
}

/// More than the kernel needs for any image, fewer than it takes (65536).
const MAX_GROUPS: usize = 256;

/// Reads `uid`, `uid:gid`, `name`, `name:group` or nothing (root) with the image's `/etc/passwd` and `/etc/group`, as container
/// engines do: a number with an entry has the entry's group and supplementary groups, one without has group 0, and who
/// says a group has only that one.
pub(super) fn look_up(text: &str, passwd: &str, group: &str) -> Result<User, SandboxError> {
    let (user, wanted_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = number(user)?;
    let entry = passwd
        .lines()
        .filter_map(Account::parse)
        .find(|account| number.map_or(account.name == user, |number| account.uid == number));
    let uid = match (number, &entry) {
        (Some(number), _) => number,
        (None, Some(account)) => account.uid,
        (None, None) => {
            let message = format!("user {user:?} is not in the image's /etc/passwd");
            return Err(SandboxError::refused(message));
        }
    };
    if let Some(wanted) = wanted_group {
        let gid = group_number(wanted, group)?;
        let groups = Vec::new();
        return Ok(User { uid, gid, groups });
    }
    let gid = entry.as_ref().map_or(0, |account| account.gid);
    let mut groups = Vec::new();
    if let Some(account) = entry {
        let member = |line: &str| {
            let (_, gid, members) = parse_group(line)?;
            members
                .split(',')
                .any(|name| name == account.name)
                .then_some(gid)
        };
        groups.extend(group.lines().filter_map(member).take(MAX_GROUPS));
        groups.sort_unstable();
        groups.dedup();
    }
    Ok(User { uid, gid, groups })
}

/// A number up to 2³¹ - 1: larger ones have been read as root by some programs (CVE-2024-40635).
fn number(text: &str) -> Result<Option<u32>, SandboxError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let number = text.parse::<u32>().ok();
    let number = number.filter(|&number| i32::try_from(number).is_ok());
    let message = || SandboxError::refused(format!("user or group {text} is beyond 2147483647"));
    number.map(Some).ok_or_else(message)
}

fn group_number(text: &str, group: &str) -> Result<u32, SandboxError> {
    if let Some(number) = number(text)? {
        return Ok(number);
    }
    let mut groups = group.lines().filter_map(parse_group);
    let found = groups.find(|(name, ..)| *name == text);
    let message =
        || SandboxError::refused(format!("group {text:?} is not in the image's /etc/group"));
    found.map(|(_, gid, _)| gid).ok_or_else(message)
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

impl<'a> Account<'a> {
    /// `name:password:uid:gid:…` (`passwd(5)`).
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { name, uid, gid })
    }
}

/// `name:password:gid:member,member` (`group(5)`).
fn parse_group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or("").trim()))
}
