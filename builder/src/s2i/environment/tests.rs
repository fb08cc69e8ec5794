use proptest::prelude::*;

use super::*;

fn read(text: &str) -> (Vec<String>, Vec<String>) {
    let mut warnings = Vec::new();
    let file = EnvironmentFile::parse(".s2i/environment", text.as_bytes(), &mut warnings);
    (
        file.variables().iter().map(Variable::entry).collect(),
        warnings.iter().map(Warning::to_string).collect(),
    )
}

#[test]
fn plain_lines_are_variables() {
    let text = "# comment\nA=1\r\n B = two words \nC=a=b\nEMPTY=\n\n";
    let (variables, warnings) = read(text);
    assert_eq!(variables, ["A=1", "B=two words", "C=a=b", "EMPTY="]);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn lines_that_are_none_are_passed_over_with_their_number() {
    let (variables, warnings) = read("A\n=x\nexport B=1\n =y\n");
    assert_eq!(variables, [""; 0]);
    assert_eq!(warnings.len(), 4);
    assert!(
        warnings[0].starts_with(".s2i/environment:1: "),
        "{warnings:?}"
    );
    assert!(
        warnings[2].starts_with(".s2i/environment:3: "),
        "{warnings:?}"
    );
}

#[test]
fn what_a_shell_would_read_otherwise_is_kept_with_a_warning() {
    let (variables, warnings) = read("A=\"quoted\"\nA='again'\n#B=1\n #C=1\n\"D\"=1\n");
    assert_eq!(variables, ["A=\"quoted\"", "A='again'", "#C=1", "\"D\"=1"]);
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(warnings[2].contains("set again"), "{warnings:?}");
}

#[test]
fn bytes_that_are_no_text_do_not_stop_the_others() {
    let mut warnings = Vec::new();
    let file = EnvironmentFile::parse("f", b"A=1\nB=\xff\nC=3", &mut warnings);
    assert_eq!(file.variables().len(), 2);
    assert_eq!(warnings.len(), 1);
}

#[test]
fn the_usual_filter_denies_what_steers_every_program() {
    let filter = EnvFilter::usual();
    for name in ["LD_PRELOAD", "LD_", "BASH_ENV", "BASH_FUNC_x%%"] {
        assert!(!filter.allows(name), "{name}");
    }
    for name in ["LDAP", "BASH", "ENV", "PATH", "NODE_OPTIONS", "RUBYOPT"] {
        assert!(filter.allows(name), "{name}");
    }
    assert!(EnvFilter::default().allows("LD_PRELOAD"));
}

#[test]
fn a_file_of_a_request_has_two_kinds_of_comments() {
    let mut warnings = Vec::new();
    let text = b"A=1\n  # no\n // no\n  B = //x \n";
    let file = EnvironmentFile::parse_request("env", text, &mut warnings);
    let entries: Vec<_> = file.variables().iter().map(Variable::entry).collect();
    assert_eq!(entries, ["A=1", "B=//x"]);
    assert_eq!(warnings, []);
}

proptest! {
    #[test]
    fn whatever_is_read_can_be_an_environment(content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let file = EnvironmentFile::parse("f", &content, &mut Vec::new());
        for variable in file.variables() {
            prop_assert!(!variable.name().is_empty() && !variable.name().contains(['=', '\0', '\n']));
            prop_assert!(!variable.value().contains(['\0', '\n']));
        }
    }
}
