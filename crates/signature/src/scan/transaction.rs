//! Rules on transactions: hooks are searched as their buffers come, half-matched rules wait in the state.

use std::net::IpAddr;

use crate::{
    Buffer, Direction, Inspect, Number, Sides, View,
    check::{
        Rule,
        rule::{Absent, Block, TxTest},
    },
    compile::plan::Hook,
    scan::{
        MatchSource, Scan,
        header::{self, Place},
        inspect::{BUDGET, Data, Inspection},
        state::{HookProgress, Partial, TxState},
        transform,
    },
};

/// Most instances of one buffer looked at.
const MAX_INSTANCES: u32 = 1_024;

/// What a block came to.
enum Found {
    Yes,
    /// Not now; may come.
    Later,
    Never,
}

impl Scan<'_> {
    /// Runs the rules on what `direction` of the transaction has so far.
    pub fn transaction(&mut self, tx: &dyn Inspect, state: &mut TxState, direction: Direction) {
        if self.is_passed() {
            return;
        }
        state.adopt(self.rules.generation);
        let rules = self.rules;
        let Some(plan) =
            rules.plan.tx.get(tx.protocol() as usize).and_then(|both| both.get(direction.index()))
        else {
            return;
        };
        let mut candidates = std::mem::take(&mut self.scratch.candidates);
        candidates.clear();
        if let Some(progress) = state.hooks.get_mut(direction.index()) {
            progress.resize(plan.hooks.len(), HookProgress::default());
            for (hook, progress) in plan.hooks.iter().zip(progress) {
                if !progress.done {
                    self.search_hook(hook, progress, (tx, direction), &mut candidates);
                }
            }
        }
        candidates.extend_from_slice(&plan.loose);
        let place = Place::Transaction(direction);
        let moment = self.moment(place);
        self.settle(place, moment, &mut candidates);
        // Half-matched rules of this direction, and those on both.
        let here = state.partial.iter().filter(|partial| {
            partial.side == direction.index()
                || rules.rules.get(partial.rule as usize).is_some_and(|rule| rule.both_sides)
        });
        candidates.extend(here.map(|partial| partial.rule));
        if !state.partial.is_empty() {
            candidates.sort_unstable();
            candidates.dedup();
        }
        for id in candidates.iter().copied() {
            self.try_rule(id, tx, state, direction);
        }
        self.scratch.candidates = candidates;
    }

    /// Searches what is new in a hook's buffer for the fast patterns of its rules.
    fn search_hook(
        &mut self,
        hook: &Hook,
        progress: &mut HookProgress,
        place: (&dyn Inspect, Direction),
        out: &mut Vec<u32>,
    ) {
        let (tx, direction) = place;
        while progress.instance < MAX_INSTANCES {
            match tx.buffer(hook.buffer, direction, progress.instance) {
                View::Pending => {
                    if tx.is_complete(direction) {
                        out.extend_from_slice(&hook.always);
                        progress.done = true;
                    }
                    return;
                }
                View::Absent => {
                    out.extend_from_slice(&hook.always);
                    progress.done = true;
                    return;
                }
                View::Data { bytes, offset, last } => {
                    let end = offset.saturating_add(bytes.len() as u64).saturating_add(1);
                    if end != progress.window_end || last {
                        out.extend_from_slice(&hook.always);
                        self.prefilter(hook, bytes, last, out);
                    }
                    progress.window_end = end;
                    if !last {
                        return;
                    }
                    progress.window_end = 0;
                    if !hook.buffer.is_multi() {
                        progress.done = true;
                        return;
                    }
                    progress.instance += 1;
                }
            }
        }
        progress.done = true;
        self.beyond_instances(hook.buffer, (tx, direction));
    }

    /// Counts a buffer with more instances than are looked at.
    fn beyond_instances(&mut self, buffer: Buffer, place: (&dyn Inspect, Direction)) {
        let more = place.0.buffer(buffer, place.1, MAX_INSTANCES);
        self.scratch.stats.instances_beyond += u64::from(matches!(more, View::Data { .. }));
    }

    fn prefilter(&mut self, hook: &Hook, bytes: &[u8], last: bool, out: &mut Vec<u32>) {
        if hook.matcher.is_empty() {
            return;
        }
        let scratch = &mut *self.scratch;
        if hook.transforms.is_empty() {
            hook.matcher.scan(bytes, last, &mut scratch.matching, out);
        } else {
            let parts = transform::Parts { pool: &self.rules.pool, regexes: &self.rules.regexes };
            transform::apply(
                parts,
                &hook.transforms,
                bytes,
                &mut scratch.transformed,
                &mut scratch.spare,
            );
            hook.matcher.scan(&scratch.transformed, last, &mut scratch.matching, out);
        }
    }

    fn try_rule(&mut self, id: u32, tx: &dyn Inspect, state: &mut TxState, direction: Direction) {
        let rules = self.rules;
        let Some(rule) = rules.rules.get(id as usize) else { return };
        // A rule is about frames of its kind or about transactions.
        if tx.frame() != rule.frame.as_deref() {
            return;
        }
        // Each direction is a match of its own, unless the rule needs both.
        let side = if rule.both_sides { 0 } else { direction.index() };
        if state.fired.contains(&(id, side)) {
            return;
        }
        let before = state.forget(id, side);
        let place = Place::Transaction(direction);
        if before.is_none()
            && !rules.needs.is_whole(id)
            && !header::matches(rules, rule, self.packet, place)
        {
            return;
        }
        self.scratch.inspecting.notes.clear();
        let mut matched = before.map_or(0, |partial| partial.matched);
        let mut waiting = false;
        for (at, block) in rule.blocks.iter().enumerate() {
            if matched >> at & 1 != 0 {
                continue;
            }
            if block.buffer.sides() == Sides::Packet {
                if !packet_block(self, block) {
                    return;
                }
                matched |= 1 << at;
                continue;
            }
            // The request is over when the response comes: a rule on both looks back at it.
            let look_back = rule.both_sides && direction == Direction::ToClient;
            let side = match block.buffer.exists(direction) {
                false if look_back => Direction::ToServer,
                _ => direction,
            };
            if !block.buffer.exists(side) {
                waiting = true;
                continue;
            }
            match self.block(block, tx, side) {
                Found::Yes => matched |= 1 << at,
                Found::Later => waiting = true,
                Found::Never => return,
            }
        }
        match self.files(rule, tx, direction) {
            Found::Yes => {}
            Found::Later => waiting = true,
            Found::Never => return,
        }
        for test in &rule.tx_tests {
            match tx_test(test, tx, direction) {
                Found::Yes => {}
                Found::Later => waiting = true,
                Found::Never => return,
            }
        }
        if waiting {
            if !state.keep(Partial { rule: id, side, matched }) {
                self.scratch.stats.partials_lost += 1;
            }
        } else {
            let source =
                if rule.frame.is_some() { MatchSource::Frame } else { MatchSource::Transaction };
            if self.accept(rule, id, (source, Some(tx.id()), Some(direction))) {
                state.fired.push((id, side));
            }
        }
    }

    /// Looks for an instance of the buffer in which all items of the block match.
    fn block(&mut self, block: &Block, tx: &dyn Inspect, direction: Direction) -> Found {
        let mut growing = false;
        let little = tx.number(Number::DcerpcLittleEndian, direction) == Some(1);
        for instance in 0..MAX_INSTANCES {
            match tx.buffer(block.buffer, direction, instance) {
                View::Pending if tx.is_complete(direction) => return self.missing(block, instance),
                View::Pending => return Found::Later,
                View::Absent if growing => return Found::Later,
                View::Absent => return self.missing(block, instance),
                View::Data { .. } if block.absent == Absent::Only => return Found::Never,
                View::Data { bytes, offset, last } => {
                    if self.items(block, Data { bytes, offset, last, little, buffer: block.buffer })
                    {
                        return Found::Yes;
                    }
                    growing |= !last;
                    if !block.buffer.is_multi() {
                        break;
                    }
                }
            }
        }
        if growing { Found::Later } else { Found::Never }
    }

    /// Looks for a file of which all tests hold.
    fn files(&self, rule: &Rule, tx: &dyn Inspect, direction: Direction) -> Found {
        if rule.files.is_empty() {
            return Found::Yes;
        }
        let mut open = !tx.is_complete(direction);
        for instance in 0..MAX_INSTANCES {
            let Some(file) = tx.file(direction, instance) else { break };
            let mut all = Some(true);
            for test in &rule.files {
                match super::datasets::file_holds(&self.rules.datasets, test, &file) {
                    Some(true) => {}
                    Some(false) => {
                        all = Some(false);
                        break;
                    }
                    None => all = None,
                }
            }
            match all {
                Some(true) => return Found::Yes,
                Some(false) => {}
                None => open |= !(file.complete || file.truncated),
            }
        }
        if open { Found::Later } else { Found::Never }
    }

    /// No (further) instance: only `absent` is content with none at all.
    fn missing(&self, block: &Block, instance: u32) -> Found {
        if instance == 0 && block.absent != Absent::No { Found::Yes } else { Found::Never }
    }

    fn items(&mut self, block: &Block, data: Data<'_>) -> bool {
        let rules = self.rules;
        let scratch = &mut *self.scratch;
        let data = if block.transforms.is_empty() {
            data
        } else {
            let parts = transform::Parts { pool: &rules.pool, regexes: &rules.regexes };
            transform::apply(
                parts,
                &block.transforms,
                data.bytes,
                &mut scratch.transformed,
                &mut scratch.spare,
            );
            Data { bytes: &scratch.transformed, ..data }
        };
        scratch.stats.inspections += 1;
        Inspection {
            pool: &rules.pool,
            regexes: &rules.regexes,
            datasets: &rules.datasets,
            tables: self.tables,
            scratch: &mut scratch.inspecting,
            budget: BUDGET,
        }
        .run(&block.items, data)
    }
}

