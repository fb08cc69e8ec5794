//! Whatever people do to a namespace, the plan comes to rest where it should, and has touched nothing of theirs.

use proptest::prelude::*;

use super::*;

/// A namespace as the API server has it: what steps do to it, and what others do.
#[derive(Clone, Debug, Default)]
struct Cluster {
    opted_out: bool,
    account: Option<Account>,
    secret: Option<PullSecret>,
    versions: u32,
}

#[derive(Clone, Debug)]
enum Deed {
    OptOut(bool),
    MakeAccount,
    DeleteAccount,
    Refer(Vec<&'static str>),
    DropMark,
    DeleteSecret,
    Spoil(Content),
    OwnSecret,
    /// Hours.
    Wait(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    let names = prop::sample::subsequence(vec!["mine", "pull-default", "zz"], 0..=3);
    prop_oneof![
        any::<bool>().prop_map(Deed::OptOut),
        Just(Deed::MakeAccount),
        Just(Deed::DeleteAccount),
        names.prop_map(Deed::Refer),
        Just(Deed::DropMark),
        Just(Deed::DeleteSecret),
        Just(Deed::Spoil(Content::Empty)),
        Just(Deed::Spoil(Content::Altered)),
        Just(Deed::Spoil(Content::Fixed)),
        Just(Deed::Spoil(Content::Foreign)),
        Just(Deed::OwnSecret),
        (0u32..30).prop_map(Deed::Wait),
    ]
}

impl Cluster {
    fn next(&mut self) -> String {
        self.versions += 1;
        self.versions.to_string()
    }

    fn make_secret(&mut self, content: Content) {
        let id = self.next();
        self.secret.get_or_insert(PullSecret {
            uid: format!("secret {id}"),
            version: id,
            ending: false,
            content,
        });
    }

    fn suffer(&mut self, deed: Deed, hour: &mut u32) {
        let id = self.next();
        match deed {
            Deed::OptOut(out) => self.opted_out = out,
            Deed::MakeAccount => {
                self.account.get_or_insert(Account {
                    uid: format!("account {id}"),
                    version: id,
                    references: vec!["mine".to_owned()],
                    is_marked: false,
                });
            }
            Deed::DeleteAccount => self.account = None,
            Deed::Refer(names) => {
                if let Some(account) = &mut self.account {
                    account.references = names.iter().map(ToString::to_string).collect();
                    account.version = id;
                }
            }
            Deed::DropMark => {
                if let Some(account) = &mut self.account {
                    account.is_marked = false;
                    account.version = id;
                }
            }
            Deed::DeleteSecret => self.secret = None,
            Deed::Spoil(content) => {
                if let Some(secret) = &mut self.secret {
                    secret.content = content;
                    secret.version = id;
                }
            }
            Deed::OwnSecret => self.make_secret(Content::Foreign),
            Deed::Wait(hours) => *hour += hours,
        }
    }

    /// As the API server does it: nothing that is not at the version or has not the uid that is named.
    fn obey(&mut self, step: Step, hour: u32) {
        let id = self.next();
        match step {
            Step::Make => self.make_secret(Content::Empty),
            Step::Fill { uid, version, .. } => {
                let account_uid = self.account.as_ref().unwrap().uid.clone();
                let secret = self.secret.as_mut().unwrap();
                assert_eq!((&secret.uid, &secret.version), (&uid, &version));
                assert_ne!(secret.content, Content::Fixed);
                secret.version = id;
                secret.content = Content::Token(Claims {
                    audiences: vec!["slipway".to_owned()],
                    account_uid,
                    secret_uid: Some(uid),
                    issued: at(hour),
                    expires: at(hour + 24),
                });
            }
            Step::Refer {
                version,
                mut references,
            } => {
                let account = self.account.as_mut().unwrap();
                assert_eq!(account.version, version);
                references.push("pull-default".to_owned());
                account.references = references;
                account.is_marked = true;
                account.version = id;
            }
            Step::Withdraw { secret } => {
                if let Some(account) = self.account.as_mut().filter(|account| account.is_marked) {
                    account.references.retain(|name| name != "pull-default");
                    account.is_marked = false;
                    account.version = id;
                }
                if let Some(uid) = secret {
                    self.remove(&uid);
                }
            }
            Step::Remove { uid } => self.remove(&uid),
        }
    }

    fn remove(&mut self, uid: &str) {
        assert_eq!(self.secret.as_ref().unwrap().uid, uid);
        self.secret = None;
    }

    fn others(&self) -> Option<Vec<String>> {
        let names = self.account.as_ref()?.references.iter();
        Some(
            names
                .filter(|name| *name != "pull-default")
                .cloned()
                .collect(),
        )
    }

    fn is_foreign(&self) -> bool {
        let content = self.secret.as_ref().map(|secret| &secret.content);
        content == Some(&Content::Foreign)
    }

    /// Follows the plan until there is nothing to do.
    fn settle(&mut self, hour: u32) -> Plan {
        let settings = settings();
        for _ in 0..8 {
            let namespace = Namespace {
                opted_out: self.opted_out,
                ending: false,
            };
            let view = View {
                namespace: Some(&namespace),
                account: self.account.as_ref(),
                secret: self.secret.as_ref(),
            };
            match plan(&key("team"), view, &settings, at(hour)) {
                Plan::Act(step) => self.obey(step, hour),
                rest => return rest,
            }
        }
        panic!("it does not come to rest: {self:?}");
    }
}

proptest! {
    #[test]
    fn the_plan_comes_to_rest_where_it_should(rounds in prop::collection::vec(prop::collection::vec(deed(), 1..5), 1..8)) {
        let mut cluster = Cluster::default();
        let mut hour = 0;
        for deeds in rounds {
            for deed in deeds {
                cluster.suffer(deed, &mut hour);
            }
            let before = cluster.clone();
            let plan = cluster.settle(hour);
            prop_assert_eq!(cluster.others(), before.others());
            if before.is_foreign() {
                prop_assert_eq!(&cluster.secret, &before.secret);
            }
            let Some(account) = &cluster.account else {
                prop_assert!(cluster.secret.is_none() || cluster.is_foreign());
                continue;
            };
            let is_named = account.references.iter().any(|name| name == "pull-default");
            if cluster.opted_out {
                prop_assert!(cluster.secret.is_none() || cluster.is_foreign());
                prop_assert!(!account.is_marked);
            } else if cluster.is_foreign() {
                prop_assert!(matches!(plan, Plan::Blocked(_)));
            } else {
                let claims = cluster.secret.as_ref().and_then(PullSecret::claims).unwrap();
                prop_assert!(is_named);
                prop_assert_eq!(&claims.account_uid, &account.uid);
                prop_assert_eq!(claims.secret_uid.as_ref(), cluster.secret.as_ref().map(|secret| &secret.uid));
                prop_assert!(claims.expires > at(hour + 7));
                prop_assert!(matches!(plan, Plan::Rest(Some(until)) if until > at(hour)));
            }
        }
    }
}
