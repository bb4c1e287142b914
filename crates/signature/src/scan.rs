//! Traffic against a [`RuleSet`]: one [`Scan`] per packet.
//!
//! Prefilters give candidates, candidates are run in rule order, matches are queued and at the end sorted,
//! thresholded and turned into a verdict. Nothing is allocated per packet once the scratch has grown.

mod asn1;
mod datasets;
mod find;
mod header;
mod inspect;
mod layers;
mod numbers;
mod queue;
mod regex;
mod state;
mod tables;
mod tags;
mod transaction;
mod transform;

pub(crate) use self::{numbers::decode_base64, regex::LazyRegex};
pub use self::{
    queue::{Match, MatchSource, Note, Outcome, Scope, Verdict},
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
        group::PortGroups,
        matcher::{MatchScratch, PrefilterStats},
        need,
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
    stores: Vec<Match>,
    stats: ScanStats,
    /// Most alerts of one packet, when it is not the default.
    max_alerts: Option<usize>,
}

impl Scratch {
    /// Room for scanning with `rules` (or any other set).
    #[must_use]
    pub fn new(_rules: &RuleSet) -> Self {
        Self::default()
    }

    /// Sets how many alerts one packet may have; more are counted.
    pub fn set_max_alerts(&mut self, most: usize) {
        self.max_alerts = Some(most);
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
    /// The protocol of the flow became known, or another, with this packet.
    news: bool,
    /// It is the first packet of its direction since.
    turn: bool,
    /// The data at hand is a segment that no stream took in: its position means nothing.
    loose: bool,
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
        let (mut news, mut turn) = (false, false);
        if let Some(flow) = &mut flow {
            flow.adopt(rules.generation, rules.names.lineage);
            if let Some(view) = &packet.flow {
                (news, turn) = flow.learn(view, packet.direction);
            }
        }
        Self { rules, tables, scratch, packet, flow, news, turn, loose: false }
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
        let data = payload(self.packet.payload, 0, true);
        let moment = self.moment(Place::Packet);
        let group = match self.packet.ip_proto {
            6 => 0,
            17 => 1,
            _ => 2,
        };
        let direction = self.packet.direction.unwrap_or(Direction::ToServer);
        let groups = rules.plan.packet.get(group).and_then(|both| both.get(direction.index()));
        if let Some(groups) = groups {
            let ends = (self.packet.src, self.packet.dst);
            let ports = [self.packet.dst_port, self.packet.src_port];
            self.search(groups, (data, ports, ends), moment, &mut candidates);
        }
        self.settle(Place::Packet, moment, &mut candidates);
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
            self.loose = true;
            self.stream(&ChunkView { direction, offset: 0, data: packet.payload, last: true });
            self.loose = false;
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
        without_pattern(
            &self.rules.plan.addresses,
            ((self.packet.src, self.packet.dst), self.packet.dst_port),
            u64::MAX,
            out,
        );
    }

    /// What of the packet's header changes from packet to packet, for data at `place`, in the bits of
    /// [`need::Needs`].
    fn moment(&self, place: Place) -> u64 {
        let packet = self.packet;
        let moment = need::Moment {
            ip_proto: packet.ip_proto,
            direction: place.direction(packet),
            established: packet.flow.is_some_and(|flow| flow.established),
            flags: packet.tcp.filter(|_| !packet.pseudo).map(|tcp| tcp.flags),
            app: packet.flow.map(|flow| flow.app),
        };
        let any_app = if let Place::Transaction(_) = place { need::ANY_APP } else { 0 };
        self.rules.needs.of_moment(moment) | any_app
    }

    /// What is known of the ends of data at `place`, in the bits of [`need::Needs`].
    fn ends_of(&mut self, place: Place) -> u64 {
        let (rules, packet) = (self.rules, self.packet);
        let (from, to) = place.ends(packet);
        let of_ends = || rules.needs.of_ends(from, to);
        match &mut self.flow {
            // Of the packets of other protocols some only speak of the flow, as ICMP errors do.
            Some(flow) if matches!(packet.ip_proto, 6 | 17) => {
                *flow.ends[usize::from(from <= to)].get_or_insert_with(of_ends)
            }
            _ => of_ends(),
        }
    }

    /// Drops candidates that the packet's header rules out; sorts the others.
    fn settle(&mut self, place: Place, moment: u64, candidates: &mut Vec<u32>) {
        if candidates.is_empty() {
            return;
        }
        let needs = &self.rules.needs;
        candidates.retain(|id| needs.allow(*id, moment | need::ANY_ENDS));
        if candidates.is_empty() {
            return;
        }
        let facts = moment | self.ends_of(place);
        candidates.retain(|id| needs.allow(*id, facts));
        candidates.sort_unstable();
        candidates.dedup();
    }

