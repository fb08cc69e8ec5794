use proptest::prelude::*;

use super::*;

#[test]
fn urls_are_read_and_written_back() {
    for (text, shown, port) in [
        (
            "https://Git.Example.com/a/b.git",
            "https://git.example.com/a/b.git",
            443,
        ),
        (
            "https://git.example.com:8443/a",
            "https://git.example.com:8443/a",
            8443,
        ),
        ("https://[::1]:8443/a", "https://[::1]:8443/a", 8443),
        ("http://127.0.0.1:3000/a", "http://127.0.0.1:3000/a", 3000),
        ("http://localhost/a", "http://localhost/a", 80),
        ("ssh://git@host/a/b", "ssh://git@host/a/b", 22),
        ("ssh://host:2222/~ann/b", "ssh://git@host:2222/~ann/b", 2222),
        ("git@host:a/b.git", "git@host:a/b.git", 22),
        ("host:/srv/b.git", "ssh://git@host/srv/b.git", 22),
    ] {
        let url: GitUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), shown);
        assert_eq!(url.port(), port);
        assert_eq!(shown.parse::<GitUrl>().unwrap(), url, "{shown}");
    }
}

#[test]
fn other_ways_and_tricks_are_refused() {
    use InvalidGitUrl::{Credential, Host, Path, PlainHttp, Scheme, User};
    for (text, why) in [
        ("http://host/a", PlainHttp),
        ("http://127.0.0.1.example.com/a", PlainHttp),
        ("http://10.0.0.1/a", PlainHttp),
        ("http://user:pass@127.0.0.1/a", Credential),
        ("git://host/a", Scheme),
        ("file:///srv/a", Scheme),
        ("ext::sh -c touch% /tmp/x", Scheme),
        ("EXT::sh", Scheme),
        ("/srv/a", Scheme),
        ("./a:b", Scheme),
        ("../a", Scheme),
        ("https+x://host/a", Scheme),
        ("HTTPS://host/a", Scheme),
        ("--upload-pack=touch", Scheme),
        ("https://user:pass@host/a", Credential),
        ("https://token@host/a", Credential),
        ("ssh://git:pass@host/a", Credential),
        ("ssh://-oProxyCommand=x@host/a", User),
        ("ssh://@host/a", User),
        ("ssh://-oProxyCommand=touch/a", Host),
        ("-oProxyCommand=x:a", Host),
        ("https://-x/a", Host),
        ("https:///a", Host),
        ("https://host:0/a", Host),
        ("https://host:port/a", Host),
        ("https://ho st/a", Host),
        ("https://h\u{f6}st/a", Host),
        ("https://[::1/a", Host),
        ("https://host./a", Host),
        ("https://localhost./a", Host),
        ("https://127.0.0.1./a", Host),
        ("https://a..b/a", Host),
        ("https://.host/a", Host),
        ("https://./a", Host),
        ("git@host.:a", Host),
        ("http://localhost./a", Host),
        ("http://127.1/a", Host),
        ("https://host", Path),
        ("https://host/", Path),
        ("https://host/a?b", Path),
        ("https://host/a#b", Path),
        ("https://host/a b", Path),
        ("https://host/a\nb", Path),
        ("https://host/a%0ahost=evil", Path),
        ("https://host/a%00", Path),
        ("https://host/../a", Path),
        ("git@host:-x", Path),
        ("https://host/a;touch", Path),
        ("https://host/$(x)", Path),
        ("git@host:a`x`", Path),
        ("https://host/a\\b", Path),
    ] {
        assert_eq!(text.parse::<GitUrl>(), Err(why), "{text:?}");
    }
}

#[test]
fn submodules_are_resolved_against_their_repository() {
    let url: GitUrl = "https://host/group/app.git".parse().unwrap();
    let of = |text: &str| url.submodule(text).map(|url| url.to_string());
    assert_eq!(of("../lib.git").unwrap(), "https://host/group/lib.git");
    assert_eq!(of("../../x/lib").unwrap(), "https://host/x/lib");
    assert_eq!(of("./lib").unwrap(), "https://host/group/app.git/lib");
    assert_eq!(of("https://other/lib").unwrap(), "https://other/lib");
    for bad in ["../../../x", "/srv/x", "ext::x", "-x", "../$x", "lib"] {
        assert!(of(bad).is_err(), "{bad}");
    }
    let plain: GitUrl = "http://localhost:3000/a.git".parse().unwrap();
    let http = "http://localhost:3000/lib.git";
    assert_eq!(plain.submodule(http).unwrap().to_string(), http);
    assert_eq!(url.submodule(http), Err(InvalidGitUrl::PlainHttp));
}

#[test]
fn a_credential_is_for_one_server() {
    let url = |text: &str| text.parse::<GitUrl>().unwrap();
    let one = url("https://host/a");
    assert!(one.same_server(&url("https://host:443/b")));
    for other in ["https://host:8443/a", "ssh://host/a", "https://host2/a"] {
        assert!(!one.same_server(&url(other)), "{other}");
    }
}

proptest! {
    #[test]
    fn whatever_is_a_url_is_one_word_that_reads_back(
        text in "(https://|ssh://|)([a-z@:.%-]{0,8}@)?[a-zA-Z0-9.:\\[\\]-]{0,20}[:/][-a-z0-9/.%~$;\\n ]{0,20}",
    ) {
        if let Ok(url) = text.parse::<GitUrl>() {
            let shown = url.to_string();
            let again = shown.parse::<GitUrl>();
            prop_assert_eq!(again.as_ref(), Ok(&url));
            prop_assert!(!shown.starts_with('-') && !shown.contains(|c: char| c.is_control() || c == ' '));
            prop_assert!(!url.host().starts_with('-') && !url.host().is_empty());
        }
    }

    #[test]
    fn nothing_makes_reading_a_url_panic(text in ".{0,60}") {
        let _ = text.parse::<GitUrl>();
        let base: GitUrl = "https://host/a/b".parse().unwrap();
        let _ = base.submodule(&text);
    }
}
