//! Why a registry could not be reached, in one line that says what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use reqwest::Url;
use rustls::{AlertDescription, CertificateError};

/// No authority that is trusted here vouches for the server's certificate.
#[derive(Debug)]
struct Untrusted {
    base: Url,
    why: String,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, why } = self;
        write!(
            f,
            "{base}: the server's certificate is not trusted ({why}): name a file with its \
             authority's certificate with --ca-file"
        )
    }
}

impl Error for Untrusted {}

/// A server that may answer, or answer otherwise, in a while.
#[derive(Debug)]
pub(super) struct Away(pub(super) String);

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Away {}

/// Whether the same request may be answered in a while: the server was away, or went while it answered.
pub(super) fn is_away(error: &anyhow::Error) -> bool {
    let is = |cause: &(dyn Error + 'static)| cause.is::<Away>() || cause.is::<reqwest::Error>();
    error.chain().any(is)
}

/// The same error, where a file of authorities was named and is not the right one.
pub(crate) fn in_spite_of(error: anyhow::Error, ca_file: Option<&Path>) -> anyhow::Error {
    match (error.downcast_ref::<Untrusted>(), ca_file) {
        (Some(Untrusted { base, why }), Some(path)) => anyhow::anyhow!(
            "{base}: the server's certificate is not trusted ({why}): no authority in {} has signed \
             it; --ca-file must name the one that has",
            path.display()
        ),
        _ => error,
    }
}

/// What `error`, met on the way to `base`, means to whoever gave the address.
pub(crate) fn explain(base: &Url, error: &reqwest::Error) -> anyhow::Error {
    if let Some(why) = untrusted(error) {
        let base = base.clone();
        return anyhow::Error::new(Untrusted { base, why });
    }
    // The chain without its head, which is the URL once more.
    let why = mend(base, error).unwrap_or_else(|| innermost(error));
    if cause::<rustls::Error>(error).is_some() {
        return anyhow::anyhow!("{base}: {why}");
    }
    Away(format!("{base}: {why}")).into()
}

fn mend(base: &Url, error: &reqwest::Error) -> Option<String> {
    if let Some(error) = cause::<rustls::Error>(error) {
        return tls(error);
    }
    if error.is_timeout() {
        return Some("no answer in time; is it the right address?".into());
    }
    if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return Some(match base.scheme() {
            "http" => "what answers speaks no HTTP, probably TLS: leave out --plain-http".into(),
            _ => "what answers speaks no HTTP".into(),
        });
    }
    if said(error).any(|text| text.starts_with("dns error")) {
        return Some("no address is known for this name".into());
    }
    if base.scheme() == "https" && !error.is_connect() {
        return Some(format!(
            "the server ended the connection after the handshake ({}); perhaps it asks its \
             clients for a certificate, which this command cannot show",
            innermost(error)
        ));
    }
    let error = cause::<io::Error>(error)?;
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(
            "connection refused: nothing listens there; does the registry run, and at this address?"
                .into(),
        ),
        _ => None,
    }
}

fn tls(error: &rustls::Error) -> Option<String> {
    Some(match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired".into()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name".into()
            }
            why if why.to_string().contains("CaUsedAsEndEntity") => {
                "the server's certificate is one for authorities (CA:TRUE), which cannot be a \
                 server's own; make it with basicConstraints=CA:FALSE"
                    .into()
            }
            _ => return None,
        },
        rustls::Error::InvalidMessage(_) => {
            "what answers does not speak TLS: add --plain-http if the registry has none".into()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks its clients for a certificate, which this command cannot show".into()
        }
        _ => return None,
    })
}

fn untrusted(error: &reqwest::Error) -> Option<String> {
    match cause::<rustls::Error>(error)? {
        error @ rustls::Error::InvalidCertificate(why) if tls(error).is_none() => {
            Some(why.to_string())
        }
        _ => None,
    }
}

/// The first cause of this type. Errors of I/O do not name what they wrap among their causes.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let wrapped = error.downcast_ref().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn said<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = String> + 'a {
    std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string)
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    said(error).last().unwrap_or_default()
}
