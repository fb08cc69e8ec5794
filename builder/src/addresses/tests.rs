use super::*;

fn permit(rules: &AddressRules, address: &str) -> bool {
    rules.permit(address.parse().unwrap(), false)
}

#[test]
fn only_public_addresses_by_default() {
    let rules = AddressRules::default();
    for public in [
        "1.1.1.1",
        "151.101.0.223",
        "100.63.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
    ] {
        assert!(permit(&rules, public), "{public}");
    }
    let private = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.1.2.3",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "::ffff:169.254.169.254",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "100::1",
    ];
    for private in private {
        assert!(!permit(&rules, private), "{private}");
    }
}

#[test]
fn a_configured_range_is_allowed_but_never_metadata() {
    let everything =
        AddressRules::allowing(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
    for allowed in ["10.0.0.1", "127.0.0.1", "fc00::1", "::1", "::ffff:10.0.0.1"] {
        assert!(permit(&everything, allowed), "{allowed}");
    }
    let never = [
        "169.254.169.254",
        "169.254.170.2",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "0.0.0.0",
        "224.0.0.1",
        "ff02::1",
    ];
    for never in never {
        assert!(!permit(&everything, never), "{never}");
    }
}

#[test]
fn the_machines_own_addresses_are_private_too() {
    let public: IpAddr = "1.1.1.1".parse().unwrap();
    assert!(!AddressRules::default().permit(public, true));
    assert!(AddressRules::allowing(vec!["1.1.1.1/32".parse().unwrap()]).permit(public, true));
    assert!(is_own("127.0.0.1".parse().unwrap()));
    assert!(is_own("::ffff:127.0.0.1".parse().unwrap()));
    assert!(!is_own("1.1.1.1".parse().unwrap()));
}
