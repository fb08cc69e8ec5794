//! `slipway config`: what it calls good is what the server starts with.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic to report")]

#[path = "support/certificate.rs"]
mod certificate;
mod support;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Output;

use support::{error_line, run, slipway, stdout};

/// `config check` of `yaml` in a folder of its own, where `FOLDER` is put for its path.
fn check(folder: &Path, yaml: &str) -> Output {
    check_with(folder, yaml, &[])
}

fn check_with(folder: &Path, yaml: &str, more: &[&str]) -> Output {
    let config = folder.join("slipway.yaml");
    std::fs::write(&config, yaml.replace("FOLDER", folder.to_str().unwrap())).unwrap();
    let mut command = slipway();
    command
        .current_dir(folder)
        .args(["config", "check", "--config"])
        .arg(&config)
        .args(more);
    run(&mut command, "")
}

#[test]
fn every_file_that_the_configuration_names_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    certificate::make(at);
    std::fs::write(at.join("garbage"), "not what anybody expects\n").unwrap();
    std::fs::write(at.join("plain"), "ada:secret\n").unwrap();
    support::add_user(&at.join("users"), "ada", "not in clear");
    let half = "kind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: lab, user: u}}]\n\
                users: [{name: u, user: {token: t}}]\n";
    std::fs::write(at.join("half"), half).unwrap();
    std::fs::create_dir(at.join("broken")).unwrap();
    std::fs::write(at.join("broken/role.yaml"), "kind: RoleBinding\n").unwrap();
    for (yaml, key) in [
        (
            "tls: {certFile: /nope, keyFile: key.pem}",
            "tls.certFile: /nope: No such file",
        ),
        ("tls: {certFile: cert.pem, keyFile: /nope}", "tls.keyFile"),
        (
            "tls: {certFile: garbage, keyFile: key.pem}",
            "tls.certFile: garbage: no certificate in it",
        ),
        (
            "tls: {certFile: cert.pem, keyFile: key.pem, clientCaFile: garbage}",
            "tls.clientCaFile: garbage: no certificate in it",
        ),
        (
            "builder: {enabled: true, dir: /proc/x}",
            "builder.dir: nothing can be made in /proc",
        ),
        (
            "builder: {enabled: true, runtime: no-such-runtime}",
            "builder.enabled: this machine cannot run builds",
        ),
        (
            "auth: {htpasswd: {file: /nope}}",
            "auth.htpasswd.file: /nope: No such file",
        ),
        (
            "auth: {kubernetes: {kubeconfig: /nope}}",
            "auth.kubernetes.kubeconfig: /nope: No such file",
        ),
        (
            "auth: {kubernetes: {kubeconfig: half}}",
            "half: it has no cluster \"lab\", which the context names",
        ),
        ("auth: {htpasswd: {file: plain}}", "auth.htpasswd"),
        (
            "auth: {htpasswd: {file: users}, rbac: {dir: /nope}}",
            "auth.rbac",
        ),
        (
            "auth: {htpasswd: {file: users}, rbac: {dir: broken}}",
            "role.yaml",
        ),
        (
            "auth: {htpasswd: {file: users}, tokens: {keyFile: garbage}}",
            "auth.tokens.keyFile",
        ),
        (
            "auth: {htpasswd: {file: users}, tokens: {keyFile: /nope/keys}}",
            "auth.tokens.keyFile",
        ),
        (
            "auth: {oidc: [{issuer: 'http://id.example', clientId: c}]}",
            "auth.oidc: issuer",
        ),
        (
            "auth: {oidc: [{issuer: 'https://id.example', clientId: ''}]}",
            "auth.oidc: clientId",
        ),
        (
            "auth: {oidc: [{issuer: 'https://id.example', clientId: c, caFile: garbage}]}",
            "auth.oidc: caFile: garbage",
        ),
        (
            "auth: {oidc: [{issuer: 'https://id.example', clientId: c, algorithms: [HS256]}]}",
            "auth.oidc: algorithms",
        ),
        (
            "auth: {oidc: [{issuer: 'https://id.example', clientId: c, scopes: [email]}]}",
            "auth.oidc: scopes",
        ),
        ("log: {level: 'storage=loud'}", "log.level"),
        ("log: {level: loud}", "log.level"),
        ("dataDir: garbage", "dataDir"),
        // There, modes let somebody write who can make nothing.
        ("dataDir: /proc/x", "dataDir"),
        ("dataDir: garbage/data", "dataDir"),
        ("storage: {fs: {root: garbage}}", "storage.fs.root"),
        ("index: {sqlite: {path: FOLDER}}", "index.sqlite.path"),
        ("limits: {connections: 0}", "limits.connections"),
    ] {
        let line = error_line(&check(at, yaml));
        assert!(line.contains(key), "{yaml}: {line}");
    }
}

