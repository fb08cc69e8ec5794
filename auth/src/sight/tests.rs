use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::{Access, Action, Actions, Policy, Right, RulesKept, Tokens};

/// All of `open`, and `named/050`. It counts what it is asked.
#[derive(Debug, Default)]
struct Asked(AtomicUsize);

#[async_trait]
impl Policy for Asked {
    async fn allows(&self, _: &Identity, _: Action, repo: &RepoName) -> Result<bool, Refusal> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(repo.namespace() == "open" || repo.as_str() == "named/050")
    }

    async fn lists_all_of(&self, _: &Identity, namespace: &str) -> Result<Option<bool>, Refusal> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Some(namespace == "open"))
    }

    async fn has_right(&self, _: &Identity, _: Right, _: Option<&str>) -> Result<bool, Refusal> {
        Ok(false)
    }

    fn rules_kept(&self) -> RulesKept {
        RulesKept::Nowhere
    }
}

fn names() -> Vec<RepoName> {
    let mut names = Vec::new();
    for namespace in ["hidden", "named", "open"] {
        let all = (0..150).map(|number| format!("{namespace}/{number:03}"));
        names.extend(all.map(|name| RepoName::parse(&name).unwrap()));
    }
    names
}

fn gate() -> (Gate, Arc<Asked>) {
    let policy = Arc::new(Asked::default());
    let asked = Arc::clone(&policy);
    (Gate::new(vec![], policy, None, true), asked)
}

/// All that `who` sees, in as many requests as it takes, each within its budget.
async fn all(who: &Identity) -> (Vec<RepoName>, usize) {
    let (gate, asked) = gate();
    let (names, mut from, mut seen, mut requests) = (names(), 0, Vec::new(), 0);
    while from < names.len() {
        let before = asked.0.load(Ordering::Relaxed);
        let looked = gate.sight(who).look(&names[from..], usize::MAX).await;
        let looked = looked.unwrap();
        assert!(looked.looked_at > 0, "no progress");
        assert!(asked.0.load(Ordering::Relaxed) - before <= BUDGET);
        from += looked.looked_at;
        seen.extend(looked.repositories);
        requests += 1;
    }
    (seen, requests)
}

#[tokio::test]
async fn it_comes_to_the_end_within_its_budget_and_misses_nothing() {
    let (seen, requests) = all(&Identity::anonymous()).await;
    let open = |name: &RepoName| name.namespace() == "open" || name.as_str() == "named/050";
    let expected: Vec<RepoName> = names().into_iter().filter(open).collect();
    assert_eq!(seen, expected);
    assert_eq!(requests, 2, "{BUDGET} of 303 questions in each");
}

#[tokio::test]
async fn a_yes_to_a_namespace_is_none_beyond_the_token() {
    let mut access = Access::default();
    for name in ["open/007", "hidden/007"] {
        let name = RepoName::parse(name).unwrap();
        access.add(name, Actions::NONE.with(Action::Get));
    }
    let (seen, requests) = all(&Identity::anonymous().limited_to(access)).await;
    assert_eq!(seen, [RepoName::parse("open/007").unwrap()]);
    assert_eq!(requests, 1, "what is out of scope costs nothing");
}

#[test]
fn t63_without_shared_keys_a_sealed_position_is_for_one_user_of_one_process() {
    let (here, _) = gate();
    let (there, _) = gate();
    let alice = Identity::authenticated("x", "alice", []);
    let bob = Identity::authenticated("x", "bob", []);
    let longest = format!("a/{}", "b".repeat(253));
    let sealed = here.sight(&alice).seal(&longest).unwrap();
    assert!(sealed.len() <= oci::Page::MAX_LAST, "{}", sealed.len());
    let position = |gate: &Gate, who, text: &str| gate.sight(who).position(text).unwrap();
    assert_eq!(position(&here, &alice, &sealed), Some(longest));
    assert_eq!(position(&here, &bob, &sealed), None);
    assert_eq!(position(&there, &alice, &sealed), None);
    for bad in ["~", "~AAAA", "~!", &sealed[..sealed.len() - 4]] {
        assert_eq!(position(&here, &alice, bad), None, "{bad}");
    }
    assert_eq!(position(&here, &alice, "team/app"), Some("team/app".into()));
}

