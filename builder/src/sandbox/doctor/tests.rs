use super::*;

#[test]
fn versions_are_told_apart() {
    let mended = |text: &str| is_mended(version(text).unwrap());
    for old in [
        "1.0.3",
        "1.1.5+ds1",
        "1.1.15",
        "1.2.8",
        "1.3.2",
        "1.3.5",
        "1.4.0",
        "1.4.2",
    ] {
        assert!(!mended(old), "{old}");
    }
    for new in ["1.3.6", "1.3.10+ds1", "1.4.3", "1.5.0-rc.1", "2.0.0"] {
        assert!(mended(new), "{new}");
    }
    assert_eq!(version("6.1.0-40-amd64"), Some((6, 1, 0)));
    assert_eq!(version("dev"), None);
}

#[test]
fn a_range_that_others_have_is_seen() {
    let ids = SandboxIds::range(100_000, 65_536).unwrap();
    for shared in [
        "a:100000:65536",
        "a:165535:1",
        "a:1:4294967294",
        "a:99999:2",
    ] {
        assert!(is_shared(shared, &ids), "{shared}");
    }
    for other in ["a:165536:65536", "a:1:99999", "a", "", "a:x:y"] {
        assert!(!is_shared(other, &ids), "{other}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said_with_its_remedy() {
    let mut settings = Settings::root("/nonexistent").unwrap();
    settings.runtime = "/nonexistent/runc".into();
    let check = runtime(&settings).await;
    assert_eq!(check.standing, Standing::Missing);
    assert!(
        check.detail.contains("apt-get install runc"),
        "{}",
        check.detail
    );
}
