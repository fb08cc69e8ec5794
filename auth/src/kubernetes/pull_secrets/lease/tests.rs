use super::*;

fn lease(holder: Option<&str>, version: &str) -> KubeLease {
    KubeLease {
        metadata: ObjectMeta {
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            ..LeaseSpec::default()
        }),
    }
}

#[test]
fn it_is_free_when_nobody_renews_it_for_as_long_as_it_lasts() {
    let begun = Instant::now();
    let second = Duration::from_secs(1);
    let mut seen = None;
    assert!(is_free(&lease(None, "1"), "me", &mut seen, begun));
    assert!(is_free(&lease(Some(""), "1"), "me", &mut seen, begun));
    assert!(is_free(&lease(Some("me"), "1"), "me", &mut seen, begun));

    let other = |version| lease(Some("other"), version);
    // However long ago it says that it was renewed: clocks differ.
    assert!(!is_free(&other("1"), "me", &mut seen, begun));
    assert!(!is_free(
        &other("1"),
        "me",
        &mut seen,
        begun + LASTS - second
    ));
    assert!(!is_free(&other("2"), "me", &mut seen, begun + LASTS));
    assert!(!is_free(
        &other("2"),
        "me",
        &mut seen,
        begun + 2 * LASTS - second
    ));
    assert!(is_free(&other("2"), "me", &mut seen, begun + 2 * LASTS));
}

#[test]
fn the_holder_stops_before_another_may_begin() {
    // A renewal that was sent just before the holder gives up, and takes as long as it may.
    assert!(GIVES_UP + REQUEST < LASTS);
    assert!(EVERY + REQUEST < GIVES_UP);
}
