//! What a token is asked for, and what it is limited to.

use oci::RepoName;

use crate::{Action, Actions};

#[cfg(test)]
mod tests;

/// Most scopes of one token request.
const MAX_SCOPES: usize = 32;

/// One scope of a token request, in the Docker token protocol (distribution docs, "Token Scope Documentation"):
/// `repository:team/app:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Actions in one repository. A class (`repository(plugin)`) changes nothing: rights are the repository's.
    Repository {
        /// Which.
        name: RepoName,
        /// What is asked for. `push` asks for moving tags too, since clients know no word for it.
        actions: Actions,
    },
    /// `registry:catalog:*`: the catalog as the user sees it.
    Catalog,
    /// `registry:account:*`, our own: to act as the person with `/api`, which tokens for images may not.
    Account,
    /// A kind of resource that this registry does not have. Nothing is granted for it.
    Other,
}

impl Scope {
    /// Reads the `scope` parameters of a token request: each may hold several scopes parted by spaces.
    pub fn parse_all<'a>(
        parameters: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Self>, InvalidScope> {
        let mut scopes = Vec::new();
        let texts = parameters
            .into_iter()
            .flat_map(|parameter| parameter.split(' '));
        for text in texts.filter(|text| !text.is_empty()) {
            if scopes.len() == MAX_SCOPES {
                return Err(InvalidScope::TooMany);
            }
            scopes.push(Self::parse(text)?);
        }
        Ok(scopes)
    }

    /// Reads one scope, `type:name:actions`. The name may hold `:`, so the actions are what follows the last one.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let (resource, actions) = text.rsplit_once(':').ok_or(InvalidScope::Malformed)?;
        let (kind, name) = resource.split_once(':').ok_or(InvalidScope::Malformed)?;
        let kind = without_class(kind).ok_or(InvalidScope::Malformed)?;
        match (kind, name) {
            ("", _) | (_, "") => Err(InvalidScope::Malformed),
            ("registry", "catalog") if actions == "*" => Ok(Self::Catalog),
            ("registry", "account") if actions == "*" => Ok(Self::Account),
            ("repository", name) => Ok(Self::Repository {
                name: RepoName::parse(name).map_err(|_| InvalidScope::Repository)?,
                // Actions that only other registries know are never granted, so they are dropped here.
                actions: actions
                    .split(',')
                    .map(asked)
                    .fold(Actions::NONE, Actions::union),
            }),
            _ => Ok(Self::Other),
        }
    }
}

fn without_class(kind: &str) -> Option<&str> {
    match kind.split_once('(') {
        None => Some(kind),
        Some((kind, class)) => class.strip_suffix(')').map(|_| kind),
    }
}

fn asked(name: &str) -> Actions {
    match name {
        "*" => Actions::ALL,
        "push" => Actions::NONE.with(Action::Create).with(Action::Update),
        name => Action::ALL
            .into_iter()
            .filter(|action| action.scope_name() == name)
            .collect(),
    }
}

/// Why a text is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// Not `type:name:actions`.
    #[error("invalid scope: it is written type:name:actions, as in repository:team/app:pull,push")]
    Malformed,
    /// Of type `repository`, but the name is none.
    #[error("invalid scope: no such repository name is possible")]
    Repository,
    /// More than a client has reason to ask for.
    #[error("too many scopes: at most {MAX_SCOPES} in one request")]
    TooMany,
}

/// What a token is limited to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    repositories: Vec<(RepoName, Actions)>,
    /// What was asked for and not granted.
    denied: Vec<(RepoName, Actions)>,
    catalog: bool,
    account: bool,
}

impl Access {
    /// Whether the token was issued for `action` in exactly this repository.
    pub fn allows(&self, action: Action, repo: &RepoName) -> bool {
        self.repositories
            .iter()
            .any(|(name, actions)| name == repo && actions.contains(action))
    }

    /// Whether the token was issued for the catalog.
    pub fn catalog(&self) -> bool {
        self.catalog
    }

    /// Whether the token acts as the person with `/api`.
    pub fn account(&self) -> bool {
        self.account
    }

    /// Each repository once, with what may be done in it.
    pub fn repositories(&self) -> &[(RepoName, Actions)] {
        &self.repositories
    }

    /// Each repository once, with what the token was asked for there, and its user may not do.
    pub(crate) fn denied(&self) -> &[(RepoName, Actions)] {
        &self.denied
    }

    /// Whether the token was asked for `action`, and its user might not.
    pub(crate) fn denies(&self, action: Action, repo: &RepoName) -> bool {
        let is_denied = |(name, actions): &(_, Actions)| name == repo && actions.contains(action);
        self.denied.iter().any(is_denied)
    }

    /// Whether the token was asked for to push, granted or not. Whoever asks for deleting too asks for whatever there is, and
    /// that tells nothing.
    pub fn is_for_pushing(&self, repo: &RepoName) -> bool {
        let was_asked = |action| self.allows(action, repo) || self.denies(action, repo);
        was_asked(Action::Create) && !was_asked(Action::Delete)
    }

    pub(crate) fn add(&mut self, repo: RepoName, actions: Actions) {
        add(&mut self.repositories, repo, actions);
    }

    pub(crate) fn add_denied(&mut self, repo: RepoName, actions: Actions) {
        add(&mut self.denied, repo, actions);
    }

    pub(crate) fn add_catalog(&mut self) {
        self.catalog = true;
    }

    pub(crate) fn add_account(&mut self) {
        self.account = true;
    }
}

fn add(to: &mut Vec<(RepoName, Actions)>, repo: RepoName, actions: Actions) {
    if actions.is_empty() {
        return;
    }
    match to.iter_mut().find(|(name, _)| *name == repo) {
        Some((_, had)) => *had = had.union(actions),
        None => to.push((repo, actions)),
    }
}
