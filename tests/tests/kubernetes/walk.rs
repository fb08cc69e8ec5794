//! What the guides of such a registry have people type, in their order, against a real cluster and a real node: log in, give
//! rights to users and ServiceAccounts, pull, push, push from another registry, use images of another namespace, check, deploy.

use tests::peer::Peer;
use tests::podman::Storage;
use tests::{Cluster, Endpoint, Image, Lab, Node};

use super::people::Desk;
use super::{ROLES, registry};

/// The name by which pods know the registry; people know it by another.
const INTERNAL: &str = "image-registry.cpaas-system.svc";

#[test]
fn the_guides_commands_work_in_their_order() {
    let lab = Lab::new("k8s-walk");
    let cluster = Cluster::start(&lab);
    cluster.apply(&lab, ROLES);
    let server = registry(&lab, &cluster.kubeconfig("registry"), "");
    let host = server.endpoint().host.as_str();
    let _node = Node::start(&lab, &cluster, &Endpoint::plain(INTERNAL));
    // What a cluster's DNS does for its nodes.
    lab.write(
        format!("certs.d/{INTERNAL}/hosts.toml"),
        format!("server = \"http://{host}\"\n[host.\"http://{host}\"]\n"),
    );
    let admin = |line: &str| cluster.kubectl(&lab).args(line.split(' ')).ok();
    admin("create namespace my-ns");
    admin("create namespace shared-ns");
    let storage = Storage::new(&lab, "machine");
    let desk = Desk::new(&lab, &cluster.kubeconfig("alice"));
    let alice = |line: &str| storage.config(desk.kubectl_slipway()).args(line.split(' '));
    let put = |name: &str, at: &str| {
        let image = Image::busybox(&lab, name);
        lab.program("skopeo")
            .args([
                "copy",
                "--dest-tls-verify=false",
                "--dest-creds",
                "root:root",
            ])
            .arg(format!("oci:{}", image.at()))
            .arg(format!("docker://{at}"))
            .ok();
        image
    };
    let app = put("app", &format!("{host}/my-ns/my-app:latest"));
    put("base", &format!("{host}/shared-ns/base-image:latest"));

    // Log in.
    alice(&format!("login {host}")).ok();
    let pull = format!("pull {host}/my-ns/my-app:latest");
    let push = format!("push {host}/my-ns/my-app:v1");
    alice(&pull).fails();

    // Rights of a user in a namespace: to pull, to push.
    admin("create rolebinding alice-pulls --clusterrole=system:image-puller --user=alice -n my-ns");
    until(|| alice(&pull).run().status.success());
    assert_eq!(
        storage.run(&format!("{host}/my-ns/my-app:latest")).ok(),
        app.text
    );
    let tag = [
        "tag",
        &format!("{host}/my-ns/my-app:latest"),
        &format!("{host}/my-ns/my-app:v1"),
    ];
    storage.podman().args(tag).ok();
    alice(&push).fails();
    admin(
        "create rolebinding alice-pushes --clusterrole=system:image-pusher --user=alice -n my-ns",
    );

    // Rights of ServiceAccounts.
    admin("create serviceaccount ci --namespace my-ns");
    admin(
        "create rolebinding default-pulls --clusterrole=system:image-puller --serviceaccount=my-ns:default -n my-ns",
    );
    admin(
        "create rolebinding ci-pushes --clusterrole=system:image-pusher --serviceaccount=my-ns:ci -n my-ns",
    );

    // Push; and from another registry.
    until(|| alice(&push).run().status.success());
    let (_remote, there) = Peer::DockerRegistry.start(&lab, &lab.dir("remote"), None, None);
    let remote = put("remote", &there.image("demo/my-app:latest"));
    alice(&format!(
        "push {}/demo/my-app:latest {host}/my-ns/my-app:latest",
        there.host
    ))
    .ok();
    let digest = desk
        .program("crane")
        .args(["digest", &format!("{host}/my-ns/my-app:latest")])
        .ok();
    assert_eq!(digest.trim(), remote.digest());
    assert_eq!(
        alice(&format!("ls {host}/my-ns/my-app")).ok(),
        "latest\nv1\n"
    );

    // Another namespace's images.
    let shared = format!("pull {host}/shared-ns/base-image:latest");
    alice(&shared).fails();
    admin(
        "create rolebinding cross-user --clusterrole=system:image-puller --user=alice -n shared-ns",
    );
    until(|| alice(&shared).run().status.success());
    let sees = "auth can-i get images.registry.alauda.io --namespace shared-ns --as=system:serviceaccount:my-ns:default";
    cluster.kubectl(&lab).args(sees.split(' ')).fails();
    admin(
        "create rolebinding cross-ns-pull --clusterrole=system:image-puller --serviceaccount=my-ns:default -n shared-ns",
    );
    assert_eq!(admin(sees).trim(), "yes");

    // The checklist.
    for (who, answer) in [
        ("system:serviceaccount:my-ns:default", "yes"),
        ("alice", "yes"),
        ("bob", "no"),
    ] {
        let ask = format!("auth can-i get images.registry.alauda.io --namespace my-ns --as={who}");
        let said = cluster.kubectl(&lab).args(ask.split(' ')).run().stdout;
        assert_eq!(said.trim(), answer, "{who}");
        let why = format!("auth explain pull my-ns/my-app --as {who}");
        let said = desk
            .with(&cluster.kubeconfig("root"))
            .kubectl_slipway()
            .args(why.split(' '))
            .run();
        assert_eq!(said.status.success(), answer == "yes", "{}", said.report);
    }

    // Deploy from the internal address: images of one's own namespace, and of the other.
    for (name, image) in [
        ("my-app", "my-ns/my-app:v1"),
        ("my-base", "shared-ns/base-image:latest"),
    ] {
        cluster.apply(&lab, &deployment(name, &format!("{INTERNAL}/{image}")));
        admin(&format!(
            "rollout status deployment/{name} --namespace my-ns --timeout 120s"
        ));
    }
    assert_eq!(
        admin("get secrets --all-namespaces --output name"),
        "",
        "no pull secret anywhere"
    );
}

/// A refusal is remembered for a moment.
#[track_caller]
fn until(mut is_done: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_done() {
        assert!(begun.elapsed() < tests::daemon::PATIENCE, "it never works");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

/// The guides' example. Pods of this node share the machine's network, where three cannot have one port.
fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: my-ns}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      hostNetwork: true
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 0
      containers:
        - {{name: main-container, image: '{image}', imagePullPolicy: Always, command: [/bin/sleep, '1000000']}}
"
    )
}
