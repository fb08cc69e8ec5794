//! What is known of the cluster, kept up to date by watches and by what we did ourselves.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::grant::Grant;
use super::observed::{Account, Duty, Key, Namespace, PullSecret};
use super::plan::View;

#[cfg(test)]
mod tests;

/// One of the lists that are watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum List {
    Namespaces,
    /// `ServiceAccounts` of one name, in every namespace.
    Accounts(Arc<str>),
    /// The secrets of `ServiceAccounts` of one name.
    Secrets(Arc<str>),
    /// The `RoleBindings` of our name.
    Grants,
}

/// That something is there, or is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Namespace(Arc<str>, Option<Namespace>),
    Account(Key, Seen<Account>),
    Secret(Key, Seen<PullSecret>),
    Grant(Arc<str>, Seen<Grant>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen<T> {
    Is(T),
    /// What had this uid is no more.
    Gone(String),
}

impl<T> Seen<T> {
    pub(super) fn map<U>(self, of: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Is(seen) => Seen::Is(of(seen)),
            Self::Gone(uid) => Seen::Gone(uid),
        }
    }
}

/// News of a watch.
#[derive(Clone, Debug)]
pub(super) enum News {
    Fact(Fact),
    /// The whole list follows,
    Listing(List),
    /// and ends here: what was not in it is gone.
    Listed(List),
}

/// An object with an identity and a version.
trait Versioned {
    fn uid(&self) -> &str;
    fn version(&self) -> &str;
}

impl Versioned for Account {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn version(&self) -> &str {
        &self.version
    }
}

impl Versioned for PullSecret {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn version(&self) -> &str {
        &self.version
    }
}

impl Versioned for Grant {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn version(&self) -> &str {
        &self.version
    }
}

#[derive(Debug)]
pub(super) struct World {
    accounts_of_each: Vec<Arc<str>>,
    namespaces: HashMap<Arc<str>, Namespace>,
    accounts: HashMap<Key, Account>,
    secrets: HashMap<Key, PullSecret>,
    grants: HashMap<Arc<str>, Grant>,
    /// How many tokens end when, in seconds after 1970.
    ends: BTreeMap<u64, usize>,
    kept: usize,
    /// What was in the lists that are not yet whole.
    listing: HashMap<List, HashSet<Key>>,
    listed: HashSet<List>,
}

impl World {
    /// An empty world in which every namespace may have these `ServiceAccounts`.
    pub(super) fn new(accounts_of_each: Vec<Arc<str>>) -> Self {
        Self {
            accounts_of_each,
            namespaces: HashMap::new(),
            accounts: HashMap::new(),
            secrets: HashMap::new(),
            grants: HashMap::new(),
            ends: BTreeMap::new(),
            kept: 0,
            listing: HashMap::new(),
            listed: HashSet::new(),
        }
    }

    /// Every list was seen to its end once.
    pub(super) fn is_whole(&self) -> bool {
        self.listed.len() == 2 + 2 * self.accounts_of_each.len()
    }

    /// Every list that matters for it was seen to its end once. Before that, what is not known may well be there. What may
    /// not be seen of `RoleBindings` keeps nobody from their secret.
    pub(super) fn is_known(&self, duty: &Duty) -> bool {
        let was = |list: &List| self.listed.contains(list);
        let account = |key: &Key| {
            was(&List::Accounts(key.account.clone())) && was(&List::Secrets(key.account.clone()))
        };
        was(&List::Namespaces)
            && match duty {
                Duty::Grant(_) => was(&List::Grants),
                Duty::Login(key) => account(key),
            }
    }

    /// What there is to keep, so far.
    fn duties(&self) -> Vec<Duty> {
        let namespaces = self.namespaces.keys();
        namespaces.flat_map(|name| self.duties_of(name)).collect()
    }

    fn duties_of(&self, namespace: &Arc<str>) -> Vec<Duty> {
        let login = |account: &Arc<str>| {
            Duty::Login(Key {
                namespace: namespace.clone(),
                account: account.clone(),
            })
        };
        let mut duties: Vec<_> = self.accounts_of_each.iter().map(login).collect();
        duties.push(Duty::Grant(namespace.clone()));
        duties
    }

    pub(super) fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    pub(super) fn grant(&self, namespace: &str) -> Option<&Grant> {
        self.grants.get(namespace)
    }

