//! Files of the index: sealed page by page, with a list that chains their digests.
//!
//! Not here: what lies in them; that is the index library's business and [`super::partition`]'s.

pub mod cache;
pub mod directory;
pub mod manifest;
mod opened;
pub mod sealed;
