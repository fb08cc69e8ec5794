use super::*;

#[test]
fn capabilities_are_seen() {
    let status =
        |set: &str| format!("Name:\tslipway\nCapPrm:\t{set}\nCapEff:\t{set}\nThreads:\t1\n");
    assert!(!has_capabilities(&status("0000000000000000")));
    assert!(has_capabilities(&status("0000000000000400")));
}
