//! The numbered migrations, forward only, applied at start.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use crate::dialect::Dialect;

/// Every migration, in order: number, description, SQL.
const MIGRATIONS: [(i64, &str, &str); 4] = [
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
    (
        3,
        "replicas",
        include_str!("../../../migrations/0003_replicas.sql"),
    ),
    (
        4,
        "many clients",
        include_str!("../../../migrations/0004_many_clients.sql"),
    ),
];

/// The number of the newest migration.
pub(crate) fn newest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|(number, ..)| *number)
        .max()
        .unwrap_or(0)
}

/// The migrations as `dialect` writes them; to be run by one server at a time.
pub(crate) fn migrator(dialect: &Dialect) -> Migrator {
    let mut migrator = Migrator::with_migrations(
        MIGRATIONS
            .into_iter()
            .map(|(number, description, sql)| {
                // Fixed texts of this crate; nothing of a caller's is in them.
                let sql = sql
                    .replace("{row_number}", dialect.row_number)
                    .replace("{clustered}", dialect.clustered);
                let sql = AssertSqlSafe(sql).into_sql_str();
                Migration::new(
                    number,
                    description.into(),
                    MigrationType::Simple,
                    sql,
                    false,
                )
            })
            .collect(),
    );
    // sqlx locks the session, which a pooler may give to somebody else.
    migrator.set_locking(false);
    migrator
}
