//! What is said where the API server gave no answer that could be used.

use std::error::Error;

use http::Uri;
use kube::client::AuthError;

/// Its address, without what may stand before it in the URL: a password is nobody's business.
pub(super) fn address(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("https");
    let host = url.host().unwrap_or_default();
    match url.port() {
        None => format!("{scheme}://{host}"),
        Some(port) => format!("{scheme}://{host}:{port}"),
    }
}

/// Why: its own words, or what stands innermost, as the rest only says where it was noticed.
pub(super) fn why(error: &kube::Error) -> String {
    if let Some(error) = credential(error) {
        return of_auth(error);
    }
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("status {}", status.code),
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::SerdeError(_) => format!("its answer cannot be read: {}", innermost(error)),
        error => innermost(error),
    }
}

/// What is wrong with the credentials that were to be sent, wherever in `error` it stands: a program that runs again to renew
/// a token fails as part of the request.
pub(super) fn credential<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a AuthError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// In its own words, without what a program wrote to its standard output, which may be a token, and without how it was run:
/// its variables may be secrets too.
pub(super) fn of_auth(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => format!(
            "the program that makes its token ended with {}: {}",
            out.status,
            String::from_utf8_lossy(&out.stderr).trim()
        ),
        AuthError::AuthExecParse(_) => {
            "the program that makes its token wrote no ExecCredential".to_owned()
        }
        error => error.to_string(),
    }
}

fn innermost(error: &kube::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_has_no_password_in_it() {
        for (url, expected) in [
            ("https://10.0.0.1:6443/", "https://10.0.0.1:6443"),
            (
                "https://ada:secret@api.example.com/k8s",
                "https://api.example.com",
            ),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(super::address(&url.parse().unwrap()), expected);
        }
    }
}
