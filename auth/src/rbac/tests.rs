use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{Actions, AdminRight, BuildRight};

struct Lab {
    dir: TempDir,
    rbac: Rbac,
}

/// Objects in short: `kind namespace/name` and what follows as YAML.
fn object(kind: &str, name: &str, body: &str) -> String {
    let metadata = match name.split_once('/') {
        Some((namespace, name)) => format!("{{name: {name}, namespace: {namespace}}}"),
        None => format!("{{name: '{name}'}}"),
    };
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {metadata}\n{body}\n"
    )
}

fn role(name: &str, rules: &str) -> String {
    let kind = if name.contains('/') {
        "Role"
    } else {
        "ClusterRole"
    };
    object(kind, name, &format!("rules: [{rules}]"))
}

fn images(verbs: &str) -> String {
    format!("{{apiGroups: [registry.alauda.io], resources: [images], verbs: [{verbs}]}}")
}

/// `role` as in `ClusterRole view`.
fn binding(name: &str, role: &str, subjects: &str) -> String {
    let kind = if name.contains('/') {
        "RoleBinding"
    } else {
        "ClusterRoleBinding"
    };
    let (role_kind, role) = role.split_once(' ').unwrap();
    let body = format!(
        "roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role_kind}, name: '{role}'}}\nsubjects: [{subjects}]"
    );
    object(kind, name, &body)
}

fn lab(text: &str) -> Lab {
    lab_of(text, Resource::default()).unwrap()
}

fn lab_of(text: &str, resource: Resource) -> Result<Lab, LoadError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rules.yaml"), text).unwrap();
    let rbac = Rbac::load(dir.path(), resource)?;
    Ok(Lab { dir, rbac })
}

fn user(name: &str, groups: &[&str]) -> Identity {
    Identity::authenticated(
        "htpasswd",
        name,
        groups.iter().map(|group| (*group).to_owned()),
    )
}

impl Lab {
    fn path(&self) -> PathBuf {
        self.dir.path().join("rules.yaml")
    }

    fn actions(&self, who: &Identity, repo: &str) -> Vec<&'static str> {
        let repo = RepoName::parse(repo).unwrap();
        let index = self.rbac.index.current();
        let allowed = |action: &Action| {
            let allowed = index.allows(who, *action, &repo);
            let reasons = self
                .rbac
                .explain(who, &Deed::Repository(*action, repo.clone()));
            assert_eq!(
                allowed,
                !reasons.is_empty(),
                "explain agrees: {action} {repo}"
            );
            allowed
        };
        Action::ALL
            .into_iter()
            .filter(allowed)
            .map(Action::verb)
            .collect()
    }

    fn alice(&self, repo: &str) -> Vec<&'static str> {
        self.actions(&user("alice", &[]), repo)
    }
}

const ALICE: &str = "{kind: User, name: alice}";
const ALL: [&str; 4] = ["get", "create", "update", "delete"];

#[test]
fn no_rule_is_a_refusal() {
    let lab = lab("");
    assert_eq!(lab.alice("team/app"), [""; 0]);
    assert_eq!(lab.actions(&Identity::anonymous(), "team/app"), [""; 0]);
}

#[test]
fn groups_resources_and_verbs_match_as_in_a_cluster() {
    for (rule, allowed) in [
        (
            "{apiGroups: [registry.alauda.io], resources: [images], verbs: [get]}",
            vec!["get"],
        ),
        (
            "{apiGroups: ['*'], resources: ['*'], verbs: ['*']}",
            ALL.to_vec(),
        ),
        (
            "{apiGroups: [apps, registry.alauda.io], resources: [pods, images], verbs: [list, delete]}",
            vec!["delete"],
        ),
        (
            "{apiGroups: [''], resources: [images], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: [Registry.alauda.io], resources: [images], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: ['*.alauda.io'], resources: [images], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: ['*'], resources: [image], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: ['*'], resources: ['images/*'], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: ['*'], resources: [images/layers], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: ['*'], resources: ['*/images'], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: ['*'], resources: ['im*'], verbs: ['*']}",
            vec![],
        ),
        (
            "{apiGroups: ['*'], resources: [images], verbs: [GET, 'g*', pull, push]}",
            vec![],
        ),
        ("{nonResourceURLs: ['*'], verbs: ['*']}", vec![]),
    ] {
        let lab = lab(&(role("r", rule) + &binding("b", "ClusterRole r", ALICE)));
        assert_eq!(lab.alice("team/app"), allowed, "{rule}");
    }
}

