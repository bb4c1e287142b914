//! Rules checked against a pool of their own get the numbers of the pool of the set.
//!
//! Values are taken over in the order in which they were first seen. Pieces of a file that are taken over one after
//! the other so have the numbers that they would have if one pool had seen them all.

use crate::check::{
    pool::{Interner, Pool, bytes_of},
    rule::{Content, FileTest, Gate, IntTest, IntValue, Item, Pattern, Post, Rule, Transform},
};

/// How much of a pool was there at one time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    patterns: usize,
    addresses: usize,
    ports: usize,
    expressions: usize,
    flow_bits: usize,
    host_bits: usize,
    flow_ints: usize,
}

impl Pool {
    /// What is in it now.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            patterns: self.pattern_order.len(),
            addresses: self.addresses.len(),
            ports: self.ports.len(),
            expressions: self.expressions.len(),
            flow_bits: self.flow_bits.len(),
            host_bits: self.host_bits.len(),
            flow_ints: self.flow_ints.len(),
        }
    }
}

/// Values of one kind on their way into the pool of the set.
#[derive(Debug)]
struct Values<T> {
    left: std::vec::IntoIter<T>,
    /// New number of each that was taken over.
    numbers: Vec<u32>,
}

impl<T: std::hash::Hash + Eq> Values<T> {
    fn new(interner: Interner<T>) -> Self {
        let left = interner.into_values().into_iter();
        Self { numbers: Vec::with_capacity(left.len()), left }
    }

    /// Takes over the first `most`, if they are not yet.
    fn take(&mut self, most: usize, whole: &mut Interner<T>) {
        let more = most.saturating_sub(self.numbers.len());
        self.numbers.extend(self.left.by_ref().take(more).map(|value| whole.number(value)));
    }

    fn of(&self, number: &mut u32) {
        *number = self.numbers.get(*number as usize).copied().unwrap_or(u32::MAX);
    }
}

/// The pool of a piece, and which number each of its values has in the pool of the set.
#[derive(Debug)]
pub(crate) struct Renumbering {
    bytes: Vec<u8>,
    pattern_order: std::vec::IntoIter<Pattern>,
    patterns_taken: usize,
    /// New first byte of each pattern, by its old one; no pattern is empty.
    starts: Vec<u32>,
    addresses: Values<crate::check::AddressSet>,
    ports: Values<crate::check::ranges::Ranges<u16>>,
    expressions: Values<crate::check::pcre::Expression>,
    flow_bits: Values<Box<str>>,
    host_bits: Values<Box<str>>,
    flow_ints: Values<Box<str>>,
}

impl Renumbering {
    /// Of the pool of a piece, of which nothing is taken over yet. Such a pool has no data sets.
    pub(crate) fn new(mut piece: Pool) -> Self {
        let pattern_order = std::mem::take(&mut piece.pattern_order).into_iter();
        let bytes = piece.take_bytes();
        Self {
            starts: vec![u32::MAX; bytes.len()],
            bytes,
            pattern_order,
            patterns_taken: 0,
            addresses: Values::new(piece.addresses),
            ports: Values::new(piece.ports),
            expressions: Values::new(piece.expressions),
            flow_bits: Values::new(piece.flow_bits),
            host_bits: Values::new(piece.host_bits),
            flow_ints: Values::new(piece.flow_ints),
        }
    }

    /// Takes over what was in the piece's pool at that time, into the pool of the set.
    pub(crate) fn take(&mut self, mark: Mark, whole: &mut Pool) {
        let more = mark.patterns.saturating_sub(self.patterns_taken);
        for pattern in self.pattern_order.by_ref().take(more) {
            let there = whole.pattern(bytes_of(&self.bytes, pattern));
            if let Some(start) = self.starts.get_mut(pattern.start as usize) {
                *start = there.start;
            }
        }
        self.patterns_taken = self.patterns_taken.max(mark.patterns);
        self.addresses.take(mark.addresses, &mut whole.addresses);
        self.ports.take(mark.ports, &mut whole.ports);
        self.expressions.take(mark.expressions, &mut whole.expressions);
        self.flow_bits.take(mark.flow_bits, &mut whole.flow_bits);
        self.host_bits.take(mark.host_bits, &mut whole.host_bits);
        self.flow_ints.take(mark.flow_ints, &mut whole.flow_ints);
    }

