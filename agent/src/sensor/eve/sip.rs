//! `sip` objects.

use net::app::sip::Message;

use super::fields::Fields;

/// The `sip` object of a message.
pub(crate) fn message<F: Fields>(out: &mut F, message: &Message) {
    let names = if message.response {
        ["code", "reason", "response_line"]
    } else {
        ["method", "uri", "request_line"]
    };
    let [verb, object, line] = names;
    out.bytes(verb, &message.verb);
    out.bytes(object, &message.object);
    out.bytes("version", &message.protocol);
    out.bytes(line, &message.line);
}
