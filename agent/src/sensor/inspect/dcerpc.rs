//! What rules see of DCERPC, by itself or in pipes of SMB.

use net::Direction;
use net::app::dcerpc::Call;
use signature::{Buffer, Inspect, Number, View};

use super::{TxView, non_empty, our_direction};

pub(super) fn buffer<'a>(
    view: &TxView<'_>,
    call: &'a Call,
    (buffer, at): (Buffer, u32),
    dir: signature::Direction,
) -> View<'a> {
    match buffer {
        Buffer::DcerpcStubData if at == 0 => {
            if !view.is_complete(dir) {
                return View::Pending;
            }
            non_empty(&call.half(our_direction(dir)).stub)
        }
        _ => View::Absent,
    }
}

pub(super) fn number(call: &Call, number: Number, dir: Direction) -> Option<u64> {
    match number {
        Number::DcerpcOpnum => call.opnum.map(u64::from),
        Number::DcerpcLittleEndian => Some(u64::from(call.half(dir).little)),
        _ => None,
    }
}

/// The interface a request is of, when the server has accepted it.
pub(super) fn interface(call: &Call) -> Option<([u8; 16], u16, bool)> {
    let interface = call.interfaces.first().filter(|_| call.is_request())?;
    let accepted = interface.answer.is_some_and(|(result, _)| result == 0);
    accepted.then_some((interface.uuid, interface.version.0, interface.first))
}