#[test]
fn a_subresource_is_another_resource() {
    let layers = Resource {
        group: "image.openshift.io".into(),
        resource: "imagestreams/layers".into(),
    };
    for (resources, allowed) in [
        ("imagestreams/layers", true),
        ("'*/layers'", true),
        ("'*'", true),
        ("imagestreams", false),
        ("layers", false),
        ("'imagestreams/*'", false),
        ("'*/status'", false),
    ] {
        let rule =
            format!("{{apiGroups: [image.openshift.io], resources: [{resources}], verbs: [get]}}");
        let text = role("r", &rule) + &binding("b", "ClusterRole r", ALICE);
        let lab = lab_of(&text, layers.clone()).unwrap();
        assert_eq!(!lab.alice("team/app").is_empty(), allowed, "{resources}");
    }
}

#[test]
fn names_are_the_rest_of_the_path_whole() {
    let rule = |names: &str| {
        format!("{{apiGroups: ['*'], resources: [images], verbs: [get], resourceNames: [{names}]}}")
    };
    let with =
        |names: &str| lab(&(role("r", &rule(names)) + &binding("b", "ClusterRole r", ALICE)));
    let lab = with("app, tools/lint");
    for (repo, allowed) in [
        ("team/app", true),
        ("other/app", true),
        ("team/tools/lint", true),
        ("team/app/x", false),
        ("team/ap", false),
        ("team/tools", false),
        ("team/lint", false),
        ("app", false),
        ("team", false),
        ("team/x/app", false),
    ] {
        assert_eq!(!lab.alice(repo).is_empty(), allowed, "{repo}");
    }
    // `*` is a name like any other, and an empty list is no list.
    assert!(with("'*'").alice("team/app").is_empty());
    assert!(!with("").alice("team/app").is_empty());
}

#[test]
fn a_repository_of_one_segment_is_nameless_in_its_namespace() {
    let everything =
        lab(&(role("r", &images("get")) + &binding("busybox/b", "ClusterRole r", ALICE)));
    assert_eq!(everything.alice("busybox"), ["get"]);
    assert_eq!(everything.alice("busybox/x"), ["get"]);
    assert_eq!(everything.alice("alpine"), [""; 0]);
    let named = "{apiGroups: ['*'], resources: [images], verbs: [get], resourceNames: ['']}";
    let nameless = lab(&(role("r", named) + &binding("b", "ClusterRole r", ALICE)));
    assert_eq!(nameless.alice("busybox"), ["get"]);
    assert_eq!(nameless.alice("busybox/x"), [""; 0]);
}

#[test]
fn a_role_binding_holds_in_its_namespace_only() {
    let lab = lab(&[
        role("reader", &images("get")),
        role("team-a/writer", &images("create")),
        role("team-b/writer", &images("delete")),
        binding("team-a/b1", "ClusterRole reader", ALICE),
        binding("team-a/b2", "Role writer", ALICE),
        binding("team-c/b3", "Role writer", ALICE),
    ]
    .concat());
    assert_eq!(lab.alice("team-a/app"), ["get", "create"]);
    for other in [
        "team-b/app",
        "team-c/app",
        "team/app",
        "team-a-b/app",
        "x/team-a/app",
    ] {
        assert_eq!(lab.alice(other), [""; 0], "{other}");
    }
}

