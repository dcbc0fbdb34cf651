//! The numbered migrations, forward only, applied at start.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Every migration, in order: number, description, SQL.
const MIGRATIONS: [(i64, &str, &str); 1] = [(
    1,
    "initial",
    include_str!("../../../migrations/0001_initial.sql"),
)];

pub(crate) fn migrator() -> Migrator {
    Migrator::with_migrations(
        MIGRATIONS
            .into_iter()
            .map(|(number, description, sql)| {
                let up = MigrationType::Simple;
                Migration::new(number, description.into(), up, sql.into_sql_str(), false)
            })
            .collect(),
    )
}
