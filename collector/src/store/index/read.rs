//! Answers: which partitions and blocks may hold what is wanted, and the cheapest exact way through them.
//!
//! Everything here reads snapshots of commits and changes nothing. Queries arrive planned ([`mod@crate::search::plan`]).

pub(super) mod aggregate;
pub mod collect;
pub mod dictionary;
pub(super) mod newest;
pub(super) mod prune;
pub mod query;
pub(super) mod scan;
pub mod search;
pub(super) mod terms;