#[test]
fn subjects() {
    let everyone = "{kind: Group, name: 'system:authenticated'}";
    let strangers = "{kind: Group, name: 'system:unauthenticated'}";
    let account = user("system:serviceaccount:ci:bot", &["system:serviceaccounts"]);
    let dev = user("dora", &["devs"]);
    let alice = user("alice", &[]);
    let named_like_group = user("devs", &[]);
    let stranger = Identity::anonymous();
    for (subject, may) in [
        (ALICE, vec![&alice]),
        (
            "{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}",
            vec![&alice],
        ),
        ("{kind: User, name: Alice}", vec![]),
        ("{kind: User, name: '*'}", vec![]),
        ("{kind: Group, name: alice}", vec![]),
        ("{kind: Group, name: devs}", vec![&dev]),
        ("{kind: User, name: devs}", vec![&named_like_group]),
        (
            "{kind: ServiceAccount, name: bot, namespace: ci}",
            vec![&account],
        ),
        ("{kind: ServiceAccount, name: bot, namespace: team}", vec![]),
        (
            "{kind: User, name: 'system:serviceaccount:ci:bot'}",
            vec![&account],
        ),
        (
            "{kind: Group, name: 'system:serviceaccounts'}",
            vec![&account],
        ),
        (everyone, vec![&alice, &dev, &account, &named_like_group]),
        (strangers, vec![&stranger]),
        ("{kind: User, name: 'system:anonymous'}", vec![&stranger]),
        ("", vec![]),
    ] {
        let lab = lab(&(role("r", &images("get")) + &binding("team/b", "ClusterRole r", subject)));
        for who in [&alice, &dev, &account, &named_like_group, &stranger] {
            let allowed = !lab.actions(who, "team/app").is_empty();
            assert_eq!(allowed, may.contains(&who), "{subject} {}", who.name());
        }
    }
    // Without a namespace a service account is that of the binding.
    let lab = lab(&(role("r", &images("get"))
        + &binding("ci/b", "ClusterRole r", "{kind: ServiceAccount, name: bot}")));
    assert_eq!(lab.actions(&account, "ci/app"), ["get"]);
}

#[test]
fn the_roles_that_are_there_anyway() {
    for (name, allowed) in [
        ("system:image-puller", vec!["get"]),
        ("system:image-pusher", vec!["get", "create", "update"]),
        ("system:image-pruner", vec!["get", "delete"]),
        ("view", vec!["get"]),
        ("edit", vec!["get", "create", "update"]),
        ("admin", ALL.to_vec()),
        ("cluster-admin", ALL.to_vec()),
    ] {
        let lab = lab(&binding("team/b", &format!("ClusterRole {name}"), ALICE));
        assert_eq!(lab.alice("team/app"), allowed, "{name}");
        assert_eq!(lab.alice("other/app"), [""; 0], "{name}");
    }
}

#[test]
fn the_admin_of_a_namespace_reads_its_audit_record() {
    for (name, may) in [
        ("system:image-auditor", true),
        ("admin", true),
        ("edit", false),
        ("system:image-pruner", false),
    ] {
        let lab = lab(&binding("team/b", &format!("ClusterRole {name}"), ALICE));
        let index = lab.rbac.index.current();
        let (alice, right) = (user("alice", &[]), AdminRight::ReadAudit.into());
        for (namespace, may) in [(Some("team"), may), (Some("other"), false), (None, false)] {
            let allowed = index.has_right(&alice, right, namespace);
            assert_eq!(allowed, may, "{name} {namespace:?}");
        }
    }
}

