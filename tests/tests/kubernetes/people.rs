//! People log in as whoever kubectl is, and every client has a login that is fresh.

use std::path::{Path, PathBuf};

use tests::podman::Storage;
use tests::{Cluster, Image, Lab, OrFail, Program, Server, server, toolbox};

use super::{api_as, bind, hire_ci, registry, staffed};

/// A machine of somebody's: this program under all its names, and a kubeconfig.
pub(super) struct Desk<'lab> {
    lab: &'lab Lab,
    path: String,
    kubeconfig: PathBuf,
}

impl<'lab> Desk<'lab> {
    pub(super) fn new(lab: &'lab Lab, kubeconfig: &Path) -> Self {
        let bin = lab.dir("links");
        lab.program(&server::binary().display().to_string())
            .args(["install-links", "--dir"])
            .arg(&bin)
            .ok();
        Self {
            lab,
            path: format!("{}:{}", bin.display(), toolbox::search_path()),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// The same machine with another kubeconfig.
    pub(super) fn with(&self, kubeconfig: &Path) -> Self {
        Self {
            path: self.path.clone(),
            kubeconfig: kubeconfig.to_owned(),
            ..*self
        }
    }

    pub(super) fn on(&self, program: Program) -> Program {
        program
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.kubeconfig)
    }

    pub(super) fn program(&self, name: &str) -> Program {
        self.on(self.lab.program(name))
    }

    pub(super) fn slipway(&self) -> Program {
        self.program(&server::binary().display().to_string())
    }

    /// `kubectl slipway`.
    pub(super) fn kubectl_slipway(&self) -> Program {
        self.program("kubectl").arg("slipway")
    }

    /// `docker-credential-slipway`.
    fn helper(&self) -> Program {
        let link = self.lab.path("links/docker-credential-slipway");
        self.program(&link.display().to_string())
    }

    fn kept(&self) -> String {
        let path = self.lab.path("home/.docker/config.json");
        std::fs::read_to_string(path).or_fail("the file of logins")
    }

    fn remembered(&self) -> String {
        let path = self.lab.path("home/.config/slipway/logins.json");
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

/// A cluster with the namespace `team`, where alice pushes and bob pulls, and a registry that asks it.
fn scene(lab: &Lab) -> (Cluster, Server) {
    let cluster = staffed(lab);
    let server = registry(lab, &cluster.kubeconfig("registry"), "");
    (cluster, server)
}

/// A kubeconfig whose user has its token from a program, which reads it from `token` in the lab.
fn exec_kubeconfig(lab: &Lab, cluster: &Cluster) -> PathBuf {
    let token = lab.path("token");
    let program = lab.write(
        "give-token",
        format!(
            "#!/bin/sh\necho '{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \
             \"ExecCredential\", \"status\": {{\"token\": \"'$(cat {})'\"}}}}'\n",
            token.display()
        ),
    );
    let text = std::fs::read_to_string(cluster.kubeconfig("alice")).or_fail("a kubeconfig");
    let text = text.replace(
        "{token: alice}",
        &format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, \
             command: sh, args: ['{}']}}}}",
            program.display()
        ),
    );
    assert!(text.contains("exec"), "{text}");
    lab.write("exec.kubeconfig", text)
}

#[test]
fn whoever_kubectl_is_logs_in_without_a_word() {
    let lab = Lab::new("k8s-login");
    let (cluster, server) = scene(&lab);
    let host = &server.endpoint().host;
    let desk = Desk::new(&lab, &cluster.kubeconfig("alice"));
    let said = desk.kubectl_slipway().args(["login", host]).ok();
    assert!(said.contains("as alice"), "{said}");
    assert!(
        !said.contains(".config/slipway"),
        "a token that is written down is kept: {said}"
    );
    api_as(server.endpoint(), "alice").push_image("team/app", "v1", &[b"l".into()]);
    let (from, to) = (format!("{host}/team/app:v1"), format!("{host}/team/app:v2"));
    desk.program("crane").args(["copy", &from, &to]).ok();

    // Another context of another file, by its name.
    let said = desk
        .slipway()
        .args(["login", host, "--context", "lab", "--kubeconfig"])
        .arg(cluster.kubeconfig("bob"))
        .ok();
    assert!(said.contains("as bob"), "{said}");
    desk.program("crane").args(["digest", &from]).ok();
    let other = format!("{host}/team/app:v3");
    desk.program("crane").args(["copy", &from, &other]).fails();

    desk.kubectl_slipway().args(["logout", host]).ok();
    desk.program("crane").args(["digest", &from]).fails();
    // Somebody whom the cluster does not know, and a context that is not there.
    let text = std::fs::read_to_string(cluster.kubeconfig("alice")).or_fail("a kubeconfig");
    let stranger = lab.write("stranger", text.replace("token: alice", "token: mallory"));
    let said = desk
        .with(&stranger)
        .kubectl_slipway()
        .args(["login", host])
        .fails();
    assert!(
        said.contains("auth.kubernetes.audiences") && !said.contains("mallory"),
        "{said}"
    );
    let said = desk
        .slipway()
        .args(["login", host, "--context", "prod"])
        .fails();
    assert!(said.contains("there is no context prod"), "{said}");
}

