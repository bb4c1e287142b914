//! Conditions as trees over numbered predicates, shared by all rules of a set.
//!
//! A predicate is one test on one field; equal predicates have one number, so each is answered at
//! most once per event.

use crate::test::Test;

/// Number of a predicate.
pub(crate) type PredicateId = u32;
/// Number of a field: a list of names under which it is looked for.
pub(crate) type FieldId = u32;
/// The field of keywords: every value of the event.
pub(crate) const ANY_FIELD: FieldId = FieldId::MAX;

/// One test on one field.
#[derive(Clone, Debug)]
pub(crate) struct Predicate {
    pub(crate) field: FieldId,
    pub(crate) test: Test,
    /// The other field of a comparison of two fields.
    pub(crate) other: Option<FieldId>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    /// One predicate.
    Is(PredicateId),
    /// All of them; true when empty.
    All(Box<[Self]>),
    /// One of them; false when empty.
    Any(Box<[Self]>),
    /// So many of them.
    AtLeast(u64, Box<[Self]>),
    /// The opposite.
    Not(Box<Self>),
}

impl Expression {
    /// All of `parts`, without needless levels.
    pub(crate) fn all(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return only;
        }
        Self::All(parts.into_boxed_slice())
    }

    /// One of `parts`, without needless levels.
    pub(crate) fn any(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return only;
        }
        Self::Any(parts.into_boxed_slice())
    }

    /// The value, given that of each predicate.
    pub(crate) fn value(&self, is: &mut impl FnMut(PredicateId) -> bool) -> bool {
        match self {
            Self::Is(predicate) => is(*predicate),
            Self::All(parts) => parts.iter().all(|part| part.value(is)),
            Self::Any(parts) => parts.iter().any(|part| part.value(is)),
            Self::Not(part) => !part.value(is),
            Self::AtLeast(wanted, parts) => {
                let mut count = 0;
                parts.iter().any(|part| {
                    count += u64::from(part.value(is));
                    count >= *wanted
                }) || *wanted == 0
            }
        }
    }
}
