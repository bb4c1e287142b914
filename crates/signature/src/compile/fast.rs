//! Choice of the fast pattern: the one content of a rule that the prefilter looks for.

use crate::{
    Buffer, Sides,
    check::{
        Rule,
        rule::{Absent, Block, Cmp, Content, Fast, Item, Num, Test},
    },
    compile::{group::HEAD, plan::Kind},
    rarity,
};

/// The chosen content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen<'p> {
    /// Number of its block in the rule.
    pub(super) block: usize,
    /// A part of the pool.
    pub(super) bytes: &'p [u8],
    /// Of these bytes, see [`rarity::pattern_cost`].
    pub(super) cost: u32,
    pub(super) nocase: bool,
    pub(super) at_end: bool,
    /// The match ends within this many bytes from the beginning.
    pub(super) limit: Option<u64>,
    /// The first and the last of the few places where it can stand, counted from the beginning.
    pub(super) at: Option<(u64, u64)>,
}

/// Cost of what is there so often that a search for something else is cheaper, payload's own included.
const HOPELESS: u32 = 75;

/// Cost up to which so little of long data has it somewhere at the beginning that looking at all of it is dearer.
const RARE_ENOUGH: u32 = 85;

/// Cost of what headers of DNS have somewhere.
const OF_HEADERS: u32 = 90;
/// What it is worth that most of them have something else in that place.
const UNUSUAL: u32 = 30;

/// Places that are looked at one by one instead of searched.
const FEW_PLACES: u64 = 4;

/// What a place out of some hundred is worth: twice the logarithm of a hundred.
const ONE_PLACE: u32 = 14;

/// The content to prefilter on, if the rule has one that must be present.
pub(super) fn choose<'p>(rule: &Rule, pool: &'p [u8], in_transaction: bool) -> Option<Chosen<'p>> {
    let parts = (pool, payload_size(rule).1);
    contents(rule, in_transaction)
        .min_by_key(|(number, block, content)| (cost(block, content, parts), *number))
        .map(|(number, block, content)| chosen(number, block, content, parts))
}

/// What a rule is looked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice<'p> {
    pub(super) best: Option<Chosen<'p>>,
    /// Of rules on packets: what stands near the beginning, so that the rest of long data need not be searched.
    pub(super) near: Option<Chosen<'p>>,
    /// That is also better in data that is not long, as streams are searched for the other.
    pub(super) near_is_better: bool,
}

impl<'p> Choice<'p> {
    pub(super) fn new(rule: &Rule, pool: &'p [u8], kind: Kind) -> Self {
        let best = choose(rule, pool, kind.transaction);
        let near = kind.packet.then(|| choose_near(rule, pool)).flatten();
        let near_is_better =
            kind.stream && near.as_ref().is_some_and(|(cost, _)| *cost <= HOPELESS);
        Self { best, near: near.map(|(_, near)| near), near_is_better }
    }
}

/// The best content that stands within the first [`HEAD`] bytes, with its cost; `None` when most data has it.
fn choose_near<'p>(rule: &Rule, pool: &'p [u8]) -> Option<(u32, Chosen<'p>)> {
    let parts = (pool, payload_size(rule).1);
    contents(rule, false)
        .filter(|(_, _, content)| limit(content).is_some_and(|limit| limit <= HEAD as u64))
        .map(|(number, block, content)| (cost(block, content, parts), number, block, content))
        .min_by_key(|(cost, number, ..)| (*cost, *number))
        .map(|(cost, number, block, content)| (cost.0, chosen(number, block, content, parts)))
        .filter(|(cost, near)| *cost <= HOPELESS || near.at.is_some() || near.cost <= RARE_ENOUGH)
}

/// Contents that can be searched for, with their blocks and these blocks' numbers.
fn contents(rule: &Rule, in_transaction: bool) -> impl Iterator<Item = (usize, &Block, &Content)> {
    rule.blocks
        .iter()
        .enumerate()
        .filter(move |(_, block)| usable(block, in_transaction))
        .flat_map(|(number, block)| block.items.iter().map(move |item| (number, block, item)))
        .filter_map(|(number, block, item)| match item {
            Item::Content(content) if !content.negated => Some((number, block, content)),
            _ => None,
        })
}

fn usable(block: &Block, in_transaction: bool) -> bool {
    let in_prefilter = match block.buffer.sides() {
        Sides::Packet => false,
        _ => !in_transaction || block.buffer != Buffer::Payload,
    };
    in_prefilter && block.absent == Absent::No
}

