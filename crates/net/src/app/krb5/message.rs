//! One Kerberos message from its bytes.

use crate::app::ber;
use crate::cursor::Cursor;

/// Tag of a sequence.
const SEQUENCE: u8 = 0x30;
/// Tag of a `GeneralString`.
const GENERAL_STRING: u8 = 0x1b;
/// Tag of a ticket: application 1.
const TICKET: u8 = 0x61;
/// Components kept of a name of a principal.
const MAX_COMPONENTS: usize = 32;

/// Message types (RFC 4120 section 7.5.7); they are the numbers of the application tags too.
pub mod kind {
    /// Request to the authentication service.
    pub const AS_REQ: u8 = 10;
    /// Its answer.
    pub const AS_REP: u8 = 11;
    /// Request to the ticket granting service.
    pub const TGS_REQ: u8 = 12;
    /// Its answer.
    pub const TGS_REP: u8 = 13;
    /// Request to a service.
    pub const AP_REQ: u8 = 14;
    /// Its answer.
    pub const AP_REP: u8 = 15;
    /// An error.
    pub const ERROR: u8 = 30;
}

/// Name of a principal: its components.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// `krbtgt` and `EXAMPLE.ORG` of `krbtgt/EXAMPLE.ORG`.
    pub components: Vec<Vec<u8>>,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// One of [`kind`].
    pub kind: u8,
    /// Who asks.
    pub client: Option<Principal>,
    /// Realm of the request, or of the client in answers.
    pub realm: Option<Vec<u8>>,
    /// For what.
    pub service: Option<Principal>,
    /// Cipher of the part for the client; answers only.
    pub encryption: Option<i32>,
    /// Cipher of the ticket; answers only.
    pub ticket_encryption: Option<i32>,
    /// Error code (RFC 4120 section 7.5.9).
    pub error: Option<i32>,
    /// Type of the request that an error answers.
    pub failed_request: Option<u8>,
}

/// The number of an application tag.
pub(super) fn kind_of(bytes: &[u8]) -> Option<u8> {
    let (tag, _) = ber::element(&mut Cursor::new(bytes))?;
    (tag & 0xe0 == 0x60).then_some(tag & 0x1f)
}

/// Reads a request to a key distribution centre, an answer or an error; `None` when it is something
/// else or malformed.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message> {
    let kind = kind_of(bytes)?;
    let (_, content) = ber::element(&mut Cursor::new(bytes))?;
    let fields = Cursor::new(ber::tagged(&mut Cursor::new(content), SEQUENCE)?);
    match kind {
        kind::AS_REQ | kind::TGS_REQ => request(kind, fields),
        kind::AS_REP | kind::TGS_REP => reply(kind, fields),
        kind::ERROR => error(fields),
        _ => None,
    }
}

/// KDC-REQ (RFC 4120 section 5.4.1).
fn request(kind: u8, mut c: Cursor<'_>) -> Option<Message> {
    says(&mut c, 1, 5)?;
    says(&mut c, 2, kind)?;
    field(&mut c, 3);
    let mut body = sequence(field(&mut c, 4)?)?;
    field(&mut body, 0)?;
    let client = optional(&mut body, 1, principal)?;
    let realm = Some(string(field(&mut body, 2)?)?);
    let service = optional(&mut body, 3, principal)?;
    Some(Message { kind, client, realm, service, ..Message::default() })
}

/// KDC-REP (RFC 4120 section 5.4.2).
fn reply(kind: u8, mut c: Cursor<'_>) -> Option<Message> {
    says(&mut c, 0, 5)?;
    says(&mut c, 1, kind)?;
    field(&mut c, 2);
    let realm = Some(string(field(&mut c, 3)?)?);
    let client = Some(principal(field(&mut c, 4)?)?);
    // Ticket (RFC 4120 section 5.3).
    let ticket = ber::tagged(&mut Cursor::new(field(&mut c, 5)?), TICKET)?;
    let mut ticket = sequence(ticket)?;
    says(&mut ticket, 0, 5)?;
    field(&mut ticket, 1)?;
    let service = Some(principal(field(&mut ticket, 2)?)?);
    let ticket_encryption = Some(encrypted(field(&mut ticket, 3)?)?);
    let encryption = Some(encrypted(field(&mut c, 6)?)?);
    Some(Message {
        kind,
        client,
        realm,
        service,
        encryption,
        ticket_encryption,
        ..Message::default()
    })
}

/// KRB-ERROR (RFC 4120 section 5.9.1).
fn error(mut c: Cursor<'_>) -> Option<Message> {
    says(&mut c, 0, 5)?;
    says(&mut c, 1, kind::ERROR)?;
    // Time of the client, then time of the server, each with its microseconds.
    field(&mut c, 2);
    field(&mut c, 3);
    field(&mut c, 4)?;
    field(&mut c, 5)?;
    let error = Some(integer(field(&mut c, 6)?)?);
    let realm = optional(&mut c, 7, string)?;
    let client = optional(&mut c, 8, principal)?;
    field(&mut c, 9)?;
    let service = Some(principal(field(&mut c, 10)?)?);
    Some(Message { kind: kind::ERROR, client, realm, service, error, ..Message::default() })
}

/// The content of a context field, when it is the next one.
fn field<'a>(c: &mut Cursor<'a>, number: u8) -> Option<&'a [u8]> {
    ber::tagged(c, 0xa0 | number)
}

/// A field that may be missing but, when it is there, must be right.
fn optional<T>(
    c: &mut Cursor<'_>,
    number: u8,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<Option<T>> {
    match field(c, number) {
        Some(content) => read(content).map(Some),
        None => Some(None),
    }
}

/// A field with that number in it.
fn says(c: &mut Cursor<'_>, number: u8, value: u8) -> Option<()> {
    (integer(field(c, number)?)? == i32::from(value)).then_some(())
}

fn sequence(content: &[u8]) -> Option<Cursor<'_>> {
    ber::tagged(&mut Cursor::new(content), SEQUENCE).map(Cursor::new)
}

fn integer(content: &[u8]) -> Option<i32> {
    let value = ber::integer(ber::tagged(&mut Cursor::new(content), 2)?)?;
    // Some send numbers above 2^31 without the sign.
    i32::try_from(value).ok().or_else(|| u32::try_from(value).ok().map(u32::cast_signed))
}

fn string(content: &[u8]) -> Option<Vec<u8>> {
    ber::tagged(&mut Cursor::new(content), GENERAL_STRING).map(<[u8]>::to_vec)
}

/// `PrincipalName` (RFC 4120 section 5.2.2).
fn principal(content: &[u8]) -> Option<Principal> {
    let mut c = sequence(content)?;
    integer(field(&mut c, 0)?)?;
    let mut names = sequence(field(&mut c, 1)?)?;
    let mut components = Vec::new();
    while !names.is_empty() && components.len() < MAX_COMPONENTS {
        components.push(ber::tagged(&mut names, GENERAL_STRING)?.to_vec());
    }
    Some(Principal { components })
}

/// The cipher of `EncryptedData` (RFC 4120 section 5.2.9).
fn encrypted(content: &[u8]) -> Option<i32> {
    integer(field(&mut sequence(content)?, 0)?)
}