#[test]
fn a_login_by_a_program_of_the_kubeconfig_is_fresh_at_each_use() {
    let lab = Lab::new("k8s-fresh");
    let (cluster, server) = scene(&lab);
    let host = &server.endpoint().host;
    let desk = Desk::new(&lab, &exec_kubeconfig(&lab, &cluster));
    lab.write("token", "alice");
    let said = desk.kubectl_slipway().args(["login", host]).ok();
    assert!(said.contains("docker-credential-slipway"), "{said}");
    for kept in [desk.kept(), desk.remembered()] {
        assert!(
            kept.contains(host.as_str()) && !kept.contains("YWxpY2U"),
            "{kept}"
        );
        assert!(!kept.contains("\"auth\""), "no token is kept: {kept}");
    }

    let (from, to) = (format!("{host}/team/app:v1"), format!("{host}/team/app:v2"));
    let docker = format!("docker://{from}");
    let image = Image::busybox(&lab, "app");
    desk.program("skopeo")
        .args(["copy", "--dest-tls-verify=false"])
        .arg(format!("oci:{}", image.at()))
        .arg(&docker)
        .ok();
    let storage = Storage::new(&lab, "machine");
    let pulls = || {
        [
            desk.program("crane").args(["digest", &from]),
            desk.program("skopeo")
                .args(["inspect", "--raw", "--tls-verify=false", &docker]),
            desk.program("oras")
                .args(["manifest", "fetch", "--plain-http", &from]),
            desk.program("regctl")
                .args(["manifest", "head", &from, "--host"])
                .arg(format!("reg={host},tls=disabled")),
            desk.on(storage.podman())
                .args(["pull", "--quiet", "--tls-verify=false", &from]),
        ]
    };
    for pull in pulls() {
        pull.ok();
    }
    desk.program("crane").args(["copy", &from, &to]).ok();
    // Who the program says it is, it is from now on, for every client.
    lab.write("token", "bob");
    for pull in pulls() {
        pull.ok();
    }
    let other = format!("{host}/team/app:v3");
    desk.program("crane").args(["copy", &from, &other]).fails();
    lab.write("token", "carol");
    for pull in pulls() {
        pull.fails();
    }

    let listed = desk.helper().arg("list").ok();
    assert!(listed.contains(host.as_str()), "{listed}");
    desk.kubectl_slipway().args(["logout", host]).ok();
    let said = desk.helper().arg("get").stdin(host.as_str()).fails();
    assert_eq!(said, "credentials not found in native keychain\n");
    assert!(!desk.kept().contains(host.as_str()), "{}", desk.kept());
}

