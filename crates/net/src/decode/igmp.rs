//! IGMP (RFC 1112, 2236, 9776) and RGMP (RFC 3488), which shares its protocol number.

use super::{DecoderEvent, Packet, Transport};
use crate::cursor::Cursor;

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// An IGMP message.
#[derive(Clone, Copy, Debug)]
pub struct Igmp<'a> {
    /// Message type.
    pub kind: u8,
    /// 1 to 3; `None` for other types, those of RGMP among them.
    pub version: Option<u8>,
    /// Maximum response time or code.
    pub max_response: u8,
    /// The message with its group records or sources.
    pub header: &'a [u8],
    /// The whole message and what follows it.
    pub bytes: &'a [u8],
}

pub(super) fn message<'a>(p: &mut Packet<'a>, bytes: &'a [u8]) {
    let (Some(kind), Some(max_response), Some(_)) = (bytes.first(), bytes.get(1), bytes.get(7))
    else {
        return p.invalid(DecoderEvent::IgmpPktTooSmall);
    };
    let (length, version) = match *kind {
        QUERY if bytes.len() >= 12 => match query(bytes) {
            Some(length) => (length, Some(3)),
            None => return p.invalid(DecoderEvent::IgmpV3PktTooSmall),
        },
        QUERY if *max_response == 0 => (8, Some(1)),
        QUERY | REPORT_V2 | LEAVE => (8, Some(2)),
        REPORT_V3 => match report(bytes) {
            Ok(length) => (length, Some(3)),
            Err(event) => return p.invalid(event),
        },
        REPORT_V1 => (8, Some(1)),
        _ => (8, None),
    };
    let Some((header, payload)) = bytes.split_at_checked(length) else { return };
    p.payload = payload;
    let (kind, max_response) = (*kind, *max_response);
    p.transport = Transport::Igmp(Igmp { kind, version, max_response, header, bytes });
}

/// RFC 9776 section 4.1: length of a query with its sources.
fn query(bytes: &[u8]) -> Option<usize> {
    let mut c = Cursor::new(bytes);
    c.skip(10)?;
    let sources = c.u16()?;
    c.skip(usize::from(sources).checked_mul(4)?)?;
    Some(c.position())
}

/// RFC 9776 section 4.2: length of a report with its group records.
fn report(bytes: &[u8]) -> Result<usize, DecoderEvent> {
    let mut c = Cursor::new(bytes);
    let small = DecoderEvent::IgmpV3PktTooSmall;
    c.skip(6).ok_or(small)?;
    let records = c.u16().ok_or(small)?;
    for _ in 0..records {
        c.skip(1).ok_or(small)?;
        let auxiliary = c.u8().ok_or(small)?;
        let sources = c.u16().ok_or(small)?;
        c.skip(4).ok_or(small)?;
        let words = usize::from(auxiliary).saturating_add(usize::from(sources));
        c.skip(words.saturating_mul(4)).ok_or(DecoderEvent::IgmpMalformed)?;
    }
    Ok(c.position())
}