#[test]
fn a_relative_path_to_nothing_is_told_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    certificate::make(at);
    let hash = "$2y$05$vnv9sadGQfpLJmLPgvC83ud7I4X790B3g9Emmgjdx09GIydAxh0la";
    std::fs::write(at.join("users"), format!("ada:{hash}\n")).unwrap();
    for (yaml, key) in [
        ("auth: {htpasswd: {file: ./gone}}", "auth.htpasswd.file"),
        (
            "auth: {htpasswd: {file: users}, rbac: {dir: ./gone}}",
            "auth.rbac.dir",
        ),
        (
            "auth: {kubernetes: {kubeconfig: ./gone}}",
            "auth.kubernetes.kubeconfig",
        ),
        ("tls: {certFile: ./gone, keyFile: key.pem}", "tls.certFile"),
        ("tls: {certFile: cert.pem, keyFile: ./gone}", "tls.keyFile"),
        (
            "auth: {htpasswd: {file: users}, tokens: {keyFile: gone/keys}}",
            "auth.tokens.keyFile",
        ),
    ] {
        let line = error_line(&check(at, yaml));
        let whole = at.canonicalize().unwrap().join("gone");
        assert!(line.contains(key), "{yaml}: {line}");
        assert!(line.contains(whole.to_str().unwrap()), "{yaml}: {line}");
    }
    let line = error_line(&check(at, "auth: {htpasswd: {file: ./gone}}"));
    assert!(
        line.contains("slipway user add NAME --htpasswd ./gone makes it"),
        "{line}"
    );
}

#[test]
fn what_is_good_is_called_so_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    certificate::make(at);
    std::fs::write(at.join("users"), "# nobody yet\n").unwrap();
    std::fs::create_dir(at.join("rbac")).unwrap();
    let yaml = "dataDir: ./data/below\n\
                tls: {certFile: cert.pem, keyFile: key.pem, clientCaFile: cert.pem}\n\
                auth: {htpasswd: {file: users}, rbac: {dir: rbac}, tokens: {keyFile: keys.pem},\n\
                \x20oidc: [{issuer: 'https://id.example', clientId: c, caFile: cert.pem}]}\n";
    let before = names(at);
    for _ in 0..2 {
        let said = check(at, yaml);
        assert!(said.status.success(), "{said:?}");
        assert_eq!(stdout(&said), "the configuration is good\n");
    }
    // And so is all that it amounts to.
    let mut print = slipway();
    print.current_dir(at).args(["config", "print", "--config"]);
    let printed = stdout(&run(print.arg(at.join("slipway.yaml")), ""));
    assert!(printed.contains("keys.pem"), "{printed}");
    let said = check(
        at,
        &printed.replace("keys.pem", "./data/below/token-keys.pem"),
    );
    assert!(said.status.success(), "{said:?}");
    let mut after = names(at);
    after.retain(|name| name != "slipway.yaml");
    assert_eq!(after, before);
}

/// The configuration of a pod is checked where it is written, which is no pod.
#[test]
fn what_only_a_pod_has_is_said_to_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--strict"]] {
        let said = check_with(folder.path(), "auth: {kubernetes: {inCluster: true}}", more);
        assert!(said.status.success(), "{said:?}");
        let told = String::from_utf8_lossy(&said.stderr);
        assert!(told.contains("a server does not start here"), "{said:?}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_variable_of_others_may_be_any_bytes() {
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let mut command = slipway();
    command.args(["config", "print"]).env("OTHER", bytes);
    let said = run(&mut command, "");
    assert!(said.status.success(), "{said:?}");
    let line = error_line(&run(command.env("SLIPWAY_DATA_DIR", bytes), ""));
    assert!(line.contains("SLIPWAY_DATA_DIR"), "{line}");
}

/// A pipeline that checks strictly has the variables by which it asks a server for builds.
#[test]
fn variables_of_clients_are_known() {
    let strict = |name: &str| {
        let mut command = slipway();
        command.args(["config", "check", "--strict"]);
        command.env("SLIPWAY_BUILDER__ENABLED", "false");
        run(command.env(name, "x"), "")
    };
    for name in [
        "SLIPWAY_SERVER",
        "SLIPWAY_NAMESPACE",
        "SLIPWAY_URL",
        "SLIPWAY_TOKEN",
    ] {
        let said = strict(name);
        assert!(said.status.success(), "{name}: {said:?}");
    }
    let said = strict("SLIPWAY_NAMESPACES");
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success(), "{said:?}");
    assert!(told.contains("SLIPWAY_NAMESPACES: is no key"), "{told}");
}

