//! What is kept per group: windows, distinct counts, models, first-seen sets, contributors.
//!
//! Plain data without a clock; every piece has a fixed ceiling and tells its size in bytes.

pub(crate) mod distinct;
pub(crate) mod group;
pub(crate) mod lru;
pub(crate) mod model;
pub(crate) mod ring;
pub(crate) mod top;
