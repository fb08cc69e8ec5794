use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn id(namespace: &str, name: &str) -> RunId {
    RunId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn run(namespace: &str, build: &str, number: u64, policy: RunPolicy) -> Waiting {
    Waiting {
        id: id(namespace, &format!("{build}-{number}")),
        build: Some(build.to_owned()),
        policy,
        line: branch("main"),
        asked: (number, number),
        until: 1000 + number,
    }
}

fn branch(name: &str) -> Line {
    Line::Branch(name.to_owned())
}

fn git_or_image(source: serde_json::Value) -> Line {
    Line::of(&serde_json::from_value(source).unwrap())
}

fn queue(all: usize, of_namespace: usize) -> Queue {
    Queue::new(Workers { all, of_namespace })
}

fn begin(queue: &mut Queue) -> Vec<String> {
    std::iter::from_fn(|| queue.next())
        .map(|id| format!("{}/{}", id.namespace, id.name))
        .collect()
}

#[test]
fn namespaces_take_turns() {
    let mut queue = queue(3, 3);
    for number in 1..=5 {
        queue.push(run("a", "x", number, RunPolicy::Parallel));
    }
    queue.push(run("b", "y", 9, RunPolicy::Parallel));
    queue.push(run("c", "z", 9, RunPolicy::Parallel));
    assert_eq!(begin(&mut queue), ["a/x-1", "b/y-9", "c/z-9"]);
    queue.ended(&id("b", "y-9"));
    assert_eq!(begin(&mut queue), ["a/x-2"]);
}

#[test]
fn a_namespace_has_its_share_only() {
    let mut queue = queue(4, 2);
    for number in 1..=5 {
        queue.push(run("a", "x", number, RunPolicy::Parallel));
    }
    queue.push(run("b", "y", 9, RunPolicy::Parallel));
    assert_eq!(begin(&mut queue), ["a/x-1", "b/y-9", "a/x-2"]);
}

#[test]
fn nobody_has_all_workers_where_there_are_others() {
    let mut queue = queue(3, 3);
    for number in 1..=5 {
        queue.push(run("a", "x", number, RunPolicy::Parallel));
    }
    assert_eq!(begin(&mut queue), ["a/x-1", "a/x-2", "a/x-3"], "alone");
    queue.know("b");
    queue.ended(&id("a", "x-1"));
    assert_eq!(begin(&mut queue), [""; 0]);
    queue.push(run("b", "y", 6, RunPolicy::Parallel));
    assert_eq!(begin(&mut queue), ["b/y-6"]);
    queue.ended(&id("a", "x-2"));
    assert_eq!(begin(&mut queue), ["a/x-4"]);
}

#[test]
fn a_run_says_why_it_waits() {
    let mut queue = queue(3, 2);
    let why = |queue: &Queue, name: &str| queue.wait(&id("a", name));
    let earlier = |name: &str| Some(Wait::EarlierRun(name.to_owned()));
    for number in 1..=3 {
        queue.push(run("a", "x", number, RunPolicy::Serial));
    }
    assert_eq!(why(&queue, "x-1"), None, "it is about to begin");
    assert_eq!(why(&queue, "x-2"), earlier("x-1"));
    assert_eq!(begin(&mut queue), ["a/x-1"]);
    assert_eq!(why(&queue, "x-1"), None, "it is at work");
    assert_eq!(why(&queue, "x-3"), earlier("x-1"));
    queue.push(run("a", "y", 4, RunPolicy::Parallel));
    queue.push(run("a", "z", 5, RunPolicy::Parallel));
    assert_eq!(begin(&mut queue), ["a/y-4"]);
    assert_eq!(why(&queue, "z-5"), Some(Wait::NamespaceLimit(2)));
    // Where it has as many as there are, it is not its limit that holds it.
    for number in 6..=7 {
        queue.push(run("b", "v", number, RunPolicy::Parallel));
    }
    assert_eq!(begin(&mut queue), ["b/v-6"]);
    assert_eq!(queue.wait(&id("b", "v-7")), Some(Wait::WorkersBusy(3)));
    assert_eq!(why(&queue, "z-5"), Some(Wait::NamespaceLimit(2)));
    queue.ended(&id("a", "x-1"));
    assert_eq!(why(&queue, "z-5"), None);
    assert_eq!(queue.wait(&id("b", "none")), None);
}

#[test]
fn one_worker_is_everybodys() {
    let mut queue = queue(1, 1);
    queue.push(run("a", "x", 1, RunPolicy::Parallel));
    queue.push(run("b", "y", 2, RunPolicy::Parallel));
    assert_eq!(begin(&mut queue), ["a/x-1"]);
    queue.ended(&id("a", "x-1"));
    assert_eq!(begin(&mut queue), ["b/y-2"]);
}

/// Somebody asks for a branch that is not there: that is no reason to build none.
#[test]
fn a_run_of_another_branch_makes_none_needless() {
    let mut queue = queue(1, 1);
    queue.push(run("a", "x", 1, RunPolicy::Serial));
    assert_eq!(begin(&mut queue), ["a/x-1"]);
    let of = |number: u64, line: Line| Waiting {
        line,
        ..run("a", "y", number, RunPolicy::SerialLatestOnly)
    };
    for waiting in [of(2, branch("main")), of(3, branch("nowhere"))] {
        queue.push(waiting);
    }
    assert_eq!(queue.superseded(), []);
    queue.push(of(4, branch("main")));
    assert_eq!(queue.superseded(), [(id("a", "y-2"), id("a", "y-4"))]);
    // Of which branch a commit or a folder is is not known: it is that of no run but its own.
    let image = |digest: &str| git_or_image(json!({"kind": "image", "reference": digest}));
    let git = |revision: &str| {
        git_or_image(
            json!({"kind": "git", "url": "https://git.example/a.git", "revision": revision}),
        )
    };
    let commit = |digit: &str| git(&digit.repeat(40));
    queue.push(of(5, image("a/sources/y@sha256:1")));
    queue.push(of(6, commit("1")));
    queue.push(of(7, commit("2")));
    assert_eq!(queue.superseded(), []);
    queue.push(of(8, git("main")));
    queue.push(of(9, commit("1")));
    queue.push(of(10, image("a/sources/y@sha256:1")));
    let gone = [("y-4", "y-8"), ("y-5", "y-10"), ("y-6", "y-9")];
    let gone = gone.map(|(gone, newer)| (id("a", gone), id("a", newer)));
    assert_eq!(queue.superseded(), gone);
}

#[test]
fn places_are_kept_for_those_that_are_being_asked_for() {
    let mut queue = queue(0, 1);
    assert_eq!(queue.keep("a", 2), Ok(()));
    queue.push(run("a", "x", 1, RunPolicy::Parallel));
    assert_eq!(queue.keep("a", 2), Err(2));
    assert_eq!(queue.keep("b", 2), Ok(()));
    queue.give_back("a");
    assert_eq!(queue.keep("a", 2), Ok(()));
    queue.give_back("a");
    queue.ended(&id("a", "x-1"));
    queue.give_back("b");
    assert!(queue.kept.is_empty());
}

#[test]
fn serial_runs_have_their_turns_and_hold_nobody_else() {
    let mut queue = queue(4, 4);
    for number in [2, 1] {
        queue.push(run("a", "x", number, RunPolicy::Serial));
    }
    queue.push(run("a", "y", 3, RunPolicy::Serial));
    let mut check = run("a", "x", 4, RunPolicy::Serial);
    check.build = None;
    queue.push(check);
    assert_eq!(begin(&mut queue), ["a/x-1", "a/y-3", "a/x-4"]);
    queue.ended(&id("a", "x-1"));
    assert_eq!(begin(&mut queue), ["a/x-2"]);
}

#[test]
fn of_those_that_wait_only_the_latest_runs() {
    let mut queue = queue(4, 4);
    queue.push(run("a", "x", 1, RunPolicy::SerialLatestOnly));
    assert_eq!(begin(&mut queue), ["a/x-1"]);
    for number in 2..=4 {
        queue.push(run("a", "x", number, RunPolicy::SerialLatestOnly));
    }
    queue.push(run("b", "x", 5, RunPolicy::SerialLatestOnly));
    let gone = queue.superseded();
    assert_eq!(
        gone,
        [
            (id("a", "x-2"), id("a", "x-4")),
            (id("a", "x-3"), id("a", "x-4"))
        ]
    );
    queue.ended(&id("a", "x-1"));
    assert_eq!(begin(&mut queue), ["b/x-5", "a/x-4"]);
}

#[test]
fn whoever_waits_too_long_is_out() {
    let mut queue = queue(0, 1);
    queue.push(run("a", "x", 1, RunPolicy::Serial));
    queue.push(run("b", "x", 7, RunPolicy::Serial));
    assert_eq!(queue.due(), Some(1001));
    assert_eq!(queue.overdue(1000), []);
    assert_eq!(queue.overdue(1001), [id("a", "x-1")]);
    assert_eq!(queue.due(), Some(1007));
    assert_eq!((queue.waiting(), queue.working()), (1, 0));
}

#[derive(Clone, Debug)]
enum Act {
    Push {
        namespace: u8,
        build: u8,
        policy: RunPolicy,
    },
    /// The one of those at work.
    End(usize),
    /// The one of those that wait.
    Cancel(usize),
}

fn policy() -> impl Strategy<Value = RunPolicy> {
    prop_oneof![
        Just(RunPolicy::Serial),
        Just(RunPolicy::SerialLatestOnly),
        Just(RunPolicy::Parallel)
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..4u8, 0..3u8, policy()).prop_map(|(namespace, build, policy)| Act::Push {
            namespace,
            build,
            policy
        }),
        3 => any::<usize>().prop_map(Act::End),
        1 => any::<usize>().prop_map(Act::Cancel),
    ]
}

