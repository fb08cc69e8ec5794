use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::{AdminRight, BuildRight};

fn attributes(preset: &Preset, action: Action, repo: &str) -> [String; 6] {
    let found = preset.attributes(action, &RepoName::parse(repo).unwrap());
    let text = Option::unwrap_or_default;
    [
        text(found.verb),
        text(found.group),
        text(found.resource),
        text(found.subresource),
        text(found.namespace),
        text(found.name),
    ]
}

#[test]
fn a_repository_is_a_named_resource_in_the_namespace_that_it_begins_with() {
    let preset = Preset::Resource(Resource::default());
    for (action, repo, expected) in [
        (
            Action::Get,
            "team/app",
            ["get", "registry.alauda.io", "images", "", "team", "app"],
        ),
        (
            Action::Update,
            "team/app/deep",
            [
                "update",
                "registry.alauda.io",
                "images",
                "",
                "team",
                "app/deep",
            ],
        ),
        (
            Action::Delete,
            "team",
            ["delete", "registry.alauda.io", "images", "", "team", ""],
        ),
    ] {
        assert_eq!(attributes(&preset, action, repo), expected);
    }
    let other = Preset::Resource(Resource {
        group: "g".to_owned(),
        resource: "r/sub".to_owned(),
    });
    assert_eq!(
        attributes(&other, Action::Create, "a/b"),
        ["create", "g", "r", "sub", "a", "b"]
    );
}

#[test]
fn openshift_has_its_own_words() {
    let group = "image.openshift.io";
    for (action, expected) in [
        (
            Action::Get,
            ["get", group, "imagestreams", "layers", "a", "b"],
        ),
        (
            Action::Create,
            ["update", group, "imagestreams", "layers", "a", "b"],
        ),
        (
            Action::Update,
            ["update", group, "imagestreams", "layers", "a", "b"],
        ),
        (Action::Delete, ["delete", group, "images", "", "", ""]),
    ] {
        assert_eq!(attributes(&Preset::Openshift, action, "a/b"), expected);
    }
}

/// CVE-2026-71326, T12: no two questions have one key, however their parts are cut.
#[test]
fn t12_no_two_questions_are_remembered_as_one() {
    let keyed = Keyed::new().unwrap();
    let extra = |pairs: &[(&str, &[&str])]| -> BTreeMap<String, Vec<String>> {
        let owned = |values: &[&str]| values.iter().map(ToString::to_string).collect();
        pairs
            .iter()
            .map(|(key, values)| ((*key).to_owned(), owned(values)))
            .collect()
    };
    let who = |name: &str, uid: &str, groups: &[&str], pairs: &[(&str, &[&str])]| {
        let groups = groups.iter().map(ToString::to_string);
        Identity::authenticated("kubernetes", name, groups)
            .with_extra(Some(uid.to_owned()), extra(pairs))
    };
    let people = [
        who("a:b", "c", &[], &[]),
        who("a", "b:c", &[], &[]),
        who("a", "", &["b", "c"], &[]),
        who("a", "", &["b,c"], &[]),
        who("a", "", &["b"], &[("c", &[])]),
        who("a", "", &["b"], &[("c", &["d"])]),
        who("a", "", &["b"], &[("c", &["d", "e"])]),
        who("a", "", &["b"], &[("c", &["d"]), ("e", &[])]),
        who("a", "", &["b", "c"], &[("d", &["e"])]),
        who("a", "b", &["c"], &[]),
        who("ab", "", &["c"], &[]),
        Identity::anonymous(),
    ];
    let mut seen = HashSet::new();
    let mut asked = 0;
    for who in &people {
        for action in Action::ALL {
            for repo in ["a/b", "a/b/c", "ab", "a", "a/bc"] {
                let repo = RepoName::parse(repo).unwrap();
                seen.insert(fingerprint(&keyed, who, action, &repo));
                asked += 1;
            }
        }
    }
    assert_eq!(seen.len(), asked);
}

#[test]
fn the_whole_identity_is_in_the_question() {
    let extra = BTreeMap::from([("scopes".to_owned(), vec!["x".to_owned()])]);
    let who = Identity::authenticated("kubernetes", "alice", ["devs".to_owned()])
        .with_extra(Some("17".to_owned()), extra.clone());
    let spec = review(&who, ResourceAttributes::default()).spec;
    assert_eq!(spec.user.as_deref(), Some("alice"));
    assert_eq!(spec.uid.as_deref(), Some("17"));
    assert_eq!(
        spec.groups,
        Some(vec!["devs".to_owned(), "system:authenticated".to_owned()])
    );
    assert_eq!(spec.extra, Some(extra));
    let stranger = review(&Identity::anonymous(), ResourceAttributes::default()).spec;
    assert_eq!(stranger.user.as_deref(), Some("system:anonymous"));
    assert_eq!(
        stranger.groups,
        Some(vec!["system:unauthenticated".to_owned()])
    );
}

#[test]
fn rights_over_the_registry_are_asked_without_a_namespace() {
    let ours = Preset::Resource(Resource {
        group: "g".to_owned(),
        resource: "r".to_owned(),
    });
    for (preset, group) in [(ours, "g"), (Preset::Openshift, "registry.alauda.io")] {
        let asked = preset.right_attributes(AdminRight::RevokeTokens.into(), None);
        let words = [asked.verb, asked.group, asked.resource];
        assert_eq!(
            words,
            ["delete", group, "tokens"].map(|word| Some(word.to_owned()))
        );
        assert_eq!(
            (asked.namespace, asked.name, asked.subresource),
            (None, None, None)
        );
    }
    let keyed = Keyed::new().unwrap();
    let who = Identity::authenticated("kubernetes", "ada", []);
    let repo = RepoName::parse("audit").unwrap();
    assert_ne!(
        right_fingerprint(&keyed, &who, AdminRight::ReadAudit.into(), None),
        fingerprint(&keyed, &who, Action::Get, &repo),
        "a repository of that name is another question"
    );
}

#[test]
fn openshift_is_asked_about_its_own_builds() {
    let ours = Preset::Resource(Resource::default());
    for (preset, right, expected) in [
        (
            &ours,
            BuildRight::CreateBuilds,
            ["create", "registry.alauda.io", "builds"],
        ),
        (
            &Preset::Openshift,
            BuildRight::CreateBuilds,
            ["create", "build.openshift.io", "builds"],
        ),
        (
            &Preset::Openshift,
            BuildRight::ListBuilds,
            ["list", "build.openshift.io", "builds"],
        ),
        (
            &Preset::Openshift,
            BuildRight::CreateSecrets,
            ["create", "registry.alauda.io", "buildsecrets"],
        ),
        (
            &Preset::Openshift,
            BuildRight::GetBuilderImages,
            ["get", "registry.alauda.io", "builderimages"],
        ),
    ] {
        let asked = preset.right_attributes(right.into(), Some("team"));
        let words = [asked.verb, asked.group, asked.resource].map(Option::unwrap_or_default);
        assert_eq!(words, expected, "{preset:?}");
        assert_eq!(asked.namespace.as_deref(), Some("team"));
    }
}
