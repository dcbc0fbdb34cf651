//! The numbered migrations, forward only, applied at start.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// Every migration, in order: number, description, SQL.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (
        1,
        "initial",
        include_str!("../../../migrations/0001_initial.sql"),
    ),
    (
        2,
        "dashboard",
        include_str!("../../../migrations/0002_dashboard.sql"),
    ),
];

/// What SQLite calls a primary key that needs no index of its own.
const ROW_NUMBER: &str = "INTEGER PRIMARY KEY";

pub(crate) fn migrator() -> Migrator {
    Migrator::with_migrations(
        MIGRATIONS
            .into_iter()
            .map(|(number, description, sql)| {
                // Fixed texts of this crate; nothing of a caller's is in them.
                let sql = AssertSqlSafe(sql.replace("{row_number}", ROW_NUMBER)).into_sql_str();
                Migration::new(
                    number,
                    description.into(),
                    MigrationType::Simple,
                    sql,
                    false,
                )
            })
            .collect(),
    )
}
