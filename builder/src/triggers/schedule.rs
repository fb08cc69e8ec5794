//! When a schedule comes due.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

#[cfg(test)]
mod tests;

/// Five fields as crontab(5) has them: minute, hour, day of the month, month, day of the week; in UTC. Where both days are
/// restricted, either will do.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// The newest time at which it came due after `since`, up to and with `now`. However many were missed, one is due.
    pub fn due(&self, since: SystemTime, now: SystemTime) -> Option<SystemTime> {
        let due = self.0.find_previous_occurrence(&civil(now)?, true).ok()?;
        instant(due).filter(|due| *due > since)
    }

    /// When it comes due next after `now`; `None` if that is beyond what can be told.
    pub fn next(&self, now: SystemTime) -> Option<SystemTime> {
        let next = self.0.find_next_occurrence(&civil(now)?, false).ok()?;
        instant(next)
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let invalid = |why: &dyn fmt::Display| InvalidSchedule {
            text: text.chars().take(100).collect(),
            why: why.to_string(),
        };
        if text.len() > 256 {
            return Err(invalid(&"it is longer than 256 characters"));
        }
        // The library takes more than crontab(5) has.
        let of_field = |c: char| c.is_ascii_alphanumeric() || "*/,-".contains(c);
        let fields = text.split_ascii_whitespace();
        if fields.clone().count() != 5 || !fields.flat_map(str::chars).all(of_field) {
            return Err(invalid(&"it has not five fields"));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(text)
            .map_err(|error| match wrong(text, parser) {
                Some((name, field)) => invalid(&format!("{field} is no {name}")),
                None => invalid(&error),
            })?;
        // The 30th of February.
        let begin = DateTime::constant(2024, 1, 1, 0, 0, 0, 0);
        if cron.find_next_occurrence(&begin, true).is_err() {
            return Err(invalid(&"such a time never comes"));
        }
        Ok(Self(cron))
    }
}

/// The field that is none, and what it should be, which the library does not say.
fn wrong(text: &str, parser: CronParser) -> Option<(&'static str, &str)> {
    let names = [
        "minute",
        "hour",
        "day of the month",
        "month",
        "day of the week",
    ];
    let fields = names.into_iter().zip(text.split_ascii_whitespace());
    let mut alone = fields.enumerate().map(|(index, named)| {
        let mut fields = ["*"; 5];
        fields[index] = named.1;
        (named, parser.parse(&fields.join(" ")))
    });
    alone.find_map(|(named, read)| read.is_err().then_some(named))
}

fn civil(at: SystemTime) -> Option<DateTime> {
    let at = Timestamp::try_from(at).ok()?;
    Some(TimeZone::UTC.to_datetime(at))
}

fn instant(at: DateTime) -> Option<SystemTime> {
    let at = TimeZone::UTC.to_timestamp(at).ok()?;
    let since = u64::try_from(at.as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since))
}

/// The text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no schedule: {why}; write minute, hour, day of the month, month and day of the week, in UTC: \"30 3 * * 1-5\" is \
     half past three on working days"
)]
pub struct InvalidSchedule {
    text: String,
    why: String,
}
