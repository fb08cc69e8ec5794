use super::*;

const ID: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

#[test]
fn pointers_are_told_from_other_files() {
    let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{ID}\nsize 12345\n");
    let pointer = Pointer::parse(text.as_bytes(), true).unwrap();
    assert_eq!((&*pointer.id, pointer.size), (ID, 12345));
    for other in [
        text.replace("/v1", "/v2"),
        text.replace("sha256:", "md5:"),
        text.replace("4d7", "4D7"),
        text.replace("12345", "-1"),
        text.replace("size", "length"),
        String::new(),
    ] {
        assert_eq!(Pointer::parse(other.as_bytes(), true), None, "{other}");
    }
}
