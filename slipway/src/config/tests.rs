mod documentation;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use super::load::parse;
use super::{Config, Index, Storage};

fn from(yaml: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    parse(Some((Path::new("slipway.yaml"), yaml)), variables, false)
}

fn error(yaml: &str, variables: &[(&str, &str)]) -> String {
    format!("{:#}", from(yaml, variables).unwrap_err())
}

#[test]
fn nothing_configured_is_a_loopback_server_on_files() {
    let config = from("# nothing\n", &[]).unwrap();
    assert_eq!(config.listen[0].to_string(), "127.0.0.1:5000");
    assert!(config.auth.is_open());
    assert!(
        matches!(config.storage(), Storage::Fs(fs) if fs.root == Path::new("./slipway-data/objects"))
    );
    assert!(
        matches!(config.index(), Index::Sqlite(db) if db.path == Path::new("./slipway-data/index.db"))
    );
}

#[test]
fn an_unknown_key_is_an_error_with_its_place() {
    let error = error("dataDir: /d\nauth:\n  anonymus: true\n", &[]);
    assert!(error.contains("slipway.yaml"), "{error}");
    assert!(error.contains("anonymus"), "{error}");
    assert!(error.contains('3'), "the line: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

/// Each error: file, line and column, key, what is there, what may be.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_wrong_is_said_in_the_words_of_the_keys() {
    const ADDRESS: &str =
        "write an IP address and a port, such as 127.0.0.1:5000, or [::]:5000 for all addresses";
    const LENGTH: &str = "write a length of time, such as 90s, 10m, 24h or 7d";
    const PATH: &str = "a path, such as /etc/slipway/file or ./file";
    for (yaml, place, said) in [
        (
            "listen: 127.0.0.1:5000",
            "1:9",
            "listen: \"127.0.0.1:5000\" is not right: write a list of IP addresses and ports, such as [\"127.0.0.1:5000\"]",
        ),
        (
            "builder: {defaults: {memoryBytes: 4GiB}}",
            "1:35",
            "builder.defaults.memoryBytes: \"4GiB\" is not right: write a number of bytes without a unit, such as 1073741824 for 1 GiB",
        ),
        (
            "builder: {network: {allow: 10.0.0.0/8}}",
            "1:28",
            "builder.network.allow: \"10.0.0.0/8\" is not right: write a list of networks, such as [10.0.0.0/8]",
        ),
        (
            "builder: {network: {allow: [10.0.0.0]}}",
            "1:29",
            "builder.network.allow[0]: \"10.0.0.0\" is not right: write a network, such as 10.0.0.0/8",
        ),
        (
            "listen: ['localhost:5000']",
            "1:10",
            &format!("listen[0]: \"localhost:5000\" is not right: {ADDRESS}"),
        ),
        (
            "listen:\n- '[::1]:1'\n- ':5000'",
            "3:3",
            &format!("listen[1]: \":5000\" is not right: {ADDRESS}"),
        ),
        (
            "drainTimeout: soon",
            "1:15",
            &format!("drainTimeout: \"soon\" is not right: {LENGTH}"),
        ),
        (
            "uploads:\n  expireAfter: 60",
            "2:16",
            &format!("uploads.expireAfter: 60 is not right: {LENGTH}"),
        ),
        (
            "uploads:\n  maxBlobBytes: 10GiB",
            "2:17",
            "uploads.maxBlobBytes: \"10GiB\" is not right: write a number of bytes without a unit, such as 1073741824 for 1 GiB",
        ),
        (
            "limits: {blobs: -1}",
            "1:17",
            "limits.blobs: -1 is not right: write a whole number, such as 1000",
        ),
        (
            "log:\n  format: xml",
            "2:11",
            "log.format: \"xml\" is not right: write text or json",
        ),
        (
            "log: {requests: maybe}",
            "1:17",
            "log.requests: \"maybe\" is not right: write true or false",
        ),
        (
            "trustedProxies: [10.0.0.0/99]",
            "1:18",
            "trustedProxies[0]: \"10.0.0.0/99\" is not right: write a network, such as 10.0.0.0/8",
        ),
        (
            "dataDir: [a]",
            "1:10",
            &format!("dataDir: [\"a\"] is not right: write {PATH}"),
        ),
        (
            "auth:\n  htpasswd: /h",
            "2:13",
            "auth.htpasswd: \"/h\" is not right: write keys below it, of file",
        ),
        (
            "auth:\n  kubernetes: {preset: gcp}",
            "2:24",
            "auth.kubernetes.preset: \"gcp\" is not right: write acp or openshift",
        ),
        (
            "auth: {oidc: {issuer: x}}",
            "1:14",
            "auth.oidc: {\"issuer\":\"x\"} is not right: write a list, such as [a, b], or a line with a dash for each",
        ),
        (
            "storage: {fs: {root: /a}, memory: {}}",
            "1:27",
            "storage: {\"fs\":{\"root\":\"/a\"},\"memory\":{}} is not right: write exactly one key below it, of fs, memory",
        ),
        (
            "storage: s3",
            "1:10",
            "storage: \"s3\" is not right: write exactly one key below it, of fs, memory",
        ),
        (
            "tls: {certFile: c}",
            "1:7",
            &format!("tls.keyFile: is missing: add {PATH}"),
        ),
        (
            "auth:\n  anonymus: true",
            "2:3",
            "auth.anonymus: there is no such key: did you mean auth.anonymous?",
        ),
        (
            "auth:\n  oidc:\n  - issuer: https://x\n    clientID: y",
            "4:5",
            "auth.oidc[0].clientID: there is no such key: did you mean auth.oidc[0].clientId?",
        ),
        (
            "anonymous: true",
            "1:1",
            "anonymous: there is no such key here: did you mean auth.anonymous?",
        ),
        (
            "manifests: {quux: 1}",
            "1:13",
            "manifests.quux: there is no such key; there are sparse",
        ),
        (
            "log:\n  level: a\n  level: b",
            "3:3",
            "log.level: is there twice: leave one of them out",
        ),
        (
            "listen: ['0.0.0.0:5000']",
            "1:9",
            "listen: 0.0.0.0:5000 can be reached from other machines, and no authentication is configured: set one of auth.htpasswd, auth.oidc and auth.kubernetes (or auth.rbac with auth.anonymous: true), or pass --insecure-open to serve everyone",
        ),
        (
            "auth:\n  htpasswd: {file: /h}\n  tokens:\n    lifetime: 12h",
            "4:15",
            "auth.tokens.lifetime: 12h is out of range: it may be from 1m to 1h",
        ),
    ] {
        let expected = format!("slipway.yaml:{place}: {said}");
        assert_eq!(error(yaml, &[]), expected, "{yaml}");
    }
    let syntax = error("a: [\n", &[]);
    assert!(syntax.starts_with("slipway.yaml:"), "{syntax}");
    assert!(syntax.contains(": this is no YAML: "), "{syntax}");
    let none = error("- a", &[]);
    let expected = "slipway.yaml:1:1: [\"a\"] is no configuration: write keys below it, of audit";
    assert!(none.starts_with(expected), "{none}");
}

#[test]
fn two_kinds_of_storage_are_an_error() {
    let error = error("storage: {fs: {root: /a}, memory: {}}", &[]);
    assert!(error.contains("slipway.yaml"), "{error}");
}

#[test]
fn every_key_is_a_variable_too() {
    let variables = [
        ("SLIPWAY_LISTEN", "[\"127.0.0.1:7000\", \"[::1]:7000\"]"),
        ("SLIPWAY_DATA_DIR", "/d"),
        ("SLIPWAY_STORAGE__FS__ROOT", "/o"),
        ("SLIPWAY_AUTH__HTPASSWD__FILE", "/h"),
        ("SLIPWAY_AUTH__ANONYMOUS", "true"),
        ("SLIPWAY_AUTH__RBAC__DIR", "/r"),
        ("SLIPWAY_UPLOADS__EXPIRE_AFTER", "90s"),
        ("SLIPWAY_TLS__CERT_FILE", "/c"),
        ("SLIPWAY_TLS__KEY_FILE", "/k"),
        ("SLIPWAY_TRUSTED_PROXIES", "[10.0.0.0/8]"),
    ];
    let config = from("storage: {memory: {}}", &variables).unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.data_dir, Path::new("/d"));
    assert!(matches!(config.storage(), Storage::Fs(fs) if fs.root == Path::new("/o")));
    assert_eq!(config.auth.htpasswd.unwrap().file, Path::new("/h"));
    assert!(config.auth.anonymous);
    assert_eq!(config.uploads.expire_after.get().as_secs(), 90);
    assert_eq!(config.tls.unwrap().cert_file, Path::new("/c"));
    assert_eq!(config.trusted_proxies.len(), 1);
}

