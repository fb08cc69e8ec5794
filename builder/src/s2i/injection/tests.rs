use super::*;

fn at(text: &str) -> Result<String, Refusal> {
    let working_dir = ContainerPath::parse("/opt/app").unwrap();
    let injection = Injection::parse(text, false)?;
    Ok(injection.destination(&working_dir)?.to_string())
}

#[test]
fn destinations_are_read_from_the_working_directory() {
    assert_eq!(at("npmrc:/etc/npm").unwrap(), "/etc/npm");
    assert_eq!(at("npmrc:conf").unwrap(), "/opt/app/conf");
    assert_eq!(at("npmrc:.").unwrap(), "/opt/app");
    assert_eq!(at("npmrc").unwrap(), "/opt/app");
    assert_eq!(at("a:b:/c").unwrap(), "/c");
}

#[test]
fn what_a_shell_could_read_is_refused() {
    for text in ["", ":x", "a:/b;rm", "a$b:/c", "a:/b\nc", "a:../../x"] {
        assert!(at(text).is_err(), "{text:?}");
    }
}
