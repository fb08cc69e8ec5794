use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

fn commit(text: &[u8]) -> Commit {
    read(&ObjectId::parse(ID).unwrap(), text)
}

#[test]
fn what_git_log_says_is_said() {
    let text = format!(
        "tree {ID}\nparent {ID}\nauthor Ann B. <ann@example.com> 1795276800 +0130\ncommitter Bob <bob@example.com> 1 +0000\n\
         gpgsig -----BEGIN\n author Eve <eve@example.com> 1 +0000\n \n -----END\n\n\n  Sell\nmore  \n\nauthor Mallory <m@m> 2 +0000\n"
    );
    assert_eq!(tree(text.as_bytes()), ObjectId::parse(ID));
    let commit = commit(text.as_bytes());
    assert_eq!(commit.id, ID);
    assert_eq!(commit.author_name, "Ann B.");
    assert_eq!(commit.author_email, "ann@example.com");
    assert_eq!(commit.date, "Sat Nov 21 17:30:00 2026 +0130");
    assert_eq!(commit.message, "  Sell more");
}

#[test]
fn text_is_read_in_its_encoding() {
    let latin = b"tree 0\nauthor J\xf6rg <j@x> 0 -0200\nencoding ISO-8859-1\n\nK\xe4se\n";
    let read = commit(latin);
    assert_eq!(
        (&*read.author_name, &*read.message),
        ("J\u{f6}rg", "K\u{e4}se")
    );
    assert_eq!(read.date, "Wed Dec 31 22:00:00 1969 -0200");
    let unnamed = commit(b"author J\xf6rg <j@x> 0 +0000\n\n\n");
    assert_eq!(unnamed.author_name, "J\u{fffd}rg");
    assert_eq!(unnamed.message, "");
}

#[test]
fn what_is_odd_is_nothing() {
    for text in [
        "",
        "\n",
        "author",
        "author \n\n",
        "author <\n\n",
        "author > 99999999999999999999 +9999\n\n",
        "author <> 1 +999999999999\n\n",
    ] {
        let read = commit(text.as_bytes());
        assert!(read.author_email.is_empty(), "{text:?}");
        assert!(read.date.starts_with("Thu Jan 1 00:00:0"), "{text:?}");
        assert_eq!(tree(text.as_bytes()), None);
    }
    assert_eq!(tree(format!("parent {ID}\n\ntree {ID}\n").as_bytes()), None);
    let long = commit(&[b"author a <b> 1 +0000\n\n", &[b'm'; 10_000][..]].concat());
    assert_eq!(long.message.len(), 500);
}
