//! Writing: one thread (`worker`) that is fed from the log, asked through a [`handle`], and owns every change of a
//! partition; where events go, what is merged, what moves.

pub mod handle;
pub(super) mod merge;
pub mod mover;
pub mod routing;
pub(super) mod worker;