proptest! {
    /// Whatever happens: no more runs than may be, no two of a serial build, none of a build before an older one, no
    /// worker idle while something could run, nobody lost, and nobody overtaken for long.
    #[test]
    fn the_queue_keeps_its_promises(
        acts in proptest::collection::vec(act(), 1..200),
        all in 1..5usize,
        of_namespace in 1..4usize,
    ) {
        let mut queue = queue(all, of_namespace);
        let mut namespaces = BTreeSet::new();
        let mut asked: BTreeMap<RunId, Waiting> = BTreeMap::new();
        let mut working: BTreeSet<RunId> = BTreeSet::new();
        // Per namespace: how many others began while it could have.
        let mut passed: BTreeMap<String, usize> = BTreeMap::new();
        for (number, act) in (1..).zip(acts) {
            match act {
                Act::Push { namespace, build, policy } => {
                    let run = run(&format!("n{namespace}"), &format!("b{build}"), number, policy);
                    queue.push(run.clone());
                    queue.push(run.clone());
                    namespaces.insert(namespace);
                    asked.insert(run.id.clone(), run);
                }
                Act::End(which) => {
                    if let Some(ended) = working.iter().nth(which % all).cloned() {
                        queue.ended(&ended);
                        working.remove(&ended);
                    }
                }
                Act::Cancel(which) => {
                    let index = which % (asked.len() + 1);
                    if let Some(id) = asked.keys().nth(index).cloned() {
                        queue.ended(&id);
                        asked.remove(&id);
                    }
                }
            }
            for (gone, newer) in queue.superseded() {
                let gone = asked.remove(&gone).unwrap();
                prop_assert_eq!(gone.policy, RunPolicy::SerialLatestOnly);
                prop_assert!(asked[&newer].asked > gone.asked);
            }
            let of_namespace = match namespaces.len() {
                0 | 1 => of_namespace,
                _ => of_namespace.min((all - 1).max(1)),
            };
            loop {
                let free: BTreeSet<String> = asked
                    .values()
                    .filter(|run| may(run, &asked, &working, all, of_namespace))
                    .map(|run| run.id.namespace.clone())
                    .collect();
                let Some(next) = queue.next() else {
                    prop_assert!(free.is_empty(), "{free:?} could run");
                    break;
                };
                let run = asked[&next].clone();
                prop_assert!(may(&run, &asked, &working, all, of_namespace), "{run:?}");
                asked.remove(&next);
                working.insert(next.clone());
                passed.remove(&next.namespace);
                passed.retain(|namespace, _| free.contains(namespace));
                for namespace in free.iter().filter(|namespace| **namespace != next.namespace) {
                    let count = passed.entry(namespace.clone()).or_default();
                    *count += 1;
                    // Three others, each once.
                    prop_assert!(*count <= 3, "{namespace} was passed over");
                }
            }
            prop_assert_eq!(queue.waiting(), asked.len());
            prop_assert_eq!(queue.working(), working.len());
        }
    }
}

/// What the queue should think, in the plainest words.
fn may(
    run: &Waiting,
    asked: &BTreeMap<RunId, Waiting>,
    working: &BTreeSet<RunId>,
    all: usize,
    of_namespace: usize,
) -> bool {
    let build = |id: &RunId| id.name.split_once('-').map(|(build, _)| build.to_owned());
    let same = |id: &RunId| id.namespace == run.id.namespace && build(id) == build(&run.id);
    let share = working.iter().filter(|id| id.namespace == run.id.namespace);
    let workers = working.len() < all && share.count() < of_namespace;
    let older = asked.values().any(|other| {
        same(&other.id) && other.policy != RunPolicy::Parallel && other.asked < run.asked
    });
    let alone = !working.iter().any(same) && !older;
    workers && (run.policy == RunPolicy::Parallel || alone)
}
