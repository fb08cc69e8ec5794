use super::*;

fn id(digit: &str) -> String {
    digit.repeat(40)
}

fn packet(line: &str) -> String {
    format!("{:04x}{line}", line.len() + 4)
}

fn said(listing: &Listing) -> Vec<(&str, &str, Option<&str>)> {
    listing
        .iter()
        .map(|r| (r.name.as_str(), &r.id.as_str()[..1], r.target.as_deref()))
        .collect()
}

/// Both say the same of one repository, in their own forms.
#[test]
fn what_git_prints_and_what_servers_answer_is_one_listing() {
    let printed = format!(
        "ref: refs/heads/main\tHEAD\n{}\tHEAD\n{}\trefs/heads/main\n{}\trefs/tags/v1\n{}\trefs/tags/v1^{{}}\nnonsense\n",
        id("1"),
        id("1"),
        id("4"),
        id("5")
    );
    let answered = [
        packet(&format!("{} HEAD symref-target:refs/heads/main\n", id("1"))),
        packet(&format!("{} refs/heads/main\n", id("1"))),
        packet(&format!("{} refs/tags/v1 peeled:{}\n", id("4"), id("5"))),
        "0000".to_owned(),
    ];
    let answered = Listing::answered(answered.concat().as_bytes()).unwrap();
    let expected = [
        ("HEAD", "1", Some("refs/heads/main")),
        ("refs/heads/main", "1", None),
        ("refs/tags/v1", "4", None),
        ("refs/tags/v1^{}", "5", None),
    ];
    assert_eq!(said(&Listing::printed(&printed)), expected);
    assert_eq!(said(&answered), expected);
    assert!(said(&Listing::answered(b"0000").unwrap()).is_empty());
}

#[test]
fn an_answer_that_is_none_is_none() {
    let line = packet(&format!("{} refs/heads/main\n", id("1")));
    for answer in [
        String::new(),
        "000".to_owned(),
        "zzzz".to_owned(),
        "0001".to_owned(),
        "0003".to_owned(),
        "ffff".to_owned(),
        "+004".to_owned(),
        line.clone(),
        format!("{line}0001"),
        format!("{line}0000 and more"),
        format!("{}0000", packet("ERR no such repository")),
        format!("{}0000", packet("version 2\n")),
        format!(
            "{}0000",
            packet(&format!("{} refs/heads/main peeled:1\n", id("1")))
        ),
        format!("{}0000", packet(&format!("{}\n", id("1")))),
        "<html><body>Sign in</body></html>".to_owned(),
    ] {
        assert!(Listing::answered(answer.as_bytes()).is_none(), "{answer}");
    }
    assert!(Listing::answered(b"0008\xff\xfe\xfd\n0000").is_none());
}