/// What each role gives with builds is what `install/rbac.yaml` brings to a cluster.
#[test]
fn whoever_edits_a_namespace_builds_there_and_whoever_views_it_looks_on() {
    let installed = include_str!("../../../install/rbac.yaml");
    let roles = installed
        .split("\n---\n")
        .filter(|object| object.contains("\nkind: ClusterRole\n"));
    let written: Vec<&str> = roles.collect();
    assert!(written.len() >= 6, "{} roles", written.len());
    let view = [
        "get builds",
        "list builds",
        "get builderimages",
        "list builderimages",
    ];
    let all: Vec<String> = BuildRight::ALL.iter().map(ToString::to_string).collect();
    for (name, given) in [
        ("system:build-viewer", view.map(str::to_owned).to_vec()),
        ("view", view.map(str::to_owned).to_vec()),
        ("system:build-editor", all.clone()),
        ("edit", all.clone()),
        ("admin", all.clone()),
        ("system:image-pusher", Vec::new()),
    ] {
        let bound = binding("team/b", &format!("ClusterRole {name}"), ALICE);
        for text in [
            bound.clone(),
            [&written.join("\n---\n"), "\n", &bound].concat(),
        ] {
            let lab = lab(&text);
            let index = lab.rbac.index.current();
            let alice = user("alice", &[]);
            let has = |namespace| {
                let rights = BuildRight::ALL.into_iter();
                let rights =
                    rights.filter(|right| index.has_right(&alice, (*right).into(), namespace));
                rights.map(|right| right.to_string()).collect::<Vec<_>>()
            };
            assert_eq!(has(Some("team")), given, "{name}");
            assert_eq!(has(Some("other")), [""; 0], "{name}");
            assert_eq!(has(None), [""; 0], "{name}: what is everybody's");
        }
    }
}

#[test]
fn a_file_replaces_a_role_that_is_there_anyway() {
    let text =
        role("system:image-puller", &images("delete")) + &binding("b", "ClusterRole view", ALICE);
    assert_eq!(
        lab(&text).alice("team/app"),
        [""; 0],
        "its labels are gone, so view does not take it up"
    );
    let text = role("view", &images("delete")) + &binding("b", "ClusterRole view", ALICE);
    assert_eq!(lab(&text).alice("team/app"), ["delete"]);
}

fn labelled(name: &str, labels: &str, rest: &str) -> String {
    object("ClusterRole", name, rest).replacen(
        "metadata: {",
        &format!("metadata: {{labels: {{{labels}}}, "),
        1,
    )
}

fn takes(label: &str) -> String {
    format!("aggregationRule: {{clusterRoleSelectors: [{{matchLabels: {{{label}}}}}]}}")
}

#[test]
fn aggregated_roles_take_up_in_chains_and_rings_and_not_their_own_rules() {
    let text = [
        labelled("own", "to: a", &format!("rules: [{}]", images("get"))),
        labelled("a", "to: b", &takes("to: a")),
        labelled(
            "b",
            "to: a",
            &format!("{}\nrules: [{}]", takes("to: b"), images("delete")),
        ),
        labelled("c", "x: y", &takes("to: b")),
        labelled("late", "to: b", &format!("rules: [{}]", images("update"))),
        labelled(
            "self",
            "to: self",
            &format!("{}\nrules: [{}]", takes("to: self"), images("'*'")),
        ),
    ]
    .concat();
    for (role, allowed) in [
        ("a", vec!["get", "update"]),
        ("b", vec!["get", "update"]),
        ("c", vec!["get", "update"]),
        ("self", vec![]),
    ] {
        let lab = lab(&(text.clone() + &binding("t/b", &format!("ClusterRole {role}"), ALICE)));
        assert_eq!(lab.alice("t/app"), allowed, "{role}");
    }
    let mine = labelled(
        "mine",
        "'rbac.authorization.k8s.io/aggregate-to-edit': 'true'",
        &format!("rules: [{}]", images("delete")),
    );
    let lab = lab(&(mine + &binding("t/b", "ClusterRole edit", ALICE)));
    assert_eq!(lab.alice("t/app"), ALL);
}

