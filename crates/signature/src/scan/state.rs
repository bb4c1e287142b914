//! What rules remember per flow and per transaction.

use hashbrown::HashMap;

use crate::{
    AppProto, Direction, FlowView, PacketView,
    check::rule::{BitOp, IntTest, IntValue, Threshold},
    scan::{
        tables::{Count, Ruling},
        tags::Tags,
    },
};

/// Most counters or thresholds kept for one flow.
const MAX_PER_FLOW: usize = 1_024;
/// Most rules of which the last match on a stream is remembered.
const MAX_STREAM_ENDS: usize = 64;
/// Most rules half matched in one transaction.
const MAX_PARTIAL: usize = 512;

/// Rule state of one flow: belongs to the flow, empty until a rule needs it.
#[derive(Debug, Default)]
pub struct FlowState {
    generation: u64,
    /// Of the names that bits and counters stand for.
    lineage: u64,
    /// What is known of the ends, by whether the sender is the lower one.
    pub(super) ends: [Option<u64>; 2],
    /// Rules on addresses alone ran in that direction.
    pub(super) addresses_done: [bool; 2],
    /// What only rules that matched leave: most flows have none.
    left: Option<Box<Left>>,
    /// Protocol of the flow when it was last looked at.
    app: AppProto,
    /// The sides were known to speak different protocols.
    differing: bool,
    /// Directions without a packet since the protocol became known.
    owed: [bool; 2],
    /// A pass rule let the flow go.
    pub(super) passed: bool,
    /// A drop or reject rule stopped the flow.
    pub(super) dropped: bool,
}

/// What rules that matched have left on a flow.
#[derive(Debug, Default)]
struct Left {
    bits: Vec<u64>,
    ints: Vec<(u32, u32)>,
    counts: HashMap<u32, Count, foldhash::fast::RandomState>,
    /// Rules that matched on the stream, with direction and the end of the piece.
    stream_ends: Vec<(u32, Direction, u64)>,
    /// Tags of the flow.
    tags: Tags,
}

impl FlowState {
    /// Forgets what was made under another rule set; bits and counters stay where their numbers mean
    /// the same.
    pub(super) fn adopt(&mut self, generation: u64, lineage: u64) {
        if self.generation != generation {
            let old = std::mem::take(self);
            let same = old.left.filter(|_| old.lineage == lineage);
            let left = same
                .map(|left| Box::new(Left { bits: left.bits, ints: left.ints, ..Left::default() }));
            let (passed, dropped, app) = (old.passed, old.dropped, old.app);
            // Rules on addresses run again: the newer ones have not seen this flow.
            *self = Self { generation, lineage, left, passed, dropped, app, ..Self::default() };
        }
    }

    /// End of the last piece of the stream in which a rule matched.
    pub(super) fn stream_end(&self, rule: u32, direction: Direction) -> Option<u64> {
        let mut known = self.left.as_ref()?.stream_ends.iter();
        known.find(|(id, dir, _)| (*id, *dir) == (rule, direction)).map(|(_, _, end)| *end)
    }

    /// Keeps where a piece ended in which a rule matched; the oldest of too many goes.
    pub(super) fn set_stream_end(&mut self, rule: u32, direction: Direction, end: u64) {
        let stream_ends = &mut self.left.get_or_insert_default().stream_ends;
        stream_ends.retain(|(id, dir, _)| (*id, *dir) != (rule, direction));
        if stream_ends.len() >= MAX_STREAM_ENDS {
            stream_ends.remove(0);
        }
        stream_ends.push((rule, direction, end));
    }

    /// Takes in the protocol of the flow with a packet of that direction: whether it is news at all, and
    /// whether it is for that direction.
    pub(super) fn learn(&mut self, flow: &FlowView, direction: Option<Direction>) -> (bool, bool) {
        let differing = flow.app_by_direction.is_some();
        let changed = flow.app != self.app || differing != self.differing;
        let news = flow.app != AppProto::Unknown && changed;
        if news {
            self.app = flow.app;
            self.differing = differing;
            self.owed = [true; 2];
        }
        let owed = direction.and_then(|direction| self.owed.get_mut(direction.index()));
        (news, owed.is_some_and(std::mem::take))
    }

    /// True after a pass rule matched the flow: it needs no further inspection.
    #[must_use]
    pub const fn is_passed(&self) -> bool {
        self.passed
    }

    /// True after a drop or reject rule matched the flow.
    #[must_use]
    pub const fn is_dropped(&self) -> bool {
        self.dropped
    }

    pub(super) fn has_bit(&self, bit: u32) -> bool {
        let word = self.left.as_ref().and_then(|left| left.bits.get(bit as usize / 64));
        word.is_some_and(|word| word >> (bit % 64) & 1 != 0)
    }

    pub(super) fn change_bit(&mut self, bit: u32, op: BitOp) {
        let at = bit as usize / 64;
        let bits = &mut self.left.get_or_insert_default().bits;
        if bits.len() <= at {
            bits.resize(at + 1, 0);
        }
        let mask = 1 << (bit % 64);
        if let Some(word) = bits.get_mut(at) {
            match op {
                BitOp::Set => *word |= mask,
                BitOp::Unset => *word &= !mask,
                BitOp::Toggle => *word ^= mask,
            }
        }
    }

