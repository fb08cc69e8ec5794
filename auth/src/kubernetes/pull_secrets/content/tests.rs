use super::*;

fn hosts(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn token(payload: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn the_content_is_what_docker_reads() {
    let written = logins(&hosts(&["b:5000", "a"]), "t");
    assert_eq!(
        String::from_utf8(written.to_vec()).unwrap(),
        r#"{"auths":{"a":{"username":"serviceaccount","password":"t","auth":"c2VydmljZWFjY291bnQ6dA=="},"b:5000":{"username":"serviceaccount","password":"t","auth":"c2VydmljZWFjY291bnQ6dA=="}}}"#
    );
}

#[test]
fn only_what_was_written_for_the_same_hosts_is_taken_as_ours() {
    let ours = hosts(&["a", "b"]);
    let written = logins(&ours, "t");
    assert_eq!(*token_in(&written, &ours).unwrap(), "t");
    let text = String::from_utf8(written.to_vec()).unwrap();
    for altered in [
        String::new(),
        "{}".to_owned(),
        String::from_utf8(EMPTY.to_vec()).unwrap(),
        text.replacen("\"t\"", "\"u\"", 1),
        text.replacen("serviceaccount", "admin", 1),
        text.replacen("c2Vy", "c2Vz", 1),
        text.replacen('{', "{ ", 1),
        text.replace("}}}", "}},\"credsStore\":\"x\"}"),
    ] {
        assert!(token_in(altered.as_bytes(), &ours).is_none(), "{altered}");
    }
    for others in [hosts(&["a"]), hosts(&["a", "b", "c"]), hosts(&["a", "c"])] {
        assert!(token_in(&written, &others).is_none(), "{others:?}");
    }
}

#[test]
fn a_token_says_whose_it_is_and_until_when() {
    let read = Claims::read(&token(
        r#"{"aud":["slipway"],"exp":2000,"iat":1000,"sub":"x","kubernetes.io":{"namespace":"team",
        "secret":{"name":"pull-default","uid":"s"},"serviceaccount":{"name":"default","uid":"a"}}}"#,
    ));
    let read = read.unwrap();
    assert_eq!(read.account_uid, "a");
    assert_eq!(read.secret_uid.as_deref(), Some("s"));
    assert_eq!(read.audiences, ["slipway"]);
    assert_eq!(read.expires, UNIX_EPOCH + Duration::from_secs(2000));
    assert_eq!(read.issued, UNIX_EPOCH + Duration::from_secs(1000));
    for wrong in [
        "{}",
        r#"{"aud":[],"exp":1000,"iat":2000,"kubernetes.io":{"serviceaccount":{"uid":"a"}}}"#,
        r#"{"aud":[],"exp":99999999999999999999,"iat":1,"kubernetes.io":{"serviceaccount":{"uid":"a"}}}"#,
        "not JSON",
    ] {
        assert_eq!(Claims::read(&token(wrong)), None, "{wrong}");
    }
    assert_eq!(Claims::read("no token"), None);
}
