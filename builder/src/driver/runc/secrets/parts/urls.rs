//! The passwords in URLs, and in what stands for a user and a password in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;

use super::keys::is_secret;

/// Ends the part of a URL that names a user and a host.
const ENDS: &[u8] = b" \t\"'`<>/?#\\";

/// The passwords of a line's URLs (`scheme://user:password@host`), as they are written there and as they are.
pub(super) fn passwords(line: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.windows(3).position(|three| three == b"://") {
        rest = &rest[at + 3..];
        let end = rest.iter().position(|byte| ENDS.contains(byte));
        let authority = &rest[..end.unwrap_or(rest.len())];
        // A password may hold the sign, if whoever wrote it was careless.
        let host = authority.iter().rposition(|byte| *byte == b'@');
        let Some(written) = host.and_then(|host| password(&authority[..host])) else {
            continue;
        };
        let meant: Vec<u8> = percent_decode(written).collect();
        if is_secret(&meant) {
            found.extend((meant != written).then(|| written.to_vec()));
            found.push(meant);
        }
    }
    found
}

/// What stands behind a key (`_auth`, `"auth"`, `_password`) in base64: a password, or the one of a user.
pub(super) fn encoded(value: &[u8]) -> Option<Vec<u8>> {
    let meant = STANDARD.decode(value).ok()?;
    let is_text = std::str::from_utf8(&meant).is_ok_and(|text| !text.contains(char::is_control));
    let meant = password(&meant).unwrap_or(&meant);
    (is_text && is_secret(meant)).then(|| meant.to_vec())
}

fn password(user: &[u8]) -> Option<&[u8]> {
    let at = user.iter().position(|byte| *byte == b':')?;
    Some(&user[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_their_passwords() {
        for (line, wanted) in [
            (
                "index-url = https://ci:Summer-2024x@pypi.example.com/simple",
                &["Summer-2024x"][..],
            ),
            (
                r#"url "https://ci:p4ss%2Fw0rd@maven.example.com/" # x@y"#,
                &["p4ss%2Fw0rd", "p4ss/w0rd"],
            ),
            (
                "a=http://a:hunter21@x b=redis://:hunter22@y",
                &["hunter21", "hunter22"],
            ),
            ("https://ci:S3same@open@pypi.example.com/", &["S3same@open"]),
        ] {
            let found = passwords(line.as_bytes());
            let found: Vec<_> = found
                .iter()
                .map(|one| String::from_utf8_lossy(one))
                .collect();
            assert_eq!(found, wanted, "{line}");
        }
    }

    #[test]
    fn what_is_no_password_is_none() {
        for line in [
            "https://admin:admin@pypi.example.com/",
            "https://admin:changeit@pypi.example.com/",
            "https://x:x-oauth-basic@github.com/",
            "https://ci:${PASSWORD}@pypi.example.com/",
            "https://ci:%PASSWORD%@pypi.example.com/",
            "https://ci:00000000@pypi.example.com/",
            "https://Hunter2-hunter2@pypi.example.com/",
            "https://pypi.example.com:8443/simple@Hunter2-hunter2",
            "https://[2001:db8::1]:8443/",
            "://",
        ] {
            assert_eq!(passwords(line.as_bytes()), [] as [Vec<u8>; 0], "{line}");
        }
    }

    #[test]
    fn what_is_encoded_is_a_password_of_text() {
        for (text, wanted) in [
            ("ci:Summer-2024x", Some("Summer-2024x")),
            ("Summer-2024x", Some("Summer-2024x")),
            ("admin:admin", None),
            ("Summer\u{7}2024x", None),
        ] {
            let found = encoded(STANDARD.encode(text).as_bytes());
            assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{text}");
        }
        assert_eq!(encoded(b"Summer-2024x"), None);
    }
}