    /// Numbers of the flowbits that are set; names by [`crate::RuleSet::flow_bit_name`].
    pub fn flow_bits(&self) -> impl Iterator<Item = u32> {
        let bits = self.left.iter().flat_map(|left| &left.bits);
        (0_u32..).zip(bits).flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| at * 64 + bit)
        })
    }

    fn int(&self, var: u32) -> Option<u32> {
        self.left.as_ref()?.ints.iter().find(|(known, _)| *known == var).map(|(_, value)| *value)
    }

    fn int_value(&self, value: IntValue) -> Option<u32> {
        match value {
            IntValue::Const(constant) => Some(constant),
            IntValue::Var(var) => self.int(var),
        }
    }

    /// Changes a counter; one that was never set counts from 0. `false` when there is no room for it.
    pub(super) fn change_int(
        &mut self,
        var: u32,
        value: IntValue,
        change: fn(u32, u32) -> u32,
    ) -> bool {
        let Some(value) = self.int_value(value) else { return true };
        let ints = &mut self.left.get_or_insert_default().ints;
        if let Some((_, old)) = ints.iter_mut().find(|(known, _)| *known == var) {
            *old = change(*old, value);
        } else if ints.len() < MAX_PER_FLOW {
            ints.push((var, change(0, value)));
        } else {
            return false;
        }
        true
    }

    pub(super) fn int_holds(&self, var: u32, test: IntTest) -> bool {
        let have = self.int(var);
        let compare =
            |value: IntValue, holds: fn(&u32, &u32) -> bool| match (have, self.int_value(value)) {
                (Some(have), Some(want)) => holds(&have, &want),
                _ => false,
            };
        match test {
            IntTest::IsSet => have.is_some(),
            IntTest::NotSet => have.is_none(),
            IntTest::Lt(value) => compare(value, u32::lt),
            IntTest::Le(value) => compare(value, u32::le),
            IntTest::Eq(value) => compare(value, u32::eq),
            IntTest::Ne(value) => compare(value, u32::ne),
            IntTest::Ge(value) => compare(value, u32::ge),
            IntTest::Gt(value) => compare(value, u32::gt),
        }
    }

    /// Applies a threshold that counts by flow; `None` when there is no room to count.
    pub(super) fn threshold(
        &mut self,
        rule: u32,
        threshold: &Threshold,
        packet: &PacketView<'_>,
    ) -> Option<Ruling> {
        let counts = &mut self.left.get_or_insert_default().counts;
        if counts.len() >= MAX_PER_FLOW && !counts.contains_key(&rule) {
            return None;
        }
        Some(counts.entry(rule).or_default().hit(threshold, packet))
    }

    /// Tags of the flow, when it has any.
    pub(super) fn tags(&mut self) -> Option<&mut Tags> {
        self.left.as_mut().map(|left| &mut left.tags).filter(|tags| !tags.is_empty())
    }

    /// Tags of the flow, to add one.
    pub(super) fn tags_mut(&mut self) -> &mut Tags {
        &mut self.left.get_or_insert_default().tags
    }
}

/// A rule of which some buffers matched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partial {
    pub(super) rule: u32,
    /// Direction, or 0 for rules on both.
    pub(super) side: usize,
    /// One bit per block that matched.
    pub(super) matched: u64,
}

/// How far a hook was searched.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HookProgress {
    pub(super) done: bool,
    /// Next instance of a multi buffer.
    pub(super) instance: u32,
    /// End of the last window, plus one; 0 = none yet.
    pub(super) window_end: u64,
}

/// Rule state of one transaction, for both directions.
#[derive(Debug, Default)]
pub struct TxState {
    generation: u64,
    pub(super) hooks: [Vec<HookProgress>; 2],
    pub(super) partial: Vec<Partial>,
    /// Rules that matched, with the direction.
    pub(super) fired: Vec<(u32, usize)>,
}

impl TxState {
    /// Makes it ready for another transaction; what it has allocated stays.
    pub fn clear(&mut self) {
        self.hooks.iter_mut().for_each(Vec::clear);
        self.partial.clear();
        self.fired.clear();
    }

    pub(super) fn adopt(&mut self, generation: u64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }

    /// Keeps a half-matched rule; `false` when there is no room.
    pub(super) fn keep(&mut self, partial: Partial) -> bool {
        if let Some(old) =
            self.partial.iter_mut().find(|old| (old.rule, old.side) == (partial.rule, partial.side))
        {
            *old = partial;
            return true;
        }
        if self.partial.len() >= MAX_PARTIAL {
            return false;
        }
        self.partial.push(partial);
        true
    }

    pub(super) fn forget(&mut self, rule: u32, side: usize) -> Option<Partial> {
        let at =
            self.partial.iter().position(|partial| (partial.rule, partial.side) == (rule, side))?;
        Some(self.partial.swap_remove(at))
    }
}
