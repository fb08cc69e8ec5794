use std::sync::Arc;

use super::*;

fn grant(namespace: &str) -> Duty {
    Duty::Grant(Arc::from(namespace))
}

#[test]
fn a_duty_is_due_once_and_at_its_earliest_time() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let mut agenda = Agenda::default();
    agenda.at(&grant("a"), now + 9 * second);
    agenda.at(&grant("a"), now + second);
    agenda.at(&grant("a"), now + 5 * second);
    agenda.at(&grant("b"), now + 2 * second);
    assert_eq!(agenda.next(), Some(now + second));
    assert_eq!(agenda.pop(now), None);
    assert_eq!(agenda.pop(now + 9 * second), Some(grant("a")));
    assert_eq!(agenda.pop(now + 9 * second), Some(grant("b")));
    assert_eq!(agenda.pop(now + 9 * second), None);
    agenda.at(&grant("a"), now);
    agenda.forget(&grant("a"));
    assert_eq!(agenda.next(), None);
}

#[test]
fn what_is_being_worked_on_is_not_begun_a_second_time() {
    let now = Instant::now();
    let mut agenda = Agenda::default();
    agenda.at(&grant("a"), now);
    assert_eq!(agenda.pop(now), Some(grant("a")));
    agenda.begin(&grant("a"), now);
    agenda.at(&grant("a"), now);
    assert_eq!(agenda.pop(now), None);
    agenda.forget(&grant("a"));
    agenda.end(&grant("a"), now, false);
    assert_eq!(agenda.pop(now), Some(grant("a")));
    assert_eq!(agenda.pop(now), None);
}

/// How long until it is due again, after a step that ended so.
fn wait_after(agenda: &mut Agenda, now: Instant, failed: bool) -> Duration {
    agenda.at(&grant("a"), now);
    let due = agenda.next().unwrap();
    assert_eq!(agenda.pop(due), Some(grant("a")));
    agenda.begin(&grant("a"), due);
    agenda.end(&grant("a"), due, failed);
    let next = agenda.next().unwrap();
    next - due
}

#[test]
fn what_fails_waits_ever_longer_and_not_for_ever() {
    let now = Instant::now();
    let mut agenda = Agenda::default();
    let first = wait_after(&mut agenda, now, true);
    assert!(first >= FIRST && first <= 2 * FIRST, "{first:?}");
    // Hours later, so that the number of steps is no matter.
    let mut last = first;
    for hour in 1..20 {
        last = wait_after(&mut agenda, now + hour * Duration::from_secs(3600), true);
    }
    assert!(last >= LONGEST / 2 && last <= LONGEST, "{last:?}");
    let after = wait_after(&mut agenda, now + Duration::from_secs(360_000), false);
    assert_eq!(after, Duration::ZERO, "what succeeds goes on at once");
}

#[test]
fn what_is_undone_again_and_again_is_done_ever_later() {
    let now = Instant::now();
    let mut agenda = Agenda::default();
    let waits: Vec<_> = (0..40)
        .map(|_| wait_after(&mut agenda, now, false))
        .collect();
    assert!(waits[..10].iter().all(Duration::is_zero), "{waits:?}");
    assert!(waits[30] > Duration::from_secs(30), "{waits:?}");
    // News does not make it any quicker.
    let due = agenda.next().unwrap();
    agenda.at(&grant("a"), now);
    assert_eq!(agenda.next(), Some(due));
}
