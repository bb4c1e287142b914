//! `frame` objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::Direction;
use net::app::frame::Frame;

use super::fields::Fields;

/// The `frame` object of an alert.
pub(crate) fn frame<F: Fields>(out: &mut F, frame: &Frame) {
    out.text("type", frame.kind);
    out.number("id", frame.id);
    let dir = if frame.dir == Direction::ToServer { "toserver" } else { "toclient" };
    out.text("direction", dir);
    out.number("stream_offset", frame.offset);
    out.number("length", frame.length);
    out.boolean("complete", frame.complete);
    out.text("payload", &STANDARD.encode(&frame.bytes));
    out.text("payload_printable", &super::alert::printable(&frame.bytes));
}
