//! Our words in SQL's columns and back.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

/// A column that holds one of our words as text. What does not parse is damage: nothing else writes the file.
pub(super) fn word<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = row.get_ref(column)?.as_str()?;
    T::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// The same, of a column that may hold nothing.
pub(super) fn maybe<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let is_there = row.get_ref(column)? != ValueRef::Null;
    is_there.then(|| word(row, column)).transpose()
}

/// A column that holds a number of bytes or things.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// The same, of one row.
pub(super) fn only_count(row: &Row<'_>) -> rusqlite::Result<u64> {
    count(row, 0)
}

/// A number as SQL takes it. No blob has 2^63 bytes, no list as many entries.
pub(super) fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// A time as milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| number(since.as_millis()))
}

/// A column that holds such a time.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<SystemTime> {
    Ok(SystemTime::UNIX_EPOCH + Duration::from_millis(count(row, column)?))
}

/// What to compare with to start at the beginning: no digest, name or tag is empty.
pub(super) fn text<T: ToString>(after: Option<&T>) -> String {
    after.map(T::to_string).unwrap_or_default()
}
