//! What rules see of DNS.

use net::app::dns::{Message, Rdata};
use signature::{Buffer, Number, View};

pub(super) fn buffer(message: &Message, buffer: Buffer, at: u32) -> View<'_> {
    use Buffer as B;
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let name = match buffer {
        B::DnsQuery | B::DnsQueriesRrname | B::MdnsQueriesRrname | B::LlmnrQueriesRrname => {
            message.queries.get(at).map(|q| q.name.as_slice())
        }
        B::DnsAnswersRrname | B::MdnsAnswersRrname | B::LlmnrAnswersRrname => {
            message.answers.get(at).map(|a| a.name.as_slice())
        }
        B::DnsAuthoritiesRrname | B::MdnsAuthoritiesRrname | B::LlmnrAuthoritiesRrname => {
            message.authorities.get(at).map(|a| a.name.as_slice())
        }
        B::DnsAdditionalsRrname | B::MdnsAdditionalsRrname | B::LlmnrAdditionalsRrname => {
            message.additionals.get(at).map(|a| a.name.as_slice())
        }
        B::DnsResponseRrname | B::MdnsResponseRrname | B::LlmnrResponseRrname
            if message.is_response() =>
        {
            response_names(message).nth(at)
        }
        _ => None,
    };
    name.map_or(View::Absent, View::whole)
}

/// All names of a response: questions, owners of records, and names that are data.
fn response_names(message: &Message) -> impl Iterator<Item = &[u8]> {
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let records = sections.into_iter().flatten();
    let names = records.flat_map(|answer| {
        let data: [Option<&[u8]>; 2] = match &answer.data {
            Rdata::Name(name) | Rdata::Mx(_, name) | Rdata::Srv(_, _, _, name) => {
                [Some(name), None]
            }
            Rdata::Soa(soa) => [Some(&soa.mname), Some(&soa.rname)],
            _ => [None, None],
        };
        std::iter::once(answer.name.as_slice()).chain(data.into_iter().flatten())
    });
    message.queries.iter().map(|query| query.name.as_slice()).chain(names)
}

pub(super) fn number(message: &Message, number: Number, at: u32) -> Option<u64> {
    match number {
        Number::DnsOpcode if at == 0 => Some(u64::from(message.opcode())),
        Number::DnsRcode if at == 0 => Some(u64::from(message.rcode())),
        Number::DnsRrtype => {
            let at = usize::try_from(at).ok()?;
            let kind = if message.is_response() {
                message.answers.get(at)?.kind
            } else {
                message.queries.get(at)?.kind
            };
            Some(kind.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_section_and_all_of_a_response() {
        let mut bytes = b"\x12\x34\x80\0\0\x01\0\x01\0\x01\0\x01\x01q\0\0\x0c\0\x01".to_vec();
        bytes.extend_from_slice(b"\xc0\x0c\0\x0c\0\x01\0\0\0\0\0\x05\x03ptr\0");
        bytes.extend_from_slice(b"\x01z\0\0\x02\0\x01\0\0\0\0\0\x04\x02ns\0");
        bytes.extend_from_slice(b"\x03add\0\0\x01\0\x01\0\0\0\0\0\x04\x01\x02\x03\x04");
        let (message, whole) = net::app::dns::parse(&bytes).unwrap();
        assert!(whole);
        let all = |wanted: Buffer| -> Vec<String> {
            (0..)
                .map(|at| buffer(&message, wanted, at))
                .map_while(|view| match view {
                    View::Data { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
                    _ => None,
                })
                .collect()
        };
        assert_eq!(all(Buffer::DnsQueriesRrname), ["q"]);
        assert_eq!(all(Buffer::MdnsAnswersRrname), ["q"]);
        assert_eq!(all(Buffer::LlmnrAuthoritiesRrname), ["z"]);
        assert_eq!(all(Buffer::DnsAdditionalsRrname), ["add"]);
        assert_eq!(all(Buffer::DnsResponseRrname), ["q", "q", "ptr", "z", "ns", "add"]);
    }
}
