//! What rules see of WebSocket.

use net::app::websocket::Frame;
use signature::{Buffer, Number, View};

use super::non_empty;

pub(super) fn buffer(frame: &Frame, buffer: Buffer, at: u32) -> View<'_> {
    match (buffer, at) {
        (Buffer::WebsocketPayload, 0) => non_empty(&frame.payload),
        _ => View::Absent,
    }
}

pub(super) fn number(frame: &Frame, number: Number) -> Option<u64> {
    match number {
        Number::WebsocketOpcode => Some(frame.opcode.into()),
        Number::WebsocketMask => frame.mask.map(u64::from),
        Number::WebsocketFlags => Some(frame.flags().into()),
        _ => None,
    }
}
