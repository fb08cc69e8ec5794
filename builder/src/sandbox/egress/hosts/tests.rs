use super::*;

fn rule(text: &str) -> HostRule {
    text.parse().unwrap()
}

#[test]
fn a_rule_means_what_it_says_and_no_more() {
    assert!(rule("Registry.NPMJS.org").names("registry.npmjs.org"));
    assert!(!rule("npmjs.org").names("registry.npmjs.org"));
    let below = rule("*.pythonhosted.org");
    assert!(below.names("files.pythonhosted.org"));
    assert!(!below.names("pythonhosted.org"));
    assert!(!below.names("evilpythonhosted.org"));
    assert!(!below.names(".pythonhosted.org"));
    assert!(rule("a.b").opens(443) && rule("a.b").opens(80) && !rule("a.b").opens(22));
    assert!(rule("a.b:22").opens(22) && !rule("a.b:22").opens(443));
}

#[test]
fn what_is_no_host_is_refused() {
    let texts = [
        "",
        "*",
        "*.",
        "*.org",
        "a..b",
        "http://a.b",
        "a.b/c",
        "a.b:",
        "a.b:0",
        "a.b:65536",
        "-a.b",
        "127.0.0.1",
        "a b",
        "a.*.b",
        "[::1]:443",
        "a.b.1",
    ];
    for text in texts {
        assert!(text.parse::<HostRule>().is_err(), "{text}");
    }
}
