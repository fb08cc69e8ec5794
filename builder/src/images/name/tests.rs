use oci::{Algorithm, Digest};

use super::{ImageName, InvalidImageName};

fn hosts() -> Vec<String> {
    vec![
        "registry.example.com".to_owned(),
        "localhost:5000".to_owned(),
    ]
}

fn parse(text: &str) -> Result<ImageName, InvalidImageName> {
    ImageName::parse(text, &hosts())
}

#[test]
fn names_are_read_in_all_their_forms() {
    let digest = Digest::of(Algorithm::Sha256, b"x");
    for (text, shown, reference) in [
        ("shop/cart", "shop/cart".to_owned(), "latest".to_owned()),
        ("shop/cart:v1", "shop/cart:v1".to_owned(), "v1".to_owned()),
        (
            "localhost:5000/shop/cart:v1",
            "shop/cart:v1".to_owned(),
            "v1".to_owned(),
        ),
        (
            "Registry.Example.com/shop/cart",
            "shop/cart".to_owned(),
            "latest".to_owned(),
        ),
        (
            "other.example.com/cart",
            "other.example.com/cart".to_owned(),
            "latest".to_owned(),
        ),
        (
            &format!("shop/cart:v1@{digest}"),
            format!("shop/cart:v1@{digest}"),
            digest.to_string(),
        ),
        (
            &format!("shop/cart@{digest}"),
            format!("shop/cart@{digest}"),
            digest.to_string(),
        ),
    ] {
        let name = parse(text).unwrap();
        assert_eq!(name.to_string(), shown);
        assert_eq!(name.reference().to_string(), reference, "{text}");
        assert_eq!(parse(&name.to_string()).unwrap(), name);
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for text in [
        "",
        "/",
        "Shop/cart",
        "shop/cart:",
        "shop/cart:v 1",
        "shop/cart@x",
        "shop//cart",
        "a:1:2",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    let elsewhere = parse("localhost:6000/shop/cart");
    assert_eq!(
        elsewhere,
        Err(InvalidImageName::Elsewhere("localhost:6000".to_owned()))
    );
}