#[test]
fn variables_of_others_are_left_alone_and_misspelt_ones_are_not() {
    let others = [
        ("SLIPWAY_SERVER", "http://x"),
        ("SLIPWAY_PORT_5000_TCP", "tcp://10.0.0.1:5000"),
        ("SLIPWAY_SERVICE_HOST", "10.0.0.1"),
    ];
    from("", &others).unwrap();
    let error = error("", &[("SLIPWAY_STORAGE__FS__ROOTS", "/o")]);
    assert!(error.contains("SLIPWAY"), "{error}");
    assert!(error.contains("roots"), "{error}");
}

#[test]
fn a_wrong_value_is_said_with_its_variable() {
    for (name, value, said) in [
        ("SLIPWAY_LISTEN", "127.0.0.1:15200", "such as [\"127"),
        (
            "SLIPWAY_LISTEN",
            "[nowhere]",
            "listen[0]: \"nowhere\" is not",
        ),
        (
            "SLIPWAY_LIMITS__LISTS",
            "0",
            "limits.lists: 0 is out of range",
        ),
        ("SLIPWAY_DRAIN_TIMEOUT", "soon", "90s"),
        ("SLIPWAY_LIMITS__BLOBS", "many", "many"),
        ("SLIPWAY_TLS__CERT_FILE", "/c", "keyFile"),
        ("SLIPWAY_DATA_DIR__BELOW", "x", "holds no keys"),
        ("SLIPWAY_AUTH__ANONYMUS", "true", "anonymus"),
    ] {
        let right = ("SLIPWAY_LOG__REQUESTS", "false");
        for variables in [&[(name, value)][..], &[right, (name, value)]] {
            let line = error("", variables);
            assert!(line.starts_with(&format!("{name}: ")), "{line}");
            assert!(line.contains(said), "{line}");
            assert_eq!(line.matches(name).count(), 1, "{line}");
        }
    }
}

