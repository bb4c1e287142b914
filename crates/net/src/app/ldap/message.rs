//! One message: its operation and what of it is told.

use super::names::OPERATIONS;
use crate::app::ber;
use crate::cursor::Cursor;
use crate::flow::Direction;

/// Attributes, changes and values of one message that are kept, of each.
const MAX_LIST: usize = 256;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 4;
const INTEGER: u8 = 2;
const ENUMERATED: u8 = 10;
const BOOLEAN: u8 = 1;

/// An attribute with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub kind: Vec<u8>,
    /// Its values.
    pub values: Vec<Vec<u8>>,
}

/// A change of a modify request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// 0 add, 1 delete, 2 replace.
    pub kind: i64,
    /// What is changed.
    pub attribute: Attribute,
}

/// The result of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// 0 is success.
    pub code: i64,
    /// How far a name was found.
    pub matched_dn: Vec<u8>,
    /// What the server has to say.
    pub message: Vec<u8>,
    /// Name of an extended response.
    pub name: Option<Vec<u8>>,
}

/// What a message says beyond its operation and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Nothing that is read.
    #[default]
    None,
    /// Version, and the SASL mechanism if that is how.
    Bind {
        /// Version.
        version: i64,
        /// SASL mechanism.
        mechanism: Option<Vec<u8>>,
    },
    /// What is searched for.
    Search {
        /// 0 the object, 1 one level below, 2 all below.
        scope: i64,
        /// Whether aliases are followed.
        deref_alias: i64,
        /// Most entries.
        size_limit: i64,
        /// Most seconds.
        time_limit: i64,
        /// Types without values.
        types_only: bool,
        /// Attributes wanted.
        attributes: Vec<Vec<u8>>,
    },
    /// Changes.
    Modify(Vec<Change>),
    /// Attributes of an entry: to be added, or found.
    Entry(Vec<Attribute>),
    /// A new name.
    ModifyDn {
        /// The new relative name.
        new_rdn: Vec<u8>,
        /// The old one goes.
        delete_old: bool,
        /// The new parent.
        new_superior: Option<Vec<u8>>,
    },
    /// What is compared.
    Compare {
        /// Attribute.
        description: Vec<u8>,
        /// Value.
        value: Vec<u8>,
    },
    /// Message that nobody wants answered any more.
    Abandon(i64),
    /// Name of an extended request.
    Extended(Vec<u8>),
    /// Where else to look.
    Reference(Vec<Vec<u8>>),
    /// The result.
    Outcome(Outcome),
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Identifier; 0 is the server's own.
    pub id: i64,
    /// Number of the operation, see [`super::operation`].
    pub operation: u8,
    /// Name of the entry it is about.
    pub dn: Option<Vec<u8>>,
    /// The rest.
    pub body: Body,
}

impl Message {
    /// Types of the attributes named in it.
    pub fn attribute_types(&self) -> impl Iterator<Item = &[u8]> {
        let (names, attributes, changes): (&[Vec<u8>], &[Attribute], &[Change]) = match &self.body {
            Body::Search { attributes, .. } => (attributes, &[], &[]),
            Body::Entry(attributes) => (&[], attributes, &[]),
            Body::Modify(changes) => (&[], &[], changes),
            _ => (&[], &[], &[]),
        };
        let compared = match &self.body {
            Body::Compare { description, .. } => Some(description.as_slice()),
            _ => None,
        };
        let names = names.iter().map(Vec::as_slice);
        let attributes = attributes.iter().map(|attribute| attribute.kind.as_slice());
        let changes = changes.iter().map(|change| change.attribute.kind.as_slice());
        names.chain(attributes).chain(changes).chain(compared)
    }

    /// The result, when it is one.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.body {
            Body::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether it answers something.
    #[must_use]
    pub fn is_response(&self) -> bool {
        sender(self.operation) == Some(Direction::ToClient)
    }
}

/// Who sends an operation.
fn sender(operation: u8) -> Option<Direction> {
    if !OPERATIONS.iter().any(|(number, _)| *number == operation) {
        return None;
    }
    Some(match operation {
        1 | 4 | 5 | 7 | 9 | 11 | 13 | 15 | 19 | 24 | 25 => Direction::ToClient,
        _ => Direction::ToServer,
    })
}

/// Whether bytes begin with a message, and who sends such.
#[must_use]
pub fn looks_like(bytes: &[u8]) -> Option<Direction> {
    let mut c = Cursor::new(bytes);
    if c.u8()? != SEQUENCE {
        return None;
    }
    match c.u8()? {
        0..=0x7f => {}
        0x81 => c.skip(1)?,
        0x82 => c.skip(2)?,
        0x84 => c.skip(4)?,
        _ => return None,
    }
    ber::integer(ber::tagged(&mut c, INTEGER)?).filter(|id| *id >= 0)?;
    let tag = c.u8()?;
    sender(tag & 0x1f).filter(|_| tag & 0xc0 == 0x40)
}

