use super::*;

fn process(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Process, InvalidProcess> {
    let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    Process::new(arguments, variables.iter().map(pair).collect(), "", "/")
}

#[test]
fn what_the_kernel_would_read_otherwise_is_refused() {
    assert_eq!(process(&[], &[]).unwrap_err(), InvalidProcess::NoProgram);
    assert_eq!(process(&[""], &[]).unwrap_err(), InvalidProcess::NoProgram);
    assert_eq!(process(&["a\0b"], &[]).unwrap_err(), InvalidProcess::Nul);
    let name = process(&["a"], &[("X=Y", "z")]).unwrap_err();
    assert_eq!(name, InvalidProcess::VariableName);
    let value = process(&["a"], &[("X", "\0")]).unwrap_err();
    assert_eq!(value, InvalidProcess::Nul);
    let long = process(&["a", &"b".repeat(MAX_WORDS)], &[]).unwrap_err();
    assert_eq!(long, InvalidProcess::TooLong);
}

#[test]
fn mounts_go_where_nothing_else_is() {
    for target in [
        "",
        "a",
        "/",
        "/a/../b",
        "/proc",
        "/proc/self",
        "/sys/fs",
        "/dev/shm",
    ] {
        let mount = Mount::new(target, Source::Scratch { bytes: 1 });
        assert!(matches!(mount, Err(InvalidProcess::Target(_))), "{target}");
    }
    let mut process = process(&["a"], &[]).unwrap();
    let mount = |target: &str| Mount::new(target, Source::Scratch { bytes: 1 }).unwrap();
    process.mount(mount("/a/b")).unwrap();
    process.mount(mount("/a/bc")).unwrap();
    for target in ["/a", "/a/b", "/a/b/c"] {
        let refused = process.mount(mount(target)).unwrap_err();
        assert!(matches!(refused, InvalidProcess::Overlap(..)), "{target}");
    }
}

#[test]
fn a_secret_does_not_print() {
    let secret = SecretFile::new(b"hunter2".to_vec());
    assert!(!format!("{secret:?}").contains("hunter2"));
}
