//! What is said where the API server gave no answer that could be used.

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
///
/// Without what a program wrote to its standard output, which may be a token, and without how it was run: its variables may
/// be secrets too.
pub(super) fn why(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => format!("status {}", status.code),
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::Auth(AuthError::AuthExecRun { out, .. }) => format!(
            "the program that makes its token ended with {}: {}",
            out.status,
            String::from_utf8_lossy(&out.stderr).trim()
        ),
        kube::Error::Auth(AuthError::AuthExecParse(_)) => {
            "the program that makes its token wrote no ExecCredential".to_owned()
        }
        kube::Error::SerdeError(_) => format!("its answer cannot be read: {}", innermost(error)),
        error => innermost(error),
    }
}

fn innermost(error: &kube::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
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