/// Reads a message; `None` when it is none, or malformed.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let mut c = Cursor::new(ber::tagged(&mut Cursor::new(bytes), SEQUENCE)?);
    let id = ber::integer(ber::tagged(&mut c, INTEGER)?)?;
    let (tag, content) = ber::element(&mut c)?;
    let operation = tag & 0x1f;
    sender(operation).filter(|_| tag & 0xc0 == 0x40)?;
    let mut message = Message { id, operation, ..Message::default() };
    let mut c = Cursor::new(content);
    match operation {
        0 => bind(&mut c, &mut message)?,
        2 | 25 => {}
        3 => search(&mut c, &mut message)?,
        6 => modify(&mut c, &mut message)?,
        4 | 8 => {
            message.dn = Some(octets(&mut c)?);
            message.body = Body::Entry(attributes(ber::tagged(&mut c, SEQUENCE)?));
        }
        10 => message.dn = Some(content.to_vec()),
        12 => modify_dn(&mut c, &mut message)?,
        14 => {
            message.dn = Some(octets(&mut c)?);
            let mut pair = Cursor::new(ber::tagged(&mut c, SEQUENCE)?);
            let (description, value) = (octets(&mut pair)?, octets(&mut pair)?);
            message.body = Body::Compare { description, value };
        }
        16 => message.body = Body::Abandon(ber::integer(content)?),
        19 => message.body = Body::Reference(strings(content)),
        23 => message.body = Body::Extended(ber::tagged(&mut c, 0x80)?.to_vec()),
        _ => message.body = Body::Outcome(outcome(&mut c, operation)?),
    }
    Some(message)
}

fn octets(c: &mut Cursor<'_>) -> Option<Vec<u8>> {
    ber::tagged(c, OCTETS).map(<[u8]>::to_vec)
}

fn number(c: &mut Cursor<'_>, tag: u8) -> Option<i64> {
    ber::integer(ber::tagged(c, tag)?)
}

fn boolean(c: &mut Cursor<'_>) -> Option<bool> {
    Some(ber::tagged(c, BOOLEAN)?.first().is_some_and(|byte| *byte != 0))
}

fn strings(content: &[u8]) -> Vec<Vec<u8>> {
    let mut c = Cursor::new(content);
    std::iter::from_fn(|| octets(&mut c)).take(MAX_LIST).collect()
}

fn attribute(content: &[u8]) -> Option<Attribute> {
    let mut c = Cursor::new(content);
    let kind = octets(&mut c)?;
    Some(Attribute { kind, values: strings(ber::tagged(&mut c, SET).unwrap_or_default()) })
}

fn attributes(content: &[u8]) -> Vec<Attribute> {
    let mut c = Cursor::new(content);
    let one = || ber::tagged(&mut c, SEQUENCE).and_then(attribute);
    std::iter::from_fn(one).take(MAX_LIST).collect()
}

fn bind(c: &mut Cursor<'_>, message: &mut Message) -> Option<()> {
    let version = number(c, INTEGER)?;
    message.dn = Some(octets(c)?);
    // A password is nothing to be kept.
    let mechanism = match ber::element(c) {
        Some((0xa3, sasl)) => octets(&mut Cursor::new(sasl)),
        _ => None,
    };
    message.body = Body::Bind { version, mechanism };
    Some(())
}

fn search(c: &mut Cursor<'_>, message: &mut Message) -> Option<()> {
    message.dn = Some(octets(c)?);
    let (scope, deref_alias) = (number(c, ENUMERATED)?, number(c, ENUMERATED)?);
    let (size_limit, time_limit) = (number(c, INTEGER)?, number(c, INTEGER)?);
    let types_only = boolean(c)?;
    // The filter.
    ber::element(c)?;
    let attributes = strings(ber::tagged(c, SEQUENCE).unwrap_or_default());
    message.body =
        Body::Search { scope, deref_alias, size_limit, time_limit, types_only, attributes };
    Some(())
}

fn modify(c: &mut Cursor<'_>, message: &mut Message) -> Option<()> {
    message.dn = Some(octets(c)?);
    let mut list = Cursor::new(ber::tagged(c, SEQUENCE)?);
    let one = || {
        let mut c = Cursor::new(ber::tagged(&mut list, SEQUENCE)?);
        let kind = number(&mut c, ENUMERATED)?;
        Some(Change { kind, attribute: attribute(ber::tagged(&mut c, SEQUENCE)?)? })
    };
    message.body = Body::Modify(std::iter::from_fn(one).take(MAX_LIST).collect());
    Some(())
}

fn modify_dn(c: &mut Cursor<'_>, message: &mut Message) -> Option<()> {
    message.dn = Some(octets(c)?);
    let (new_rdn, delete_old) = (octets(c)?, boolean(c)?);
    let new_superior = ber::tagged(c, 0x80).map(<[u8]>::to_vec);
    message.body = Body::ModifyDn { new_rdn, delete_old, new_superior };
    Some(())
}

fn outcome(c: &mut Cursor<'_>, operation: u8) -> Option<Outcome> {
    let code = number(c, ENUMERATED)?;
    let (matched_dn, message) = (octets(c)?, octets(c)?);
    // Referrals come before the name.
    ber::tagged(c, 0xa3);
    let name = ber::tagged(c, 0x8a).map(<[u8]>::to_vec);
    let name = name.filter(|_| operation == super::operation::EXTENDED_RESPONSE);
    Some(Outcome { code, matched_dn, message, name })
}
