//! A rule as it means: what parsing and checking leave for compiling.
//!
//! Plain data. Patterns live in one pool per rule set, address and port lists are interned: rules hold
//! numbers.

mod address;
mod bytes;
mod cmp;
mod file;
mod memory;
mod which;

pub(crate) use address::{CountryTest, Ends};
pub(crate) use bytes::{
    Asn1, Base64, ByteExtract, ByteJump, ByteMath, ByteTest, DatasetOp, DatasetTest, Encoding,
    Entropy, Field, FloatCmp, JumpFrom, MathOp, Operand, TestOp,
};
pub(crate) use cmp::{Cmp, version_bit};
pub(crate) use file::{Digest, FileTest};
pub use file::{FileStore, FileStoreScope};
pub(crate) use memory::{
    BitOp, CountBy, Gate, IntTest, IntValue, Post, RateFilter, Suppress, SuppressBy, Threshold,
    ThresholdKind, Track, UniqueOn,
};
pub use memory::{Tag, TagHost, TagMetric};
pub(crate) use which::Which;

use crate::{AppProto, Buffer, IpOption, Number};

/// What a rule does when it matches, in the order in which rules are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Let the packet or flow go and look no further.
    Pass,
    /// Alert and drop.
    Drop,
    /// Alert, drop, and answer with a reset or unreachable.
    Reject,
    /// Alert.
    Alert,
    /// No alert: the transaction gets no record (`config: logging disable`).
    Config,
}

impl Action {
    /// Name in rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Alert => "alert",
            Self::Config => "config",
        }
    }
}

/// Number of a pattern's bytes in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pattern {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// A number in a rule: written, or taken from the traffic by `byte_extract` / `byte_math`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Num {
    Const(i32),
    Var(u8),
}

/// `content` with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) pattern: Pattern,
    pub(crate) nocase: bool,
    pub(crate) negated: bool,
    pub(crate) starts: bool,
    pub(crate) ends: bool,
    pub(crate) offset: Option<Num>,
    pub(crate) depth: Option<Num>,
    pub(crate) distance: Option<Num>,
    pub(crate) within: Option<Num>,
    pub(crate) fast: Fast,
    /// Where in the pattern the byte is that traffic has least, to search by.
    pub(crate) rare: u16,
}

/// What `fast_pattern` says of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fast {
    #[default]
    No,
    Yes,
    Chop {
        offset: u16,
        len: u16,
    },
}

impl Content {
    pub(crate) const fn is_relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
}

/// One step of the inspection of a buffer, in the order of the rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Content(Content),
    Pcre { regex: u32, relative: bool, negated: bool },
    IsDataAt { at: Num, relative: bool, negated: bool },
    Size(Cmp),
    ByteTest(Box<ByteTest>),
    ByteJump(Box<ByteJump>),
    ByteExtract(Box<ByteExtract>),
    ByteMath(Box<ByteMath>),
    Base64(Box<Base64>),
    Asn1(Box<Asn1>),
    Dataset(Box<DatasetTest>),
    Entropy(Box<Entropy>),
}

impl Item {
    /// How it reads a number, if it does.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        match self {
            Self::ByteTest(test) => Some(test.field.encoding),
            Self::ByteJump(jump) => Some(jump.field.encoding),
            Self::ByteExtract(extract) => Some(extract.field.encoding),
            Self::ByteMath(math) => Some(math.field.encoding),
            _ => None,
        }
    }

    /// Whether it starts from where the item before ended.
    pub(crate) fn is_relative(&self) -> bool {
        match self {
            Self::Content(content) => content.is_relative(),
            Self::Pcre { relative, .. } | Self::IsDataAt { relative, .. } => *relative,
            Self::Size(_) | Self::Dataset(_) | Self::Entropy(_) => false,
            Self::ByteTest(test) => test.field.relative,
            Self::ByteJump(jump) => jump.field.relative,
            Self::ByteExtract(extract) => extract.field.relative,
            Self::ByteMath(math) => math.field.relative,
            Self::Base64(base64) => base64.relative,
            Self::Asn1(asn1) => asn1.relative.is_some(),
        }
    }
}

/// Change of a buffer's bytes before they are inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Transform {
    DotPrefix,
    Lowercase,
    Uppercase,
    StripWhitespace,
    CompressWhitespace,
    StripPseudoHeaders,
    HeaderLowercase,
    UrlDecode,
    Md5,
    Sha1,
    Sha256,
    /// The key.
    Xor(Pattern),
    /// The key is `bytes` long and stands at `from`; what begins at `offset` comes out.
    XorExtract {
        offset: u16,
        bytes: u8,
        from: u16,
    },
    FromBase64 {
        bytes: Option<u16>,
        offset: u16,
        mode: Base64Mode,
    },
    /// At most this many bytes come out.
    Gunzip(u32),
    /// At most this many bytes come out.
    Inflate(u32),
    Subslice {
        offset: i32,
        bytes: Option<i32>,
        truncate: bool,
    },
    /// First group of the expression with this number.
    Capture(u32),
}

/// What is done with bytes that are no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Base64Mode {
    /// The text ends there.
    Rfc4648,
    /// They are skipped.
    Rfc2045,
    /// Nothing is decoded.
    Strict,
}

/// What `absent` asks of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Absent {
    #[default]
    No,
    Only,
    OrElse,
}

/// Everything a rule asks of one buffer, in one sticky-buffer block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    pub(crate) buffer: Buffer,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) absent: Absent,
    pub(crate) items: Vec<Item>,
}

/// Conditions of `flow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FlowTest {
    pub(crate) present: bool,
    pub(crate) established: bool,
    pub(crate) not_established: bool,
    pub(crate) stateless: bool,
    pub(crate) to_server: bool,
    pub(crate) to_client: bool,
    pub(crate) no_stream: bool,
    pub(crate) only_stream: bool,
    pub(crate) no_frag: bool,
    pub(crate) only_frag: bool,
}

