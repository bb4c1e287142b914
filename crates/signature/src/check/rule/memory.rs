//! What rules remember: bits, counters, tags, thresholds and what limits alerts.
//!
//! Plain data; kept and changed by `scan`.

use super::Action;

/// Where a named bit or counter lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Track {
    Src,
    Dst,
    Pair,
}

/// Test of named state; all must hold for the rule to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Any of these is set (or, when negated, any of these is not).
    FlowBits {
        bits: Vec<u32>,
        set: bool,
    },
    HostBit {
        bit: u32,
        track: Track,
        set: bool,
    },
    FlowInt {
        var: u32,
        test: IntTest,
    },
}

/// Comparisons of `flowint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntTest {
    IsSet,
    NotSet,
    Lt(IntValue),
    Le(IntValue),
    Eq(IntValue),
    Ne(IntValue),
    Ge(IntValue),
    Gt(IntValue),
}

/// Right-hand side of `flowint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntValue {
    Const(u32),
    Var(u32),
}

/// Change of one bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BitOp {
    Set,
    Unset,
    Toggle,
}

/// What happens after a match, whether or not the alert is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Post {
    FlowBit { bit: u32, op: BitOp },
    HostBit { bit: u32, track: Track, op: BitOp, expire: u32 },
    FlowIntSet { var: u32, value: IntValue },
    FlowIntAdd { var: u32, value: IntValue },
    FlowIntSub { var: u32, value: IntValue },
    Tag(Tag),
}

/// `tag`: what of the traffic after a match is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The flow (`session`), or all traffic of a host.
    pub host: Option<TagHost>,
    /// How much.
    pub count: u32,
    /// In which unit.
    pub metric: TagMetric,
}

/// Which host a `tag:host` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TagHost {
    /// Source of the matching packet.
    Src,
    /// Destination of the matching packet.
    Dst,
}

/// Unit of [`Tag::count`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TagMetric {
    /// Packets.
    Packets,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// What a threshold counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CountBy {
    Src,
    Dst,
    Both,
    Rule,
    Flow,
}

/// How a threshold decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ThresholdKind {
    Limit,
    Threshold,
    Both,
    /// At counts N, N*M, N*M*M, ...
    Backoff {
        multiplier: u32,
    },
    DetectionFilter,
}

/// `threshold` or `detection_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Threshold {
    pub(crate) kind: ThresholdKind,
    pub(crate) by: CountBy,
    pub(crate) count: u32,
    pub(crate) seconds: u32,
    /// Only matches with a port not seen in the window count.
    pub(crate) unique: Option<UniqueOn>,
}

/// Which port must differ for a match to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UniqueOn {
    SrcPort,
    DstPort,
}

/// `rate_filter`: another action once matches come too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateFilter {
    pub(crate) by: CountBy,
    pub(crate) count: u32,
    pub(crate) seconds: u32,
    /// Seconds for which the other action stands.
    pub(crate) timeout: u32,
    pub(crate) action: Action,
}

/// `suppress`: no alert, but the action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suppress {
    pub(crate) by: SuppressBy,
    /// Number of the address list.
    pub(crate) addresses: u32,
}

/// Which address a [`Suppress`] looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SuppressBy {
    Any,
    Src,
    Dst,
    Either,
}
