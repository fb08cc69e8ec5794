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
