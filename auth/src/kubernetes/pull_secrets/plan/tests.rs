use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::*;
use crate::kubernetes::pull_secrets::observed::namespaces::{ENDING, OPEN, OPTED_OUT};
use crate::kubernetes::pull_secrets::settings::Parts;

mod model;

const HOUR: Duration = Duration::from_secs(3600);

fn parts() -> Parts {
    Parts {
        name: "pull".to_owned(),
        hosts: vec!["registry.example".to_owned()],
        accounts: vec!["default".to_owned()],
        audience: "slipway".to_owned(),
        lifetime: 24 * HOUR,
        renew_before: 8 * HOUR,
        grant_pull: true,
        withdraw: false,
    }
}

fn settings() -> Settings {
    Settings::new(parts()).unwrap()
}

fn key(namespace: &str) -> Key {
    Key {
        namespace: Arc::from(namespace),
        account: Arc::from("default"),
    }
}

fn at(hours: u32) -> SystemTime {
    UNIX_EPOCH + 1_000_000 * HOUR + hours * HOUR
}

fn account(references: &[&str]) -> Account {
    let ours = references.contains(&"pull-default");
    Account {
        uid: "account".to_owned(),
        version: "7".to_owned(),
        references: references.iter().map(ToString::to_string).collect(),
        is_marked: ours,
    }
}

/// Marks the reference as its owner's own.
fn unmarked(references: &[&str]) -> Account {
    Account {
        is_marked: false,
        ..account(references)
    }
}

fn secret(content: Content) -> PullSecret {
    PullSecret {
        uid: "secret".to_owned(),
        version: "9".to_owned(),
        ending: false,
        content,
    }
}

/// Issued at hour 0, good for a day.
fn claims() -> Claims {
    Claims {
        audiences: vec!["slipway".to_owned()],
        account_uid: "account".to_owned(),
        secret_uid: Some("secret".to_owned()),
        issued: at(0),
        expires: at(24),
    }
}

fn good() -> PullSecret {
    secret(Content::Token(claims()))
}

fn token(change: impl FnOnce(&mut Claims)) -> PullSecret {
    let mut claims = claims();
    change(&mut claims);
    secret(Content::Token(claims))
}

/// In one word and its details, an hour after the token was issued.
fn word_for(
    namespace: Option<Namespace>,
    account: Option<&Account>,
    secret: Option<&PullSecret>,
    settings: &Settings,
) -> String {
    let view = View {
        namespace: namespace.as_ref(),
        account,
        secret,
    };
    match plan(&key("team"), view, settings, at(1)) {
        Plan::Rest(None) => "rest".to_owned(),
        Plan::Rest(Some(_)) => "rest until renewal".to_owned(),
        Plan::Blocked(uid) => format!("blocked by {uid}"),
        Plan::Act(Step::Make) => "make".to_owned(),
        Plan::Act(Step::Fill { uid, version, why }) => format!("fill {uid} at {version}: {why:?}"),
        Plan::Act(Step::Refer {
            version,
            references,
        }) => format!("refer at {version} beside {references:?}"),
        Plan::Act(Step::Withdraw { secret }) => format!("withdraw {secret:?}"),
        Plan::Act(Step::Remove { uid }) => format!("remove {uid}"),
    }
}

type Row = (
    Option<Namespace>,
    Option<Account>,
    Option<PullSecret>,
    &'static str,
);

#[track_caller]
fn check(table: impl IntoIterator<Item = Row>) {
    let settings = settings();
    for (namespace, account, secret, wanted) in table {
        let said = word_for(namespace, account.as_ref(), secret.as_ref(), &settings);
        assert_eq!(said, wanted, "{namespace:?} {account:?} {secret:?}");
    }
}

fn ours() -> Account {
    account(&["own", "pull-default"])
}

fn bare() -> Account {
    account(&["own"])
}

fn ending(secret: PullSecret) -> PullSecret {
    PullSecret {
        ending: true,
        ..secret
    }
}

fn foreign() -> PullSecret {
    secret(Content::Foreign)
}

#[test]
fn what_is_not_there_or_not_for_long_is_left() {
    let open = Some(OPEN);
    check([
        (None, None, None, "rest"),
        (None, Some(bare()), None, "rest"),
        (None, Some(bare()), Some(good()), "rest"),
        (Some(ENDING), Some(bare()), None, "rest"),
        (Some(ENDING), Some(ours()), Some(good()), "rest"),
        (open, None, None, "rest"),
        // The ServiceAccount is gone, and so is what its token was worth.
        (open, None, Some(good()), "remove secret"),
        (open, None, Some(ending(good())), "rest"),
    ]);
}

#[test]
fn what_is_missing_is_made_and_what_was_changed_is_mended() {
    let open = Some(OPEN);
    let refer = "refer at 7 beside [\"own\"]";
    let own = unmarked(&["pull-default"]);
    let taken_out = Account {
        is_marked: true,
        ..bare()
    };
    let empty = || secret(Content::Empty);
    let altered = || secret(Content::Altered);
    let fixed = || secret(Content::Fixed);
    check([
        // The way of a new ServiceAccount.
        (open, Some(bare()), None, "make"),
        (open, Some(bare()), Some(empty()), "fill secret at 9: New"),
        (open, Some(bare()), Some(good()), refer),
        (open, Some(ours()), Some(good()), "rest until renewal"),
        // A reference that its owner made will do.
        (open, Some(own), Some(good()), "rest until renewal"),
        // Somebody took the reference out and left the annotation.
        (open, Some(taken_out), Some(good()), refer),
        // The secret was deleted, altered, made unchangeable.
        (open, Some(ours()), None, "make"),
        (
            open,
            Some(ours()),
            Some(altered()),
            "fill secret at 9: Altered",
        ),
        (open, Some(ours()), Some(fixed()), "remove secret"),
        (open, Some(ours()), Some(ending(good())), "rest"),
        (open, Some(ours()), Some(ending(fixed())), "rest"),
    ]);
}