#[test]
fn what_is_odd_in_rules_is_said_and_is_good_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    support::add_user(&at.join("users"), "ada", "not in clear");
    std::fs::create_dir(at.join("rbac")).unwrap();
    let yaml = "auth: {htpasswd: {file: users}, rbac: {dir: rbac}}\n";
    let warnings = || {
        let said = check(at, yaml);
        assert!(said.status.success(), "{said:?}");
        assert_eq!(stdout(&said), "the configuration is good\n");
        String::from_utf8(said.stderr).unwrap()
    };
    assert!(warnings().contains("rbac: no rules"), "{}", warnings());
    let head = "apiVersion: rbac.authorization.k8s.io/v1\n";
    let role = format!(
        "{head}kind: ClusterRole\nmetadata: {{name: pullers}}\nrules:\n\
         - {{apiGroups: [registry.alauda.io], resources: [images], verbs: [VERB]}}\n"
    );
    let binding = format!(
        "{head}kind: ClusterRoleBinding\nmetadata: {{name: all}}\n\
         roleRef: {{kind: ClusterRole, name: NAME}}\nsubjects: [{{kind: User, name: ada}}]\n"
    );
    for (verb, name, said) in [
        ("get", "pullers", ""),
        ("pull", "pullers", "\"pull\""),
        ("get", "puller", "there is no ClusterRole puller"),
    ] {
        let (role, binding) = (role.replace("VERB", verb), binding.replace("NAME", name));
        std::fs::write(at.join("rbac/a.yaml"), format!("{role}---\n{binding}")).unwrap();
        let warnings = warnings();
        assert!(warnings.contains(said), "{warnings}");
        assert_eq!(
            warnings.lines().count(),
            usize::from(!said.is_empty()),
            "{warnings}"
        );
        // To a pipeline it may be a failure.
        let strict = check_with(at, yaml, &["--strict"]);
        assert_eq!(strict.status.success(), said.is_empty(), "{strict:?}");
        let told = String::from_utf8_lossy(&strict.stderr).into_owned();
        assert!(told.starts_with(&warnings), "{told}");
        assert_eq!(
            told.contains("--strict: warnings above: 1"),
            !said.is_empty()
        );
        assert_eq!(stdout(&strict).is_empty(), !said.is_empty(), "{strict:?}");
    }
}

/// Each of these is good YAML and good RBAC, and gives nobody anything.
#[test]
fn what_can_never_hold_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let rules = at.join("rbac");
    std::fs::create_dir(&rules).unwrap();
    let yaml = "auth: {htpasswd: {file: users}, rbac: {dir: rbac}}\n";
    let head = "apiVersion: rbac.authorization.k8s.io/v1\n";
    let binding = |namespace: &str, subject: &str| {
        format!(
            "{head}kind: RoleBinding\nmetadata: {{name: a, namespace: {namespace}}}\n\
             roleRef: {{kind: ClusterRole, name: view}}\nsubjects: [{subject}]\n"
        )
    };
    let ada = "{kind: User, name: ada}";
    let role = format!(
        "{head}kind: Role\nmetadata: {{name: a, namespace: team}}\nrules:\n- {{apiGroups: [registry.alauda.io], \
         resources: [images], verbs: [get], resourceNames: ['app/*']}}\n"
    );
    support::add_user(&at.join("users"), "ada", "not in clear");
    let cases = [
        (binding("team", ada), ""),
        (
            binding("team", "{kind: User, name: adda}"),
            "there is no such user in ",
        ),
        (
            binding("team", "{kind: ServiceAccount, name: ci}"),
            "ServiceAccount team/ci (a.yaml:1) never comes: ServiceAccounts come from a cluster",
        ),
        (
            binding("team", "{kind: User, name: 'system:anonymous'}"),
            "auth.anonymous is off",
        ),
        (
            binding("Team", ada),
            "no repository's name can begin with \"Team\"",
        ),
        (role, "the resourceName \"app/*\""),
    ];
    let warned = || {
        let said = check_with(at, yaml, &["--strict"]);
        (
            said.status.success(),
            String::from_utf8(said.stderr).unwrap(),
        )
    };
    for (rule, expected) in cases {
        std::fs::write(rules.join("a.yaml"), &rule).unwrap();
        let (is_good, told) = warned();
        assert_eq!(is_good, expected.is_empty(), "{rule}: {told}");
        assert!(told.contains(expected), "{rule}: {told}");
    }
    std::fs::write(rules.join("a.yaml"), binding("team", ada)).unwrap();
    std::fs::create_dir(rules.join("more")).unwrap();
    std::fs::write(rules.join("more/b.yaml"), "").unwrap();
    let (is_good, told) = warned();
    assert!(
        !is_good && told.contains("more: subfolders are not read"),
        "{told}"
    );
    std::fs::remove_dir_all(rules.join("more")).unwrap();
    std::fs::write(at.join("users"), "# nobody\n").unwrap();
    let (is_good, told) = warned();
    assert!(!is_good && told.contains("users: no users"), "{told}");
}