fn tx_test(test: &TxTest, tx: &dyn Inspect, direction: Direction) -> Found {
    let holds = match test {
        TxTest::Number { number, cmp } => match tx.number(*number, direction) {
            Some(value) if cmp.holds(value) => return Found::Yes,
            Some(_) => return Found::Never,
            None => false,
        },
        TxTest::OneOf { number, values } => match tx.number(*number, direction) {
            Some(value) if values.contains(&value) => return Found::Yes,
            Some(_) => return Found::Never,
            None => false,
        },
        TxTest::Interface(wanted) => match tx.interface() {
            Some(bound) if wanted.holds(bound) => return Found::Yes,
            Some(_) => return Found::Never,
            None => false,
        },
        TxTest::Procedure(wanted) => match tx.number(Number::DcerpcOpnum, direction) {
            Some(opnum) if wanted.iter().any(|part| part.holds(opnum)) => return Found::Yes,
            Some(_) => return Found::Never,
            None => false,
        },
        TxTest::Numbers { number, key, cmp, which } => {
            let list = (0..MAX_INSTANCES).map_while(|at| tx.number_at(*number, direction, at));
            let list: Vec<u64> = match key {
                Some(key) => list
                    .filter(|value| value >> 32 == u64::from(*key))
                    .map(|value| value & u64::from(u32::MAX))
                    .collect(),
                None => list.collect(),
            };
            which.holds(&list, *cmp)
        }
        TxTest::Event { proto, name } => {
            proto.covers().contains(tx.protocol()) && tx.has_event(name)
        }
    };
    match (holds, tx.is_complete(direction)) {
        (true, _) => Found::Yes,
        (false, true) => Found::Never,
        (false, false) => Found::Later,
    }
}

