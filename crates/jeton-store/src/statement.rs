//! A statement that can be sent again, where the connection that it was sent on turns out to be dead.

use sqlx::any::AnyArguments;
use sqlx::{Execute as _, SqlStr};

use crate::StoreError;
use crate::store::Query;

/// Its text and its values.
pub(crate) struct Statement {
    sql: SqlStr,
    arguments: AnyArguments,
    persistent: bool,
}

impl Statement {
    /// Of a query; `persistent`, it may be kept prepared.
    pub(crate) fn of(mut query: Query<'_>, persistent: bool) -> Result<Self, StoreError> {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        Ok(Self {
            sql: query.sql(),
            arguments: arguments.unwrap_or_default(),
            persistent,
        })
    }

    pub(crate) fn query(&self) -> Query<'static> {
        let mut arguments = AnyArguments::default();
        arguments.values.0.clone_from(&self.arguments.values.0);
        sqlx::query_with(self.sql.clone(), arguments).persistent(self.persistent)
    }
}
