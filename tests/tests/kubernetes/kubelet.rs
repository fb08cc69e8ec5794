//! The real kubelet pulls by the right of the pod's ServiceAccount; no secret lies anywhere.

use tests::{Api, Cluster, Image, Lab, Node, eventually_or};

use super::{ROLES, api_as, bind, registry};

/// A pod that ends at once when its image can be had.
pub(super) fn pod(name: &str, service_account: &str, image: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: team}}
spec:
  hostNetwork: true
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  serviceAccountName: {service_account}
  automountServiceAccountToken: false
  containers: [{{name: app, image: '{image}', imagePullPolicy: Always}}]
"
    )
}

#[test]
fn a_pod_starts_by_its_service_accounts_right_alone() {
    let lab = Lab::new("k8s-kubelet");
    let cluster = Cluster::start(&lab);
    cluster.apply(&lab, ROLES);
    let server = registry(&lab, &cluster.kubeconfig("registry"), "");
    let _node = Node::start(&lab, &cluster, server.endpoint());
    cluster.create_namespace(&lab, "team");
    for name in ["app", "idle"] {
        cluster.create_service_account(&lab, "team", name);
    }
    bind(&cluster, &lab, "team", "system:image-pusher", "user=alice");
    bind(
        &cluster,
        &lab,
        "team",
        "system:image-puller",
        "serviceaccount=team:app",
    );
    let image = Image::busybox(&lab, "app");
    let name = format!("{}/team/app:v1", server.endpoint().host);
    image.push_as(&lab, "alice", &name);
    // Nobody but those with a right pulls it.
    let anonymous = Api::new(server.endpoint()).manifest("team/app", "v1");
    assert_eq!(anonymous.map(|reply| reply.status.as_u16()).ok(), Some(401));
    let bob = api_as(server.endpoint(), "bob").manifest("team/app", "v1");
    assert_eq!(bob.map(|reply| reply.status.as_u16()).ok(), Some(403));

    cluster.apply(&lab, &pod("with-right", "app", &name));
    cluster.apply(&lab, &pod("without-right", "idle", &name));
    let get = |pod: &str, path: &str| {
        let path = format!("jsonpath={path}");
        let get = ["get", "pod", pod, "--namespace", "team", "--output", &path];
        cluster.kubectl(&lab).args(get).ok()
    };
    let until = |pod: &str, path: &str, wanted: &str| {
        let described = || {
            let describe = ["describe", "pod", pod, "--namespace", "team"];
            cluster.kubectl(&lab).args(describe).run().stdout
        };
        eventually_or(|| (get(pod, path) == wanted).then_some(()), described);
    };
    until("with-right", "{.status.phase}", "Succeeded");
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    until("without-right", reason, "ImagePullBackOff");

    let secrets = cluster
        .kubectl(&lab)
        .args(["get", "secrets", "--all-namespaces", "--output", "name"])
        .ok();
    assert_eq!(secrets, "");
    assert!(get("with-right", "{.spec.imagePullSecrets}").is_empty());
}