#[test]
fn a_misspelt_variable_is_not_silently_off() {
    let said = error("", &[("SLIPWAY_LISTENN", "[]")]);
    assert!(said.contains("SLIPWAY_LISTENN:"), "{said}");
    assert!(said.contains("SLIPWAY_LISTEN?"), "{said}");
    let said = error("", &[("SLIPWAY_AUTH_HTPASSWD_FILE", "/h")]);
    assert!(said.contains("SLIPWAY_AUTH__HTPASSWD__FILE"), "{said}");
    let said = error("", &[("SLIPWAY_ATUH__ANONYMOUS", "true")]);
    assert!(said.contains("SLIPWAY_ATUH__ANONYMOUS"), "{said}");
    assert!(said.contains("SLIPWAY_AUTH__ANONYMOUS"), "{said}");
    let said = error("", &[("SLIPWAY_DATADIR", "/d")]);
    assert!(said.contains("SLIPWAY_DATA_DIR"), "{said}");
    let said = error("", &[("SLIPWAY___LISTEN", "[]")]);
    assert!(said.contains("SLIPWAY___LISTEN"), "{said}");
}

#[test]
fn what_is_not_utf_8_matters_in_variables_of_ours_only() {
    let bytes = || OsString::from_vec(b"\xff/d".to_vec());
    let with = |name: OsString| parse(None, std::iter::once((name, bytes())), false);
    with("OTHER".into()).unwrap();
    with("SLIPWAY_SERVICE_HOST".into()).unwrap();
    with(bytes()).unwrap();
    let said = format!("{:#}", with("SLIPWAY_DATA_DIR".into()).unwrap_err());
    assert!(said.contains("SLIPWAY_DATA_DIR"), "{said}");
    assert!(said.contains("UTF-8"), "{said}");
}

