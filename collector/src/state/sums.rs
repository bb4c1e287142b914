//! A sealed sum over the records of each kind, and one over all: tells when a record was removed,
//! added or put back by somebody without the key.
//!
//! The sum is the exclusive or of a keyed hash of each record, so that writing one record costs
//! two hashes whatever the number of records.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::StateError;
use super::seal::{Sealer, associated, short};
use crate::vault::{Head, Link};

/// Name of the sum over all kinds.
pub(super) const ALL: &str = "";

/// A record's content before and after a write.
pub(super) type Change<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// The sum over the records of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    /// Writes so far.
    version: u64,
    /// Records there are.
    records: u64,
    sum: Link,
}

impl Sum {
    pub(super) fn head(&self) -> Head {
        Head { count: self.version, digest: self.sum }
    }

    fn toggle(&mut self, weight: [u8; 32]) {
        self.sum.0.iter_mut().zip(weight).for_each(|(slot, byte)| *slot ^= byte);
    }

    fn change(&mut self, sealer: &Sealer, (kind, hash): (&str, &[u8]), (old, new): Change<'_>) {
        self.version = self.version.saturating_add(1);
        if let Some(old) = old {
            self.toggle(sealer.weigh(kind, hash, old));
            self.records = self.records.saturating_sub(1);
        }
        if let Some(new) = new {
            self.toggle(sealer.weigh(kind, hash, new));
            self.records = self.records.saturating_add(1);
        }
    }
}

/// Why a sum cannot be had.
#[derive(Debug)]
pub(super) enum SumError {
    Database(rusqlite::Error),
    Sealed(String),
    Crypto,
}

impl SumError {
    pub(super) fn at(self, path: &Path) -> StateError {
        match self {
            Self::Database(source) => {
                StateError::Database { path: path.to_owned(), action: "keep its sums", source }
            }
            Self::Sealed(kind) => StateError::Sealed { kind: "sum".to_owned(), id: kind },
            Self::Crypto => StateError::Crypto,
        }
    }
}

fn bound(kind: &str) -> Vec<u8> {
    associated("sum", kind.as_bytes())
}

/// Reads a sum; one that was never written is that of no records.
pub(super) fn read(connection: &Connection, sealer: &Sealer, kind: &str) -> Result<Sum, SumError> {
    let sealed: Option<Vec<u8>> = connection
        .prepare_cached("SELECT content FROM sums WHERE kind = ?1")
        .and_then(|mut query| query.query_row([kind], |row| row.get(0)).optional())
        .map_err(SumError::Database)?;
    let Some(sealed) = sealed else { return Ok(Sum::default()) };
    open(sealer, kind, &sealed).ok_or_else(|| SumError::Sealed(kind.to_owned()))
}

fn open(sealer: &Sealer, kind: &str, sealed: &[u8]) -> Option<Sum> {
    serde_json::from_slice(&sealer.open_bytes(&bound(kind), sealed)?).ok()
}

/// Keeps the sums after a write.
pub(super) fn change(
    connection: &Connection,
    sealer: &Sealer,
    (kind, hash): (&str, &[u8]),
    change: Change<'_>,
) -> Result<(), SumError> {
    for name in [kind, ALL] {
        let mut sum = read(connection, sealer, name)?;
        sum.change(sealer, (kind, hash), change);
        let content = serde_json::to_vec(&sum).map_err(|_| SumError::Crypto)?;
        let sealed = sealer.seal_bytes(&bound(name), content).map_err(|_| SumError::Crypto)?;
        connection
            .prepare_cached("INSERT OR REPLACE INTO sums (kind, content) VALUES (?1, ?2)")
            .and_then(|mut query| query.execute(params![name, sealed]))
            .map_err(SumError::Database)?;
    }
    Ok(())
}

type Findings = Vec<(String, String)>;

/// Compares every record and every sum: place and words of what is wrong, and how far the
/// database has come.
pub(super) fn verify(
    connection: &Connection,
    sealer: &Sealer,
) -> Result<(Findings, Head), rusqlite::Error> {
    let mut findings = Vec::new();
    let mut found: BTreeMap<String, Sum> = BTreeMap::new();
    let mut query = connection.prepare("SELECT kind, id, content FROM sealed")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, hash, content): (String, Vec<u8>, Vec<u8>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        if sealer.open_bytes(&associated(&kind, &hash), &content).is_none() {
            findings.push((
                format!("{kind}/{}", short(&hash)),
                "record does not open: changed or moved".to_owned(),
            ));
        }
        for name in [kind.as_str(), ALL] {
            let sum = found.entry(name.to_owned()).or_default();
            sum.change(sealer, (&kind, &hash), (None, Some(&content)));
        }
    }
    let mut query = connection.prepare("SELECT kind, content FROM sums")?;
    let mut rows = query.query([])?;
    let mut head = Head::default();
    while let Some(row) = rows.next()? {
        let (kind, content): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let there = found.remove(&kind).unwrap_or_default();
        let place = if kind == ALL { "all records".to_owned() } else { format!("kind {kind}") };
        match open(sealer, &kind, &content) {
            None => findings.push((place, "sum does not open: changed or moved".to_owned())),
            Some(sum) => {
                if (sum.records, sum.sum) != (there.records, there.sum) {
                    findings.push((
                        place,
                        format!(
                            "records were removed, changed or put back: {} of {} are there",
                            there.records, sum.records
                        ),
                    ));
                }
                if kind == ALL {
                    head = sum.head();
                }
            }
        }
    }
    let left = found.into_iter().filter(|(_, sum)| sum.records > 0);
    findings.extend(left.map(|(kind, sum)| {
        (format!("kind {kind}"), format!("{} records without their sum", sum.records))
    }));
    Ok((findings, head))
}
