//! What the guides of such a registry have people type, in their order, against a real cluster and a real node: log in, give
//! rights to users and ServiceAccounts, pull, push, push from another registry, use images of another namespace, check, deploy.

use tests::peer::Peer;
use tests::podman::Storage;
use tests::{Cluster, Endpoint, Image, Lab, Node, Program, until};

use super::people::Desk;
use super::{installed, registry};

/// The name by which pods know the registry; people know it by another.
const INTERNAL: &str = "image-registry.cpaas-system.svc";

/// Those who take part.
struct Scene<'lab> {
    lab: &'lab Lab,
    cluster: &'lab Cluster,
    /// The registry, as people name it.
    host: &'lab str,
    storage: Storage<'lab>,
    desk: Desk<'lab>,
}

impl Scene<'_> {
    /// `kubectl`, as the administrator.
    #[track_caller]
    fn admin(&self, line: &str) -> String {
        self.cluster.kubectl(self.lab).args(line.split(' ')).ok()
    }

    /// `kubectl slipway`, as alice.
    fn alice(&self, line: &str) -> Program {
        let program = self.storage.config(self.desk.kubectl_slipway());
        program.args(line.split(' '))
    }

    /// Puts an image somewhere, as somebody who may do everything.
    fn put(&self, name: &str, at: &str) -> Image {
        let image = Image::busybox(self.lab, name);
        image.push_as(self.lab, "root", at);
        image
    }
}

#[test]
fn the_guides_commands_work_in_their_order() {
    let lab = Lab::new("k8s-walk");
    let cluster = installed(&lab, &["my-ns", "shared-ns"]);
    let server = registry(&lab, &cluster.kubeconfig("registry"), "");
    let host = server.endpoint().host.as_str();
    let _node = Node::start(&lab, &cluster, &Endpoint::plain(INTERNAL));
    // What a cluster's DNS does for its nodes.
    lab.write(
        format!("certs.d/{INTERNAL}/hosts.toml"),
        format!("server = \"http://{host}\"\n[host.\"http://{host}\"]\n"),
    );
    let scene = Scene {
        lab: &lab,
        cluster: &cluster,
        host,
        storage: Storage::new(&lab, "machine"),
        desk: Desk::new(&lab, &cluster.kubeconfig("alice")),
    };
    log_in_and_get_rights(&scene);
    push_from_another_registry(&scene);
    use_another_namespace(&scene);
    check(&scene);
    deploy_from_the_internal_address(&scene);
}

fn log_in_and_get_rights(scene: &Scene<'_>) {
    let host = scene.host;
    let latest = format!("{host}/my-ns/my-app:latest");
    let app = scene.put("app", &latest);
    scene.alice(&format!("login {host}")).ok();

    // Of a user: to pull, to push.
    let pull = format!("pull {latest}");
    scene.alice(&pull).fails();
    scene.admin(
        "create rolebinding alice-pulls --clusterrole=system:image-puller --user=alice -n my-ns",
    );
    works(scene, &pull);
    assert_eq!(scene.storage.run(&latest).ok(), app.text);
    let v1 = format!("{host}/my-ns/my-app:v1");
    scene.storage.podman().args(["tag", &latest, &v1]).ok();
    let push = format!("push {v1}");
    scene.alice(&push).fails();
    scene.admin(
        "create rolebinding alice-pushes --clusterrole=system:image-pusher --user=alice -n my-ns",
    );
    works(scene, &push);

    // Of ServiceAccounts.
    scene.admin("create serviceaccount ci --namespace my-ns");
    scene.admin("create rolebinding default-pulls --clusterrole=system:image-puller --serviceaccount=my-ns:default -n my-ns");
    scene.admin("create rolebinding ci-pushes --clusterrole=system:image-pusher --serviceaccount=my-ns:ci -n my-ns");
}

fn push_from_another_registry(scene: &Scene<'_>) {
    let host = scene.host;
    let folder = scene.lab.dir("remote");
    let (_remote, there) = Peer::DockerRegistry.start(scene.lab, &folder, None, None);
    let from = there.image("demo/my-app:latest");
    let image = scene.put("remote", &from);
    let to = format!("{host}/my-ns/my-app:latest");
    scene.alice(&format!("push {from} {to}")).ok();
    let digest = scene.desk.program("crane").args(["digest", &to]).ok();
    assert_eq!(digest.trim(), image.digest());
    let listed = scene.alice(&format!("ls {host}/my-ns/my-app")).ok();
    assert_eq!(listed, "latest\nv1\n");
}

fn use_another_namespace(scene: &Scene<'_>) {
    let base = format!("{}/shared-ns/base-image:latest", scene.host);
    scene.put("base", &base);
    let pull = format!("pull {base}");
    scene.alice(&pull).fails();
    scene.admin(
        "create rolebinding cross-user --clusterrole=system:image-puller --user=alice -n shared-ns",
    );
    works(scene, &pull);
    let sees = "auth can-i get images.registry.alauda.io --namespace shared-ns --as=system:serviceaccount:my-ns:default";
    let ask = scene.cluster.kubectl(scene.lab).args(sees.split(' '));
    ask.fails();
    scene.admin("create rolebinding cross-ns-pull --clusterrole=system:image-puller --serviceaccount=my-ns:default -n shared-ns");
    assert_eq!(scene.admin(sees).trim(), "yes");
}

fn check(scene: &Scene<'_>) {
    for (who, answer) in [
        ("system:serviceaccount:my-ns:default", "yes"),
        ("alice", "yes"),
        ("bob", "no"),
    ] {
        let ask = format!("auth can-i get images.registry.alauda.io --namespace my-ns --as={who}");
        let asked = scene.cluster.kubectl(scene.lab).args(ask.split(' ')).run();
        assert_eq!(asked.stdout.trim(), answer, "{who}");
        let why = format!("auth explain pull my-ns/my-app --as {who}");
        let root = scene.desk.with(&scene.cluster.kubeconfig("root"));
        let said = root.kubectl_slipway().args(why.split(' ')).run();
        assert_eq!(said.status.success(), answer == "yes", "{}", said.report);
    }
}

/// Images of one's own namespace, and of the other.
fn deploy_from_the_internal_address(scene: &Scene<'_>) {
    for (name, image) in [
        ("my-app", "my-ns/my-app:v1"),
        ("my-base", "shared-ns/base-image:latest"),
    ] {
        let deployed = deployment(name, &format!("{INTERNAL}/{image}"));
        scene.cluster.apply(scene.lab, &deployed);
        scene.admin(&format!(
            "rollout status deployment/{name} --namespace my-ns --timeout 120s"
        ));
    }
    let secrets = scene.admin("get secrets --all-namespaces --output name");
    assert_eq!(secrets, "", "no pull secret anywhere");
}

/// Types it again and again until it works: a refusal is remembered for a moment.
#[track_caller]
fn works(scene: &Scene<'_>, line: &str) {
    until(line, || scene.alice(line).run().status.success());
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
