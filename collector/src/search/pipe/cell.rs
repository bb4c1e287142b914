//! One value of a row: typed as the field dictionary types it, ordered, countable.

use std::cmp::Ordering;
use std::net::Ipv6Addr;

use event::{Document, FieldType, Timestamp};
use serde_json::Value as Json;

use crate::search::plan::FieldRef;
use crate::search::value::{self, Number, Value};

/// A value. Values of one kind are ordered among themselves, kinds by their place here.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Number.
    Number(Number),
    /// Truth.
    Bool(bool),
    /// Microseconds since the epoch.
    Date(i64),
    /// Address; IPv4 as IPv4-mapped.
    Ip(Ipv6Addr),
    /// Text.
    Text(String),
    /// Several values of one field.
    List(Vec<Self>),
    /// No value; behind all others.
    Null,
}

impl Cell {
    const fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Bool(_) => 1,
            Self::Date(_) => 2,
            Self::Ip(_) => 3,
            Self::Text(_) => 4,
            Self::List(_) => 5,
            Self::Null => 6,
        }
    }

    /// A float; what is not finite is no value.
    #[must_use]
    pub fn float(float: f64) -> Self {
        Number::from_f64(float).map_or(Self::Null, Self::Number)
    }

    /// A count.
    #[must_use]
    pub fn count(count: u64) -> Self {
        Self::Number(i64::try_from(count).map_or(Number::Big(count), Number::Int))
    }

    /// As a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    /// Memory it takes, bytes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let inner = match self {
            Self::Text(text) => text.len(),
            Self::List(list) => list.iter().map(Self::bytes).fold(0, usize::saturating_add),
            _ => 0,
        };
        inner.saturating_add(size_of::<Self>())
    }

    /// As JSON: text, number, truth, list or null.
    #[must_use]
    pub fn json(&self) -> Json {
        match self {
            Self::Number(Number::Int(int)) => (*int).into(),
            Self::Number(Number::Big(big)) => (*big).into(),
            Self::Number(Number::Float(float)) => (*float).into(),
            Self::Bool(truth) => (*truth).into(),
            Self::Date(micros) => Timestamp::from_micros(*micros).to_string().into(),
            Self::Ip(address) => address.to_canonical().to_string().into(),
            Self::Text(text) => text.clone().into(),
            Self::List(list) => list.iter().map(Self::json).collect(),
            Self::Null => Json::Null,
        }
    }
}

impl From<Value<'_>> for Cell {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Keyword(text) | Value::Text(text) => Self::Text(text.into_owned()),
            Value::Number(number) => Self::Number(number),
            Value::Ip(address) => Self::Ip(address),
            Value::Date(micros) => Self::Date(micros),
            Value::Bool(truth) => Self::Bool(truth),
        }
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell {}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Ip(a), Self::Ip(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

/// Whether a value of this field takes part in stages: it fits the type of the field, if that has one.
/// Numbers and truths are taken whatever they are, as the index has them in one place.
fn takes_part(field: &FieldRef, value: &Value<'_>) -> bool {
    match field.kind() {
        None | Some(FieldType::Number | FieldType::Bool) => true,
        Some(kind) => value::fits(kind, value),
    }
}

/// The values of some fields in a document, in the order of the fields.
#[must_use]
pub fn gather(document: &Document, fields: &[FieldRef]) -> Vec<Vec<Cell>> {
    let mut out = vec![Vec::new(); fields.len()];
    value::visit(document, &mut |name, _, value| {
        for (field, slot) in fields.iter().zip(&mut out) {
            if field.name == name && takes_part(field, &value) {
                slot.push(Cell::from(value.clone()));
            }
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn cell() -> impl Strategy<Value = Cell> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|n| Cell::Number(Number::Int(n))),
            (i64::MAX as u64 + 1..=u64::MAX).prop_map(|n| Cell::Number(Number::Big(n))),
            (-1e6..1e6_f64).prop_map(Cell::float),
            any::<bool>().prop_map(Cell::Bool),
            any::<i64>().prop_map(Cell::Date),
            any::<u128>().prop_map(|n| Cell::Ip(n.into())),
            "[a-c]{0,3}".prop_map(Cell::Text),
            Just(Cell::Null),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| {
            proptest::collection::vec(inner, 0..3).prop_map(Cell::List)
        })
    }

    proptest! {
        #[test]
        fn cells_are_in_one_order(a in cell(), b in cell(), c in cell()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a.cmp(&b).is_le() && b.cmp(&c).is_le() {
                prop_assert!(a.cmp(&c).is_le());
            }
        }
    }

    #[test]
    fn values_that_do_not_fit_their_field_are_left_out() {
        let Json::Object(document) = json!({
            "src_ip": ["10.0.0.1", "none"], "dest_port": [80, "http"], "own": [1, 1.0, "a", true],
            "source": {"ip": "::1"}, "user": {"name": "x"},
        }) else {
            panic!("an object")
        };
        let fields = ["source.ip", "dest_port", "own", "no.such"].map(FieldRef::new);
        let found: Vec<Json> =
            gather(&document, &fields).into_iter().map(|cells| Cell::List(cells).json()).collect();
        assert_eq!(
            Json::from(found),
            json!([["10.0.0.1", "::1"], [80, "http"], [1, 1, "a", true], []])
        );
    }

    #[test]
    fn floats_that_are_whole_are_integers() {
        assert_eq!(Cell::float(2.0).json(), json!(2));
        assert_eq!(Cell::float(2.5).json(), json!(2.5));
        assert_eq!(Cell::float(f64::INFINITY), Cell::Null);
        assert_eq!(Cell::count(u64::MAX).json(), json!(u64::MAX));
    }
}
