use proptest::prelude::*;

use super::*;

#[test]
fn a_path_is_brought_to_its_plain_form() {
    for (text, plain) in [
        ("/tmp", "/tmp"),
        ("/tmp/", "/tmp"),
        ("//usr//libexec/./s2i/", "/usr/libexec/s2i"),
        ("/", "/"),
        ("/.", "/"),
    ] {
        assert_eq!(ContainerPath::parse(text).unwrap().as_str(), plain);
    }
}

#[test]
fn what_leads_astray_is_refused() {
    for (text, why) in [
        ("tmp", InvalidPath::Relative),
        ("", InvalidPath::Relative),
        ("/tmp/../etc", InvalidPath::Parent),
        ("/tmp/a\nb", InvalidPath::Control),
        ("/tmp/\0", InvalidPath::Control),
    ] {
        assert_eq!(ContainerPath::parse(text), Err(why), "{text:?}");
    }
    let long = format!("/{}", "a".repeat(ContainerPath::MAX));
    assert_eq!(ContainerPath::parse(&long), Err(InvalidPath::TooLong));
}

#[test]
fn joining_stays_below() {
    let base = ContainerPath::parse("/opt/app").unwrap();
    assert_eq!(base.join("src").unwrap().as_str(), "/opt/app/src");
    assert_eq!(base.join(".").unwrap().as_str(), "/opt/app");
    assert_eq!(base.join("../x"), Err(InvalidPath::Parent));
    assert_eq!(base.join("/x"), Err(InvalidPath::Absolute));
    assert_eq!(base.resolve("/x").unwrap().as_str(), "/x");
    let root = ContainerPath::parse("/").unwrap();
    assert_eq!(root.join("x").unwrap().as_str(), "/x");
    assert_eq!(base.name(), "app");
    assert_eq!(root.name(), "");
}

proptest! {
    #[test]
    fn joining_never_leaves_the_base(base in "/[a-z/.]{0,10}", below in "[a-z/.]{0,12}") {
        if let Ok(base) = ContainerPath::parse(&base)
            && let Ok(joined) = base.join(&below)
        {
            let inside = joined.as_str().starts_with(base.as_str());
            prop_assert!(inside, "{} {}", base, joined);
            let again = ContainerPath::parse(joined.as_str());
            prop_assert_eq!(again, Ok(joined), "it is in its plain form");
        }
    }
}