/// Blocks of payload in packets and streams; header buffers come from the packet.
pub(super) fn raw_blocks(scan: &mut Scan<'_>, rule: &Rule, payload: Data<'_>) -> bool {
    scan.scratch.inspecting.notes.clear();
    rule.blocks.iter().all(|block| match block.buffer {
        Buffer::Payload => scan.items(block, payload),
        _ => packet_block(scan, block),
    })
}

/// A block on a part of the packet that is not its payload.
fn packet_block(scan: &mut Scan<'_>, block: &Block) -> bool {
    let packet = scan.packet;
    let version = packet.ip.version;
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => (v4.to_ipv6_mapped().octets(), 12),
        IpAddr::V6(v6) => (v6.octets(), 0),
    };
    let address = octets(if block.buffer == Buffer::IpSrc { packet.src } else { packet.dst });
    let bytes = match block.buffer {
        Buffer::TcpHdr if packet.ip_proto == 6 => packet.transport_header,
        Buffer::UdpHdr if packet.ip_proto == 17 => packet.transport_header,
        Buffer::Icmpv4Hdr if packet.ip_proto == 1 => packet.transport_header,
        Buffer::Icmpv6Hdr if packet.ip_proto == 58 => packet.transport_header,
        Buffer::EtherHdr => packet.link_header,
        Buffer::IgmpHdr if packet.igmp.is_some() => packet.transport_header,
        Buffer::SctpHdr if packet.sctp.is_some() => packet.transport_header,
        Buffer::SctpChunkData => packet.sctp.map_or(&[][..], |sctp| sctp.data),
        Buffer::Ipv4Hdr if version == 4 => packet.ip_header,
        Buffer::Ipv6Hdr if version == 6 => packet.ip_header,
        Buffer::IpSrc | Buffer::IpDst if version != 0 => {
            address.0.get(address.1..).unwrap_or_default()
        }
        _ => &[],
    };
    let data = Data { bytes, offset: 0, last: true, little: false, buffer: block.buffer };
    !bytes.is_empty() && scan.items(block, data)
}
