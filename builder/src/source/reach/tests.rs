use super::*;
use crate::source::SourceNetwork;
use crate::source::git::GitUrl;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn public_addresses_are_allowed_and_no_others() {
    let reach = Reach::default();
    for public in [
        "140.82.121.4",
        "1.1.1.1",
        "172.15.0.1",
        "2606:4700::1111",
        "64:ff9b::101:101",
    ] {
        assert!(reach.allows(ip(public)), "{public}");
    }
    for inner in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!reach.allows(ip(inner)), "{inner}");
    }
}

#[test]
fn the_configuration_adds_networks() {
    let reach = Reach::new(vec!["10.0.0.0/8".parse().unwrap()]);
    assert!(reach.allows(ip("10.1.2.3")));
    assert!(reach.allows(ip("::ffff:10.1.2.3")));
    assert!(!reach.allows(ip("127.0.0.1")));
    let everything = Reach::new(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
    assert!(everything.allows(ip("127.0.0.1")));
    for never in [
        "169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "0.0.0.0",
        "224.0.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
    ] {
        assert!(!everything.allows(ip(never)), "{never}");
    }
}

#[tokio::test]
async fn names_are_judged_by_what_they_resolve_to() {
    let reach = Reach::default();
    for host in ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1"] {
        let fault = reach.resolve(host, 443).await.unwrap_err();
        assert_ne!(fault.class(), FaultClass::Machine, "{host}: {fault}");
        assert!(!fault.to_string().contains("127.0.0.1") || host.contains("127.0.0.1"));
    }
    let loopback = Reach::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let found = loopback.resolve("localhost", 443).await.unwrap();
    assert_eq!(found, [ip("127.0.0.1")]);
    assert!(reach.check_literal("[::1]").is_err());
    assert!(reach.check_literal("git.example.com").is_ok());
}

/// Ways to write addresses that no source may come from: the same few, as curl, ssh, resolvers and browsers read them.
const INNER: [&str; 39] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0x7f.1",
    "0X7F.0x1",
    "0x7f000001",
    "0x7f.0.0.0x1",
    "127.0.0.0x1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "0x0",
    "10.1",
    "10.0.0.1",
    "167772161",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "0251.0376.0251.0376",
    "192.168.257",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1.",
    "127.1.",
    "2130706433.",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[fd00:ec2::254]",
];

#[tokio::test]
async fn no_way_to_write_an_inner_address_leads_there() {
    let direct = SourceNetwork::default();
    let proxied = SourceNetwork {
        proxy: Some("http://proxy.example.com:3128".to_owned()),
        ..SourceNetwork::default()
    };
    for host in INNER {
        for text in [
            format!("https://{host}/a"),
            format!("https://{host}:8443/a"),
            format!("ssh://git@{host}/a"),
            format!("git@{host}:a"),
        ] {
            // The short form of ssh has no place for brackets' colons.
            let Ok(url) = text.parse::<GitUrl>() else {
                continue;
            };
            let found = direct.addresses(url.host(), url.port()).await;
            let fault = found.expect_err(&text);
            assert_eq!(fault.class(), FaultClass::AddressForbidden, "{text}");
            // What localhost is to a proxy is its own affair; an address is the same everywhere.
            if url.host() != "localhost" {
                let found = proxied.addresses(url.host(), url.port()).await;
                let fault = found.expect_err(&text);
                assert_eq!(fault.class(), FaultClass::AddressForbidden, "{text}");
            }
        }
        // Scripts and Git LFS are asked for by URLs of the web, which know one form of each address.
        if let Ok(url) = format!("https://{host}/a").parse::<reqwest::Url>() {
            let name = url.host_str().unwrap();
            assert!(direct.addresses(name, 443).await.is_err(), "{host}");
        }
    }
    for host in [
        "8.8.8.8",
        "[2606:4700::1111]",
        "a1.example.com",
        "1e100.net",
        "0x7f.example",
    ] {
        let url: GitUrl = format!("https://{host}/a").parse().expect(host);
        proxied.addresses(url.host(), url.port()).await.expect(host);
    }
}

/// This test, in a network of its own, where the machine has these addresses.
const OWN: &str = "203.0.114.7";

#[test]
fn the_servers_own_addresses_are_no_public_ones() {
    let own = ip(OWN);
    if std::env::var_os("SLIPWAY_TEST_OWN").is_some() {
        let neighbour = ip("203.0.114.8");
        assert!(!Reach::default().allows(own));
        assert!(!Reach::default().allows(ip("::ffff:203.0.114.7")));
        assert!(Reach::default().allows(neighbour));
        let named = Reach::new(vec![own.into()]);
        assert!(named.allows(own) && named.allows(neighbour));
        return;
    }
    assert!(Reach::default().allows(own), "here it is a stranger's");
    let script = format!(
        "ip link set lo up && ip address add {OWN}/32 dev lo && exec \"$0\" --exact --nocapture {}::{}",
        "source::reach::tests", "the_servers_own_addresses_are_no_public_ones"
    );
    let mut inside = std::process::Command::new("unshare");
    inside
        .args(["--user", "--map-root-user", "--net", "sh", "-ec", &script])
        .arg(std::env::current_exe().unwrap())
        .env("SLIPWAY_TEST_OWN", "1");
    let output = inside.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.starts_with("unshare:") {
        println!("skipped: {said}");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
