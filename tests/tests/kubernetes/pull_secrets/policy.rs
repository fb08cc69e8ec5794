//! The registry's account makes pull secrets and their tokens, and comes by no other account's rights with that.

use super::*;

const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
const PULL_TYPE: &str = "kubernetes.io/dockerconfigjson";
const LABEL: &str = "registry.alauda.io/pull-secret: slipway-pull";

/// A secret in `kube-system`; if of the type of tokens, for an account that may grant every role.
fn secret(name: &str, kind: &str, label: &str) -> String {
    let data = if kind == PULL_TYPE {
        "stringData: {.dockerconfigjson: '{\"auths\":{}}'}"
    } else {
        ""
    };
    format!(
        "apiVersion: v1
kind: Secret
metadata:
  name: {name}
  namespace: kube-system
  labels: {{{label}}}
  annotations: {{kubernetes.io/service-account.name: clusterrole-aggregation-controller}}
type: {kind}
{data}
"
    )
}

impl Scene {
    /// Whether the registry's account may; `None` if so, otherwise what it was told.
    fn refusal(&self, words: &str, stdin: &str) -> Option<String> {
        let command = self.cluster.kubectl(&self.lab).args(["--as", "registry"]);
        let said = command.args(words.split(' ')).stdin(stdin.to_owned()).run();
        println!("{words}: {}{}", said.stdout, said.stderr);
        (!said.status.success()).then_some(said.stderr)
    }
}

#[test]
fn the_account_makes_no_secret_but_pull_secrets() {
    let scene = Scene::new("k8s-pull-policy");
    let apply = "apply --server-side --filename -";
    let road = secret(SECRET, TOKEN_TYPE, LABEL);
    until("the account to be taken over is there", || {
        let account = "serviceaccount clusterrole-aggregation-controller";
        scene.get("kube-system", account).is_some()
    });
    // Policies are in force a moment after they were made.
    until("the policy is in force", || {
        let dry = format!("{apply} --dry-run=server");
        scene.refusal(&dry, &road).is_some()
    });
    let policy = "slipway-pull-secrets";
    for (by, name, kind, label) in [
        (policy, SECRET, TOKEN_TYPE, LABEL),
        (policy, SECRET, "Opaque", LABEL),
        (policy, SECRET, PULL_TYPE, ""),
        ("cannot", "other", PULL_TYPE, LABEL),
        ("cannot", "slipway-pull-other", PULL_TYPE, LABEL),
    ] {
        let refusal = scene.refusal(apply, &secret(name, kind, label));
        let refusal = refusal.or_fail(format!("a refusal of {name}, {kind}, {label}"));
        assert!(refusal.contains(by), "{refusal}");
        assert!(
            scene
                .get("kube-system", &format!("secret {name}"))
                .is_none(),
            "{name}"
        );
    }
    let good = secret(SECRET, PULL_TYPE, LABEL);
    // A rule that names secrets lets none be made without saying the name first.
    let refusal = scene.refusal("create --filename -", &good);
    assert!(refusal.or_fail("a refusal").contains("cannot create"));
    assert_eq!(scene.refusal(apply, &good), None);

    // The API server finds nothing amiss with the expressions.
    for policy in [policy, "slipway-pull-tokens"] {
        let status = eventually("the policy is checked", || {
            let policy = scene.get(
                "kube-system",
                &format!("validatingadmissionpolicy {policy}"),
            )?;
            let status = policy["status"].clone();
            status["observedGeneration"].is_number().then_some(status)
        });
        let warnings = &status["typeChecking"]["expressionWarnings"];
        assert!(warnings.is_null(), "{status}");
    }

    // Somebody else's of that name is not made ours.
    scene.kubectl(&format!(
        "create secret generic {SECRET} --namespace default"
    ));
    let label = format!("label secret {SECRET} --namespace default");
    let ours = "registry.alauda.io/pull-secret=slipway-pull";
    let refusal = scene.refusal(&format!("{label} {ours}"), "");
    assert!(refusal.or_fail("a refusal").contains(policy));

    // It is the policy that closes the road: without it the token controller gives the token away.
    scene.kubectl(&format!("delete secret {SECRET} --namespace kube-system"));
    let binding = "validatingadmissionpolicybinding";
    scene.kubectl(&format!("delete {binding} {policy}"));
    until("the road is open", || scene.refusal(apply, &road).is_none());
    until("the token of another account", || {
        let secret = scene.get("kube-system", &format!("secret {SECRET}"));
        secret.is_some_and(|secret| secret["data"]["token"].is_string())
    });
}

#[test]
fn the_account_has_no_token_but_those_of_pull_secrets() {
    let scene = Scene::new("k8s-pull-tokens");
    eventually("a ServiceAccount", || {
        scene.get("kube-system", "serviceaccount default")
    });
    for name in [SECRET, "mine"] {
        let create = "create secret generic --namespace kube-system";
        scene.kubectl(&format!("{create} {name}"));
    }
    let ask = "create token default --namespace kube-system";
    // Policies are in force a moment after they were made.
    until("the policy is in force", || {
        scene.refusal(ask, "").is_some()
    });
    let ours = format!("--bound-object-kind Secret --bound-object-name {SECRET}");
    let for_us = format!("--audience {}", cluster::AUDIENCE);
    let for_cluster = "--audience https://kubernetes.default.svc";
    for words in [
        format!("{ask} {for_cluster} {ours}"),
        format!("{ask} {for_us} {for_cluster} {ours}"),
        format!("{ask} {ours}"),
        format!("{ask} {for_us}"),
        format!("{ask} {for_us} --bound-object-kind Secret --bound-object-name mine"),
        format!("{ask} {for_us} --bound-object-kind Pod --bound-object-name {SECRET}"),
    ] {
        let refusal = scene.refusal(&words, "").or_fail(&words);
        assert!(refusal.contains("slipway-pull-tokens"), "{refusal}");
        // Whoever the policies do not name is not held by them.
        if !words.contains("Pod") {
            scene.kubectl(&words);
        }
    }
    assert_eq!(scene.refusal(&format!("{ask} {for_us} {ours}"), ""), None);
    let other = scene.refusal("create token other --namespace kube-system", "");
    assert!(other.or_fail("a refusal").contains("cannot create"));
}