#[test]
fn an_open_server_stays_on_loopback_unless_told() {
    for address in ["0.0.0.0:5000", "[::]:5000", "192.0.2.1:5000"] {
        let yaml = format!("listen: ['{address}']");
        let refusal = error(&yaml, &[]);
        assert!(refusal.contains("--insecure-open"), "{refusal}");
        from(&format!("{yaml}\ninsecureOpen: true"), &[]).unwrap();
        from(&format!("{yaml}\nauth: {{htpasswd: {{file: /h}}}}"), &[]).unwrap();
    }
    from("listen: ['[::1]:5000', '[::ffff:127.0.0.1]:5001']", &[]).unwrap();
}

#[test]
fn values_out_of_range_are_named_with_what_they_may_be() {
    for (yaml, key, bound) in [
        ("limits: {connections: 0}", "limits.connections", "1"),
        (
            "limits: {connections: 18446744073709551615}",
            "limits.connections",
            "10000000",
        ),
        ("limits: {blobs: 0}", "limits.blobs", "1"),
        ("limits: {uploads: 0}", "limits.uploads", "1"),
        ("limits: {manifests: 0}", "limits.manifests", "1"),
        ("limits: {lists: 0}", "limits.lists", "1"),
        (
            "limits: {manifestCacheBytes: 18446744073709551615}",
            "limits.manifestCacheBytes",
            "1099511627776",
        ),
        (
            "limits: {handshakeTimeout: 0s}",
            "limits.handshakeTimeout",
            "100ms",
        ),
        (
            "limits: {headerTimeout: 0s}",
            "limits.headerTimeout",
            "100ms",
        ),
        ("limits: {bodyTimeout: 99ms}", "limits.bodyTimeout", "100ms"),
        ("limits: {sendTimeout: 25h}", "limits.sendTimeout", "1d"),
        ("uploads: {maxBlobBytes: 0}", "uploads.maxBlobBytes", "1"),
        ("uploads: {expireAfter: 0s}", "uploads.expireAfter", "1s"),
        ("drainTimeout: 1000y", "drainTimeout", "1d"),
        (
            "auth: {tokens: {lifetime: 0s}}",
            "auth.tokens.lifetime",
            "1m",
        ),
        (
            "auth: {tokens: {lifetime: 12h}}",
            "auth.tokens.lifetime",
            "1h",
        ),
        ("hosts: ['https://x']", "hosts", "host:port"),
        ("hosts: ['']", "hosts", "host:port"),
        (
            "telemetry: {otlpEndpoint: 'collector:4318'}",
            "telemetry.otlpEndpoint",
            "http://",
        ),
    ] {
        let said = error(yaml, &[]);
        let key = format!(": {key}: ");
        assert!(said.starts_with("slipway.yaml:1:"), "{yaml}: {said}");
        assert!(said.contains(&key), "{yaml}: {said}");
        assert!(said.contains(bound), "{yaml}: {said}");
    }
    from(
        "auth: {tokens: {lifetime: 1h}}\nlimits: {connections: 1, manifestCacheBytes: 0}\n\
         drainTimeout: 0s\nhosts: [a.example, 'a.example:5000', '[::1]:5000']",
        &[],
    )
    .unwrap();
}

#[test]
fn content_and_index_live_equally_long() {
    let lost = "index: {sqlite: {path: ':memory:'}}\n";
    let said = error(lost, &[]);
    assert!(said.contains("index.sqlite.path"), "{said}");
    from(&format!("storage: {{memory: {{}}}}\n{lost}"), &[]).unwrap();
    let left = "storage: {memory: {}}\nindex: {sqlite: {path: /d/index.db}}";
    let said = error(left, &[]);
    assert!(said.contains("storage.memory"), "{said}");
    error("index: {sqlite: {path: ''}}", &[]);
}

