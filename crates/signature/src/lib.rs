//! Suricata-language rules: parse, check, compile, scan.
//!
//! Usable on its own: it knows neither packet decoders nor capture. Text of rule files goes in at
//! [`RuleSet::load`]; at run time a sensor hands in borrowed views ([`PacketView`], [`ChunkView`], its
//! implementation of [`Inspect`]) and gets [`Match`]es and a [`Verdict`] back.
//!
//! One packet of a worker:
//!
//! ```ignore
//! let mut scan = Scan::begin(&rules, &tables, &mut scratch, &packet, flow_state); // Option<&mut FlowState>
//! scan.packet();
//! for chunk in chunks { scan.stream(&chunk); }              // ChunkView, newly acknowledged data
//! for (tx, state) in transactions { scan.transaction(&tx, state, direction); }
//! let outcome = scan.finish();                              // sorted, thresholded
//! for hit in outcome.matches { let rule = rules.rule(hit.rule); /* rule.sid, rule.msg, ... */ }
//! match outcome.verdict { .. }
//! ```
//!
//! The exact run-time surface:
//!
//! ```ignore
//! // load.rs
//! pub struct Source { pub name: String, pub text: Vec<u8> }
//! pub struct LoadOptions { pub variables: Variables, pub support: Support }           // Default
//! impl Variables { pub fn set(&mut self, name: &str, value: &str); }                  // Default = Suricata's
//! impl RuleSet {
//!     pub fn load(sources: Vec<Source>, options: &LoadOptions) -> (RuleSet, Report);
//!     pub fn len(&self) -> usize;
//!     pub fn rule(&self, id: RuleId) -> RuleInfo<'_>;     // sid gid rev msg action category ... all by reference
//! }
//! pub struct Report { pub accepted: usize, pub rejected: Vec<Rejected>, pub rejected_beyond: usize }
//! pub struct Rejected { pub file: String, pub line: u32, pub column: u32, pub sid: Option<u32>, pub reason: String }
//!
//! // scan
//! pub struct Tables;        // Default; Sync; thresholds, xbits, hostbits: one for all workers
//! pub struct Scratch;       // Scratch::new(&RuleSet); one per worker; make a new one with each new RuleSet
//! pub struct FlowState;     // Default; flowbits, flowints, once-per-flow marks; belongs to the flow
//! pub struct TxState;       // Default; belongs to the transaction (one for both directions)
//! impl<'a> Scan<'a> {
//!     pub fn begin(rules: &'a RuleSet, tables: &'a Tables, scratch: &'a mut Scratch,
//!                  packet: &'a PacketView<'a>, flow: Option<&'a mut FlowState>) -> Self;
//!     pub fn packet(&mut self);
//!     pub fn stream(&mut self, chunk: &ChunkView<'_>);
//!     pub fn transaction(&mut self, tx: &dyn Inspect, state: &mut TxState, direction: Direction);
//!     pub fn finish(self) -> Outcome<'a>;
//! }
//! pub struct Outcome<'a> { pub matches: &'a [Match], pub verdict: Verdict, pub beyond_limit: u32 }
//! pub struct Match { pub rule: RuleId, pub action: Action, pub tx: Option<u64>, pub direction: Option<Direction>, pub source: MatchSource }
//! pub enum MatchSource { Packet, Stream, Transaction }
//! pub struct Verdict { pub pass: Scope, pub drop: Scope, pub reject: Scope }   // Scope: None | Packet | Flow
//! ```
//!
//! Call `transaction` for a direction whenever that side of the transaction made progress, and once more when it is
//! complete; calling it again without progress costs little and finds nothing twice. After a ruleset swap, `FlowState`
//! and `TxState` made under the old one reset themselves (each remembers the generation of its ruleset).
//!
//! `RuleSet` is immutable and shared (`Arc`), `Tables` (thresholds, host bits) is shared and locked only on
//! matches, `Scratch` belongs to one worker, `FlowState` to one flow, `TxState` to one transaction.
#![forbid(unsafe_code)]

mod buffer;
mod check;
mod compile;
mod error;
mod info;
mod load;
mod parse;
mod protocol;
mod scan;
mod view;

pub use buffer::{Buffer, Sides};
pub use check::{
    rule::{Action, Tag, TagHost, TagMetric, Target},
    vars::Variables,
};
pub use compile::{RuleSet, matcher::PrefilterStats};
pub use error::RuleError;
pub use info::RuleInfo;
pub use load::{LoadOptions, Rejected, Report, Source};
pub use protocol::{AppProto, ProtoSet, Support};
pub use scan::{
    FlowState, Match, MatchSource, Outcome, RuleId, Scan, ScanStats, Scope, Scratch, Tables,
    TxState, Verdict,
};
pub use view::{
    ChunkView, Direction, FlowView, IcmpFields, Inspect, IpFields, IpOption, Number, PacketView,
    TcpFields, View,
};