    /// Gives a rule of the piece its new numbers; all of its values must be taken over.
    pub(crate) fn rule(&self, rule: &mut Rule) {
        // Every part by name: one with a number that is added later does not compile before it is looked at here.
        let Rule {
            src,
            src_port,
            dst,
            dst_port,
            blocks,
            gates,
            posts,
            files,
            // From the file of limits, which is read after all pieces.
            suppress: _,
            rate: _,
            meta: _,
            action: _,
            protocol: _,
            bidirectional: _,
            both_sides: _,
            flow: _,
            tests: _,
            tx_tests: _,
            threshold: _,
            shows: _,
            file_store: _,
            frame: _,
            protocol_only: _,
        } = rule;
        [src, dst].into_iter().for_each(|number| self.addresses.of(number));
        [src_port, dst_port].into_iter().for_each(|number| self.ports.of(number));
        for block in blocks {
            block.transforms.iter_mut().for_each(|transform| self.transform(transform));
            block.items.iter_mut().for_each(|item| self.item(item));
        }
        gates.iter_mut().for_each(|gate| self.gate(gate));
        posts.iter_mut().for_each(|post| self.post(post));
        for file in files {
            match file {
                FileTest::Any
                | FileTest::Size(_)
                | FileTest::Name { .. }
                | FileTest::Magic { .. }
                // A rule with a data set is not checked in a piece.
                | FileTest::Listed { digest: _, set: _, negated: _ } => {}
            }
        }
    }

    fn pattern(&self, pattern: &mut Pattern) {
        pattern.start = self.starts.get(pattern.start as usize).copied().unwrap_or(u32::MAX);
    }

    fn transform(&self, transform: &mut Transform) {
        match transform {
            Transform::Xor(key) => self.pattern(key),
            Transform::Capture(expression) => self.expressions.of(expression),
            Transform::DotPrefix
            | Transform::Lowercase
            | Transform::Uppercase
            | Transform::StripWhitespace
            | Transform::CompressWhitespace
            | Transform::StripPseudoHeaders
            | Transform::HeaderLowercase
            | Transform::UrlDecode
            | Transform::Md5
            | Transform::Sha1
            | Transform::Sha256
            | Transform::XorExtract { .. }
            | Transform::FromBase64 { .. }
            | Transform::Gunzip(_)
            | Transform::Inflate(_)
            | Transform::Subslice { .. } => {}
        }
    }

    fn item(&self, item: &mut Item) {
        match item {
            Item::Content(Content { pattern, .. }) => self.pattern(pattern),
            Item::Pcre { regex, .. } => self.expressions.of(regex),
            Item::Base64(base64) => base64.items.iter_mut().for_each(|item| self.item(item)),
            Item::IsDataAt { .. }
            | Item::Size(_)
            | Item::ByteTest(_)
            | Item::ByteJump(_)
            | Item::ByteExtract(_)
            | Item::ByteMath(_)
            | Item::Asn1(_)
            | Item::Entropy(_)
            // A rule with a data set is not checked in a piece.
            | Item::Dataset(_) => {}
        }
    }

    fn gate(&self, gate: &mut Gate) {
        match gate {
            Gate::FlowBits { bits, set: _ } => {
                bits.iter_mut().for_each(|bit| self.flow_bits.of(bit));
            }
            Gate::HostBit { bit, track: _, set: _ } => self.host_bits.of(bit),
            Gate::FlowInt { var, test } => {
                self.flow_ints.of(var);
                match test {
                    IntTest::IsSet | IntTest::NotSet => {}
                    IntTest::Lt(value)
                    | IntTest::Le(value)
                    | IntTest::Eq(value)
                    | IntTest::Ne(value)
                    | IntTest::Ge(value)
                    | IntTest::Gt(value) => self.value(value),
                }
            }
        }
    }

    fn post(&self, post: &mut Post) {
        match post {
            Post::FlowBit { bit, op: _ } => self.flow_bits.of(bit),
            Post::HostBit { bit, track: _, op: _, expire: _ } => self.host_bits.of(bit),
            Post::FlowIntSet { var, value }
            | Post::FlowIntAdd { var, value }
            | Post::FlowIntSub { var, value } => {
                self.flow_ints.of(var);
                self.value(value);
            }
            Post::Tag(_) => {}
        }
    }

    fn value(&self, value: &mut IntValue) {
        match value {
            IntValue::Const(_) => {}
            IntValue::Var(var) => self.flow_ints.of(var),
        }
    }
}