    /// Runs the rules on raw streams over newly arrived data of one direction.
    pub fn stream(&mut self, chunk: &ChunkView<'_>) {
        if self.is_passed() {
            return;
        }
        let rules = self.rules;
        let mut candidates = std::mem::take(&mut self.scratch.candidates);
        candidates.clear();
        let data = payload(chunk.data, chunk.offset, chunk.last);
        let moment = self.moment(Place::Stream(chunk.direction));
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
            self.search(groups, (data, [port, None], ends), moment, &mut candidates);
        }
        self.settle(Place::Stream(chunk.direction), moment, &mut candidates);
        for id in candidates.iter().copied() {
            self.raw_rule(id, data, Place::Stream(chunk.direction));
        }
        self.scratch.candidates = candidates;
    }

    fn search(
        &mut self,
        groups: &PortGroups,
        place: (Data<'_>, [Option<u16>; 2], (IpAddr, IpAddr)),
        moment: u64,
        out: &mut Vec<u32>,
    ) {
        let (data, ports, ends) = place;
        let matching = &mut self.scratch.matching;
        if !data.bytes.is_empty() {
            let app = self.packet.flow.map(|flow| flow.app);
            groups.scan((data.bytes, data.offset), (ports, app), matching, out);
        }
        without_pattern(groups, (ends, ports[0]), moment, out);
    }

    fn raw_rule(&mut self, id: u32, data: Data<'_>, place: Place) {
        let rules = self.rules;
        let Some(rule) = rules.rules.get(id as usize) else { return };
        // One direction waits for its own packet.
        let directed = rule.flow.to_server || rule.flow.to_client;
        if rule.protocol_only && !self.news && !(directed && self.turn) {
            return;
        }
        if !rules.needs.is_whole(id) && !header::matches(rules, rule, self.packet, place) {
            return;
        }
        if self.already(id) || !transaction::raw_blocks(self, rule, data) {
            return;
        }
        if let Place::Stream(direction) = place
            && !self.is_fresh(rule, id, (data, direction))
        {
            return;
        }
        let source = match place {
            Place::Stream(direction) => (MatchSource::Stream, None, Some(direction)),
            _ => (MatchSource::Packet, None, self.packet.direction),
        };
        self.accept(rule, id, source);
    }

    /// Pieces of a stream overlap: what matched in bytes that were seen before is no new match.
    fn is_fresh(&mut self, rule: &Rule, id: u32, place: (Data<'_>, Direction)) -> bool {
        let (data, direction) = place;
        let end = data.offset.saturating_add(data.bytes.len() as u64);
        let before = match &self.flow {
            Some(flow) if !self.loose => flow.stream_end(id, direction),
            _ => return true,
        };
        let seen = before.unwrap_or(0).saturating_sub(data.offset);
        if seen > 0 {
            let rest = usize::try_from(seen).ok().and_then(|seen| data.bytes.get(seen..));
            let rest = payload(rest.unwrap_or_default(), data.offset + seen, data.last);
            if rest.bytes.is_empty() || !transaction::raw_blocks(self, rule, rest) {
                return false;
            }
        }
        if let Some(flow) = &mut self.flow {
            flow.set_stream_end(id, direction, end);
        }
        true
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
        let mut notes = [None; queue::MAX_NOTES];
        for (slot, note) in notes.iter_mut().zip(&self.scratch.inspecting.notes) {
            *slot = Some(*note);
        }
        self.scratch.queue.push(Match {
            rule: RuleId(id),
            action: rule.action,
            tx,
            direction,
            source,
            notes,
        });
        for post in &rule.posts {
            self.post(post, (rule.meta.gid, rule.meta.sid));
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

    fn post(&mut self, post: &Post, rule: (u32, u32)) {
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
            (Post::Tag(tag), flow) => {
                kept = match (tag.host, flow) {
                    (Some(host), _) => self.tables.tag(rule, *tag, host, self.packet),
                    (None, Some(flow)) => flow.tags_mut().begin(rule, *tag, self.packet.time),
                    (None, None) => true,
                };
            }
            (_, None) => {}
        }
        self.scratch.stats.flow_state_full += u64::from(!kept);
    }
}

const fn payload(bytes: &[u8], offset: u64, last: bool) -> Data<'_> {
    Data { bytes, offset, last, little: false, buffer: crate::Buffer::Payload }
}

/// Rules that no pattern announces, by source and destination of the data and the port of the group.
fn without_pattern(
    groups: &PortGroups,
    place: ((IpAddr, IpAddr), Option<u16>),
    moment: u64,
    out: &mut Vec<u32>,
) {
    let (ends, port) = place;
    // What all rules on addresses need, such as a SYN.
    if groups.addresses_need & !(moment | need::ANY_ENDS) == 0 {
        let [src, dst] = &groups.addresses;
        out.extend_from_slice(src.lookup(ends.0));
        out.extend_from_slice(dst.lookup(ends.1));
    }
    if groups.always_by_port_need & !(moment | need::ANY_ENDS) == 0
        && !groups.always_by_port.is_empty()
    {
        let rules = port.and_then(|port| groups.always_by_port.get(&port));
        out.extend_from_slice(rules.map(Vec::as_slice).unwrap_or_default());
    }
    out.extend_from_slice(&groups.always);
}

#[cfg(test)]
mod address_tests;
#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod byte_tests;
#[cfg(test)]
mod content_tests;
#[cfg(test)]
mod dataset_tests;
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
