//! Suricata-language rules: parse, check, compile, scan.
//!
//! Usable on its own: it knows neither packet decoders nor capture. Text of rule files goes in at
//! [`RuleSet::load`]; at run time a sensor hands in borrowed views ([`PacketView`], [`ChunkView`], its
//! implementation of [`Inspect`]) and gets [`Match`]es and a [`Verdict`] back.
//!
//! ```
//! use signature::{FlowState, LoadOptions, PacketView, RuleSet, Scan, Scratch, Source, Tables, IpFields};
//!
//! let text = br#"alert udp any any -> any 53 (msg:"says hello"; content:"hello"; sid:1;)"#.to_vec();
//! let source = Source { name: "my.rules".to_owned(), text };
//! let (rules, report) = RuleSet::load(vec![source], &LoadOptions::default());
//! assert_eq!(report.accepted, 1);
//!
//! // One for all workers; one per worker; one per flow.
//! let (tables, mut scratch, mut flow) = (Tables::default(), Scratch::new(&rules), FlowState::default());
//! let packet = PacketView {
//!     ip: IpFields { version: 4, ..IpFields::default() },
//!     ip_proto: 17,
//!     src_port: Some(4000),
//!     dst_port: Some(53),
//!     payload: b"hello",
//!     ..PacketView::default()
//! };
//! let mut scan = Scan::begin(&rules, &tables, &mut scratch, &packet, Some(&mut flow));
//! scan.packet(); // then scan.stream(..) per new chunk and scan.transaction(..) per transaction with progress
//! let outcome = scan.finish();
//! let rule = rules.rule(outcome.matches[0].rule).unwrap();
//! assert_eq!((rule.sid, rule.msg), (1, "says hello"));
//! ```
//!
//! Call [`Scan::transaction`] for a direction whenever that side of the transaction made progress, and once more
//! when it is complete; calling it again without progress costs little and finds nothing twice. [`RuleSet`] is
//! immutable and shared (`Arc`); [`Tables`] (thresholds, bits of hosts) is shared and locked only on matches;
//! [`Scratch`] belongs to one worker, [`FlowState`] to one flow, [`TxState`] to one transaction (both directions).
//! After a change of rules, `TxState` made under the old set resets itself, and so does `FlowState`, which keeps its
//! bits and counters when the new set was loaded with the old one's [`Names`].
//!
//! Stages, one folder each: `parse` (text to raw options with positions), `check` (raw options to meaning, or an
//! error naming the keyword: nothing is ignored), `compile` (order, fast patterns, prefilters), `scan`.
// Denied by the workspace and expected in one module: `compile::simd`.

mod buffer;
mod by_address;
mod check;
mod compile;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod info;
mod load;
mod parallel;
mod parse;
mod protocol;
mod rarity;
mod scan;
#[cfg(test)]
mod tests;
mod view;

pub use buffer::{Buffer, Sides};
pub use check::{
    pool::Names,
    rule::{Action, FileStore, FileStoreScope, Tag, TagHost, TagMetric, Target},
    vars::Variables,
};
pub use compile::{RuleSet, matcher::PrefilterStats};
pub use error::RuleError;
pub use info::RuleInfo;
pub use load::{AddressFiles, LoadOptions, ReadFile, Rejected, Report, Source};
pub use protocol::{AppProto, ProtoSet, Support};
pub use scan::{
    FlowState, Match, MatchSource, Note, Outcome, RuleId, Scan, ScanStats, Scope, Scratch, Tables,
    TxState, Verdict,
};
pub use view::{
    ChunkView, Direction, FileFacts, FlowView, IcmpFields, Inspect, IpFields, IpOption, Number,
    PacketView, SctpFields, TcpFields, View,
};
