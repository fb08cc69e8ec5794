//! What a client sends to say who it is.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::{Refusal, Secret};

#[cfg(test)]
mod tests;

/// The content of an `Authorization` header.
#[derive(Clone, Debug)]
pub enum Credential {
    /// RFC 7617: user and password.
    Basic {
        /// Never empty, without control characters and `:`.
        user: String,
        /// May be a token of another kind in place of a password; that is for the authenticators to say.
        password: Secret,
    },
    /// RFC 6750: a token.
    Bearer(Secret),
}

impl Credential {
    /// Longest header value in bytes. Tokens of identity providers that list many groups reach tens of KiB.
    pub const MAX_LEN: usize = 64 * 1024;
    /// Longest user name in bytes.
    pub const MAX_USER_LEN: usize = 255;

    /// Reads the value of an `Authorization` header.
    ///
    /// - an empty value is nobody: `Ok(None)`;
    /// - anything that is not a well-formed Basic or Bearer credential is [`Refusal::BadCredential`], never taken for nobody.
    ///
    /// A request with two such headers has no one answer; refuse it before coming here.
    pub fn parse(header: impl AsRef<[u8]>) -> Result<Option<Self>, Refusal> {
        let header = header.as_ref();
        if header.is_empty() {
            return Ok(None);
        }
        parse(header).map(Some).ok_or(Refusal::BadCredential)
    }
}

fn parse(header: &[u8]) -> Option<Credential> {
    if header.len() > Credential::MAX_LEN {
        return None;
    }
    let (scheme, rest) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("basic") {
        basic(rest)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        let is_token = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic());
        is_token.then(|| Credential::Bearer(Secret::new(rest.to_owned())))
    } else {
        None
    }
}

fn basic(encoded: &str) -> Option<Credential> {
    // Some clients leave the padding off.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let decoded = Zeroizing::new(LENIENT.decode(encoded).ok()?);
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let is_user = !user.is_empty()
        && user.len() <= Credential::MAX_USER_LEN
        && !user.chars().any(char::is_control);
    let is_password = !password.is_empty() && !password.contains('\0');
    (is_user && is_password).then(|| Credential::Basic {
        user: user.to_owned(),
        password: Secret::new(password.to_owned()),
    })
}
