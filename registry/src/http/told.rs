//! What may be written down of what strangers send: everything but tokens, which people paste where an id or a name
//! belongs. Every text of a request that log, traces or audit record keep goes through [`cut`] or [`address`].

use std::borrow::Cow;

use auth::TokenId;
use percent_encoding::percent_decode_str;

use super::problem::Problem;

/// Fewer characters than this are in no header and no claims of a JWT (RFC 7519).
const PART: usize = 8;

/// Something of a token's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    start: usize,
    /// What is before here is no secret.
    secret: usize,
    end: usize,
}

/// The text with no token in it: of ours prefix and id are left, of a JWT that it was one.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    let Some(mut found) = find(text) else {
        return Cow::Borrowed(text);
    };
    let (mut left, mut rest) = (String::with_capacity(text.len()), text);
    loop {
        left.push_str(&rest[..found.secret]);
        left.push('…');
        rest = &rest[found.end..];
        match find(rest) {
            Some(next) => found = next,
            None => break,
        }
    }
    left.push_str(rest);
    Cow::Owned(left)
}

/// A path or query with no token in it, also none in percent-encoding: such an address is left out whole.
pub(super) fn address(text: &str) -> Cow<'_, str> {
    let left = cut(text);
    if left.contains('%') && find(&decoded(&left)).is_some() {
        return Cow::Borrowed("…");
    }
    left
}

/// Why a request is not looked at further: a token in its address would become part of names, and stands by now in the
/// logs of whatever is in between. JWTs are in queries of others' protocols.
pub(super) fn misplaced(uri: &http::Uri) -> Option<Problem> {
    let (path, query) = (
        decoded(uri.path()),
        decoded(uri.query().unwrap_or_default()),
    );
    let ours = [&path, &query].into_iter().find_map(|text| {
        let found = find(text)?;
        let public = text.get(found.start..found.secret)?;
        let (_, id) = public.split_once('_')?;
        TokenId::parse(&id.to_ascii_lowercase())
    });
    let message = if let Some(id) = ours {
        format!(
            "that is a token's text; its id is {id}. Addresses are written down in many places: give the id, and \
             revoke the token if others may have seen this one"
        )
    } else {
        find(&path)?;
        "that is a token's text, which belongs into no address".to_owned()
    };
    Some(Problem::invalid(message))
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The first token. Its ends are beside ASCII characters, so that text can be cut there.
fn find(text: &str) -> Option<Found> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find_map(|start| ours(bytes, start).or_else(|| jwt(bytes, start)))
}

/// Also one that was mistyped, cut short or put into capitals: the secret can be got back from it.
fn ours(bytes: &[u8], start: usize) -> Option<Found> {
    let length = TokenId::text_at_start(&bytes[start..])?;
    Some(Found {
        start,
        secret: start + TokenId::PUBLIC,
        end: start + length,
    })
}

/// Three parts in base64url, of which the first is a JSON object's.
fn jwt(bytes: &[u8], start: usize) -> Option<Found> {
    let rest = bytes[start..].strip_prefix(b"eyJ")?;
    let part = |rest: &[u8]| {
        run(rest, |byte| {
            byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
        })
    };
    let header = part(rest);
    let rest = rest[header..].strip_prefix(b".")?;
    let claims = part(rest);
    let rest = rest[claims..].strip_prefix(b".")?;
    (header >= PART && claims >= PART).then_some(Found {
        start,
        secret: start + b"eyJ".len(),
        end: bytes.len() - rest.len() + part(rest),
    })
}

fn run(bytes: &[u8], is_of_it: impl Fn(u8) -> bool) -> usize {
    let end = bytes.iter().position(|byte| !is_of_it(*byte));
    end.unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::{address, cut, misplaced};

    const ID: &str = "abcdefghijklmnop";
    const SECRET: &str = "qrstuvwxyz234567qrstuvwxyz234567checks";
    const JWT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl-_";

    #[test]
    fn tokens_are_cut_wherever_they_stand() {
        for prefix in ["slp_", "slr_"] {
            let text = format!("é/{prefix}{ID}{SECRET}/{JWT}?a={prefix}{ID}{SECRET}é");
            let expected = format!("é/{prefix}{ID}…/eyJ…?a={prefix}{ID}…é");
            assert_eq!(cut(&text), expected);
            assert_eq!(address(&text), expected);
        }
        let spoilt = format!("SLP_{ID}{}", SECRET.to_uppercase());
        assert_eq!(cut(&spoilt), format!("SLP_{ID}…"));
        let short = format!("/slp_{ID}{}", &SECRET[..20]);
        assert_eq!(cut(&short), format!("/slp_{ID}…"));
        let bare = JWT.rsplit_once('.').map(|(claims, _)| format!("{claims}."));
        assert_eq!(cut(&bare.unwrap()), "eyJ…");
    }

    #[test]
    fn what_only_looks_alike_is_left() {
        for text in [
            "",
            "slp_",
            "/v2/slp_team/app/manifests/v1",
            "/api/v1/tokens/abcdefghijklmnop",
            "slp_abcdefghijklmnop",
            "eyJ",
            "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ",
            "eyJ1.2.3",
            "/100%/é",
        ] {
            assert_eq!(address(text), text);
            let path: String = text.chars().filter(char::is_ascii).collect();
            let uri = format!("/{path}").parse().unwrap();
            assert!(misplaced(&uri).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_encoded_is_no_way_round() {
        let encoded = SECRET.replace('q', "%71");
        for text in [
            format!("/slp%5f{ID}{SECRET}"),
            format!("/slp_{ID}{encoded}"),
            format!("/slp_{ID}{SECRET}/slp%5f{ID}{SECRET}"),
            format!("/{}", JWT.replace("eyJ", "%65yJ")),
        ] {
            assert_eq!(address(&text), "…", "{text}");
            assert!(misplaced(&text.parse().unwrap()).is_some());
        }
    }

    #[test]
    fn an_address_with_a_token_is_refused_and_names_the_id() {
        for address in [
            format!("/api/v1/tokens/slp_{ID}{SECRET}"),
            format!("/nothing?x=slr%5F{ID}{SECRET}"),
        ] {
            let problem = misplaced(&address.parse().unwrap()).unwrap();
            let told = problem.message();
            assert!(told.contains(&format!("its id is {ID}.")), "{told}");
            assert!(!told.contains("qrstu"), "{told}");
        }
        assert!(misplaced(&format!("/v2/a/manifests/{JWT}").parse().unwrap()).is_some());
        assert!(misplaced(&format!("/back?id_token={JWT}").parse().unwrap()).is_none());
    }
}