    pub(super) fn view(&self, key: &Key) -> View<'_> {
        View {
            namespace: self.namespaces.get(&key.namespace),
            account: self.accounts.get(key),
            secret: self.secrets.get(key),
        }
    }

    /// Secrets of ours that hold a token.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// When the first token of all ends, in seconds after 1970.
    pub(super) fn first_end(&self) -> Option<u64> {
        self.ends.keys().next().copied()
    }

    /// Takes news in; the duties for which it may matter.
    pub(super) fn hear(&mut self, news: News) -> Vec<Duty> {
        match news {
            News::Fact(fact) => {
                if let Some(listed) = self.listing.get_mut(&fact.list()) {
                    listed.insert(fact.key());
                }
                self.learn(fact)
            }
            News::Listing(list) => {
                self.listing.insert(list, HashSet::new());
                Vec::new()
            }
            News::Listed(list) => {
                let seen = self.listing.remove(&list).unwrap_or_default();
                let mut duties = Vec::new();
                for fact in self.unseen(&list, &seen) {
                    duties.extend(self.learn(fact));
                }
                if self.listed.insert(list) {
                    return self.duties();
                }
                duties
            }
        }
    }

    /// Takes in what is so; the duties for which it may matter.
    pub(super) fn learn(&mut self, fact: Fact) -> Vec<Duty> {
        match fact {
            Fact::Namespace(name, state) => {
                let before = match state {
                    Some(state) => self.namespaces.insert(name.clone(), state),
                    None => self.namespaces.remove(&name),
                };
                if before == state {
                    return Vec::new();
                }
                self.duties_of(&name)
            }
            Fact::Account(key, seen) => {
                let is_new = take(&mut self.accounts, &key, seen).is_some();
                if is_new {
                    vec![Duty::Login(key)]
                } else {
                    Vec::new()
                }
            }
            Fact::Secret(key, seen) => {
                let now = match &seen {
                    Seen::Is(secret) => end_of(secret),
                    Seen::Gone(_) => None,
                };
                let Some(before) = take(&mut self.secrets, &key, seen) else {
                    return Vec::new();
                };
                self.count(before.as_ref().and_then(end_of), now);
                vec![Duty::Login(key)]
            }
            Fact::Grant(namespace, seen) => {
                let is_new = take(&mut self.grants, &namespace, seen).is_some();
                if is_new {
                    vec![Duty::Grant(namespace)]
                } else {
                    Vec::new()
                }
            }
        }
    }

    fn count(&mut self, gone: Option<u64>, new: Option<u64>) {
        if let Some(gone) = gone
            && let Some(count) = self.ends.get_mut(&gone)
        {
            self.kept -= 1;
            *count -= 1;
            if *count == 0 {
                self.ends.remove(&gone);
            }
        }
        if let Some(new) = new {
            self.kept += 1;
            *self.ends.entry(new).or_default() += 1;
        }
    }

    /// That what a list did not show is gone.
    fn unseen(&self, list: &List, seen: &HashSet<Key>) -> Vec<Fact> {
        let gone = |key: &&Key, account: &Arc<str>| key.account == *account && !seen.contains(*key);
        match list {
            List::Namespaces => self
                .namespaces
                .keys()
                .map(|name| Fact::Namespace(name.clone(), None))
                .filter(|fact| !seen.contains(&fact.key()))
                .collect(),
            List::Accounts(account) => self
                .accounts
                .iter()
                .filter(|(key, _)| gone(key, account))
                .map(|(key, was)| Fact::Account(key.clone(), Seen::Gone(was.uid.clone())))
                .collect(),
            List::Secrets(account) => self
                .secrets
                .iter()
                .filter(|(key, _)| gone(key, account))
                .map(|(key, was)| Fact::Secret(key.clone(), Seen::Gone(was.uid.clone())))
                .collect(),
            List::Grants => self
                .grants
                .iter()
                .map(|(name, was)| Fact::Grant(name.clone(), Seen::Gone(was.uid.clone())))
                .filter(|fact| !seen.contains(&fact.key()))
                .collect(),
        }
    }
}

impl Fact {
    fn list(&self) -> List {
        match self {
            Self::Namespace(..) => List::Namespaces,
            Self::Account(key, _) => List::Accounts(key.account.clone()),
            Self::Secret(key, _) => List::Secrets(key.account.clone()),
            Self::Grant(..) => List::Grants,
        }
    }

    /// Of what it is; what a namespace has once names no account.
    fn key(&self) -> Key {
        match self {
            Self::Namespace(name, _) | Self::Grant(name, _) => Key {
                namespace: name.clone(),
                account: Arc::from(""),
            },
            Self::Account(key, _) | Self::Secret(key, _) => key.clone(),
        }
    }
}

/// Puts in what was seen, and gives what was there before; `None` when it is old news: a watch tells what we did after
/// we did the next thing.
#[expect(
    clippy::option_option,
    reason = "whether it was taken, and what was there before"
)]
fn take<K: Clone + Eq + Hash, T: Versioned>(
    known: &mut HashMap<K, T>,
    key: &K,
    seen: Seen<T>,
) -> Option<Option<T>> {
    match seen {
        Seen::Is(new) => {
            let is_old = known.get(key).is_some_and(|old| {
                old.uid() == new.uid() && version(&new).is_some_and(|new| Some(new) < version(old))
            });
            (!is_old).then(|| known.insert(key.clone(), new))
        }
        Seen::Gone(uid) => {
            let is_it = known.get(key).is_some_and(|old| old.uid() == uid);
            is_it.then(|| known.remove(key))
        }
    }
}

/// Versions of one resource are numbers that grow
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>).
fn version(object: &impl Versioned) -> Option<u64> {
    object.version().parse().ok()
}

fn end_of(secret: &PullSecret) -> Option<u64> {
    let since = secret.claims()?.expires.duration_since(UNIX_EPOCH);
    since.ok().map(|since| since.as_secs())
}
