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
    Basic(Basic),
    /// RFC 6750: a token.
    Bearer(Secret),
}

/// A user's name and a password, made by [`Credential::basic`] alone.
#[derive(Clone, Debug)]
pub struct Basic {
    user: String,
    password: Secret,
}

impl Basic {
    /// 1 to [`Credential::MAX_USER_LEN`] bytes, without control characters and `:`.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Never empty, without NUL. May be a token of another kind in place of a password; that is for the
    /// authenticators to say.
    pub fn password(&self) -> &Secret {
        &self.password
    }
}

impl Credential {
    /// Longest header value in bytes. Tokens of identity providers that list many groups reach tens of KiB.
    pub const MAX_LEN: usize = 64 * 1024;
    /// Longest user name in bytes.
    pub const MAX_USER_LEN: usize = 255;

    /// A user and a password, from wherever they came; [`Refusal::BadCredential`] when they could not stand in an
    /// `Authorization` header, so that no way in takes what another refuses.
    pub fn basic(user: &str, password: Secret) -> Result<Self, Refusal> {
        let is_user = (1..=Self::MAX_USER_LEN).contains(&user.len())
            && !user.contains(|c: char| c == ':' || c.is_control());
        let is_password = !password.expose().is_empty() && !password.expose().contains('\0');
        if !is_user || !is_password {
            return Err(Refusal::BadCredential);
        }
        let user = user.to_owned();
        Ok(Self::Basic(Basic { user, password }))
    }

    /// The token: of Bearer, or what stands in the password's place of Basic, for clients that know no other way.
    pub(crate) fn token(&self) -> &Secret {
        match self {
            Self::Basic(basic) => basic.password(),
            Self::Bearer(token) => token,
        }
    }

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
    Credential::basic(user, Secret::new(password.to_owned())).ok()
}