#[test]
fn who_has_a_certificate_only_logs_in_as_a_service_account() {
    let lab = Lab::new("k8s-account");
    let (cluster, server) = scene(&lab);
    let host = &server.endpoint().host;
    hire_ci(&lab, &cluster);
    let text = std::fs::read_to_string(cluster.kubeconfig("bob")).or_fail("a kubeconfig");
    let with = "{client-certificate: c.pem, client-key: k.pem}";
    let certificate = lab.write("certificate.kubeconfig", text.replace("{token: bob}", with));
    let desk = Desk::new(&lab, &certificate);
    let said = desk.kubectl_slipway().args(["login", host]).fails();
    assert!(
        said.contains("a client certificate") && said.contains("--service-account"),
        "{said}"
    );

    let by_account = |desk: &Desk<'_>| {
        desk.kubectl_slipway()
            .args(["login", host, "--service-account", "team/ci"])
    };
    let bob = desk.with(&cluster.kubeconfig("bob"));
    let said = by_account(&bob).fails();
    assert!(
        said.contains("team/ci") && said.contains("cannot create"),
        "{said}"
    );
    let root = desk.with(&cluster.kubeconfig("root"));
    by_account(&root).ok();
    api_as(server.endpoint(), "alice").push_image("team/app", "v1", &[b"l".into()]);
    let (from, to) = (format!("{host}/team/app:v1"), format!("{host}/team/app:v2"));
    root.program("crane").args(["copy", &from, &to]).ok();
    // The ServiceAccount's rights, not those of whoever asks for its tokens.
    root.program("crane")
        .args(["copy", &from, &format!("{host}/elsewhere/app:v2")])
        .fails();
}

#[test]
fn a_token_that_ends_is_read_anew_and_kubectl_completes_what_is_typed() {
    let lab = Lab::new("k8s-ends");
    let (cluster, server) = scene(&lab);
    let host = &server.endpoint().host;
    for name in ["one", "two"] {
        cluster.create_service_account(&lab, "team", name);
    }
    bind(
        &cluster,
        &lab,
        "team",
        "system:image-puller",
        "serviceaccount=team:one",
    );
    api_as(server.endpoint(), "alice").push_image("team/app", "v1", &[b"l".into()]);
    let from = format!("{host}/team/app:v1");
    // Something beside kubectl writes tokens of an hour into the kubeconfig.
    let text = std::fs::read_to_string(cluster.kubeconfig("alice")).or_fail("a kubeconfig");
    let write = |name: &str| {
        let token = cluster.service_account_token(&lab, "team", name);
        let text = text.replace("{token: alice}", &format!("{{token: {token}}}"));
        (lab.write("ending.kubeconfig", text), token)
    };
    let (ending, token) = write("one");
    let desk = Desk::new(&lab, &ending);
    desk.kubectl_slipway().args(["login", host]).ok();
    assert!(!desk.kept().contains("\"auth\""), "{}", desk.kept());
    assert!(!desk.remembered().contains(&token));
    desk.program("crane").args(["digest", &from]).ok();
    write("two");
    desk.program("crane").args(["digest", &from]).fails();

    // The same token from standard input is kept as it is.
    let login = ["login", "--token-stdin", host];
    desk.slipway().args(login).stdin(token.as_str()).ok();
    assert!(desk.kept().contains("\"auth\""), "{}", desk.kept());
    assert!(!desk.remembered().contains(host.as_str()));
    desk.program("crane").args(["digest", &from]).ok();
    let said = desk.slipway().args(login).stdin("made.up").fails();
    assert!(said.contains("does not take this token: "), "{said}");

    let complete = |words: &[&str]| {
        desk.program("kubectl")
            .args(["__complete", "slipway"])
            .args(words)
            .ok()
    };
    assert!(complete(&["auth", ""]).contains("explain"));
    assert!(complete(&["pull", "--eng"]).contains("--engine"));
}

#[test]
fn other_clients_keep_their_logins_by_the_helper() {
    let lab = Lab::new("k8s-helper");
    let (cluster, server) = scene(&lab);
    let host = &server.endpoint().host;
    let desk = Desk::new(&lab, &cluster.kubeconfig("alice"));
    lab.write("home/.docker/config.json", "{\"credsStore\": \"slipway\"}");
    desk.program("oras")
        .args([
            "login",
            "--plain-http",
            "--username",
            "any",
            "--password-stdin",
            host,
        ])
        .stdin("alice")
        .ok();
    let remembered = desk.remembered();
    assert!(
        remembered.contains("stored") && remembered.contains(host.as_str()),
        "{remembered}"
    );
    api_as(server.endpoint(), "alice").push_image("team/app", "v1", &[b"l".into()]);
    let from = format!("{host}/team/app:v1");
    desk.program("crane").args(["digest", &from]).ok();
    desk.program("oras").args(["logout", host]).ok();
    desk.program("crane").args(["digest", &from]).fails();
}
