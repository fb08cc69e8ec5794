//! Opening: what the file is, what it must be, and how SQLite shall treat it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::column::only_count;
use super::error::OpenIndexError;
use super::schema;

/// How long a connection waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(5);
/// Pages in memory, in KiB: what an idle server pays. The writer touches more of the file than a reader.
const WRITER_CACHE: i64 = 8 << 10;
const READER_CACHE: i64 = 2 << 10;
/// While an index is built, digests come in no order, so every insert is somewhere else.
const BUILDER_CACHE: i64 = 256 << 10;
/// Bytes of log that are kept when it is begun anew.
const LOG_KEPT: i64 = 64 << 20;
/// Statements kept compiled.
const STATEMENTS: usize = 64;

/// The connection that writes. Makes the file if it is not there, and brings an older one up to date.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenIndexError> {
    let sql = |error| OpenIndexError::sql(path, error);
    let was_logged = has_bytes(&log_of(path));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    make_private(path);
    let mut connection = Connection::open_with_flags(path, flags).map_err(sql)?;
    connection.busy_timeout(BUSY).map_err(sql)?;
    let done = check(&connection, path)?;
    if !was_logged {
        check_length(&connection, path)?;
    }
    configure_writer(&connection).map_err(sql)?;
    schema::migrate(&mut connection, done).map_err(sql)?;
    Ok(connection)
}

/// The connection that builds a new file, which nobody looks at before it is whole and synced. Without journal and
/// syncs it takes a fraction of the time; a statement that fails spoils the file, which is then thrown away.
pub(super) fn builder(path: &Path) -> Result<Connection, OpenIndexError> {
    let sql = |error| OpenIndexError::sql(path, error);
    make_private(path);
    let mut connection = Connection::open(path).map_err(sql)?;
    configure(&connection, BUILDER_CACHE).map_err(sql)?;
    schema::migrate(&mut connection, 0).map_err(sql)?;
    let without_journal = || {
        connection.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
        connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "off")
    };
    without_journal().map_err(sql)?;
    Ok(connection)
}

/// Makes the file if it is not there, for its owner alone; SQLite makes its log and what else is beside it alike. What goes wrong
/// SQLite will say.
fn make_private(path: &Path) {
    let mut file = fs::OpenOptions::new();
    let _ = file.write(true).create_new(true).mode(0o600).open(path);
}

/// A connection that only reads a file which `writer` or `check_beside_server` has seen.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    configure(&connection, READER_CACHE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Whether the file can be looked at.
pub(super) fn check_beside_server(path: &Path) -> Result<(), OpenIndexError> {
    if !path.exists() {
        let path = path.to_owned();
        return Err(OpenIndexError::Missing { path });
    }
    let sql = |error| OpenIndexError::sql(path, error);
    let done = check(&reader(path).map_err(sql)?, path)?;
    if done < schema::known() {
        let what = "it was never finished, or an older program wrote it".to_owned();
        let path = path.to_owned();
        return Err(OpenIndexError::TornIndex { path, what });
    }
    Ok(())
}

/// A database in memory.
pub(super) fn memory() -> Result<Connection, OpenIndexError> {
    let path = Path::new(":memory:");
    let sql = |error| OpenIndexError::sql(path, error);
    let mut connection = Connection::open_in_memory().map_err(sql)?;
    configure(&connection, WRITER_CACHE).map_err(sql)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(sql)?;
    schema::migrate(&mut connection, 0).map_err(sql)?;
    Ok(connection)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    configure(connection, WRITER_CACHE)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The writer moves the log into the file itself, after it has answered (`writer.rs`).
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT)
}

fn configure(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -cache)?;
    // No memory mapping: a disk error in mapped memory is a signal that ends the process, not an error.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// How many steps of the schema the file has had; refuses what is not ours.
fn check(connection: &Connection, path: &Path) -> Result<usize, OpenIndexError> {
    let sql = |error| OpenIndexError::sql(path, error);
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(sql)?;
    let found = number("user_version").map_err(sql)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql)?;
    if application == 0 && found == 0 && tables == 0 {
        return Ok(0);
    }
    let path = path.to_owned();
    if application != i64::from(schema::APPLICATION_ID) {
        return Err(OpenIndexError::Foreign { path });
    }
    let known = schema::known();
    match usize::try_from(found) {
        Ok(done) if done <= known => Ok(done),
        _ => Err(OpenIndexError::NewerSchema { path, found, known }),
    }
}

/// Finds a file that was cut. With a log there may be pages that only the log has.
fn check_length(connection: &Connection, path: &Path) -> Result<(), OpenIndexError> {
    let sql = |error| OpenIndexError::sql(path, error);
    let number = |name| connection.pragma_query_value(None, name, only_count);
    let expected = number("page_count").map_err(sql)? * number("page_size").map_err(sql)?;
    let length = fs::metadata(path)
        .map_err(|e| OpenIndexError::io(path, e))?
        .len();
    if length < expected {
        let what = format!("{length} bytes are there of {expected}");
        let path = path.to_owned();
        return Err(OpenIndexError::TornIndex { path, what });
    }
    Ok(())
}

/// The file's log.
pub(super) fn log_of(path: &Path) -> std::path::PathBuf {
    beside(path, "-wal")
}

/// A file whose name goes on where the index's ends.
pub(super) fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether the file is there and not empty.
pub(super) fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}
