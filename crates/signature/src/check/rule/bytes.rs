//! What rules ask of the bytes of a buffer beside patterns: numbers, encodings, data sets, entropy.

use super::{Cmp, Item, Num};

/// Byte order and base of a number in the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Big,
    Little,
    /// As the header of the DCERPC message says.
    Dcerpc,
    /// ASCII digits; 0 = guess by prefix as strtoull does.
    Text(u8),
}

/// Where and how a number is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) bytes: Num,
    pub(crate) offset: Num,
    pub(crate) relative: bool,
    pub(crate) encoding: Encoding,
    pub(crate) bitmask: u32,
}

/// Operators of `byte_test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestOp {
    Lt,
    Gt,
    Eq,
    Le,
    Ge,
    And,
    Or,
}

/// Operators of `byte_math`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MathOp {
    Add,
    Sub,
    Mul,
    Div,
    Shl,
    Shr,
}

/// The value a `byte_test` compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    Const(u64),
    Var(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteTest {
    pub(crate) field: Field,
    pub(crate) negated: bool,
    pub(crate) op: TestOp,
    pub(crate) value: Operand,
}

/// Where a `byte_jump` counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JumpFrom {
    Here,
    Beginning,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteJump {
    pub(crate) field: Field,
    pub(crate) multiplier: u16,
    pub(crate) align: bool,
    pub(crate) post_offset: i32,
    pub(crate) from: JumpFrom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteExtract {
    pub(crate) field: Field,
    pub(crate) multiplier: u16,
    pub(crate) align: u8,
    pub(crate) var: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteMath {
    pub(crate) field: Field,
    pub(crate) op: MathOp,
    pub(crate) value: Operand,
    pub(crate) var: u8,
}

/// `base64_decode` and what `base64_data` then holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Base64 {
    pub(crate) bytes: Option<u32>,
    pub(crate) offset: u32,
    pub(crate) relative: bool,
    pub(crate) items: Vec<Item>,
}

/// `asn1` with what it looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asn1 {
    pub(crate) bitstring_overflow: bool,
    pub(crate) double_overflow: bool,
    pub(crate) oversize: Option<u32>,
    pub(crate) absolute: Option<u16>,
    pub(crate) relative: Option<i32>,
}

/// `dataset` and `datarep`: what is asked of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatasetTest {
    /// Number of the set.
    pub(crate) set: u32,
    pub(crate) op: DatasetOp,
    /// A name that ends in a known one is known.
    pub(crate) subdomain: bool,
}

/// What a [`DatasetTest`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatasetOp {
    IsSet,
    IsNotSet,
    Set,
    Unset,
    /// Reputation compares.
    Reputation(Cmp),
}

/// `entropy`: bits of information per byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Entropy {
    pub(crate) offset: u32,
    pub(crate) bytes: Option<u32>,
    pub(crate) cmp: FloatCmp,
}

/// Comparison of fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FloatCmp {
    Eq(f64),
    Ne(f64),
    Lt(f64),
    Le(f64),
    Gt(f64),
    Ge(f64),
    Between(f64, f64),
    Outside(f64, f64),
}
