//! Where the two databases differ, each in one value: no query asks which one it runs on.

use std::sync::LazyLock;

use crate::audit::{COLUMN_COUNT, COLUMNS, MAX_ROWS};
use crate::row::placeholders;

/// What the SQL of one database has that the other's has not.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// What people call it.
    pub(crate) name: &'static str,
    /// The audit log, as it is read: by the number of an event and by no index, since an index can be made to lie
    /// by whoever can write the file.
    pub(crate) audit_event: &'static str,
    /// Whether whoever can write to the database can also write what an index holds.
    pub(crate) indexes_can_lie: bool,
    /// Everything that the schema holds, as `kind`, `name`, `owner` (a table) and `definition`.
    pub(crate) schema: &'static str,
    /// What it has to hold, if that cannot be made in memory; a line is one of these, its parts separated by tabs.
    pub(crate) expected_schema: Option<&'static str>,
    /// Reads as `search_path` where names are looked up.
    pub(crate) search_path: Option<&'static str>,
    /// What a primary key of 64 bits is called.
    pub(crate) row_number: &'static str,
    /// What stands behind a table that is kept in the order of its key.
    pub(crate) clustered: &'static str,
    /// Reads the end of the audit chain, as `last_seq` and `head_hash`, and what ends with the event that is
    /// bound, as `written_hash`; keeps others from appending until the transaction ends.
    pub(crate) lock_audit_head: &'static str,
    /// Appends so many rows to the audit log; the first is for one row.
    pub(crate) append_audit: fn() -> &'static [String],
    /// Whether appending moves the end of the chain, from where the last four binds say.
    pub(crate) audit_head_is_kept: bool,
    /// Tells every server of a change, once it is committed.
    pub(crate) notify: Option<&'static str>,
    /// Moves what was committed from the log into the file, without holding up the writer.
    pub(crate) checkpoint: Option<&'static str>,
    /// Waits for a lock that ends with the transaction.
    pub(crate) lock: Option<&'static str>,
    /// How many refusals an event stands for, where it says so in its `detail`.
    pub(crate) detail_count: &'static str,
    /// When the first and the last of them were, in milliseconds, where it says so.
    pub(crate) detail_times: [&'static str; 2],
    /// Takes the same lock as `taken`, if it is free.
    pub(crate) try_lock: Option<&'static str>,
    /// Every table, as `name`.
    pub(crate) tables: &'static str,
    /// Every column of a table, as `name`, `is_text`, and its place in the primary key, from 1, as `key_place`.
    pub(crate) columns: &'static str,
}

pub(crate) static SQLITE: Dialect = Dialect {
    name: "SQLite",
    audit_event: "audit_event NOT INDEXED",
    indexes_can_lie: true,
    schema: "SELECT type AS kind, name, tbl_name AS owner, COALESCE(sql, '') AS definition \
             FROM sqlite_master ORDER BY type, name",
    expected_schema: None,
    search_path: None,
    // SQLite keeps this without an index of its own.
    row_number: "INTEGER PRIMARY KEY",
    clustered: "WITHOUT ROWID",
    lock_audit_head: "SELECT seq AS last_seq, batch_hash AS head_hash, \
                      (SELECT batch_hash FROM audit_event WHERE seq = $1) AS written_hash \
                      FROM audit_event ORDER BY seq DESC LIMIT 1",
    append_audit: || &SQLITE_APPEND,
    audit_head_is_kept: false,
    notify: None,
    checkpoint: Some("PRAGMA wal_checkpoint(PASSIVE)"),
    lock: None,
    detail_count: "json_extract(detail, '$.count')",
    detail_times: [
        "CAST(ROUND((julianday(json_extract(detail, '$.first_at')) - 2440587.5) * 86400000) AS INTEGER)",
        "CAST(ROUND((julianday(json_extract(detail, '$.last_at')) - 2440587.5) * 86400000) AS INTEGER)",
    ],
    try_lock: None,
    tables: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    columns: "SELECT name, CASE WHEN type = 'TEXT' THEN 1 ELSE 0 END AS is_text, pk AS key_place \
              FROM pragma_table_info($1) ORDER BY cid",
};

pub(crate) static POSTGRES: Dialect = Dialect {
    name: "PostgreSQL",
    audit_event: "audit_event",
    indexes_can_lie: false,
    schema: include_str!("schema_postgres.sql"),
    expected_schema: Some(include_str!("schema_postgres.txt")),
    search_path: Some("SHOW search_path"),
    row_number: "BIGINT PRIMARY KEY",
    clustered: "",
    lock_audit_head: "SELECT last_seq, head_hash, \
                      (SELECT batch_hash FROM audit_event WHERE seq = $1) AS written_hash \
                      FROM audit_head WHERE id = 1 FOR UPDATE",
    append_audit: || &POSTGRES_APPEND,
    audit_head_is_kept: true,
    notify: Some("SELECT pg_notify('jeton_changes', $1)"),
    checkpoint: None,
    detail_count: "CAST(CAST(detail AS json) ->> 'count' AS BIGINT)",
    detail_times: [
        "CAST(EXTRACT(EPOCH FROM CAST(CAST(detail AS json) ->> 'first_at' AS TIMESTAMPTZ)) * 1000 AS BIGINT)",
        "CAST(EXTRACT(EPOCH FROM CAST(CAST(detail AS json) ->> 'last_at' AS TIMESTAMPTZ)) * 1000 AS BIGINT)",
    ],
    lock: Some("SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS waited"),
    try_lock: Some(
        "SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN CAST(1 AS BIGINT) \
         ELSE CAST(0 AS BIGINT) END AS taken",
    ),
    tables: "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'",
    columns: "SELECT CAST(a.attname AS TEXT) AS name, \
              CAST(CASE WHEN a.atttypid = 'text'::regtype THEN 1 ELSE 0 END AS BIGINT) AS is_text, \
              CAST(COALESCE(array_position(CAST(i.indkey AS SMALLINT[]), a.attnum) + 1, 0) AS BIGINT) \
              AS key_place FROM pg_attribute a \
              LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
              WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
              ORDER BY a.attnum",
};

/// Anonymous placeholders: SQLite looks named ones up one by one, which for hundreds of them costs
/// more than the insert.
static SQLITE_APPEND: LazyLock<Vec<String>> = LazyLock::new(|| {
    (1..=MAX_ROWS)
        .map(|rows| {
            let row = format!("({}?)", "?, ".repeat(COLUMN_COUNT - 1));
            let rows = vec![row; rows].join(", ");
            format!("INSERT INTO audit_event ({COLUMNS}) VALUES {rows}")
        })
        .collect()
});

/// In one statement: moves the end of the chain, if it is still where the caller believes, and
/// appends. Who comes second waits for the first, then finds the end moved and appends nothing.
static POSTGRES_APPEND: LazyLock<Vec<String>> = LazyLock::new(|| {
    (1..=MAX_ROWS)
        .map(|rows| {
            let values = placeholders(rows, COLUMN_COUNT);
            let guard = rows * COLUMN_COUNT;
            format!(
                "WITH moved AS (UPDATE audit_head SET last_seq = ${}, head_hash = ${} \
                 WHERE id = 1 AND last_seq = ${} AND head_hash = ${} RETURNING id) \
                 INSERT INTO audit_event ({COLUMNS}) SELECT v.* FROM (VALUES {values}) AS v \
                 WHERE EXISTS (SELECT 1 FROM moved)",
                guard + 1,
                guard + 2,
                guard + 3,
                guard + 4
            )
        })
        .collect()
});
