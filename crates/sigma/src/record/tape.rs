//! A JSON document read into one flat list of nodes: no map, no allocation for each value.
//!
//! For programs that read events as text and only evaluate them; what is to be kept or changed is an
//! `event::Object`. The room is used again for the next document. Not a JSON parser: `serde_json` reads,
//! and refuses what it refuses anywhere else (depth, syntax, broken UTF-8).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Scalar, flatten::Tree};

/// A document, read by [`Tape::read`].
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// All names and texts, one after the other.
    text: String,
    nodes: Vec<Node>,
}

type Span = (u32, u32);

/// A value with the name it has in its object; what is inside an object or list follows it.
#[derive(Clone, Copy, Debug)]
struct Node {
    name: Span,
    value: Item,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(Span),
    /// Ends before this node.
    Object(u32),
    /// Ends before this node.
    Array(u32),
}

impl Tape {
    /// Room for documents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one JSON object; the document before is forgotten. A name given twice keeps both values, as
    /// a list would.
    ///
    /// # Errors
    /// When it is no JSON object, with line and column.
    pub fn read(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        self.text.clear();
        self.nodes.clear();
        // Text that was checked as a whole is not checked again string by string.
        if let Ok(text) = std::str::from_utf8(json) {
            let mut reader = serde_json::Deserializer::from_str(text);
            reader.deserialize_map(Reading { tape: self, name: (0, 0) })?;
            return reader.end();
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        reader.deserialize_map(Reading { tape: self, name: (0, 0) })?;
        reader.end()
    }

    /// The document as a tree.
    pub(super) const fn root(&self) -> TapeNode<'_> {
        TapeNode { tape: self, at: 0 }
    }

    fn end(&self) -> u32 {
        crate::compile::number(self.nodes.len())
    }

    fn keep(&mut self, text: &str) -> Option<Span> {
        let start = u32::try_from(self.text.len()).ok()?;
        self.text.push_str(text);
        Some((start, u32::try_from(self.text.len()).ok()?))
    }

    fn text(&self, (start, end): Span) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// What reads one value of this name.
struct Reading<'t> {
    tape: &'t mut Tape,
    name: Span,
}

impl Reading<'_> {
    fn add<E>(self, value: Item) -> Result<(), E> {
        self.tape.nodes.push(Node { name: self.name, value });
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.add(Item::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        self.add(Item::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.add(Item::Signed(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.add(Item::Unsigned(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.add(Item::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let span = self.tape.keep(text).ok_or_else(|| E::custom("longer than 4 GiB"))?;
        self.add(Item::Text(span))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { tape, name } = self;
        let at = tape.nodes.len();
        tape.nodes.push(Node { name, value: Item::Null });
        while list.next_element_seed(Reading { tape, name })?.is_some() {}
        let end = tape.end();
        if let Some(node) = tape.nodes.get_mut(at) {
            node.value = Item::Array(end);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { tape, name } = self;
        let at = tape.nodes.len();
        tape.nodes.push(Node { name, value: Item::Null });
        while let Some(name) = map.next_key_seed(Name(tape))? {
            map.next_value_seed(Reading { tape, name })?;
        }
        let end = tape.end();
        if let Some(node) = tape.nodes.get_mut(at) {
            node.value = Item::Object(end);
        }
        Ok(())
    }
}

/// What reads a name.
struct Name<'t>(&'t mut Tape);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Span, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Span;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        self.0.keep(text).ok_or_else(|| E::custom("longer than 4 GiB"))
    }
}

/// A place on a tape.
#[derive(Clone, Copy, Debug)]
pub(super) struct TapeNode<'a> {
    tape: &'a Tape,
    at: u32,
}

impl<'a> TapeNode<'a> {
    fn node(self) -> Option<&'a Node> {
        self.tape.nodes.get(self.at as usize)
    }

    /// Where this value ends.
    fn end(self) -> u32 {
        match self.node().map(|node| node.value) {
            Some(Item::Object(end) | Item::Array(end)) => end,
            _ => self.at.saturating_add(1),
        }
    }

    /// What is directly inside.
    fn children(self) -> impl Iterator<Item = (&'a str, Self)> + 'a {
        let (tape, end) = (self.tape, self.end());
        let mut at = self.at.saturating_add(1);
        std::iter::from_fn(move || {
            let child = Self { tape, at };
            let node = (at < end).then(|| child.node()).flatten()?;
            at = child.end();
            Some((tape.text(node.name), child))
        })
    }
}

impl<'a> Tree<'a> for TapeNode<'a> {
    fn is_object(self) -> bool {
        matches!(self.node(), Some(Node { value: Item::Object(_), .. }))
    }

    fn is_array(self) -> bool {
        matches!(self.node(), Some(Node { value: Item::Array(_), .. }))
    }

    fn members(self) -> impl Iterator<Item = (&'a str, Self)> + 'a {
        self.children().filter(move |_| self.is_object())
    }

    fn items(self) -> impl Iterator<Item = Self> + 'a {
        self.children().filter(move |_| self.is_array()).map(|(_, item)| item)
    }

    fn get(self, name: &str) -> Option<Self> {
        self.members().filter(|(known, _)| *known == name).last().map(|(_, value)| value)
    }

    fn scalar(self) -> Scalar<'a> {
        match self.node().map_or(Item::Null, |node| node.value) {
            Item::Null => Scalar::Null,
            Item::Bool(truth) => Scalar::Bool(truth),
            Item::Signed(number) => Scalar::Integer(i128::from(number)),
            Item::Unsigned(number) => Scalar::Integer(i128::from(number)),
            Item::Float(number) => Scalar::Float(number),
            Item::Text(span) => Scalar::Text(self.tape.text(span).into()),
            Item::Object(_) | Item::Array(_) => Scalar::Composite,
        }
    }
}
