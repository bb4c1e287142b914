//! The order in which rules are run: action, then bits (setters before readers), then priority, then load order;
//! and the order in which the parts of a rule are looked at.

use crate::{
    Buffer,
    check::{
        Rule,
        rule::{Action, BitOp, Block, Cmp, Gate, Item, Post},
    },
    compile::fast,
};

/// Sort key; smaller runs first.
pub(super) fn key(rule: &Rule) -> (Action, u8, u8, u8, u8) {
    let reads = |kind: fn(&Gate) -> bool| rule.gates.iter().any(kind);
    let writes = |kind: fn(&Post) -> bool| rule.posts.iter().any(kind);
    (
        rule.action,
        class(
            reads(|gate| matches!(gate, Gate::FlowBits { .. })),
            writes(|post| {
                // What only takes bits away comes after those that read them.
                matches!(post, Post::FlowBit { op: BitOp::Set | BitOp::Toggle, .. })
            }),
        ),
        class(
            reads(|gate| matches!(gate, Gate::FlowInt { .. })),
            writes(|post| {
                matches!(
                    post,
                    Post::FlowIntSet { .. } | Post::FlowIntAdd { .. } | Post::FlowIntSub { .. }
                )
            }),
        ),
        class(
            reads(|gate| matches!(gate, Gate::HostBit { .. })),
            writes(|post| matches!(post, Post::HostBit { .. })),
        ),
        rule.meta.priority,
    )
}

/// Puts rules, and what stands beside them, in their order; those with the same key stay as they are.
pub(super) fn sort<T>(rules: &mut [Rule], beside: &mut [T]) {
    let mut order: Vec<(_, usize)> = rules.iter().map(key).zip(0..).collect();
    order.sort_unstable();
    // Rules are large: each is moved to its place at once, after what was moved out of the way from there.
    for at in 0..order.len() {
        let mut from = order[at].1;
        while from < at {
            from = order[from].1;
        }
        order[at].1 = from;
        rules.swap(at, from);
        beside.swap(at, from);
    }
}

/// Puts what is soon told before what takes a search, in rules on transactions: all of it must hold, so that the
/// order means nothing unless one part keeps something for another.
pub(super) fn cheap_first(rule: &mut Rule, pool: &[u8]) {
    if rule.tx_protocols().is_empty() || rule.blocks.iter().any(keeps_something) {
        return;
    }
    // What made the rule a candidate is there, as a rule.
    let chosen = fast::choose(rule, pool, true).map(|chosen| chosen.block);
    let mut blocks: Vec<(u8, Block)> = std::mem::take(&mut rule.blocks)
        .into_iter()
        .enumerate()
        .map(|(at, block)| (effort(&block, chosen == Some(at)), block))
        .collect();
    blocks.sort_by_key(|(effort, _)| *effort);
    rule.blocks = blocks.into_iter().map(|(_, block)| block).collect();
    for block in &mut rule.blocks {
        block.items.sort_by_key(|item| !matches!(item, Item::Size(_)));
    }
}

fn keeps_something(block: &Block) -> bool {
    block.items.iter().any(|item| {
        !matches!(
            item,
            Item::Content(_)
                | Item::Pcre { .. }
                | Item::IsDataAt { .. }
                | Item::Size(_)
                | Item::ByteTest(_)
        )
    })
}

fn effort(block: &Block, is_chosen: bool) -> u8 {
    let sized = |item: &Item| matches!(item, Item::Size(Cmp::Eq(_)));
    match block.buffer {
        // An expression alone takes longest of all.
        _ if block.items.iter().all(|item| matches!(item, Item::Pcre { .. })) => 6,
        Buffer::Payload => 5,
        _ if is_chosen => 4,
        _ if block.items.iter().all(|item| matches!(item, Item::Size(_))) => 0,
        Buffer::HttpMethod | Buffer::HttpStatCode => 1,
        _ if block.items.iter().any(sized) => 2,
        _ => 3,
    }
}

/// Setters first, then those that read and set, then readers, then the rest.
const fn class(reads: bool, writes: bool) -> u8 {
    match (writes, reads) {
        (true, false) => 0,
        (true, true) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}
