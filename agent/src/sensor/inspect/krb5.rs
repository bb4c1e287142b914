//! What rules see of Kerberos.

use net::app::krb5::{Message, is_weak};
use signature::{Buffer, Number, View};

/// A component of a name is an instance.
pub(super) fn buffer(message: &Message, buffer: Buffer, at: u32) -> View<'_> {
    let principal = match buffer {
        Buffer::Krb5Cname => &message.client,
        Buffer::Krb5Sname => &message.service,
        _ => return View::Absent,
    };
    let components = principal.as_ref().map(|principal| principal.components.as_slice());
    let component = usize::try_from(at).ok().and_then(|at| components?.get(at));
    // An empty component is one nevertheless: those behind it keep their places.
    component.map_or(View::Absent, |component| View::whole(component))
}

pub(super) fn number(message: &Message, number: Number) -> Option<u64> {
    match number {
        Number::Krb5MsgType => Some(message.kind.into()).filter(|kind| *kind > 0),
        Number::Krb5ErrCode => message.error.and_then(|code| u64::try_from(code).ok()),
        Number::Krb5TicketEncryption => {
            message.ticket_encryption.map(|cipher| cipher.cast_unsigned().into())
        }
        Number::Krb5TicketWeak => message.ticket_encryption.map(|cipher| is_weak(cipher).into()),
        _ => None,
    }
}
