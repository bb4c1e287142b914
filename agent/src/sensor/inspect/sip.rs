//! What rules see of SIP.

use net::app::sip::Message;
use signature::{Buffer, View};

use super::non_empty;

pub(super) fn buffer(message: &Message, buffer: Buffer, at: u32) -> View<'_> {
    let header = match buffer {
        Buffer::SipFrom => "from",
        Buffer::SipTo => "to",
        Buffer::SipVia => "via",
        Buffer::SipUserAgent => "user-agent",
        Buffer::SipContentType => "content-type",
        Buffer::SipContentLength => "content-length",
        _ if at > 0 => return View::Absent,
        _ => return line(message, buffer),
    };
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    message.values(header).nth(at).map_or(View::Absent, View::whole)
}

/// Parts of the first line.
fn line(message: &Message, buffer: Buffer) -> View<'_> {
    match (buffer, message.response) {
        (Buffer::SipProtocol, _) => non_empty(&message.protocol),
        (Buffer::SipMethod, false) | (Buffer::SipStatCode, true) => non_empty(&message.verb),
        (Buffer::SipUri, false) | (Buffer::SipStatMsg, true) => non_empty(&message.object),
        (Buffer::SipRequestLine, false) | (Buffer::SipResponseLine, true) => {
            non_empty(&message.line)
        }
        _ => View::Absent,
    }
}
