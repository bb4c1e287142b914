//! What rules see of DNS.

use net::app::dns::Message;
use signature::{Buffer, Number, View};

pub(super) fn buffer(message: &Message, buffer: Buffer, at: u32) -> View<'_> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let name = match buffer {
        Buffer::DnsQuery | Buffer::DnsQueriesRrname => message.queries.get(at).map(|q| &q.name),
        Buffer::DnsAnswersRrname => message.answers.get(at).map(|a| &a.name),
        _ => None,
    };
    name.map_or(View::Absent, |name| View::whole(name))
}

pub(super) fn number(message: &Message, number: Number) -> Option<u64> {
    match number {
        Number::DnsOpcode => Some(u64::from(message.opcode())),
        Number::DnsRcode => Some(u64::from(message.rcode())),
        Number::DnsRrtype => Some(u64::from(message.queries.first()?.kind)),
        _ => None,
    }
}
