//! What stands behind a key that says it is secret.

use super::{MIN, is_telling};

/// What the last part of such a key is, in any case: `_authToken`, `client_secret`, `DB_PASSWORD`.
const KEYS: [&str; 7] = [
    "password", "passwd", "token", "secret", "apikey", "api_key", "auth",
];

/// What may stand between a key and its value, in `key=value`, `"key": "value"`, `<key>value</key>`, `key value`, `'key' => 'value'`.
const BETWEEN: &[u8] = b" \t\"'`=:>";

/// Names and words of a language from this length on are passwords, if they stand behind a key.
const LONG: usize = 20;

/// The values of a line, those that are no placeholder, no path, no URL and no short name.
pub(super) fn values(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let in_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let begin = rest.iter().position(in_key)?;
            rest = &rest[begin..];
            let end = rest.iter().position(|byte| !in_key(byte))?;
            let (key, behind) = rest.split_at(end);
            rest = behind;
            if !is_key(key) {
                continue;
            }
            let value = value(behind);
            if is_secret(value) {
                return Some(value);
            }
        }
    })
}

fn is_key(word: &[u8]) -> bool {
    let ends_as = |key: &str| {
        let at = word.len().checked_sub(key.len());
        at.is_some_and(|at| word[at..].eq_ignore_ascii_case(key.as_bytes()))
    };
    KEYS.iter().any(|key| ends_as(key))
}

/// What begins behind the signs that follow a key, up to where those signs say that it ends.
fn value(behind: &[u8]) -> &[u8] {
    let between = |byte: &u8| BETWEEN.contains(byte);
    let begin = behind.iter().position(|byte| !between(byte));
    let (signs, text) = behind.split_at(begin.unwrap_or(behind.len()));
    let upto = |end: fn(u8) -> bool| {
        let length = text.iter().position(|byte| end(*byte));
        &text[..length.unwrap_or(text.len())]
    };
    match signs.last() {
        None => b"",
        Some(b'"') => upto(|byte| byte == b'"'),
        Some(b'\'') => upto(|byte| byte == b'\''),
        Some(b'`') => upto(|byte| byte == b'`'),
        Some(b'>') => upto(|byte| byte == b'<'),
        Some(_) => {
            let word = upto(|byte| byte.is_ascii_whitespace() || byte == b'&');
            let signs = word.iter().rev();
            let signs = signs.take_while(|byte| b",;\"'`)]}".contains(byte));
            &word[..word.len() - signs.count()]
        }
    }
}

/// Whether it is none of a placeholder, a path, a URL, a short name and what is found everywhere.
pub(super) fn is_secret(value: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_lowercase() || b"-_./ ".contains(byte);
    let is_placeholder = value.first().is_some_and(|byte| b"$%{<".contains(byte));
    let is_path = value.starts_with(b"/") && value[1..].contains(&b'/');
    value.len() >= MIN
        && is_telling(value)
        && !is_placeholder
        && !is_path
        && !value.windows(3).any(|three| three == b"://")
        && (value.len() >= LONG || !value.iter().all(is_of_name))
}

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn keys_of_all_kinds_have_their_values() {
        for (line, value) in [
            (
                "//npm.example.com/:_authToken=hunter2-hunter2",
                "hunter2-hunter2",
            ),
            (
                "machine npm.example.com login ann password S3same,open",
                "S3same,open",
            ),
            (
                r#"{"password": "two words, 1 secret", "user": "x"}"#,
                "two words, 1 secret",
            ),
            ("<password>p4ss;w0rd=x</password>", "p4ss;w0rd=x"),
            ("client_secret = 'it is: 42!'", "it is: 42!"),
            ("'token' => 'Abcdefgh'", "Abcdefgh"),
            (
                "DB_PASSWORD: correct-horse-battery-staple",
                "correct-horse-battery-staple",
            ),
            ("{user: x, password: hunter22}", "hunter22"),
            ("https://npm.example.com/?token=hunter22&x=1", "hunter22"),
        ] {
            let found: Vec<&[u8]> = values(line.as_bytes()).collect();
            assert_eq!(found, [value.as_bytes()], "{line}");
        }
    }

    #[test]
    fn what_is_no_secret_is_none() {
        for line in [
            "registry=https://npm.example.com/repository/3f2a9c47-1d5e-4b8a-9e60-7c1d2b3a4f5e/",
            "//npm.example.com/:_authToken=${NPM_TOKEN}",
            "password: changeit",
            "password=",
            "password",
            "token: /var/run/secrets/tokens/api-1",
            "token = https://login.example.com/oauth2/token1",
            "always-auth=true",
            "secret: shop-registry-tls",
            "tokenEndpoint: hunter2-hunter2",
            "secretName: Hunter2-hunter2",
            "password: 11111111",
        ] {
            let found: Vec<&[u8]> = values(line.as_bytes()).collect();
            assert_eq!(found, [] as [&[u8]; 0], "{line}");
        }
    }
}
