//! Comparisons of numbers.

/// Comparison of a value with what the rule wants; ranges exclude both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cmp {
    Eq(u64),
    Ne(u64),
    Lt(u64),
    Le(u64),
    Gt(u64),
    Ge(u64),
    Between(u64, u64),
    Mask {
        mask: u64,
        equal: bool,
    },
    /// All of these bits and none of those.
    Bits {
        set: u64,
        unset: u64,
    },
    /// One bit per value: TLS versions of a list, as [`version_bit`] numbers them.
    Versions {
        set: u8,
        negated: bool,
    },
}

/// Place of a TLS or SSL version in a set.
pub(crate) const fn version_bit(version: u64) -> u8 {
    match version {
        0x0002 => 1,
        0x0300 => 2,
        0x0301 => 4,
        0x0302 => 8,
        0x0303 => 16,
        0x0304 | 0x7f00..=0x7fff => 32,
        _ => 0,
    }
}

impl Cmp {
    pub(crate) const fn holds(self, value: u64) -> bool {
        match self {
            Self::Eq(want) => value == want,
            Self::Ne(want) => value != want,
            Self::Lt(want) => value < want,
            Self::Le(want) => value <= want,
            Self::Gt(want) => value > want,
            Self::Ge(want) => value >= want,
            Self::Between(low, high) => value > low && value < high,
            Self::Mask { mask, equal } => (value & mask != 0) == equal,
            Self::Bits { set, unset } => value & set == set && value & unset == 0,
            Self::Versions { set, negated } => (set & version_bit(value) != 0) != negated,
        }
    }
}