/// What is expected to be looked at in vain; smaller is better.
fn cost(block: &Block, content: &Content, (pool, most): (&[u8], u64)) -> (u32, u32) {
    let bytes = crate::check::pool::bytes_of(pool, content.pattern);
    let at_end = anchored_at_end(block, content);
    let mut cost = rarity::pattern_cost(bytes);
    if at_end {
        // A hash of the whole end: longer is more selective, and it costs no scan.
        cost = cost.min(40_u32.saturating_sub(content.pattern.len.min(30)));
    }
    if block.buffer == Buffer::Payload {
        cost += 20;
        if let Some((first, last)) = few_places(content, most) {
            let more = u32::try_from(last.saturating_sub(first)).unwrap_or(ONE_PLACE);
            let worth = ONE_PLACE.saturating_sub(2 * more);
            let usual = rarity::is_usual_header(first, bytes).filter(|_| first == last);
            cost = match usual {
                Some(true) => cost,
                Some(false) if cost >= OF_HEADERS => cost.saturating_sub(worth + UNUSUAL),
                _ => cost.saturating_sub(worth),
            };
        }
    }
    if block.buffer.is_windowed() {
        cost += 10;
    }
    // The author's choice counts, unless it is hopeless (shorter than a window).
    if content.fast != Fast::No && (content.pattern.len >= 4 || at_end) {
        cost = cost.saturating_sub(30);
    }
    (cost, u32::MAX - content.pattern.len)
}

fn anchored_at_end(block: &Block, content: &Content) -> bool {
    content.ends && !block.buffer.is_windowed() && block.buffer != Buffer::Payload
}

fn chosen<'p>(
    number: usize,
    block: &Block,
    content: &Content,
    (pool, most): (&'p [u8], u64),
) -> Chosen<'p> {
    let whole = crate::check::pool::bytes_of(pool, content.pattern);
    let at_end = anchored_at_end(block, content);
    let (start, bytes) = match content.fast {
        Fast::Chop { offset, len } if !at_end => {
            let start = usize::from(offset);
            let part = whole.get(start..start + usize::from(len));
            part.map_or((0, whole), |part| (u64::from(offset), part))
        }
        _ => (0, whole),
    };
    let limit = limit(content);
    let at = few_places(content, most)
        .filter(|_| block.buffer == Buffer::Payload)
        .map(|(first, last)| (first + start, last + start));
    let (cost, nocase) = (rarity::pattern_cost(bytes), content.nocase);
    Chosen { block: number, bytes, cost, nocase, at_end, limit, at }
}

/// Where the content must begin, counted from the beginning, when the rule leaves it few places in a payload of at
/// most `most` bytes.
fn few_places(content: &Content, most: u64) -> Option<(u64, u64)> {
    let end = limit(content).unwrap_or(u64::MAX).min(most);
    let last = end.checked_sub(u64::from(content.pattern.len))?;
    let first = match content.offset {
        Some(Num::Const(offset)) if !content.is_relative() => {
            u64::try_from(offset).unwrap_or(u64::MAX)
        }
        _ => 0,
    };
    (last.checked_sub(first)? < FEW_PLACES).then_some((first, last))
}

/// The shortest and the longest payload that a rule can be about, by `dsize` and `isdataat`.
pub(super) fn payload_size(rule: &Rule) -> (u64, u64) {
    let (mut least, mut most) = (0, u64::MAX);
    for test in &rule.tests {
        match test {
            Test::Dsize(Cmp::Eq(size)) => (least, most) = (least.max(*size), most.min(*size)),
            Test::Dsize(Cmp::Le(size)) => most = most.min(*size),
            Test::Dsize(Cmp::Lt(beyond)) => most = most.min(beyond.saturating_sub(1)),
            Test::Dsize(Cmp::Ge(size) | Cmp::Gt(size)) => least = least.max(*size),
            Test::Dsize(Cmp::Between(low, high)) => {
                (least, most) = (least.max(*low), most.min(high.saturating_sub(1)));
            }
            _ => {}
        }
    }
    let payload = rule.blocks.iter().filter(|block| block.buffer == Buffer::Payload);
    for item in payload.filter(|block| block.transforms.is_empty()).flat_map(|block| &block.items) {
        if let Item::IsDataAt { at: Num::Const(at), relative: false, negated: false } = item {
            least = least.max(u64::try_from(*at).unwrap_or(0));
        }
    }
    (least, most)
}

/// Where the match must have ended, counted from the beginning, when the rule says so.
fn limit(content: &Content) -> Option<u64> {
    if content.is_relative() {
        return None;
    }
    let offset = match content.offset {
        None => 0,
        Some(Num::Const(offset)) => offset,
        Some(Num::Var(_)) => return None,
    };
    let depth = match content.depth {
        Some(Num::Const(depth)) => depth,
        None if content.starts => i32::try_from(content.pattern.len).ok()?,
        _ => return None,
    };
    u64::try_from(offset.saturating_add(depth)).ok()
}

/// Whether a payload content asks for a position from the beginning, so that packets are inspected too.
pub(super) fn has_absolute_position(rule: &Rule) -> bool {
    rule.blocks.iter().filter(|block| block.buffer == Buffer::Payload).flat_map(|block| &block.items).any(|item| {
        matches!(item, Item::Content(content)
            if content.depth.is_some() || content.starts || !matches!(content.offset, None | Some(Num::Const(0))))
    })
}
