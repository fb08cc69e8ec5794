use super::*;

fn check(standing: Standing) -> Check {
    Check {
        name: "runtime",
        standing,
        detail: "install it".to_owned(),
    }
}

#[test]
fn builds_are_run_where_nothing_is_missing() {
    let (good, limited) = (check(Standing::Good), check(Standing::Limited));
    for enabled in [Enabled::Auto, Enabled::Yes] {
        assert!(decide(enabled, &[good.clone(), limited.clone()]).unwrap());
    }
    let missing = [good, check(Standing::Missing)];
    assert!(!decide(Enabled::Auto, &missing).unwrap());
    let error = decide(Enabled::Yes, &missing).unwrap_err().to_string();
    assert!(error.contains("runtime: install it"), "{error}");
}

#[test]
fn the_lender_is_a_command_of_this_program() {
    use clap::Parser as _;
    let lender = lender().unwrap();
    let [program, command] = lender.as_slice() else {
        panic!("{lender:?}");
    };
    assert!(std::path::Path::new(program).is_file());
    crate::cli::Cli::try_parse_from(["slipway".as_ref(), command.as_os_str()]).unwrap();
}
