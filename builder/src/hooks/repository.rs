//! Whether two URLs are of one repository.

/// Host and path of a repository's URL, whatever the way to it: forges name a repository by https, ssh and as a page, and a
/// build names it by one of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    path: String,
}

impl Place {
    /// Of `scheme://[user@]host[:port]/path` or `[user@]host:path`. `.git` and `/` at the end are nothing, and neither is case:
    /// what a path means the forge has settled, whose signature holds.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (authority, path) = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?,
            None => url.split_once(':')?,
        };
        let server = authority
            .rsplit_once('@')
            .map_or(authority, |(_, server)| server);
        // An IPv6 address has colons of its own.
        let host = match server.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => server,
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let fits = !host.is_empty() && !path.is_empty();
        fits.then(|| Self {
            host: host.to_ascii_lowercase(),
            path: path.to_ascii_lowercase(),
        })
    }
}