#[test]
fn strangers_get_what_rules_give_them_and_nothing_without_rules() {
    for yaml in [
        "auth: {anonymous: true}",
        "auth: {anonymous: true, htpasswd: {file: /h}}",
        "listen: ['0.0.0.0:5000']\nauth: {anonymous: true}",
        "insecureOpen: true\nauth: {anonymous: true}",
    ] {
        let said = error(yaml, &[]);
        assert!(said.contains("auth.rbac.dir"), "{yaml}: {said}");
    }
    from("auth: {anonymous: true, rbac: {dir: /r}}", &[]).unwrap();
    let said = error("auth: {rbac: {dir: /r}}", &[]);
    assert!(said.contains("auth.htpasswd.file"), "{said}");
}

#[test]
fn pull_secrets_that_cannot_be_are_said_with_their_key() {
    let with = |more: &str| {
        format!(
            "hosts: [registry.example]\nauth: {{kubernetes: {{inCluster: true, pullSecrets: {{enabled: true{more}}}}}}}"
        )
    };
    let settings = |yaml: &str| from(yaml, &[]).unwrap().pull_secrets().unwrap();
    assert!(settings(&with("")).is_some());
    assert!(settings("auth: {kubernetes: {inCluster: true, pullSecrets: {name: '-'}}}").is_none());
    assert!(settings("").is_none());
    for (more, key) in [
        (", name: A", "name"),
        (", hosts: ['https://x']", "hosts"),
        (", serviceAccounts: []", "serviceAccounts"),
        (", lifetime: 9m", "lifetime"),
        (", renewBefore: 24h", "renewBefore"),
        ("}, audiences: [", "enabled"),
    ] {
        let yaml = with(more).replace("audiences: [}", "audiences: []");
        let said = error(&yaml, &[]);
        let at = format!("auth.kubernetes.pullSecrets.{key}: ");
        assert!(said.contains(&at), "{yaml}: {said}");
    }
    let nowhere = "auth: {kubernetes: {inCluster: true, pullSecrets: {enabled: true}}}";
    assert!(error(nowhere, &[]).contains("pullSecrets.hosts: name 1"));
}

#[test]
fn what_is_printed_can_be_read_back() {
    let yaml = "auth: {htpasswd: {file: /h}, rbac: {dir: /r}}\nstorage: {memory: {}}\n";
    let printed = serde_saphyr::to_string(&from(yaml, &[]).unwrap().effective()).unwrap();
    let again = from(&printed, &[]).unwrap().effective();
    assert_eq!(serde_saphyr::to_string(&again).unwrap(), printed);
}

#[test]
fn what_the_builder_is_told_is_checked_and_named() {
    for (yaml, named) in [
        ("workers: 0", "builder.workers"),
        ("runtime: ''", "builder.runtime"),
        ("imageNamespaces: [a/b]", "builder.imageNamespaces"),
        ("limits: {memoryBytes: 1}", "builder.limits.memoryBytes"),
        (
            "defaults: {runTime: 5h}",
            "builder.defaults.runTime: 5h is more than",
        ),
        ("defaults: {pids: 1}", "builder.defaults.pids"),
        (
            "network: {registries: ['https://pypi.org']}",
            "builder.network.registries",
        ),
        ("network: {allow: [all]}", ":1:29: builder.network.allow"),
        ("network: {egress: some}", "registries-only"),
        ("proxy: {url: 'https://proxy'}", "builder.proxy.url"),
        (
            "proxy: {url: 'http://ada:canary@proxy'}",
            "builder.proxy.credentialsFile",
        ),
        (
            "proxy: {url: 'http://proxy', direct: ['*']}",
            "builder.proxy.direct",
        ),
        (
            "git: {authorities: [{host: 'https://x', caFile: /x}]}",
            "builder.git.authorities",
        ),
        ("userIds: {first: 0}", "builder.userIds"),
        ("retention: {succeeded: 0}", "builder.retention.succeeded"),
        ("enabled: maybe", "auto or true or false"),
        ("secretKey: x", "there is no such key"),
    ] {
        let told = error(&format!("builder: {{{yaml}}}"), &[]);
        assert!(told.contains(named), "{yaml}: {told}");
        assert!(!told.contains("canary"), "{told}");
    }
    let config = from(
        "builder: {enabled: false}",
        &[("SLIPWAY_BUILDER__ENABLED", "true")],
    );
    assert_eq!(config.unwrap().builder.enabled, super::Enabled::Yes);
}
