//! The packet side of the agent: frames in, records out.
//!
//! [`worker`] drives one `net::Engine`; [`report`] is the sink that turns what the engine finds into
//! records; [`detect`] runs the signatures; [`figures`] is what is counted and what is a loss;
//! [`eve`] gives the records their names and shapes; [`settings`] is what can be configured.
//! [`live`] drives workers on interfaces, [`signatures`] gives them newer rules. A worker owns all of it: nothing is shared between threads
//! but the tables of thresholds and the published counters.

mod alarm;
pub(crate) mod compat;
pub(crate) mod detect;
pub(crate) mod eve;
pub(crate) mod figures;
pub(crate) mod inspect;
pub(crate) mod live;
mod packet_view;
pub(crate) mod playback;
mod raw;
pub(crate) mod records;
pub(crate) mod report;
pub(crate) mod settings;
pub(crate) mod signatures;
pub(crate) mod store;
pub(crate) mod worker;