#[test]
fn a_token_that_is_not_this_ones_is_replaced() {
    type Change = fn(&mut Claims);
    let strange = "fill secret at 9: Strange";
    let table: [(Change, &str); 5] = [
        (|claims| claims.account_uid = "before".to_owned(), strange),
        (
            |claims| claims.secret_uid = Some("copied".to_owned()),
            strange,
        ),
        (|claims| claims.secret_uid = None, strange),
        (
            |claims| claims.audiences = vec!["vault".to_owned()],
            strange,
        ),
        (|claims| claims.expires = at(1), "fill secret at 9: Renewal"),
    ];
    for (change, wanted) in table {
        check([(Some(OPEN), Some(ours()), Some(token(change)), wanted)]);
    }
}

#[test]
fn what_is_somebody_elses_is_not_touched() {
    let (open, out) = (Some(OPEN), Some(OPTED_OUT));
    check([
        (open, None, Some(foreign()), "rest"),
        (open, Some(bare()), Some(foreign()), "blocked by secret"),
        (
            open,
            Some(ours()),
            Some(ending(foreign())),
            "blocked by secret",
        ),
        (out, Some(bare()), Some(foreign()), "rest"),
        // Our reference is taken back, their secret stays.
        (out, Some(ours()), Some(foreign()), "withdraw None"),
    ]);
}

#[test]
fn opting_out_takes_back_what_was_made_and_nothing_else() {
    let out = Some(OPTED_OUT);
    let both = "withdraw Some(\"secret\")";
    let empty = secret(Content::Empty);
    check([
        (out, Some(bare()), None, "rest"),
        (out, None, None, "rest"),
        (out, Some(ours()), None, "withdraw None"),
        (out, Some(ours()), Some(good()), both),
        (out, Some(unmarked(&["pull-default"])), None, "rest"),
        (out, None, Some(empty), both),
        (out, None, Some(ending(good())), "rest"),
    ]);
}

#[test]
fn withdrawing_is_opting_every_namespace_out() {
    let settings = Settings::new(Parts {
        withdraw: true,
        ..parts()
    })
    .unwrap();
    let ours = account(&["pull-default"]);
    let said = word_for(Some(OPEN), Some(&ours), Some(&good()), &settings);
    assert_eq!(said, "withdraw Some(\"secret\")");
    let none = word_for(Some(OPEN), Some(&account(&[])), None, &settings);
    assert_eq!(none, "rest");
}

/// When the token of this namespace is replaced.
fn renewal_of(namespace: &str, claims: &Claims, settings: &Settings) -> SystemTime {
    let view = View {
        namespace: Some(&OPEN),
        account: Some(&account(&["pull-default"])),
        secret: Some(&secret(Content::Token(claims.clone()))),
    };
    match plan(&key(namespace), view, settings, claims.issued) {
        Plan::Rest(Some(until)) => until,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tokens_are_replaced_in_time_and_not_all_together() {
    let settings = settings();
    let names = (0..500).map(|n| format!("ns-{n}"));
    let times: Vec<_> = names
        .map(|name| renewal_of(&name, &claims(), &settings))
        .collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    // Eight hours before the end at the latest, and up to a tenth of the sixteen earlier.
    assert!(*last <= at(16) && *first >= at(14), "{first:?} {last:?}");
    assert!(last.duration_since(*first).unwrap() > HOUR);
    assert_eq!(
        renewal_of("ns-1", &claims(), &settings),
        times[1],
        "a restart changes it"
    );
}

#[test]
fn a_token_that_the_cluster_made_shorter_is_replaced_in_its_own_time() {
    let short = Claims {
        expires: at(1),
        ..claims()
    };
    let renewal = renewal_of("team", &short, &settings());
    let after = renewal.duration_since(at(0)).unwrap();
    assert!(
        after > HOUR / 2 && after <= HOUR * 2 / 3 + Duration::from_secs(1),
        "{after:?}"
    );
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    type Change = fn(&mut Parts);
    let table: [(Change, &str); 12] = [
        (|parts| parts.name = String::new(), "name: "),
        (|parts| parts.name = "Pull".to_owned(), "name: "),
        (|parts| parts.name = "a.b".to_owned(), "name: "),
        (|parts| parts.name = "x".repeat(51), "name: "),
        (|parts| parts.hosts = Vec::new(), "hosts: "),
        (|parts| parts.accounts = Vec::new(), "serviceAccounts: "),
        (
            |parts| parts.accounts = vec!["-a".to_owned()],
            "serviceAccounts: ",
        ),
        (|parts| parts.audience = String::new(), "enabled: "),
        (|parts| parts.lifetime = HOUR / 7, "lifetime: "),
        (|parts| parts.lifetime = 31 * 24 * HOUR, "lifetime: "),
        (|parts| parts.renew_before = 24 * HOUR, "renewBefore: "),
        (|parts| parts.renew_before = Duration::ZERO, "renewBefore: "),
    ];
    for (change, wanted) in table {
        let mut parts = parts();
        change(&mut parts);
        let said = Settings::new(parts).unwrap_err().to_string();
        assert!(said.starts_with(wanted), "{said}");
    }
}
