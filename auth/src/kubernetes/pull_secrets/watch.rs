//! The watches, and what is taken of what they bring.

use std::future::ready;
use std::sync::Arc;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Namespace as KubeNamespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};

use super::grant::Grant;
use super::observed::{Account, Key, Namespace, PullSecret};
use super::settings::Settings;
use super::world::{Fact, List, News, Seen};

pub(super) type Watches = SelectAll<BoxStream<'static, Result<News, Broken>>>;

/// A watch that has an error, and begins again.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) list: List,
    pub(super) error: watcher::Error,
}

/// Watches of all that matters. The API server chooses by name, which also is all that the role of
/// install/pull-secrets.yaml lets us see: no secret and no `RoleBinding` of another name.
pub(super) fn watches(client: &Client, settings: &Arc<Settings>) -> Watches {
    let mut all = SelectAll::new();
    let namespaces = Api::<PartialObjectMeta<KubeNamespace>>::all(client.clone());
    let namespaces = watcher(namespaces, watcher::Config::default());
    all.push(news(namespaces, List::Namespaces, |namespace, is_there| {
        let name = Arc::from(namespace.name_any());
        Fact::Namespace(name, is_there.then(|| Namespace::of(&namespace)))
    }));
    let bindings = Api::<RoleBinding>::all(client.clone());
    let bindings = watcher(bindings, called(&settings.name));
    let of = Arc::clone(settings);
    let bindings = news(bindings, List::Grants, move |found, is_there| {
        let (namespace, seen) = seen(&found, is_there, |found| Grant::of(found, &of));
        Fact::Grant(Arc::from(namespace), seen)
    });
    // Where none are wanted, those that were made are removed. Who may not see them has made none.
    let are_wanted = settings.grant_pull;
    let goes_on = move |news: &Result<News, Broken>| {
        let is_forbidden = matches!(news, Err(broken) if is_forbidden(&broken.error));
        ready(are_wanted || !is_forbidden)
    };
    all.push(bindings.take_while(goes_on).boxed());
    for account in &settings.accounts {
        let accounts = watcher(Api::<ServiceAccount>::all(client.clone()), called(account));
        let (name, of) = (account.clone(), Arc::clone(settings));
        let list = List::Accounts(account.clone());
        all.push(news(accounts, list, move |found, is_there| {
            let seen = seen(&found, is_there, |found| Account::of(found, &of));
            Fact::Account(key(&seen.0, &name), seen.1)
        }));
        let secrets = watcher(
            Api::<Secret>::all(client.clone()),
            called(&settings.secret_of(account)),
        );
        let (name, of) = (account.clone(), Arc::clone(settings));
        let list = List::Secrets(account.clone());
        all.push(news(secrets, list, move |found, is_there| {
            let seen = seen(&found, is_there, |found| PullSecret::of(found, &of));
            Fact::Secret(key(&seen.0, &name), seen.1)
        }));
    }
    all
}

/// A page of secrets of the greatest size (1 MiB, more in base64) is shorter than an answer may be.
const PAGE: u32 = 50;

fn called(name: &str) -> watcher::Config {
    watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .page_size(PAGE)
}

fn key(namespace: &str, account: &Arc<str>) -> Key {
    Key {
        namespace: Arc::from(namespace),
        account: account.clone(),
    }
}

/// The object's namespace and what is so about it.
fn seen<K: Resource, T>(found: &K, is_there: bool, of: impl Fn(&K) -> T) -> (String, Seen<T>) {
    let seen = if is_there {
        Seen::Is(of(found))
    } else {
        Seen::Gone(found.uid().unwrap_or_default())
    };
    (found.namespace().unwrap_or_default(), seen)
}

fn news<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    list: List,
    fact: impl Fn(K, bool) -> Fact + Send + 'static,
) -> BoxStream<'static, Result<News, Broken>> {
    let news = move |event: watcher::Result<Event<K>>| {
        let broken = |error| Broken {
            list: list.clone(),
            error,
        };
        Ok(match event.map_err(broken)? {
            Event::Apply(object) | Event::InitApply(object) => News::Fact(fact(object, true)),
            Event::Delete(object) => News::Fact(fact(object, false)),
            Event::Init => News::Listing(list.clone()),
            Event::InitDone => News::Listed(list.clone()),
        })
    };
    events.default_backoff().map(news).boxed()
}

/// Whether it is a right that a watch lacks.
fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status.code == 403,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}