#[test]
fn a_binding_to_a_role_that_is_not_there_gives_nothing_and_breaks_nothing() {
    let lab = lab(&[
        binding("t/dangling", "Role missing", ALICE),
        binding("dangling", "ClusterRole missing", ALICE),
        binding("t/b", "ClusterRole view", ALICE),
    ]
    .concat());
    assert_eq!(lab.alice("t/app"), ["get"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_a_cluster_would_refuse_is_refused_with_its_place() {
    let view = "ClusterRole view";
    for (text, what) in [
        (
            role("r", "{apiGroups: ['*'], resources: ['*']}"),
            "rule 1 needs verbs",
        ),
        (
            role("r", &format!("{}, {{verbs: [get]}}", images("get"))),
            "rule 2 needs apiGroups and resources",
        ),
        (
            role("r", "{apiGroups: ['*'], verbs: [get]}"),
            "rule 1 needs apiGroups and resources",
        ),
        (
            role("n/r", "{nonResourceURLs: ['*'], verbs: [get]}"),
            "nonResourceURLs",
        ),
        (
            role(
                "r",
                "{nonResourceURLs: ['*'], resources: [x], verbs: [get]}",
            ),
            "either",
        ),
        (
            role("r", "") + &role("r", ""),
            "already defined in rules.yaml:2",
        ),
        (
            object("ClusterRole", "", "rules: []"),
            "without metadata.name",
        ),
        (
            object("ClusterRole", "n/r", "rules: []"),
            "must have no namespace",
        ),
        (object("Role", "r", "rules: []"), "needs metadata.namespace"),
        (
            object("RoleBinding", "b", "roleRef: {kind: Role, name: r}"),
            "needs metadata.namespace",
        ),
        (
            object("ClusterRole", "r", "subjects: []"),
            "no field subjects",
        ),
        (
            object("Role", "n/r", "roleRef: {kind: Role, name: r}"),
            "no field roleRef",
        ),
        (
            object("Role", "n/r", &takes("a: b")),
            "no field aggregationRule",
        ),
        (object("RoleBinding", "n/b", "rules: []"), "no field rules"),
        (
            object("RoleBinding", "n/b", "subjects: []"),
            "without roleRef",
        ),
        (
            object("ClusterRole", "r", "aggregationRule: {}"),
            "needs clusterRoleSelectors",
        ),
        (
            object(
                "ClusterRole",
                "r",
                "aggregationRule: {clusterRoleSelectors: [{matchExpressions: [{key: a, operator: In}]}]}",
            ),
            "needs values",
        ),
        (
            binding("b", "Role r", ALICE),
            "can only refer to a ClusterRole",
        ),
        (
            object(
                "RoleBinding",
                "n/b",
                "roleRef: {kind: Role, name: r, apiGroup: v1}",
            ),
            "roleRef.apiGroup",
        ),
        (
            object("RoleBinding", "n/b", "roleRef: {kind: Rule, name: r}"),
            "Rule",
        ),
        (
            binding("b", view, "{kind: ServiceAccount, name: a}"),
            "needs a namespace",
        ),
        (
            binding(
                "b",
                view,
                "{kind: ServiceAccount, name: a, namespace: n, apiGroup: rbac.authorization.k8s.io}",
            ),
            "no apiGroup",
        ),
        (
            binding("b", view, "{kind: User, name: a, namespace: n}"),
            "only a ServiceAccount has a namespace",
        ),
        (
            binding("b", view, "{kind: User, name: a, apiGroup: apps}"),
            "apiGroup must be",
        ),
        (
            binding("b", view, "{kind: User, name: ''}"),
            "a subject without name",
        ),
        (binding("b", view, "{kind: Robot, name: a}"), "Robot"),
    ] {
        let error = lab_of(&text, Resource::default())
            .err()
            .unwrap_or_else(|| panic!("accepted: {text}"));
        let LoadError::Line {
            path,
            line,
            message,
        } = &error
        else {
            panic!("{error}")
        };
        assert!(
            path.ends_with("rules.yaml") && *line >= 2 && message.contains(what),
            "{what}: {error}"
        );
    }
}

#[test]
fn explain_names_every_binding_that_allows() {
    let lab = lab(&[
        binding(
            "team/readers",
            "ClusterRole view",
            "{kind: Group, name: devs}",
        ),
        binding(
            "everyone",
            "ClusterRole system:image-puller",
            "{kind: Group, name: 'system:authenticated'}",
        ),
        binding(
            "team/bots",
            "ClusterRole view",
            "{kind: ServiceAccount, name: bot}",
        ),
        binding(
            "other/readers",
            "ClusterRole view",
            "{kind: Group, name: devs}",
        ),
    ]
    .concat());
    let repo = RepoName::parse("team/app").unwrap();
    let pull = Deed::Repository(Action::Get, repo.clone());
    let reasons = lab.rbac.explain(&user("dora", &["devs"]), &pull);
    let text = |b: &str, r: &str, s: &str, p: &str| Reason {
        binding: b.into(),
        role: r.into(),
        subject: s.into(),
        place: p.into(),
    };
    assert_eq!(
        reasons,
        [
            text(
                "ClusterRoleBinding everyone",
                "ClusterRole system:image-puller",
                "Group system:authenticated",
                "rules.yaml:8"
            ),
            text(
                "RoleBinding team/readers",
                "ClusterRole view",
                "Group devs",
                "rules.yaml:2"
            ),
        ]
    );
    assert!(
        lab.rbac
            .explain(
                &user("dora", &["devs"]),
                &Deed::Repository(Action::Delete, repo)
            )
            .is_empty()
    );
}

#[test]
fn what_comes_nearest_is_named_with_what_it_lacks() {
    let named = "{apiGroups: [registry.alauda.io], resources: [images], resourceNames: [web], verbs: [create]}";
    let pods = "{apiGroups: [''], resources: [pods], verbs: ['*']}";
    let lab = lab(&[
        role("named", named),
        role("pods", pods),
        binding("team/readers", "ClusterRole view", ALICE),
        binding("team/web", "ClusterRole named", ALICE),
        binding("team/lost", "ClusterRole nowhere", ALICE),
        binding("team/pods", "ClusterRole pods", ALICE),
        binding("team/others", "ClusterRole edit", "{kind: User, name: bob}"),
        binding("other/pushers", "ClusterRole edit", ALICE),
        binding("other/readers", "ClusterRole view", ALICE),
    ]
    .concat());
    let repo = RepoName::parse("team/app").unwrap();
    let push = Deed::Repository(Action::Create, repo);
    let near = lab.rbac.rules().nearest(&user("alice", &[]), &push);
    let near: Vec<_> = near
        .iter()
        .map(|near| (near.reason.binding.as_str(), near.why.clone()))
        .collect();
    assert_eq!(
        near,
        [
            ("RoleBinding team/lost", WhyNot::NoRole),
            ("RoleBinding team/web", WhyNot::OtherNames),
            ("RoleBinding team/readers", WhyNot::Gives(vec!["get"])),
            ("RoleBinding other/pushers", WhyNot::OtherNamespace),
        ]
    );
}

/// Rights over the whole registry are explained as they are decided: by what holds everywhere, or in the namespace.
#[test]
fn rights_over_the_registry_are_explained_too() {
    let tokens = "{apiGroups: [registry.alauda.io], resources: [tokens], verbs: [list]}";
    let lab = lab(&[
        role("lister", tokens),
        binding("team/auditors", "ClusterRole system:image-auditor", ALICE),
        binding("all", "ClusterRole lister", ALICE),
        binding("all-nothing", "ClusterRole view", ALICE),
    ]
    .concat());
    let (alice, rules) = (user("alice", &[]), lab.rbac.rules());
    let audit = |namespace: Option<&str>| {
        Deed::Registry(AdminRight::ReadAudit.into(), namespace.map(str::to_owned))
    };
    let mut by = Vec::new();
    for deed in [
        audit(Some("team")),
        audit(Some("other")),
        audit(None),
        Deed::Registry(AdminRight::ListTokens.into(), None),
        Deed::Registry(AdminRight::RevokeTokens.into(), None),
    ] {
        let Deed::Registry(right, namespace) = &deed else {
            unreachable!()
        };
        let index = lab.rbac.index.current();
        let reasons = rules.explain(&alice, &deed);
        let allowed = index.has_right(&alice, *right, namespace.as_deref());
        assert_eq!(allowed, !reasons.is_empty(), "{deed}");
        let near = rules.nearest(&alice, &deed).into_iter().next();
        by.push((
            reasons.first().map(|reason| reason.binding.clone()),
            near.map(|near| near.why),
        ));
    }
    let team = || Some("RoleBinding team/auditors".to_owned());
    let all = || Some("ClusterRoleBinding all".to_owned());
    assert_eq!(
        by,
        [
            (team(), None),
            (None, Some(WhyNot::OtherNamespace)),
            (None, Some(WhyNot::OtherNamespace)),
            (all(), None),
            (None, Some(WhyNot::Gives(vec!["list"]))),
        ]
    );
    assert!(rules.cluster_role_gives("system:image-auditor", &audit(None)));
    assert!(!rules.cluster_role_gives("lister", &audit(None)));
    assert!(!rules.cluster_role_gives("nobody", &audit(None)));
    assert!(rules.has_cluster_role("lister") && !rules.has_cluster_role("nobody"));
    assert!(rules.has_binding(Some("team"), "auditors") && rules.has_binding(None, "all"));
    assert!(!rules.has_binding(None, "auditors") && !rules.has_binding(Some("team"), "all"));
}

#[test]
fn a_change_comes_into_force_and_a_broken_one_does_not() {
    let lab = lab(&binding("b", "ClusterRole view", ALICE));
    assert_eq!(lab.alice("t/app"), ["get"]);
    fs::write(lab.path(), "kind: nonsense").unwrap();
    assert!(
        lab.rbac
            .reload()
            .unwrap_err()
            .to_string()
            .contains("rules.yaml:1")
    );
    assert_eq!(lab.alice("t/app"), ["get"]);
    fs::write(lab.path(), binding("b", "ClusterRole edit", ALICE)).unwrap();
    assert!(lab.rbac.reload().unwrap());
    assert_eq!(lab.alice("t/app"), ["get", "create", "update"]);
    fs::write(
        lab.dir.path().join("more.yaml"),
        binding("c", "ClusterRole admin", ALICE),
    )
    .unwrap();
    assert!(lab.rbac.reload().unwrap());
    assert_eq!(lab.alice("t/app"), ALL);
    fs::remove_file(lab.path()).unwrap();
    fs::remove_file(lab.dir.path().join("more.yaml")).unwrap();
    assert!(lab.rbac.reload().unwrap());
    assert_eq!(
        lab.alice("t/app"),
        [""; 0],
        "what is taken away is gone at once"
    );
}

/// One rule and one binding to it, of few words, so that they often meet.
type Generated = (Vec<usize>, Vec<usize>, Vec<usize>, Vec<usize>, usize, usize);

const VERBS: [&str; 6] = ["get", "create", "update", "delete", "*", "list"];
const GROUPS: [&str; 3] = ["registry.alauda.io", "*", "apps"];
const RESOURCES: [&str; 3] = ["images", "*", "pods"];
const NAMES: [&str; 3] = ["app", "app/web", ""];
const SPACES: [&str; 3] = ["", "team", "other"];
const SUBJECTS: [(&str, &str); 4] = [
    ("User", "alice"),
    ("Group", "devs"),
    ("Group", "system:authenticated"),
    ("User", "devs"),
];

fn some(of: usize, from: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..of, from..3)
}

fn pick<'a>(words: &[&'a str], chosen: &[usize]) -> Vec<&'a str> {
    chosen.iter().map(|index| words[*index]).collect()
}

