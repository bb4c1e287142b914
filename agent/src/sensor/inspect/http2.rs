//! What rules see of HTTP/2 beside the buffers of HTTP.

use net::app::http2::{Field, Http2, Kind};
use signature::{Buffer, Number, View};

use super::dns;

/// Buffers of HTTP/2 alone, and of the DNS message in it; `None` for those of HTTP.
pub(super) fn buffer(
    http2: &Http2,
    buffer: Buffer,
    dir: net::Direction,
    (at, complete): (u32, bool),
) -> Option<View<'_>> {
    let missing = if complete { View::Absent } else { View::Pending };
    let side = http2.sides.get(dir);
    if buffer.protocols().contains(&signature::AppProto::Dns) {
        return Some(match &side.dns {
            Some(message) => dns::buffer(message, buffer, at),
            None => missing,
        });
    }
    if buffer != Buffer::Http2HeaderName {
        return None;
    }
    let name = side
        .fields
        .iter()
        .filter_map(|field| match field {
            Field::Header { name, .. } => Some(name.as_slice()),
            Field::SizeUpdate(_) => None,
        })
        .nth(usize::try_from(at).unwrap_or(usize::MAX));
    Some(name.map_or(missing, View::whole))
}

/// The number in place `at` of its kind.
pub(super) fn number(http2: &Http2, number: Number, dir: net::Direction, at: u32) -> Option<u64> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let side = http2.sides.get(dir);
    let frames = side.frames.iter();
    match number {
        Number::Http2FrameType => frames.map(|frame| u64::from(frame.number)).nth(at),
        Number::Http2Setting => frames
            .filter_map(|frame| match &frame.kind {
                Kind::Settings(settings) => Some(settings),
                _ => None,
            })
            .flatten()
            .map(|(name, value)| u64::from(*name) << 32 | u64::from(*value))
            .nth(at),
        Number::Http2SizeUpdate => side
            .fields
            .iter()
            .filter_map(|field| match field {
                Field::SizeUpdate(size) => Some(*size),
                Field::Header { .. } => None,
            })
            .nth(at),
        Number::DnsOpcode | Number::DnsRcode | Number::DnsRrtype => {
            dns::number(side.dns.as_ref()?, number, u32::try_from(at).ok()?)
        }
        _ => frames
            .filter_map(|frame| match (number, &frame.kind) {
                (Number::Http2ErrorCode, Kind::Error(code)) => Some(u64::from(*code)),
                (Number::Http2Window, Kind::Window(size)) => Some(u64::from(*size)),
                (Number::Http2Priority, Kind::Priority(weight)) => Some(u64::from(*weight)),
                _ => None,
            })
            .nth(at),
    }
}
