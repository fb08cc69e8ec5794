//! Hosts as addresses of repositories name them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A host in lower case: a name of letters, digits, `-` and `_`, an IPv4 address as four decimal numbers, or an IPv6 address in
/// brackets; `None` if it is none of these.
///
/// Each has one form only, so that what is judged, compared and resolved is what the text says. No name ends with a dot, which
/// would be the same server under another name; nor with a number, which resolvers take for an address in forms of old
/// (`127.1`, `0x7f.1`, `2130706433`; `inet_aton(3)`, and the "ends in a number checker" of <https://url.spec.whatwg.org/>).
pub(crate) fn host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let _: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(text.to_ascii_lowercase());
    }
    let of_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(of_label);
    if text.len() > 253 || text.starts_with('-') || !text.split('.').all(is_label) {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let last = text.rsplit('.').next().unwrap_or_default();
    if is_number(last) && text.parse::<Ipv4Addr>().is_err() {
        return None;
    }
    Some(text)
}

/// A server as configuration and secrets name it, `host` or `host:port`; `None` if it is none.
pub fn server(text: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            let port: u16 = port.parse().ok()?;
            (name, Some(port).filter(|port| *port != 0))
        }
        _ => (text, None),
    };
    Some((host(name)?, port))
}

/// In lower case: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
