use super::*;

#[test]
fn three_parts_and_no_more() {
    let jws = Jws::split("a.b.c").unwrap();
    assert_eq!((jws.header, jws.payload, jws.signature), ("a", "b", "c"));
    assert_eq!(jws.signed, "a.b");
    for text in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e", &".".repeat(1 << 20)] {
        assert!(Jws::split(text).is_none(), "{text:.20}");
    }
    assert!(Jws::split(&format!("{}.b.c", "a".repeat(MAX_HEADER + 1))).is_none());
}

#[test]
fn a_name_that_stands_twice_is_an_error() {
    let read = |text: &str| {
        serde_json::from_str::<Unambiguous>(text).map(|Unambiguous(members)| members.len())
    };
    assert_eq!(read(r#"{"a":1,"b":{"c":1,"c":2}}"#).unwrap(), 2);
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        "[]",
        "null",
        r#"{"a":1} "#,
        r#"{"a":1}}"#,
    ] {
        assert_eq!(read(text).is_ok(), text == r#"{"a":1} "#, "{text}");
    }
}
