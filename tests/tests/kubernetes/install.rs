//! What install/ holds, as it is: taken by a real API server, and run by a real kubelet.

use tests::podman::Storage;
use tests::{Cluster, Endpoint, Image, Lab, Node, eventually_or, server, tls, toolbox};

use super::{ROLES, api_as, bind};

const SERVER: &str = include_str!("../../../install/server.yaml");
const PULL_SECRETS: &str = include_str!("../../../install/pull-secrets.yaml");
const BASE: &str = "localhost/debian:lab";
const IMAGE: &str = "registry.example/slipway:0.1.0";

/// Debian with the program under test on it, by the Containerfile, as an archive.
fn image(lab: &Lab) -> std::path::PathBuf {
    let debian = Image::debian(lab, "debian");
    let storage = Storage::new(lab, "here");
    // podman takes no layout whose folder has capital letters.
    let tar = lab.path("debian.tar");
    lab.program("skopeo")
        .args(["copy", "--quiet", &format!("oci:{}", debian.at())])
        .arg(format!("docker-archive:{}:{BASE}", tar.display()))
        .ok();
    storage
        .podman()
        .args(["load", "--quiet", "--input"])
        .arg(tar)
        .ok();
    let folder = lab.dir("program");
    lab.program("strip")
        .arg("-o")
        .arg(folder.join("slipway"))
        .arg(server::binary())
        .ok();
    storage
        .podman()
        .args(["build", "--pull=never", "--quiet", "--isolation=chroot"])
        .args(["--build-arg", &format!("BASE={BASE}")])
        .args(["--tag", IMAGE, "--file"])
        .arg(toolbox::checkout().join("install/Containerfile"))
        .arg(folder)
        .ok();
    let archive = lab.path("slipway.tar");
    storage
        .podman()
        .args(["save", "--format", "oci-archive", "--output"])
        .arg(&archive)
        .arg(IMAGE)
        .ok();
    archive
}

/// The lab's ground: a node without a pod network and services without a proxy, so that the pod stands in the
/// machine's network and is told where the API server is.
fn on_this_machine(cluster: &Cluster, port: u16) -> String {
    let api = cluster.address();
    let (host, api_port) = api.split_once(':').unwrap_or((&api, ""));
    let replace = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let text = replace(
        SERVER,
        "      serviceAccountName: slipway\n",
        "      serviceAccountName: slipway\n      hostNetwork: true\n",
    );
    let text = replace(
        &text,
        "          ports:\n",
        &format!(
            "          env:
            - {{name: KUBERNETES_SERVICE_HOST, value: '{host}'}}
            - {{name: KUBERNETES_SERVICE_PORT, value: '{api_port}'}}
          ports:\n"
        ),
    );
    let text = replace(&text, "[::]:5000", &format!("[::]:{port}"));
    let text = replace(
        &text,
        "containerPort: 5000",
        &format!("containerPort: {port}"),
    );
    let text = replace(
        &text,
        "        inCluster: true\n",
        "        inCluster: true\n        pullSecrets: {enabled: true}\n",
    );
    replace(&text, "storage: 100Gi", "storage: 1Gi")
}

/// A volume for its data, which its user may write.
fn give_volume(lab: &Lab, cluster: &Cluster) {
    let volume = lab.dir("volume");
    lab.program("chown").args(["65532:65532"]).arg(&volume).ok();
    cluster.apply(
        lab,
        &format!(
            "apiVersion: v1
kind: PersistentVolume
metadata: {{name: data}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  hostPath: {{path: {}}}
",
            volume.display()
        ),
    );
}

/// The keys that it signs with, and its certificate.
fn give_secrets(lab: &Lab, cluster: &Cluster, own: &tls::Certificate) {
    let create = |words: &str| {
        let create = format!("create secret {words} --namespace slipway");
        cluster.kubectl(lab).args(create.split(' '))
    };
    let keys = lab
        .program("openssl")
        .args("genpkey -algorithm ed25519".split(' '));
    let keys = lab.write("keys.pem", keys.ok());
    create("generic slipway-keys")
        .arg("--from-file")
        .arg(keys)
        .ok();
    create("tls slipway-tls")
        .arg("--cert")
        .arg(&own.cert)
        .arg("--key")
        .arg(&own.key)
        .ok();
}

#[test]
fn a_cluster_runs_the_server_from_what_is_installed() {
    let lab = Lab::new("k8s-install");
    let cluster = Cluster::start(&lab);
    // As they are: no unknown field, nothing that the API server would not take.
    cluster.create_namespace(&lab, "slipway");
    for text in [ROLES, SERVER, PULL_SECRETS] {
        cluster
            .kubectl(&lab)
            .args("apply --dry-run=server --validate=strict --filename -".split(' '))
            .stdin(text)
            .ok();
    }
    cluster.apply(&lab, ROLES);
    let archive = image(&lab);
    let port = lab.port();
    let authority = tls::Authority::new(&lab);
    let own = authority.issue(&lab, "server");
    let at = Endpoint {
        host: format!("127.0.0.1:{port}"),
        ca: Some(authority.certificate),
        login: None,
    };
    let node = Node::start_without_plugin(&lab, &cluster, &at);
    node.import(&lab, &archive, IMAGE);

    give_volume(&lab, &cluster);
    let kubectl = |words: &str| cluster.kubectl(&lab).args(words.split(' '));
    give_secrets(&lab, &cluster, &own);
    for text in [PULL_SECRETS, &on_this_machine(&cluster, port)] {
        cluster.apply(&lab, text);
    }
    let pod = |path: &str| {
        let get = kubectl("get pod slipway-0 --namespace slipway --output");
        get.arg(format!("jsonpath={path}")).run().stdout
    };
    let ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
    until(
        || pod(ready) == "True",
        || {
            let described = kubectl("describe pod slipway-0 --namespace slipway")
                .run()
                .stdout;
            let logs = kubectl("logs slipway-0 --namespace slipway").run().stdout;
            format!("{described}\n{logs}")
        },
    );

    // It asks the cluster that it runs in.
    cluster.create_namespace(&lab, "team");
    bind(&cluster, &lab, "team", "system:image-pusher", "user=alice");
    let alice = api_as(&at, "alice");
    alice.push_image("team/app", "v1", &[b"layer".to_vec()]);
    let bob = api_as(&at, "bob");
    let refused = bob
        .manifest("team/app", "v1")
        .map(|reply| reply.status.as_u16());
    assert_eq!(refused.ok(), Some(403));
    // And keeps its pull secrets, by the lease in its own namespace.
    let named = || {
        let get = kubectl("get serviceaccount default --namespace team --output");
        get.arg("jsonpath={.imagePullSecrets[*].name}").run().stdout
    };
    until(
        || named() == "slipway-pull-default",
        || kubectl("logs slipway-0 --namespace slipway").run().stdout,
    );
    kubectl("get lease slipway-pull --namespace slipway").ok();
    let ask = "auth can-i get images.registry.alauda.io --namespace team --as system:serviceaccount:team:default";
    until(
        || kubectl(ask).run().stdout == "yes\n",
        || kubectl(ask).run().stdout,
    );
    // What was pushed outlives the pod.
    kubectl("delete pod slipway-0 --namespace slipway").ok();
    until(|| pod(ready) == "True", || pod("{.status}"));
    let pulled = alice
        .manifest("team/app", "v1")
        .map(|reply| reply.status.as_u16());
    assert_eq!(pulled.ok(), Some(200));
}

#[track_caller]
fn until(holds: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    eventually_or(|| holds().then_some(()), otherwise);
}
