//! The packet side of the agent: frames in, records out.
//!
//! [`worker`] drives one `net::Engine`; [`report`] is the sink that turns what the engine finds into
//! records; [`detect`] runs the signatures;
//! [`eve`] gives the records their names and shapes; [`settings`] is what can be configured.
//! A worker owns all of it: nothing here is shared between threads.

pub(crate) mod compat;
pub(crate) mod detect;
pub(crate) mod eve;
mod inspect;
mod packet_view;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod worker;
