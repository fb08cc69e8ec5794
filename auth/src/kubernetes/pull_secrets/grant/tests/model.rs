//! Whatever people do to the binding, the plan comes to rest where it should, and has touched nothing of theirs.

use proptest::prelude::*;

use super::*;

/// A namespace's binding as the API server has it.
#[derive(Clone, Debug, Default)]
struct Cluster {
    opted_out: bool,
    grant: Option<Grant>,
    versions: u32,
}

#[derive(Clone, Debug)]
enum Deed {
    OptOut(bool),
    Delete,
    /// Deletes it, while a finalizer keeps it.
    End,
    /// It goes at last.
    Finalize,
    Make(Standing),
    Spoil(Standing),
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Foreign),
        Just(Standing::Fixed),
        Just(Standing::Altered),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        any::<bool>().prop_map(Deed::OptOut),
        Just(Deed::Delete),
        Just(Deed::End),
        Just(Deed::Finalize),
        standing().prop_map(Deed::Make),
        standing().prop_map(Deed::Spoil),
    ]
}

impl Cluster {
    fn make(&mut self, standing: Standing) {
        self.versions += 1;
        let id = self.versions.to_string();
        self.grant.get_or_insert(Grant {
            uid: format!("binding {id}"),
            version: id,
            ending: false,
            standing,
        });
    }

    fn suffer(&mut self, deed: Deed) {
        self.versions += 1;
        let version = self.versions.to_string();
        match (deed, &mut self.grant) {
            (Deed::OptOut(out), _) => self.opted_out = out,
            (Deed::Delete, grant) => *grant = None,
            (Deed::End, Some(grant)) => grant.ending = true,
            (Deed::Finalize, grant) => {
                grant.take_if(|grant| grant.ending);
            }
            (Deed::Make(standing), _) => self.make(standing),
            (Deed::Spoil(standing), Some(grant)) => {
                grant.standing = standing;
                grant.version = version;
            }
            (Deed::End | Deed::Spoil(_), None) => {}
        }
    }

    /// As the API server does it: nothing that is not at the version or has not the uid that is named.
    fn obey(&mut self, step: Step) {
        match step {
            Step::Make => {
                assert_eq!(self.grant, None);
                self.make(Standing::Good);
            }
            Step::Mend { version } => {
                let grant = self.grant.as_mut().unwrap();
                assert_eq!(grant.version, version);
                // The role cannot be changed.
                assert_eq!(grant.standing, Standing::Altered);
                grant.standing = Standing::Good;
            }
            Step::Remove { uid } => {
                assert_eq!(self.grant.take().unwrap().uid, uid);
            }
        }
    }

    /// Follows the plan until there is nothing to do.
    fn settle(&mut self) -> Plan<Step> {
        for _ in 0..4 {
            let namespace = Namespace {
                opted_out: self.opted_out,
                ending: false,
            };
            match plan(Some(&namespace), self.grant.as_ref(), &settings()) {
                Plan::Act(step) => self.obey(step),
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
        for deeds in rounds {
            for deed in deeds {
                cluster.suffer(deed);
            }
            let before = cluster.grant.clone();
            let plan = cluster.settle();
            let is_foreign = |grant: &Grant| grant.standing == Standing::Foreign;
            if before.as_ref().is_some_and(is_foreign) {
                prop_assert_eq!(&cluster.grant, &before);
                prop_assert_eq!(matches!(plan, Plan::Blocked(_)), !cluster.opted_out);
                continue;
            }
            prop_assert_eq!(plan, Plan::Rest(None));
            if before.as_ref().is_some_and(|grant| grant.ending) {
                prop_assert_eq!(&cluster.grant, &before);
            } else if cluster.opted_out {
                prop_assert_eq!(&cluster.grant, &None);
            } else {
                let standing = cluster.grant.as_ref().map(|grant| grant.standing);
                prop_assert_eq!(standing, Some(Standing::Good));
            }
        }
    }
}
