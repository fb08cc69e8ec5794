use std::net::IpAddr;

use super::*;

fn config(yaml: &str) -> Config {
    serde_saphyr::from_str::<Option<Config>>(yaml)
        .unwrap()
        .unwrap_or_default()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_is_not_asked_for_has_a_bound_where_it_can_be_held() {
    let default = Config::default();
    let usual = defaults(&default, true);
    assert_eq!(
        (usual.memory_bytes, usual.pids, usual.cpu_millis),
        (Some(4 << 30), Some(4096), None)
    );
    assert_eq!(
        (usual.disk_bytes, usual.seconds),
        (Some(20 << 30), Some(3600))
    );
    let weak = defaults(&default, false);
    assert_eq!((weak.memory_bytes, weak.pids), (None, None));
    assert_eq!(weak.disk_bytes, Some(20 << 30));
}

#[test]
fn asking_for_nothing_is_not_asking_for_more_than_one_may() {
    let small = config(
        "builder: {limits: {memoryBytes: 1073741824, cpuMillis: 500, pids: 64, diskBytes: 1048576, runTime: 10s, queueTime: 5s}}",
    );
    for can_limit in [true, false] {
        assert_eq!(defaults(&small, can_limit), limits(&small));
    }
    let seconds = |timeout: Timeout| (timeout.usual.as_secs(), timeout.most.as_secs());
    assert_eq!(seconds(queue_timeout(&small)), (5, 5));
    assert_eq!(seconds(run_timeout(&small)), (10, 10));
    let default = Config::default();
    assert_eq!(seconds(queue_timeout(&default)), (3600, 24 * 3600));
    assert_eq!(seconds(run_timeout(&default)), (3600, 4 * 3600));
    let said = config("builder: {defaults: {runTime: 2h, queueTime: 30m}}");
    assert_eq!(seconds(queue_timeout(&said)), (1800, 24 * 3600));
    assert_eq!(seconds(run_timeout(&said)), (7200, 4 * 3600));
    let large = config(
        "builder: {limits: {memoryBytes: 17179869184}, defaults: {memoryBytes: 1073741824}}",
    );
    assert_eq!(defaults(&large, true).memory_bytes, Some(1 << 30));
}

#[test]
fn loopback_is_reached_by_git_where_nobody_else_reaches_the_server() {
    let reaches = |yaml: &str, address: &str| {
        let network = source_network(&config(yaml)).unwrap();
        network.reach.allows(ip(address))
    };
    for address in ["127.0.0.1", "::1"] {
        assert!(reaches("", address));
        assert!(!reaches("builder: {network: {allow: []}}", address));
        assert!(!reaches(
            "{listen: ['0.0.0.0:5000'], insecureOpen: true}",
            address
        ));
    }
    assert!(!reaches("", "10.0.0.1"));
    assert!(reaches(
        "builder: {network: {allow: ['10.0.0.0/8']}}",
        "10.0.0.1"
    ));
    // A program of a build is not whoever asked for it.
    assert!(!addresses(&config("")).permit(ip("127.0.0.1"), true));
    let allowed = config("builder: {network: {allow: ['10.0.0.0/8']}}");
    assert!(addresses(&allowed).permit(ip("10.0.0.1"), false));
    assert!(!addresses(&allowed).permit(ip("169.254.169.254"), false));
}

#[test]
fn a_proxys_password_comes_from_a_file_and_is_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy");
    std::fs::write(&file, "ada:p@ss/w:rd\n").unwrap();
    let yaml = format!(
        "builder: {{proxy: {{url: 'http://proxy:3128', credentialsFile: {}, direct: ['Git.example.com', '*.corp.example.com', 'x:8443']}}}}",
        file.display()
    );
    let config = config(&yaml);
    let network = source_network(&config).unwrap();
    assert_eq!(
        network.proxy.as_deref(),
        Some("http://ada:p%40ss%2Fw%3Ard@proxy:3128")
    );
    assert_eq!(
        network.no_proxy,
        ["git.example.com", ".corp.example.com", "x:8443"]
    );
    let upstream = upstream(&config).unwrap().unwrap();
    assert!(!format!("{upstream:?}").contains("ss"));
    std::fs::write(&file, "nobody\n").unwrap();
    let error = format!("{:#}", source_network(&config).unwrap_err());
    assert!(error.contains("builder.proxy.credentialsFile"), "{error}");
    assert!(!error.contains("nobody"), "{error}");
}

#[test]
fn files_that_are_named_are_there_and_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let at = file.display();
    for (yaml, key) in [
        (format!("caFile: {at}"), "builder.caFile"),
        (
            format!("git: {{knownHostsFile: {at}}}"),
            "builder.git.knownHostsFile",
        ),
        (
            format!("git: {{authorities: [{{host: git.example.com, caFile: {at}}}]}}"),
            "builder.git.authorities",
        ),
    ] {
        let error = check(&config(&format!("builder: {{{yaml}}}"))).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains(key) && error.contains(&at.to_string()),
            "{error}"
        );
    }
    std::fs::write(&file, "no certificate").unwrap();
    let named = config(&format!("builder: {{caFile: {at}}}"));
    assert!(format!("{:#}", check(&named).unwrap_err()).contains("PEM"));
    let keys = config(&format!("builder: {{secretKeyFile: {at}}}"));
    let error = format!("{:#}", check(&keys).unwrap_err());
    assert!(
        error.contains("builder.secretKeyFile") && error.contains("line 1"),
        "{error}"
    );
    std::fs::remove_file(&file).unwrap();
    check(&keys).unwrap();
    assert!(!file.exists(), "checking makes nothing");
    let nowhere = config(&format!("builder: {{secretKeyFile: {at}/nowhere/keys}}"));
    assert!(format!("{:#}", check(&nowhere).unwrap_err()).contains("no such folder"));
}

#[test]
fn sources_trust_the_authorities_of_the_builder_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let made = rcgen::generate_simple_self_signed(["git.example.com".to_owned()]).unwrap();
    std::fs::write(&file, made.cert.pem()).unwrap();
    let own = config(&format!("builder: {{caFile: {}}}", file.display()));
    assert_eq!(source_network(&own).unwrap().certificates, made.cert.pem());
    assert_eq!(source_network(&Config::default()).unwrap().certificates, "");
}

#[test]
fn the_way_through_a_proxy_is_a_command_of_this_program() {
    use clap::Parser as _;
    let [program, command] = tunnel().unwrap().try_into().unwrap();
    assert!(Path::new(&program).is_file());
    let words: [OsString; 3] = ["slipway".into(), command, "/tmp/way".into()];
    crate::cli::Cli::try_parse_from(words).unwrap();
}
