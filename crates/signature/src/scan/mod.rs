//! Traffic against a [`RuleSet`]: one [`Scan`] per packet.
//!
//! Prefilters give candidates, candidates are run in rule order, matches are queued and at the end sorted,
//! thresholded and turned into a verdict. Nothing is allocated per packet once the scratch has grown.

mod asn1;
mod header;
mod inspect;
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

use crate::{
    ChunkView, Direction, PacketView, RuleSet,
    check::{
        Rule,
        rule::{Gate, Post},
    },
    compile::{
        matcher::{MatchScratch, PrefilterStats},
        plan::PortGroups,
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
        if self.is_passed() || self.packet.ip.version == 0 && self.packet.events.is_empty() {
            return;
        }
        let rules = self.rules;
        let mut candidates = std::mem::take(&mut self.scratch.candidates);
        candidates.clear();
        self.address_rules(&mut candidates);
        let group = match self.packet.ip_proto {
            6 => 0,
            17 => 1,
            _ => 2,
        };
        if let Some(groups) = rules.plan.packet.get(group) {
            self.search(groups, self.packet.payload, self.packet.dst_port, &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        let data = Data { bytes: self.packet.payload, offset: 0, last: true };
        for id in candidates.iter().copied() {
            self.raw_rule(id, data, Place::Packet);
        }
        self.scratch.candidates = candidates;
    }

    /// Rules that are an address list, once per flow and direction.
    fn address_rules(&mut self, out: &mut Vec<u32>) {
        if let (Some(flow), Some(direction)) = (&mut self.flow, self.packet.direction)
            && let Some(done) = flow.addresses_done.get_mut(direction.index())
            && std::mem::replace(done, true)
        {
            return;
        }
        let [src, dst] = &self.rules.plan.addresses;
        out.extend_from_slice(src.lookup(self.packet.src));
        out.extend_from_slice(dst.lookup(self.packet.dst));
        out.extend_from_slice(&src.always);
    }

    /// Runs the rules on raw streams over newly arrived data of one direction.
    pub fn stream(&mut self, chunk: &ChunkView<'_>) {
        if self.is_passed() {
            return;
        }
        let rules = self.rules;
        let mut candidates = std::mem::take(&mut self.scratch.candidates);
        candidates.clear();
        let own = self.packet.direction.is_none_or(|direction| direction == chunk.direction);
        // The port of the server's side.
        let port = if own == (chunk.direction == Direction::ToServer) {
            self.packet.dst_port
        } else {
            self.packet.src_port
        };
        if let Some(groups) = rules.plan.stream.get(chunk.direction.index()) {
            self.search(groups, chunk.data, port, &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        let data = Data { bytes: chunk.data, offset: chunk.offset, last: chunk.last };
        for id in candidates.iter().copied() {
            self.raw_rule(id, data, Place::Stream(chunk.direction));
        }
        self.scratch.candidates = candidates;
    }

    fn search(&mut self, groups: &PortGroups, data: &[u8], port: Option<u16>, out: &mut Vec<u32>) {
        let matching = &mut self.scratch.matching;
        if !data.is_empty() {
            groups.any.scan(data, false, matching, out);
            if let Some(matcher) = port.and_then(|port| groups.by_port.get(&port)) {
                matcher.scan(data, false, matching, out);
            }
        }
        out.extend_from_slice(&groups.always);
    }

    fn raw_rule(&mut self, id: u32, data: Data<'_>, place: Place) {
        let rules = self.rules;
        let Some(rule) = rules.rules.get(id as usize) else { return };
        if (place == Place::Packet && header::skips_packet(rule, self.packet))
            || !header::matches(rules, rule, self.packet, place)
        {
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
                flow.is_some_and(|flow| bits.iter().any(|bit| flow.has_bit(*bit)) == *set)
            }
            Gate::HostBit { bit, track, set } => {
                self.tables.has_bit(*bit, *track, self.packet) == *set
            }
            Gate::FlowInt { var, test } => flow.is_some_and(|flow| flow.int_holds(*var, *test)),
        }
    }

    fn post(&mut self, post: &Post) {
        match (post, &mut self.flow) {
            (Post::HostBit { bit, track, op, expire }, _) => {
                self.tables.change_bit(*bit, *track, *op, self.packet, *expire);
            }
            (Post::FlowBit { bit, op }, Some(flow)) => flow.change_bit(*bit, *op),
            (Post::FlowIntSet { var, value }, Some(flow)) => {
                flow.change_int(*var, *value, |_, new| new)
            }
            (Post::FlowIntAdd { var, value }, Some(flow)) => {
                flow.change_int(*var, *value, u32::saturating_add)
            }
            (Post::FlowIntSub { var, value }, Some(flow)) => {
                flow.change_int(*var, *value, u32::saturating_sub)
            }
            // Tags are carried out by whoever records traffic: the rule names them.
            (Post::Tag(_), _) | (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests;
