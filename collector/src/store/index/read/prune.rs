//! Which partitions a search need not look at: their summary ([`crate::store::index::summary`]) says that they hold no event of
//! its time, or not a term that every hit must have.
//!
//! What a query needs is taken from the very query that the partition would be asked, so that it means the same.
//! Whatever is not understood here may match.

use std::io;

use serde::{Deserialize, Serialize};
use tantivy::query::{BooleanQuery, EmptyQuery, Occur, Query, TermQuery};
use tantivy::{Searcher, Term};

use super::query::{build, phrase};
use crate::search::Node;
use crate::store::index::partition::Partition;

/// Why a partition is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store::index) enum Skip {
    /// None of its events is of the time.
    Time,
    /// It lacks a term.
    Terms,
}

/// Whether a partition can be skipped for a query over the times `low..=high`.
pub(in crate::store::index) fn skip(
    partition: &Partition,
    searcher: &Searcher,
    node: &Node,
    (low, high): (i64, i64),
) -> Option<Skip> {
    let summary = partition.summary.covering(searcher)?;
    if !summary.touches(low, high) {
        return Some(Skip::Time);
    }
    if *node == Node::All {
        return None;
    }
    let mut has = |term: &Term| summary.may_have(term);
    match possible(&*build(node, &partition.fields), &mut has) {
        Ok(true) => None,
        Ok(false) => Some(Skip::Terms),
        Err(error) => {
            tracing::warn!(partition = %partition.key, %error, "a summary cannot be read");
            partition.summary.give_up();
            None
        }
    }
}

/// Whether a query can match where `has` tells which terms there may be.
fn possible(query: &dyn Query, has: &mut dyn FnMut(&Term) -> io::Result<bool>) -> io::Result<bool> {
    if let Some(term) = query.downcast_ref::<TermQuery>() {
        return has(term.term());
    }
    if let Some(terms) = phrase(query) {
        return every(&terms, has);
    }
    if query.downcast_ref::<EmptyQuery>().is_some() {
        return Ok(false);
    }
    let Some(all) = query.downcast_ref::<BooleanQuery>() else { return Ok(true) };
    let (mut wanted, mut optional) = (false, None);
    for (occur, part) in all.clauses() {
        match occur {
            Occur::Must if !possible(&**part, has)? => return Ok(false),
            Occur::Must => wanted = true,
            Occur::Should if optional == Some(true) => {}
            Occur::Should => optional = Some(possible(&**part, has)?),
            Occur::MustNot => {}
        }
    }
    Ok(wanted || optional.unwrap_or(true))
}

fn every(terms: &[Term], has: &mut dyn FnMut(&Term) -> io::Result<bool>) -> io::Result<bool> {
    for term in terms {
        if !has(term)? {
            return Ok(false);
        }
    }
    Ok(true)
}
