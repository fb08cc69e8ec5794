use std::time::{Duration, SystemTime};

use super::Schedule;

fn at(text: &str) -> SystemTime {
    let at: jiff::Timestamp = text.parse().unwrap();
    at.into()
}

fn due(schedule: &str, since: &str, now: &str) -> Option<SystemTime> {
    let schedule: Schedule = schedule.parse().unwrap();
    schedule.due(at(since), at(now))
}

#[test]
fn it_is_due_at_its_minute_and_not_before() {
    let schedule = "30 3 * * 1-5";
    // 2026-11-20 is a Friday.
    let since = "2026-11-20T00:00:00Z";
    assert_eq!(due(schedule, since, "2026-11-20T03:29:59Z"), None);
    let time = Some(at("2026-11-20T03:30:00Z"));
    assert_eq!(due(schedule, since, "2026-11-20T03:30:00Z"), time);
    assert_eq!(due(schedule, since, "2026-11-20T03:30:59.999Z"), time);
    // Once it has been noted, it is due no more, over the whole week-end.
    assert_eq!(
        due(schedule, "2026-11-20T03:30:00Z", "2026-11-23T03:29:00Z"),
        None
    );
    let monday = Some(at("2026-11-23T03:30:00Z"));
    assert_eq!(
        due(schedule, "2026-11-20T03:30:00Z", "2026-11-23T03:30:00Z"),
        monday
    );
}

#[test]
fn it_comes_due_next_after_now() {
    let schedule: Schedule = "30 3 * * 1-5".parse().unwrap();
    for (now, next) in [
        ("2026-11-20T03:29:59.999Z", "2026-11-20T03:30:00Z"),
        ("2026-11-20T03:30:00Z", "2026-11-23T03:30:00Z"),
        ("2026-11-20T03:30:00.5Z", "2026-11-23T03:30:00Z"),
    ] {
        assert_eq!(schedule.next(at(now)), Some(at(next)), "{now}");
    }
}

#[test]
fn of_all_that_was_missed_the_newest_is_due() {
    let found = due(
        "*/10 * * * *",
        "2026-11-20T00:00:00Z",
        "2026-11-25T12:05:00Z",
    );
    assert_eq!(found, Some(at("2026-11-25T12:00:00Z")));
}

#[test]
fn restricted_days_are_either_of_both() {
    // The 13th, or a Friday (crontab(5)).
    let schedule = "0 0 13 * 5";
    let found = due(schedule, "2026-11-12T12:00:00Z", "2026-11-13T12:00:00Z");
    assert_eq!(found, Some(at("2026-11-13T00:00:00Z")));
    let found = due(schedule, "2026-11-19T12:00:00Z", "2026-11-20T12:00:00Z");
    assert_eq!(found, Some(at("2026-11-20T00:00:00Z")));
    let found = due(schedule, "2026-12-12T12:00:00Z", "2026-12-13T12:00:00Z");
    assert_eq!(found, Some(at("2026-12-13T00:00:00Z")));
    assert_eq!(
        due(schedule, "2026-11-20T12:00:00Z", "2026-11-26T12:00:00Z"),
        None
    );
}

#[test]
fn the_29th_of_february_comes() {
    let found = due("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-03-01T00:00:00Z");
    assert_eq!(found, Some(at("2028-02-29T00:00:00Z")));
}

#[test]
fn what_is_no_schedule_is_refused_in_words() {
    let long = "0,".repeat(200) + "0 * * * *";
    for text in [
        "",
        "* * * *",
        "0 * * * * *",
        "61 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "@daily",
        "@every 1m",
        "0 0 30 2 *",
        "*/0 * * * *",
        "5-1 * * * *",
        "a b c d e",
        "? * * * *",
        "* * * * 5#2",
        "5/15 * * * *",
        &long,
    ] {
        let error = text.parse::<Schedule>().expect_err(text);
        assert!(error.to_string().contains("is no schedule"), "{error}");
    }
    for text in [
        "* * * * *",
        "0 0 1 JAN MON",
        "0,30 9-17 * * 0",
        "5-59/15 * * * 7",
    ] {
        text.parse::<Schedule>().expect(text);
    }
}

#[test]
fn the_field_that_is_wrong_is_named() {
    for (text, said) in [
        ("61 * * * *", ": 61 is no minute; "),
        ("0 5-24 * * *", ": 5-24 is no hour; "),
        ("0 0 1 FOO *", ": FOO is no month; "),
    ] {
        let error = text.parse::<Schedule>().expect_err(text).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_due() {
    let since = at("2026-11-20T12:00:00Z");
    let schedule: Schedule = "* * * * *".parse().unwrap();
    assert_eq!(schedule.due(since, since - Duration::from_secs(3600)), None);
}
