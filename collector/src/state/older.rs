//! Databases from before identities were hashed: table `records` with kind and identity in clear.
//! They are brought over in one transaction; what was in clear is overwritten.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::seal::{Sealer, associated};
use super::{StateError, sums};
use crate::keys::KeyBytes;

/// One row of the older table: kind, identity, sealed content.
type Row = (String, String, Vec<u8>);

fn has_records(connection: &Connection) -> rusqlite::Result<bool> {
    let query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'records'";
    connection.query_row(query, [], |_| Ok(())).optional().map(|found| found.is_some())
}

fn open(sealer: &Sealer, (kind, id, sealed): &Row) -> Result<Vec<u8>, StateError> {
    let damaged = || StateError::Sealed { kind: kind.clone(), id: id.clone() };
    sealer.open_bytes(&associated(kind, id.as_bytes()), sealed).ok_or_else(damaged)
}

/// Whether a file is a database of the older version that opens with this key.
#[must_use]
pub fn is_older(path: &Path, key: &KeyBytes) -> bool {
    let look = || -> Option<bool> {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        if !has_records(&connection).ok()? {
            return None;
        }
        let sealer = Sealer::new(key).ok()?;
        let mut query = connection.prepare("SELECT kind, id, sealed FROM records LIMIT 1").ok()?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let row: Option<Row> = query.query_row([], read).optional().ok()?;
        Some(row.is_none_or(|row| open(&sealer, &row).is_ok()))
    };
    look().unwrap_or(false)
}

/// Brings an older database over; nothing when it is of this version.
///
/// # Errors
/// [`StateError`]; then the older one is as it was.
pub(super) fn migrate(
    connection: &mut Connection,
    sealer: &Sealer,
    path: &Path,
) -> Result<(), StateError> {
    let failed =
        |source| StateError::Database { path: path.to_owned(), action: "bring it over", source };
    if !has_records(connection).map_err(failed)? {
        return Ok(());
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let rows: Vec<Row> = {
        let mut query =
            transaction.prepare("SELECT kind, id, sealed FROM records").map_err(failed)?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        query.query_map([], read).and_then(Iterator::collect).map_err(failed)?
    };
    for row in &rows {
        let plain = open(sealer, row)?;
        let (kind, id, _) = row;
        let hash = sealer.hash(kind, id);
        let content = sealer.seal_bytes(&associated(kind, &hash), plain)?;
        transaction
            .execute(
                "INSERT INTO sealed (kind, id, content) VALUES (?1, ?2, ?3)",
                params![kind, hash, content],
            )
            .map_err(failed)?;
        sums::change(&transaction, sealer, (kind, &hash), (None, Some(&content)))
            .map_err(|error| error.at(path))?;
    }
    transaction.execute_batch("DROP TABLE records").map_err(failed)?;
    transaction.commit().map_err(failed)?;
    tracing::info!(records = rows.len(), path = %path.display(), "state brought over");
    Ok(())
}