/// The Kubernetes authorizer's rule, one rule at a time, with nothing computed ahead.
fn by_hand(
    generated: &[Generated],
    who: &Identity,
    verb: &str,
    namespace: &str,
    name: &str,
) -> bool {
    generated
        .iter()
        .any(|(verbs, groups, resources, names, space, subject)| {
            let has = |words: &[&str], chosen: &[usize], asked: &str| {
                pick(words, chosen)
                    .iter()
                    .any(|word| *word == "*" || *word == asked)
            };
            let (kind, subject) = SUBJECTS[*subject];
            (SPACES[*space].is_empty() || SPACES[*space] == namespace)
                && (if kind == "User" {
                    who.name() == subject
                } else {
                    who.groups().any(|g| g == subject)
                })
                && has(&VERBS, verbs, verb)
                && has(&GROUPS, groups, "registry.alauda.io")
                && has(&RESOURCES, resources, "images")
                && (names.is_empty() || pick(&NAMES, names).contains(&name))
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_index_answers_as_the_rules_one_by_one(
        generated in prop::collection::vec(
            (some(6, 1), some(3, 1), some(3, 1), some(3, 0), 0..3usize, 0..4usize), 0..6),
    ) {
        let json = |words: Vec<&str>| serde_json::to_string(&words).unwrap();
        let mut text = String::new();
        for (n, (verbs, groups, resources, names, space, subject)) in generated.iter().enumerate() {
            let rule = format!(
                "{{verbs: {}, apiGroups: {}, resources: {}, resourceNames: {}}}",
                json(pick(&VERBS, verbs)), json(pick(&GROUPS, groups)),
                json(pick(&RESOURCES, resources)), json(pick(&NAMES, names)),
            );
            text += &role(&format!("r{n}"), &rule);
            let name = if SPACES[*space].is_empty() { format!("b{n}") } else { format!("{}/b{n}", SPACES[*space]) };
            let (kind, subject) = SUBJECTS[*subject];
            text += &binding(&name, &format!("ClusterRole r{n}"), &format!("{{kind: {kind}, name: '{subject}'}}"));
        }
        let lab = lab(&text);
        for who in [user("alice", &[]), user("dora", &["devs"]), user("devs", &[]), Identity::anonymous()] {
            for (repo, namespace, name) in [
                ("team/app", "team", "app"), ("team/app/web", "team", "app/web"), ("team", "team", ""),
                ("other/app", "other", "app"), ("third/app", "third", "app"),
            ] {
                let expected: Actions = Action::ALL.into_iter()
                    .filter(|action| by_hand(&generated, &who, action.verb(), namespace, name)).collect();
                let expected: Vec<_> = expected.iter().map(Action::verb).collect();
                prop_assert_eq!(lab.actions(&who, repo), expected, "{} {}\n{}", who.name(), repo, &text);
            }
        }
    }
}

#[test]
fn rights_over_the_registry_come_from_cluster_role_bindings_alone() {
    let rule = |verbs: &str, resource: &str| {
        format!("{{apiGroups: [registry.alauda.io], resources: [{resource}], verbs: [{verbs}]}}")
    };
    let named = "{apiGroups: [registry.alauda.io], resources: [audit], verbs: [get], \
                 resourceNames: [x]}";
    let lab = lab(&[
        role("auditor", &rule("get", "audit")),
        role("pusher", &rule("'*'", "images")),
        role("named", named),
        binding("a", "ClusterRole auditor", "{kind: User, name: ada}"),
        binding("p", "ClusterRole pusher", ALICE),
        binding("n", "ClusterRole named", ALICE),
        binding("team/a", "ClusterRole auditor", ALICE),
        binding("team/r", "ClusterRole cluster-admin", ALICE),
        binding(
            "r",
            "ClusterRole cluster-admin",
            "{kind: Group, name: roots}",
        ),
    ]
    .concat());
    let has_in = |who: &Identity, namespace: Option<&str>| {
        let index = lab.rbac.index.current();
        let rights = AdminRight::ALL.into_iter();
        let rights = rights.filter(|right| index.has_right(who, (*right).into(), namespace));
        rights.map(|right| right.to_string()).collect::<Vec<_>>()
    };
    let has = |who: &Identity| has_in(who, None);
    let all = ["get audit", "list tokens", "delete tokens"];
    assert_eq!(has_in(&user("ada", &[]), Some("other")), ["get audit"]);
    assert_eq!(has_in(&user("alice", &[]), Some("team")), all);
    assert_eq!(has_in(&user("alice", &[]), Some("other")), [""; 0]);
    assert_eq!(has_in(&user("alice", &[]), Some("")), [""; 0]);
    assert_eq!(has(&user("ada", &[])), ["get audit"]);
    assert_eq!(has(&user("alice", &[])), [""; 0]);
    assert_eq!(
        has(&user("eve", &["roots"])),
        ["get audit", "list tokens", "delete tokens"]
    );
    assert_eq!(has(&Identity::anonymous()), [""; 0]);
}
