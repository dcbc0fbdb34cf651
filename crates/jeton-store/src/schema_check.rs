//! Whether the schema is what the migrations make: a view in the place of a table, or an index that was made to
//! lie, hides events from searches and leaves every event as it was written.
//!
//! What decides what a read gives is told apart from what is merely not Jeton's: an operator's own index or
//! trigger hides nothing, for the log is read by number and its contents are proven by their hashes.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

use crate::dialect::Dialect;
use crate::row::Columns as _;
use crate::{Store, StoreError, schema};

/// What of the schema is not as the migrations make it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaCheck {
    /// What may hide events from searches, or show others.
    pub hiding: Vec<String>,
    /// What is not Jeton's, or not as it made it, and on which the proof of the events does not depend.
    pub foreign: Vec<String>,
}

/// Something that a schema holds, by its kind, name and table.
type Objects = BTreeMap<(String, String, String), String>;

fn objects(rows: &[AnyRow]) -> Result<Objects, StoreError> {
    let mut objects = Objects::new();
    for row in rows {
        let key = (row.text("kind")?, row.text("name")?, row.text("owner")?);
        // Two of one name are no expected one.
        objects
            .entry(key)
            .or_default()
            .push_str(&normal(&row.text("definition")?));
    }
    Ok(objects)
}

/// Without what two spellings of the same statement may differ in: spaces, line breaks and quotes around names.
/// Texts stay as they are.
fn normal(definition: &str) -> String {
    let mut is_text = false;
    let is_kept = |c: &char| {
        is_text ^= *c == '\'';
        is_text || !(c.is_whitespace() || *c == '"')
    };
    definition.chars().filter(is_kept).collect()
}

/// Whether what is read of a table decides what searches of the audit log find.
fn is_searched(table: &str) -> bool {
    table.starts_with("audit_") || table == "statistics_progress"
}

impl Store {
    /// Compares the schema with what the migrations make.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn check_schema(&self) -> Result<SchemaCheck, StoreError> {
        let expected = match self.dialect.expected_schema {
            Some(text) => parse(text),
            None => made_in_memory(self.dialect).await?,
        };
        let found = self.schema_objects().await?;
        let mut check = compare(&expected, &found, self.dialect.indexes_can_lie);
        if let Some(path) = self.dialect.search_path {
            let row = self.one(sqlx::query(path)).await?;
            check.hiding.extend(misleading(&row.text("search_path")?));
        }
        Ok(check)
    }

    /// Everything that the schema holds, a line each.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], [`StoreError::Corrupt`].
    pub async fn schema_listing(&self) -> Result<String, StoreError> {
        let mut lines = Vec::new();
        for row in &self.rows(sqlx::query(self.dialect.schema)).await? {
            let parts = ["kind", "name", "owner", "definition"];
            let parts = parts.into_iter().map(|part| row.text(part));
            lines.push(parts.collect::<Result<Vec<_>, _>>()?.join("\t"));
        }
        lines.sort();
        Ok(lines.join("\n"))
    }

    async fn schema_objects(&self) -> Result<Objects, StoreError> {
        objects(&self.rows(sqlx::query(self.dialect.schema)).await?)
    }
}

/// What a new database holds.
async fn made_in_memory(dialect: &'static Dialect) -> Result<Objects, StoreError> {
    let mut connection = AnyConnection::connect("sqlite::memory:").await?;
    schema::bring_up_to_date(&mut connection, dialect, |_| ()).await?;
    let query = sqlx::query(AssertSqlSafe(dialect.schema));
    let rows = connection.fetch_all(query).await?;
    connection.close().await?;
    objects(&rows)
}

fn parse(listing: &str) -> Objects {
    let parts = |line: &str| {
        let mut parts = line.split('\t').map(str::to_owned);
        let key = (parts.next()?, parts.next()?, parts.next()?);
        Some((key, normal(&parts.next()?)))
    };
    listing.lines().filter_map(parts).collect()
}

/// Names that are looked up elsewhere before the database's own.
fn misleading(search_path: &str) -> Option<String> {
    let mut names = search_path
        .split(',')
        .map(|name| name.trim().trim_matches('"'));
    let place = names.position(|name| name == "pg_catalog")?;
    (place > 0).then(|| {
        format!(
            "search_path is {search_path}: functions and operators of other schemas take the place of the database's own; \
             take pg_catalog out of it"
        )
    })
}

fn compare(expected: &Objects, found: &Objects, indexes_can_lie: bool) -> SchemaCheck {
    let mut check = SchemaCheck::default();
    for (key, definition) in expected {
        let (kind, name, owner) = key;
        let of = of(owner, name);
        let what = match found.get(key) {
            Some(found) if found == definition => continue,
            Some(_) => format!("the {kind} {name} is not as Jeton made it"),
            None => match found
                .keys()
                .find(|(other, same, _)| same == name && other != kind)
            {
                Some((other, ..)) => {
                    format!("{name} has to be a {kind}, and is a {other}")
                }
                None => format!("the {kind} {name}{of} is missing"),
            },
        };
        if is_searched(owner) {
            check.hiding.push(what);
        } else {
            check.foreign.push(what);
        }
    }
    for (kind, name, owner) in found.keys().filter(|key| !expected.contains_key(*key)) {
        let is_told = expected.keys().any(|(_, other, _)| other == name) && kind != "row security";
        let of = of(owner, name);
        let what = format!("the {kind} {name}{of} is not Jeton's");
        // An operator is taken for the database's own where its types fit better.
        let is_comparison = kind == "operator";
        if is_comparison || is_searched(owner) && decides(kind, owner, indexes_can_lie) {
            check.hiding.push(what);
        } else if !is_told {
            check.foreign.push(what);
        }
    }
    check
}

/// What it belongs to.
fn of(owner: &str, name: &str) -> String {
    if owner.is_empty() || owner == name {
        return String::new();
    }
    format!(" of {owner}")
}

/// Whether something that was added to a table decides what is read of it. Triggers and rules act on what is
/// written, which the hashes prove.
fn decides(kind: &str, owner: &str, indexes_can_lie: bool) -> bool {
    match kind {
        "policy" | "row security" | "inheritance" | "shadowed name" => true,
        // The log itself is read by no index.
        "index" => indexes_can_lie && owner != "audit_event",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_statement_are_one_and_its_texts_are_not() {
        let written = "CREATE INDEX a ON t (b)\n WHERE c <> 'x y'";
        assert_eq!(
            normal(written),
            normal("CREATE INDEX \"a\" ON t(b) WHERE c<>'x y'")
        );
        assert_ne!(
            normal(written),
            normal("CREATE INDEX a ON t (b) WHERE c <> 'xy'")
        );
    }

    #[test]
    fn a_search_path_misleads_where_the_catalog_does_not_come_first() {
        assert_eq!(misleading("\"$user\", public"), None);
        assert_eq!(misleading("pg_catalog, public"), None);
        assert!(misleading("mine, \"pg_catalog\"").is_some());
    }
}
