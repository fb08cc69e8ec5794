//! The tables, and how an older file gets them.
//!
//! Keys between tables are integers; digests, names and times are what an administrator reads: text, and milliseconds
//! since 1970. Text is compared by bytes (SQLite's BINARY), which is the order that tag lists must have.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks the file as an index of ours (`PRAGMA application_id`): "Slip".
pub(super) const APPLICATION_ID: i32 = 0x536c_6970;

/// Steps from an empty file to the present; a file's `user_version` says how many it has had. Never change one that
/// was released: add another.
const MIGRATIONS: &[&str] = &[FIRST, TOKENS, AUDIT, WHOSE, RECORDS, BRIEFS];

const FIRST: &str = "
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- How many it holds: the catalog lists those that hold any, and must not count them.
    manifests INTEGER NOT NULL DEFAULT 0 CHECK (manifests >= 0)
) STRICT;
CREATE INDEX catalog ON repositories (name) WHERE manifests > 0;

-- Every digest that anything names. With a size, its bytes are in the store; without, a manifest names it and it
-- may come later or never.
CREATE TABLE blobs (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    size INTEGER CHECK (size >= 0),
    created INTEGER
) STRICT;

CREATE TABLE repo_blobs (
    repo INTEGER NOT NULL REFERENCES repositories (id),
    blob INTEGER NOT NULL REFERENCES blobs (id),
    linked INTEGER NOT NULL,
    PRIMARY KEY (repo, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX holders ON repo_blobs (blob, repo);

CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    repo INTEGER NOT NULL REFERENCES repositories (id),
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size >= 0),
    artifact_type TEXT,
    subject INTEGER REFERENCES blobs (id),
    -- JSON, of referrers only: nobody else is listed with them.
    annotations TEXT,
    pushed INTEGER NOT NULL,
    UNIQUE (repo, digest)
) STRICT;
CREATE INDEX referrers ON manifests (repo, subject, digest) WHERE subject IS NOT NULL;
CREATE INDEX referrers_by_type ON manifests (repo, subject, artifact_type, digest) WHERE subject IS NOT NULL;

CREATE TABLE manifest_edges (
    manifest INTEGER NOT NULL REFERENCES manifests (id),
    kind TEXT NOT NULL CHECK (kind IN ('config', 'layer', 'child', 'subject')),
    target INTEGER NOT NULL REFERENCES blobs (id),
    -- The manifest's, so that 'does anything here need this blob' is one step however many need it elsewhere.
    repo INTEGER NOT NULL,
    PRIMARY KEY (manifest, kind, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX edges_by_target ON manifest_edges (target, repo, kind);

CREATE TABLE tags (
    repo INTEGER NOT NULL REFERENCES repositories (id),
    name TEXT NOT NULL,
    manifest INTEGER NOT NULL REFERENCES manifests (id),
    moved INTEGER NOT NULL,
    PRIMARY KEY (repo, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_manifest ON tags (manifest);

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    repo TEXT NOT NULL,
    owner TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    hashers BLOB NOT NULL,
    touched INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_touch ON uploads (touched);
CREATE INDEX uploads_by_owner ON uploads (owner);

-- Link objects that may not say what the tables say. AUTOINCREMENT: a number is never given twice, so clearing the
-- rows that were settled cannot clear one that came since.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('layer', 'revision', 'tag')),
    repo TEXT NOT NULL,
    name TEXT NOT NULL
) STRICT;
CREATE INDEX journal_by_link ON journal (repo, kind, name);
";

const TOKENS: &str = "
-- What users were given to act as them: API tokens, and the refresh tokens of logins. The text is not here: a secret of
-- 160 random bits cannot be found from its hash, and needs no slow one.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    hash BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    used INTEGER,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_owner ON tokens (owner, id);
CREATE INDEX live_tokens ON tokens (owner, kind, expires);
CREATE INDEX tokens_by_end ON tokens (expires);
";

/// The audit record. Numbers are never given twice (AUTOINCREMENT), so a reader that goes on after a row misses none and
/// sees none twice. A row names its repository by text: it outlives it.
const AUDIT: &str = "
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    class TEXT NOT NULL CHECK (class IN ('change', 'refusal', 'access')),
    at INTEGER NOT NULL,
    request TEXT NOT NULL,
    user TEXT NOT NULL,
    provider TEXT NOT NULL,
    uid TEXT,
    credential TEXT NOT NULL,
    credential_id TEXT,
    client TEXT,
    agent TEXT,
    verb TEXT NOT NULL,
    namespace TEXT,
    repository TEXT,
    reference TEXT,
    digest TEXT,
    previous TEXT,
    outcome TEXT NOT NULL CHECK (outcome IN ('allowed', 'denied', 'failed')),
    status INTEGER NOT NULL,
    reason TEXT
) STRICT;
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_user ON audit (user, at);
CREATE INDEX audit_by_namespace ON audit (namespace, at) WHERE namespace IS NOT NULL;
CREATE INDEX audit_by_repository ON audit (repository, at) WHERE repository IS NOT NULL;
CREATE INDEX audit_by_class ON audit (class, at);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'rows of the audit record are never changed');
END;
";

/// Records of others, whose bodies are JSON to them. With row numbers, as bodies are long.
const RECORDS: &str = "
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL CHECK (name <> ''),
    revision INTEGER NOT NULL CHECK (revision > 0),
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    body BLOB NOT NULL,
    UNIQUE (kind, namespace, name)
) STRICT;
CREATE INDEX open_records ON records (kind, namespace, name) WHERE open;
";

/// What lists need of a record, in an index of its own: no row, whose body is long, is read for it.
const BRIEFS: &str = "
ALTER TABLE records ADD COLUMN brief BLOB;
CREATE INDEX briefs ON records (kind, namespace, name, brief);
";

/// Whose a token was when it is revoked, and the groups by which somebody had their rights.
const WHOSE: &str = "
ALTER TABLE tokens ADD COLUMN revoked INTEGER;
CREATE INDEX revoked_tokens ON tokens (owner, revoked DESC, id) WHERE revoked IS NOT NULL;
-- JSON, a list of texts, and how many more there were.
ALTER TABLE audit ADD COLUMN user_groups TEXT;
ALTER TABLE audit ADD COLUMN more_groups INTEGER NOT NULL DEFAULT 0;
";

/// A file as a program left it that knew the first `steps`.
#[cfg(test)]
pub(super) fn older(connection: &Connection, steps: usize) -> rusqlite::Result<()> {
    for step in &MIGRATIONS[..steps] {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(
        None,
        "user_version",
        i64::try_from(steps).unwrap_or(i64::MAX),
    )
}

/// How many steps this program knows.
pub(super) fn known() -> usize {
    MIGRATIONS.len()
}

/// Takes a file that has had `done` steps to the present, all at once.
pub(super) fn migrate(connection: &mut Connection, done: usize) -> rusqlite::Result<()> {
    let Some(missing @ [_, ..]) = MIGRATIONS.get(done..) else {
        return Ok(());
    };
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(
        None,
        "user_version",
        i64::try_from(known()).unwrap_or(i64::MAX),
    )?;
    transaction.commit()
}
