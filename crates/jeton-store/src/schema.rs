//! The numbered migrations, forward only, applied at start.

use sqlx::migrate::{Migrate as _, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, SqlSafeStr as _};

use crate::dialect::Dialect;
use crate::{Lock, StoreError};

/// Every migration, in order: number, description, SQL.
const MIGRATIONS: &[(i64, &str, &str)] = &[
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
    (
        5,
        "audit index",
        include_str!("../../../migrations/0005_audit_index.sql"),
    ),
    (
        6,
        "audit memory",
        include_str!("../../../migrations/0006_audit_memory.sql"),
    ),
    (
        7,
        "admin identity",
        include_str!("../../../migrations/0007_admin_identity.sql"),
    ),
    (
        8,
        "standing",
        include_str!("../../../migrations/0008_standing.sql"),
    ),
    (
        9,
        "upkeep",
        include_str!("../../../migrations/0009_upkeep.sql"),
    ),
    (
        10,
        "search",
        include_str!("../../../migrations/0010_search.sql"),
    ),
    (
        11,
        "default server and aliases",
        include_str!("../../../migrations/0011_default_server_and_aliases.sql"),
    ),
    (
        12,
        "refusals by reason",
        include_str!("../../../migrations/0012_refusals_by_reason.sql"),
    ),
    (
        13,
        "admins",
        include_str!("../../../migrations/0013_admins.sql"),
    ),
    (
        14,
        "second factors",
        include_str!("../../../migrations/0014_second_factors.sql"),
    ),
    (
        15,
        "passkeys",
        include_str!("../../../migrations/0015_passkeys.sql"),
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

/// A database that an older version wrote is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// The number of the last migration that it has.
    pub from: i64,
    /// The number of the last that it will have.
    pub to: i64,
}

/// Brings a database up to date; to be done by one server at a time. Each migration is done wholly or
/// not at all.
pub(crate) async fn bring_up_to_date(
    connection: &mut AnyConnection,
    dialect: &Dialect,
    tell: impl FnOnce(Upgrade),
) -> Result<(), StoreError> {
    let migrator = migrator(dialect);
    connection
        .ensure_migrations_table(&migrator.table_name)
        .await?;
    let applied = connection
        .list_applied_migrations(&migrator.table_name)
        .await?;
    let is_applied = |number: &i64| applied.iter().any(|one| one.version == *number);
    let missing = MIGRATIONS.iter().map(|(number, ..)| *number);
    if let Some(first) = missing.into_iter().find(|number| !is_applied(number)) {
        let before = applied.iter().map(|one| one.version);
        if let Some(from) = before.filter(|number| *number < first).max() {
            tell(Upgrade { from, to: newest() });
        }
    }
    for migration in migrator.iter() {
        // Each under a lock of its own, which ends with it: whoever waited for it finds it done.
        let mut transaction = connection.begin().await?;
        if let Some(lock) = dialect.lock {
            let lock = sqlx::query(lock).bind(Lock::Migration.number());
            lock.persistent(false).execute(&mut *transaction).await?;
        }
        migrator
            .run_direct(Some(migration.version), &mut *transaction, false)
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The migrations as `dialect` writes them.
fn migrator(dialect: &Dialect) -> Migrator {
    let mut migrator = Migrator::with_migrations(
        MIGRATIONS
            .iter()
            .map(|&(number, description, sql)| {
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
