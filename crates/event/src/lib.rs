//! The common language of Pikett: events, batches, ids and the field dictionary.
#![forbid(unsafe_code)]
