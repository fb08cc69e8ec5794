use super::*;

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