/// How `flags` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlagsMode {
    /// Exactly these.
    Exact,
    /// All of these, others may be set.
    All,
    /// Any of these.
    Any,
    /// Not all of these; with none listed, any at all.
    Not,
}

/// Side of `stream_size`, `flow.pkts` and the like: who sent what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
    Both,
    Either,
}

/// Which VLAN tags `vlan.id` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layers {
    Any,
    All,
    /// Counted from the outermost tag.
    FromOutside(u8),
    /// Counted from the innermost tag.
    FromInside(u8),
}

/// Which checksum a rule asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// That of the IPv4 header.
    Ipv4,
    /// That of a transport over an IP version.
    Upper { version: u8, proto: u8 },
}

/// A test of packet header, flow counters or events.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Dsize(Cmp),
    Ttl(Cmp),
    Id(Cmp),
    Tos(Cmp),
    IpProto(Cmp),
    Itype(Cmp),
    Icode(Cmp),
    IcmpId(Cmp),
    IcmpSeq(Cmp),
    IcmpMtu(Cmp),
    Seq(Cmp),
    Ack(Cmp),
    Window(Cmp),
    Mss(Cmp),
    Wscale(Cmp),
    FragOffset(Cmp),
    Flags {
        mode: FlagsMode,
        want: u8,
        ignore: u8,
    },
    FragBits {
        mode: FlagsMode,
        want: u8,
    },
    SameIp,
    VlanId {
        cmp: Cmp,
        layer: Layers,
    },
    VlanLayers(Cmp),
    Vni(Cmp),
    IgmpType(Cmp),
    SctpVtag(Cmp),
    SctpChunks(Cmp),
    SctpChunkType(Cmp),
    NetworkVersion(u8),
    Checksum {
        kind: Checksum,
        valid: bool,
    },
    IpOptions(Option<IpOption>),
    StreamSize {
        side: Side,
        cmp: Cmp,
    },
    FlowAge(Cmp),
    FlowPackets {
        side: Side,
        cmp: Cmp,
    },
    FlowBytes {
        side: Side,
        cmp: Cmp,
    },
    Event(Box<str>),
    AppProto {
        proto: AppProto,
        negated: bool,
        side: Side,
        /// This protocol and none that it covers.
        exact: bool,
    },
    /// `iprep`.
    Reputation {
        ends: Ends,
        /// Number of the category.
        category: u8,
        /// What the score is compared with; `None` asks that there is none.
        score: Option<Cmp>,
    },
    /// `geoip`.
    Country(Box<CountryTest>),
}

/// A test of a transaction that is not a buffer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TxTest {
    Number {
        number: Number,
        cmp: Cmp,
    },
    /// Of numbers with `key` in the upper half, when there is one: their lower half.
    Numbers {
        number: Number,
        key: Option<u32>,
        cmp: Cmp,
        which: Which,
    },
    Event {
        proto: AppProto,
        name: Box<str>,
    },
    OneOf {
        number: Number,
        values: Box<[u64]>,
    },
    Interface(super::dcerpc::Interface),
    Procedure(Box<[super::dcerpc::Opnums]>),
}

/// Which side of the alert is the one attacked (`target`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Source address.
    Src,
    /// Destination address.
    Dst,
}

/// Transport a rule's header names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Any packet, also one without a readable IP header.
    PacketHeader,
    Any,
    Tcp,
    Udp,
    Icmp,
    Icmpv6Only,
    Icmpv4Only,
    Sctp,
    Igmp,
    /// Any packet with an Ethernet header.
    Ether,
    Arp,
}

/// Whether a rule on raw payload looks at packets, at streams or at both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Auto,
    PacketOnly,
    StreamOnly,
}

/// The protocol field of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) transport: Transport,
    /// 0 any, 4 or 6.
    pub(crate) version: u8,
    pub(crate) app: Option<AppProto>,
    pub(crate) scope: Scope,
}

/// Descriptive options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) sid: u32,
    pub(crate) gid: u32,
    pub(crate) rev: u32,
    pub(crate) priority: u8,
    pub(crate) classtype: Option<u16>,
    pub(crate) msg: Box<str>,
    pub(crate) references: Vec<(Box<str>, Box<str>)>,
    pub(crate) metadata: Vec<(Box<str>, Box<str>)>,
    pub(crate) target: Option<Target>,
}

/// A whole rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) meta: Meta,
    pub(crate) action: Action,
    pub(crate) protocol: Protocol,
    pub(crate) src: u32,
    pub(crate) src_port: u32,
    pub(crate) dst: u32,
    pub(crate) dst_port: u32,
    pub(crate) bidirectional: bool,
    /// `=>`: request and response of one transaction.
    pub(crate) both_sides: bool,
    pub(crate) flow: FlowTest,
    pub(crate) tests: Vec<Test>,
    pub(crate) tx_tests: Vec<TxTest>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) posts: Vec<Post>,
    pub(crate) threshold: Option<Threshold>,
    /// From the file of limits.
    pub(crate) suppress: Vec<Suppress>,
    /// From the file of limits.
    pub(crate) rate: Option<RateFilter>,
    /// A match is an alert to be shown: the default of every action but pass.
    pub(crate) shows: bool,
    /// Tests of which all must hold for one and the same file.
    pub(crate) files: Vec<FileTest>,
    pub(crate) file_store: Option<FileStore>,
    /// Kind of frame that it looks into; such a rule is about frames alone.
    pub(crate) frame: Option<Box<str>>,
    /// About nothing but the protocol of the flow: fires when that becomes known.
    pub(crate) protocol_only: bool,
}
