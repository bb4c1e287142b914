//! The order in which rules are run: action, then bits (setters before readers), then priority, then load order.

use crate::check::{
    Rule,
    rule::{Action, BitOp, Gate, Post},
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

/// Setters first, then those that read and set, then readers, then the rest.
const fn class(reads: bool, writes: bool) -> u8 {
    match (writes, reads) {
        (true, false) => 0,
        (true, true) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}
