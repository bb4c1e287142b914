//! Traffic against a [`RuleSet`]: one [`Scan`] per packet.
//!
//! Prefilters give candidates, candidates are run in rule order, matches are queued and at the end sorted,
//! thresholded and turned into a verdict. Nothing is allocated per packet once the scratch has grown.

mod asn1;
mod header;
mod inspect;
mod layers;
mod numbers;
mod queue;
mod regex;
mod state;
mod tables;
mod transaction;
mod transform;

pub(crate) use self::regex::LazyRegex;
pub use self::{
    queue::{Match, MatchSource, Outcome, Scope, Verdict},
    state::{FlowState, TxState},
    tables::Tables,
};

use std::net::IpAddr;

use crate::{
    ChunkView, Direction, PacketView, RuleSet,
    check::{
        Rule,
        rule::{Gate, Post},
    },
    compile::{
        matcher::{MatchScratch, PrefilterStats},
        plan::{HEAD, PortGroups},
    },
    scan::{
        header::Place,
        inspect::{Data, InspectScratch},
    },
};

/// Number of a rule within its [`RuleSet`]; smaller runs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// Counters of one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Buffers of rules inspected in full.
    pub inspections: u64,
    /// Half-matched rules dropped because a transaction had too many.
    pub partials_lost: u64,
    /// Alerts beyond the limit of one packet.
    pub beyond_limit: u64,
    /// Times a buffer had more instances (queries, headers, files) than are looked at.
    pub instances_beyond: u64,
    /// Counters and thresholds by flow that had no room in their flow: such a threshold lets every alert through.
    pub flow_state_full: u64,
}

/// What a worker keeps between packets: room to work in and counters.
#[derive(Debug, Default)]
pub struct Scratch {
    candidates: Vec<u32>,
    matching: MatchScratch,
    inspecting: InspectScratch,
    transformed: Vec<u8>,
    spare: Vec<u8>,
    queue: Vec<Match>,
    stats: ScanStats,
}

impl Scratch {
    /// Room for scanning with `rules` (or any other set).
    #[must_use]
    pub fn new(_rules: &RuleSet) -> Self {
        Self::default()
    }

    /// Counters since the start.
    #[must_use]
    pub const fn stats(&self) -> ScanStats {
        self.stats
    }

    /// Counters of the prefilters.
    #[must_use]
    pub const fn prefilter_stats(&self) -> PrefilterStats {
        self.matching.stats
    }

    /// Inspections cut short by their budget, and expressions by their limits.
    #[must_use]
    pub const fn cut_short(&self) -> (u64, u64) {
        (self.inspecting.budget_hits, self.inspecting.regex_limits)
    }
}

/// The inspection of one packet and of what it completed.
#[derive(Debug)]
pub struct Scan<'a> {
    rules: &'a RuleSet,
    tables: &'a Tables,
    scratch: &'a mut Scratch,
    packet: &'a PacketView<'a>,
    flow: Option<&'a mut FlowState>,
}

impl<'a> Scan<'a> {
    /// Begins with a packet; `flow` is the state of its flow, if it has one.
    pub fn begin(
        rules: &'a RuleSet,
        tables: &'a Tables,
        scratch: &'a mut Scratch,
        packet: &'a PacketView<'a>,
        mut flow: Option<&'a mut FlowState>,
    ) -> Self {
        scratch.queue.clear();
        if let Some(flow) = &mut flow {
            flow.adopt(rules.generation);
        }
        Self { rules, tables, scratch, packet, flow }
    }

    fn is_passed(&self) -> bool {
        self.flow.as_ref().is_some_and(|flow| flow.passed)
    }