#[test]
fn a_sealed_position_holds_wherever_tokens_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.pem");
    let tokens = || Arc::new(Tokens::load_or_create(&file, vec![], Tokens::DEFAULT_TTL).unwrap());
    let gate = |tokens: &Arc<Tokens>| {
        let policy = Arc::new(Asked::default());
        Gate::new(vec![], policy, Some(Arc::clone(tokens)), true)
    };
    let alice = Identity::authenticated("x", "alice", []);
    let bob = Identity::authenticated("x", "bob", []);
    let position = |gate: &Gate, who, text: &str| gate.sight(who).position(text).unwrap();
    let (ours, theirs) = (tokens(), tokens());
    let (here, there) = (gate(&ours), gate(&theirs));
    let sealed = here.sight(&alice).seal("team/app").unwrap();
    assert_eq!(position(&there, &alice, &sealed), Some("team/app".into()));
    assert_eq!(position(&there, &bob, &sealed), None);

    // A key that comes in front is known before any server signs with it; then it moves behind, and the old one goes.
    let old = std::fs::read_to_string(&file).unwrap();
    let fresh = folder.path().join("fresh.pem");
    Tokens::load_or_create(&fresh, vec![], Tokens::DEFAULT_TTL).unwrap();
    let new = std::fs::read_to_string(&fresh).unwrap();
    let replace = |text: String| std::fs::write(&file, text).unwrap();
    replace(format!("{new}{old}"));
    assert!(ours.reload().unwrap());
    let sealed = here.sight(&alice).seal("team/app").unwrap();
    assert_eq!(position(&there, &alice, &sealed), Some("team/app".into()));
    assert!(theirs.reload().unwrap());
    replace(format!("{old}{new}"));
    assert!(ours.reload().unwrap());
    let by_new = here.sight(&alice).seal("team/app").unwrap();
    assert_eq!(position(&there, &alice, &by_new), Some("team/app".into()));
    replace(new);
    assert!(ours.reload().unwrap());
    assert_eq!(position(&here, &alice, &by_new), Some("team/app".into()));
    assert_eq!(position(&here, &alice, &sealed), None);
}

/// Builds of `open` alone, as a list asks. It counts what is asked as for deeds.
#[derive(Debug, Default)]
struct Builds(AtomicUsize, AtomicUsize);

#[async_trait]
impl Policy for Builds {
    async fn allows(&self, _: &Identity, _: Action, _: &RepoName) -> Result<bool, Refusal> {
        Ok(false)
    }

    async fn has_right(&self, _: &Identity, _: Right, _: Option<&str>) -> Result<bool, Refusal> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    async fn lists_right(&self, _: &Identity, _: Right, at: &str) -> Result<bool, Refusal> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(at == "open")
    }

    fn rules_kept(&self) -> RulesKept {
        RulesKept::Nowhere
    }
}

#[tokio::test]
async fn lists_of_builds_ask_as_lists_and_within_the_budget() {
    let policy = Arc::new(Builds::default());
    let gate = Gate::new(vec![], Arc::clone(&policy) as _, None, true);
    let who = Identity::authenticated("x", "alice", []);
    let mut sight = gate.sight(&who);
    let mut names: Vec<String> = (0..BUDGET).map(|number| format!("n{number}")).collect();
    names[7] = "open".to_owned();
    let (first, second) = names.split_at(16);
    let seen = sight.look_for_builds(first).await.unwrap();
    assert_eq!(seen.iter().position(|seen| *seen), Some(7));
    let rest = [second, first].concat();
    let seen = sight.look_for_builds(&rest).await.unwrap();
    assert_eq!(seen, vec![false; BUDGET - 16]);
    assert!(sight.look_for_builds(first).await.unwrap().is_empty());
    let asked = (
        policy.0.load(Ordering::Relaxed),
        policy.1.load(Ordering::Relaxed),
    );
    assert_eq!(asked, (0, BUDGET));
    let of_images = who.limited_to(Access::default());
    let refused = gate.sight(&of_images).look_for_builds(first).await;
    assert!(matches!(refused, Err(Refusal::InsufficientScope(_))));
    assert_eq!(
        gate.sight(&of_images).sealed_position("team/app").unwrap(),
        None
    );
}

/// Like [`Asked`], with the same answer to every question, which it counts.
#[derive(Debug)]
struct Says(bool, AtomicUsize);

#[async_trait]
impl Policy for Says {
    async fn allows(&self, _: &Identity, _: Action, _: &RepoName) -> Result<bool, Refusal> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    async fn lists_all_of(&self, _: &Identity, _: &str) -> Result<Option<bool>, Refusal> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Some(true))
    }

    async fn has_right(&self, _: &Identity, _: Right, _: Option<&str>) -> Result<bool, Refusal> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(self.0)
    }

    fn rules_kept(&self) -> RulesKept {
        RulesKept::Nowhere
    }
}

#[tokio::test]
async fn sources_are_seen_by_a_right_with_builds_and_within_the_budget() {
    let names: Vec<RepoName> = (0..150)
        .map(|number| RepoName::of_sources(&format!("team{number:03}"), "app").unwrap())
        .collect();
    for answer in [true, false] {
        let policy = Arc::new(Says(answer, AtomicUsize::new(0)));
        let gate = Gate::new(vec![], Arc::clone(&policy) as Arc<dyn Policy>, None, true);
        let (mut from, mut seen) = (0, 0);
        while from < names.len() {
            let before = policy.1.load(Ordering::Relaxed);
            let who = Identity::anonymous();
            let looked = gate
                .sight(&who)
                .look(&names[from..], usize::MAX)
                .await
                .unwrap();
            assert!(looked.looked_at > 0, "no progress");
            assert!(policy.1.load(Ordering::Relaxed) - before <= BUDGET);
            from += looked.looked_at;
            seen += looked.repositories.len();
        }
        assert_eq!(seen, if answer { names.len() } else { 0 });
    }
}
