use proptest::prelude::*;

use super::*;

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut message = vec![0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    message
}

#[test]
fn an_allowed_name_has_one_address_and_others_none() {
    let mut names = Names::default();
    let allowed = |name: &str| name == "pypi.org";
    let (reply, refused) = names.reply(&question("PyPI.org", A), allowed).unwrap();
    assert_eq!(refused, None);
    assert_eq!(reply[..4], [0xAB, 0xCD, 0x81, 0x80]);
    let address = Ipv4Addr::new(198, 18, 0, 1);
    assert_eq!(reply[reply.len() - 4..], address.octets());
    assert_eq!(names.name(address), Some("pypi.org"));
    let (again, _) = names.reply(&question("pypi.org.", A), allowed).unwrap();
    assert_eq!(again[again.len() - 4..], address.octets());

    let (empty, _) = names.reply(&question("pypi.org", 28), allowed).unwrap();
    assert_eq!(empty[2..8], [0x81, 0x80, 0, 1, 0, 0]);
    let (none, refused) = names.reply(&question("evil.example", A), allowed).unwrap();
    assert_eq!(none[3] & 0xF, 3);
    assert_eq!(refused.as_deref(), Some("evil.example"));
    assert_eq!(names.name(Ipv4Addr::new(198, 18, 0, 2)), None);
    assert_eq!(names.name(Ipv4Addr::new(198, 18, 0, 0)), None);
    assert_eq!(names.name(Ipv4Addr::new(1, 1, 1, 1)), None);
}

#[test]
fn only_an_ordinary_question_is_carried_on() {
    let good = question("pypi.org", A);
    for kind in [A, 28, 16, 33, 65] {
        assert!(is_ordinary(&question("pypi.org", kind)), "{kind}");
    }
    for kind in [251, 252, 255] {
        assert!(!is_ordinary(&question("pypi.org", kind)), "{kind}");
    }
    // Byte by byte: an answer, NOTIFY, UPDATE, no question, two, an answer with it, an authority with it.
    for (at, byte) in [
        (2, 0x81),
        (2, 0x21),
        (2, 0x29),
        (5, 0),
        (5, 2),
        (7, 1),
        (9, 1),
    ] {
        let mut other = good.clone();
        other[at] = byte;
        assert!(!is_ordinary(&other), "{at} {byte}");
    }
    assert!(!is_ordinary(b"GET / HTTP/1.1"));
}

#[test]
fn the_pool_has_an_end() {
    let mut names = Names::default();
    for number in 0..MAX_NAMES + 10 {
        names
            .reply(&question(&format!("h{number}.example"), A), |_| true)
            .unwrap();
    }
    assert_eq!(names.names.len(), MAX_NAMES);
}

proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Names::default().reply(&bytes, |_| true);
    }

    #[test]
    fn no_cut_question_breaks_it(cut in 0usize..40, byte in any::<u8>(), at in 0usize..40) {
        let mut message = question("files.pythonhosted.org", A);
        let at = at % message.len();
        message[at] = byte;
        message.truncate(message.len() - cut.min(message.len()));
        Names::default().reply(&message, |_| true);
    }
}