    /// Runs the rules on addresses, headers and the payload of the packet itself.
    pub fn packet(&mut self) {
        if self.is_passed() || self.packet.is_empty() {
            return;
        }
        let rules = self.rules;
        let mut candidates = std::mem::take(&mut self.scratch.candidates);
        candidates.clear();
        self.address_rules(&mut candidates);
        let data = Data { bytes: self.packet.payload, offset: 0, last: true };
        let group = match self.packet.ip_proto {
            6 => 0,
            17 => 1,
            _ => 2,
        };
        if let Some(groups) = rules.plan.packet.get(group) {
            let ends = (self.packet.src, self.packet.dst);
            self.search(groups, (data, self.packet.dst_port, ends), &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        for id in candidates.iter().copied() {
            self.raw_rule(id, data, Place::Packet);
        }
        self.scratch.candidates = candidates;
        self.loose_segment();
    }

    /// A TCP payload that no stream takes in is looked at as if it were a piece of one.
    fn loose_segment(&mut self) {
        let packet = self.packet;
        if packet.ip_proto != 6 || packet.in_stream || packet.payload.is_empty() {
            return;
        }
        let either = [Direction::ToServer, Direction::ToClient];
        for direction in
            either.into_iter().filter(|one| packet.direction.is_none_or(|own| own == *one))
        {
            self.stream(&ChunkView { direction, offset: 0, data: packet.payload, last: true });
        }
    }

    /// Rules that are an address list, once per flow and direction.
    fn address_rules(&mut self, out: &mut Vec<u32>) {
        if let (Some(flow), Some(direction)) = (&mut self.flow, self.packet.direction)
            && let Some(done) = flow.addresses_done.get_mut(direction.index())
            && std::mem::replace(done, true)
        {
            return;
        }
        without_pattern(&self.rules.plan.addresses, (self.packet.src, self.packet.dst), out);
    }

    /// Runs the rules on raw streams over newly arrived data of one direction.
    pub fn stream(&mut self, chunk: &ChunkView<'_>) {
        if self.is_passed() {
            return;
        }
        let rules = self.rules;
        let mut candidates = std::mem::take(&mut self.scratch.candidates);
        candidates.clear();
        let data = Data { bytes: chunk.data, offset: chunk.offset, last: chunk.last };
        let own = self.packet.direction.is_none_or(|direction| direction == chunk.direction);
        let (src, dst) = (self.packet.src, self.packet.dst);
        let ends = if own { (src, dst) } else { (dst, src) };
        // The port of the server's side.
        let port = if own == (chunk.direction == Direction::ToServer) {
            self.packet.dst_port
        } else {
            self.packet.src_port
        };
        if let Some(groups) = rules.plan.stream.get(chunk.direction.index()) {
            self.search(groups, (data, port, ends), &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        for id in candidates.iter().copied() {
            self.raw_rule(id, data, Place::Stream(chunk.direction));
        }
        self.scratch.candidates = candidates;
    }

    fn search(
        &mut self,
        groups: &PortGroups,
        place: (Data<'_>, Option<u16>, (IpAddr, IpAddr)),
        out: &mut Vec<u32>,
    ) {
        let (data, port, ends) = place;
        let matching = &mut self.scratch.matching;
        if !data.bytes.is_empty() {
            // What of the beginning is in these bytes.
            let left = (HEAD as u64).saturating_sub(data.offset);
            let head =
                usize::try_from(left).map_or(data.bytes.len(), |left| left.min(data.bytes.len()));
            let by_port = port.and_then(|port| groups.by_port.get(&port));
            for searches in std::iter::once(&groups.all).chain(by_port) {
                searches.any.scan(data.bytes, false, matching, out);
                searches.head.scan(
                    data.bytes.get(..head).unwrap_or_default(),
                    false,
                    matching,
                    out,
                );
            }
        }
        without_pattern(groups, ends, out);
    }

    fn raw_rule(&mut self, id: u32, data: Data<'_>, place: Place) {
        let rules = self.rules;
        let Some(rule) = rules.rules.get(id as usize) else { return };
        if !header::matches(rules, rule, self.packet, place) {
            return;
        }
        if self.already(id) || !transaction::raw_blocks(self, rule, data) {
            return;
        }
        let source = match place {
            Place::Stream(direction) => (MatchSource::Stream, None, Some(direction)),
            _ => (MatchSource::Packet, None, self.packet.direction),
        };
        self.accept(rule, id, source);
    }

    /// A raw rule fires once per packet.
    fn already(&self, id: u32) -> bool {
        self.scratch.queue.iter().any(|queued| queued.rule.0 == id && queued.tx.is_none())
    }

    /// Everything of the traffic matched: bits decide, then the match is queued and its own bits are set.
    fn accept(
        &mut self,
        rule: &Rule,
        id: u32,
        source: (MatchSource, Option<u64>, Option<Direction>),
    ) -> bool {
        if !rule.gates.iter().all(|gate| self.gate(gate)) {
            return false;
        }
        let (source, tx, direction) = source;
        self.scratch.queue.push(Match {
            rule: RuleId(id),
            action: rule.action,
            tx,
            direction,
            source,
        });
        for post in &rule.posts {
            self.post(post);
        }
        true
    }

    fn gate(&self, gate: &Gate) -> bool {
        let flow = self.flow.as_deref();
        match gate {
            Gate::FlowBits { bits, set } => {
                flow.is_some_and(|flow| bits.iter().any(|bit| flow.has_bit(*bit) == *set))
            }
            Gate::HostBit { bit, track, set } => {
                self.tables.has_bit(*bit, *track, self.packet) == *set
            }
            Gate::FlowInt { var, test } => flow.is_some_and(|flow| flow.int_holds(*var, *test)),
        }
    }

    fn post(&mut self, post: &Post) {
        let mut kept = true;
        match (post, &mut self.flow) {
            (Post::HostBit { bit, track, op, expire }, _) => {
                self.tables.change_bit(*bit, *track, *op, self.packet, *expire);
            }
            (Post::FlowBit { bit, op }, Some(flow)) => flow.change_bit(*bit, *op),
            (Post::FlowIntSet { var, value }, Some(flow)) => {
                kept = flow.change_int(*var, *value, |_, new| new);
            }
            (Post::FlowIntAdd { var, value }, Some(flow)) => {
                kept = flow.change_int(*var, *value, u32::saturating_add);
            }
            (Post::FlowIntSub { var, value }, Some(flow)) => {
                kept = flow.change_int(*var, *value, u32::saturating_sub);
            }
            // Tags are carried out by whoever records traffic: the rule names them.
            (Post::Tag(_), _) | (_, None) => {}
        }
        self.scratch.stats.flow_state_full += u64::from(!kept);
    }
}

/// Rules that no pattern announces, by source and destination of the data.
fn without_pattern(groups: &PortGroups, ends: (IpAddr, IpAddr), out: &mut Vec<u32>) {
    let [src, dst] = &groups.addresses;
    out.extend_from_slice(src.lookup(ends.0));
    out.extend_from_slice(dst.lookup(ends.1));
    out.extend_from_slice(&groups.always);
}

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod byte_tests;
#[cfg(test)]
mod content_tests;
#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod pcre_tests;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_tests;
#[cfg(test)]
mod verdict_tests;
