//! IPv4 options (RFC 791 section 3.1): a list of kind, length, data.

use super::{DecoderEvent, Packet};
use crate::cursor::Cursor;

/// Reads the list; what is wrong with it stops the walk, the packet stays usable.
pub(super) fn walk(p: &mut Packet<'_>, bytes: &[u8]) {
    if !bytes.len().is_multiple_of(8) {
        p.note(DecoderEvent::Ipv4OptPadRequired);
    }
    let mut seen = 0u16;
    let mut c = Cursor::new(bytes);
    while let Some(kind) = c.u8() {
        match kind {
            0 => return,
            1 => continue,
            _ => {}
        }
        let Some(length) = c.u8() else { return p.note(DecoderEvent::Ipv4OptEolRequired) };
        let Some(data) = usize::from(length).checked_sub(2).and_then(|n| c.take(n)) else {
            return p.note(DecoderEvent::Ipv4OptInvalidLen);
        };
        let Some(bit) = known(kind) else {
            p.note(DecoderEvent::Ipv4OptInvalid);
            continue;
        };
        if seen & bit != 0 {
            p.note(DecoderEvent::Ipv4OptDuplicate);
            continue;
        }
        if let Some(event) = wrong(kind, data) {
            return p.note(event);
        }
        seen |= bit;
    }
}

/// A bit for each option that is looked into.
fn known(kind: u8) -> Option<u16> {
    let all = [7u8, 25, 68, 130, 131, 133, 134, 136, 137, 148];
    let at = all.iter().position(|known| *known == kind)?;
    1u16.checked_shl(u32::try_from(at).ok()?)
}

/// What is wrong with the data of one option.
fn wrong(kind: u8, data: &[u8]) -> Option<DecoderEvent> {
    // Lengths in the RFCs count kind and length.
    let length = data.len().saturating_add(2);
    match kind {
        7 | 131 | 137 => route(data, length),
        68 => timestamp(data, length),
        134 => security_labels(data),
        25 if length < 8 => Some(DecoderEvent::Ipv4OptInvalidLen),
        130 if length != 11 => Some(DecoderEvent::Ipv4OptInvalidLen),
        133 if length < 3 => Some(DecoderEvent::Ipv4OptInvalidLen),
        136 | 148 if length != 4 => Some(DecoderEvent::Ipv4OptInvalidLen),
        _ => None,
    }
}

/// Route options: the pointer counts from 1 and steps over whole addresses.
fn route(data: &[u8], length: usize) -> Option<DecoderEvent> {
    let Some(pointer) = data.first() else { return Some(DecoderEvent::Ipv4OptInvalidLen) };
    let beyond = usize::from(*pointer) > length.saturating_add(1);
    (*pointer < 4 || pointer % 4 != 0 || beyond).then_some(DecoderEvent::Ipv4OptMalformed)
}

/// Timestamps: records of four bytes, or eight with addresses.
fn timestamp(data: &[u8], length: usize) -> Option<DecoderEvent> {
    let [pointer, flags, ..] = data else { return Some(DecoderEvent::Ipv4OptInvalidLen) };
    let record = if matches!(flags & 15, 1 | 3) { 8 } else { 4 };
    let beyond = usize::from(*pointer) > length.saturating_add(1);
    let uneven = pointer.checked_sub(5).is_none_or(|at| at.checked_rem(record) != Some(0));
    (uneven || beyond).then_some(DecoderEvent::Ipv4OptMalformed)
}

/// FIPS 188: a domain of interpretation, then tags.
fn security_labels(data: &[u8]) -> Option<DecoderEvent> {
    let Some(tags) = data.get(4..).filter(|tags| tags.len() >= 4) else {
        return Some(DecoderEvent::Ipv4OptInvalidLen);
    };
    let malformed = Some(DecoderEvent::Ipv4OptMalformed);
    let mut c = Cursor::new(tags);
    while !c.is_empty() {
        let (Some(kind), Some(length)) = (c.u8(), c.u8()) else { return malformed };
        let Some(value) = usize::from(length).checked_sub(2).and_then(|n| c.take(n)) else {
            return malformed;
        };
        let aligned = kind == 7 || value.first() == Some(&0);
        if !matches!(kind, 1 | 2 | 5..=7) || value.len() < 2 || !aligned {
            return malformed;
        }
    }
    None
}
