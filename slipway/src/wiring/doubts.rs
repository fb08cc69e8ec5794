//! What files of users and rules say that can never hold together: warnings, as either may be written first.

use std::collections::BTreeSet;

use auth::rbac::Subject;
use auth::{Authenticator as _, Htpasswd, Rbac};

use crate::config::Auth;

/// Warns of a file without users, and of subjects who can never come.
pub(super) fn warn(auth: &Auth, users: Option<&Htpasswd>, rules: Option<&Rbac>) {
    if let (Some(users), Some(settings)) = (users, &auth.htpasswd)
        && users.is_empty()
    {
        let file = settings.file.display();
        tracing::warn!("auth.htpasswd: {file}: no users: add one with `slipway user add`");
    }
    let rules = rules.map(Rbac::rules);
    let subjects = rules.iter().flat_map(auth::rbac::Rules::subjects);
    let doubts = subjects.filter_map(|subject| {
        let why = why_never(auth, users, &subject)?;
        let Subject { written, place, .. } = subject;
        Some(format!("{written} ({place}) never comes: {why}"))
    });
    // Once, in order, however many bindings name them in one place.
    for doubt in doubts.collect::<BTreeSet<_>>() {
        tracing::warn!("{doubt}");
    }
}

/// Why nobody can come by this name; `None` where somebody can, or it is not known here.
fn why_never(auth: &Auth, users: Option<&Htpasswd>, subject: &Subject<'_>) -> Option<String> {
    if matches!(subject.name, "system:anonymous" | "system:unauthenticated") {
        let is_off = !auth.anonymous;
        return is_off.then(|| "auth.anonymous is off".to_owned());
    }
    // Providers and clusters have users of any name.
    if !auth.oidc.is_empty() || auth.kubernetes.is_some() || subject.is_group {
        return None;
    }
    if subject.name.starts_with("system:serviceaccount:") {
        return Some(
            "ServiceAccounts come from a cluster, and auth.kubernetes is not set".to_owned(),
        );
    }
    let is_there = users.is_some_and(|users| users.has_user(subject.name));
    (!is_there).then(|| match &auth.htpasswd {
        Some(settings) => format!("there is no such user in {}", settings.file.display()),
        None => "there is no auth.htpasswd with users".to_owned(),
    })
}
