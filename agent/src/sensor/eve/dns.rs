//! `dns` objects, version 3.

use std::net::IpAddr;

use net::Protocol;
use net::app::dns::{Answer, Message, Rdata};
use serde_json::json;

use super::fields::{Brief as _, Fields, Text};
use super::{Object, text};

/// The object of a message, under the name of its protocol.
pub(crate) fn of_flow<F: Fields>(record: &mut F, flow: &net::Flow, message: &Message, tx_id: u64) {
    match flow.protocol() {
        protocol @ (Protocol::Mdns | Protocol::Llmnr) => {
            record.object(protocol.name(), |out| local(out, message));
        }
        _ => record.object("dns", |dns| self::message(dns, message, tx_id)),
    }
}

/// Whether a question or a record of the message has one of these types.
pub(crate) fn has_type(message: &Message, types: &[u16]) -> bool {
    let sections = [&message.answers, &message.authorities, &message.additionals];
    let kinds = message.queries.iter().map(|query| query.kind);
    let mut kinds = kinds.chain(sections.into_iter().flatten().map(|answer| answer.kind));
    kinds.any(|kind| types.contains(&kind))
}

/// The `dns` object in version 2: one question of a request, or a response.
pub(crate) fn version_2<F: Fields>(dns: &mut F, message: &Message, place: (usize, u64)) {
    let (at, tx_id) = place;
    dns.number("version", 2);
    dns.text("type", if message.is_response() { "answer" } else { "query" });
    dns.number("id", message.id.into());
    if let Some(query) = message.queries.get(at) {
        dns.bytes("rrname", &query.name);
        type_name(dns, query.kind);
    }
    if !message.is_response() {
        dns.number("tx_id", tx_id);
        return dns.number("opcode", message.opcode().into());
    }
    header_flags(dns, message.flags);
    dns.number("opcode", message.opcode().into());
    rcode_name(dns, message.rcode());
    for (name, section) in [("answers", &message.answers), ("authorities", &message.authorities)] {
        if !section.is_empty() {
            dns.objects(name, section.iter(), answer);
        }
    }
    grouped(dns, &message.answers);
}

/// The object of mDNS (RFC 6762) and LLMNR (RFC 4795): types in lower case, data under its type.
fn local<F: Fields>(out: &mut F, message: &Message) {
    out.text("type", if message.is_response() { "response" } else { "request" });
    out.number("id", message.id.into());
    header_flags(out, message.flags);
    out.number("opcode", message.opcode().into());
    if message.rcode() != 0 {
        rcode_name(out, message.rcode());
    }
    if !message.queries.is_empty() {
        out.objects("queries", message.queries.iter(), |query, q| {
            query.bytes("rrname", &q.name);
            query.text("rrtype", &lower_type(q.kind));
        });
    }
    for (name, section) in [
        ("answers", &message.answers),
        ("authorities", &message.authorities),
        ("additionals", &message.additionals),
    ] {
        if !section.is_empty() {
            // Strings of one record stand together.
            let firsts = section.iter().enumerate().filter(|(at, answer)| {
                let before = at.checked_sub(1).and_then(|at| section.get(at));
                !(matches!(answer.data, Rdata::Text(_))
                    && before.is_some_and(|b| b.kind == answer.kind && b.name == answer.name))
            });
            out.objects(name, firsts, |record, (at, answer)| {
                local_answer(record, answer, section.get(at..).unwrap_or_default());
            });
        }
    }
}

fn local_answer<F: Fields>(record: &mut F, answer: &Answer, rest: &[Answer]) {
    record.bytes("rrname", &answer.name);
    let kind = lower_type(answer.kind);
    match &answer.data {
        Rdata::Address(address) => record.address(&kind, *address, false),
        Rdata::Name(name) | Rdata::Mx(_, name) => record.bytes(&kind, name),
        Rdata::Text(_) => {
            let same = rest
                .iter()
                .take_while(|other| other.kind == answer.kind && other.name == answer.name);
            record.texts(&kind, same.filter_map(|other| plain(&other.data)));
        }
        _ => {
            record.text("rrtype", &kind);
            answer_data(record, &answer.data);
        }
    }
}

fn lower_type(kind: u16) -> String {
    let mut record = Object::new();
    type_name(&mut record, kind);
    record.get("rrtype").and_then(|name| name.as_str()).unwrap_or_default().to_lowercase()
}

/// The `dns` object of a message.
pub(crate) fn message<F: Fields>(dns: &mut F, message: &Message, tx_id: u64) {
    let flags = message.flags;
    dns.brief(|out| {
        out.number("version", 3);
        if message.is_response() {
            out.word("type", "response");
        } else {
            out.word("type", "request");
        }
        out.number("tx_id", tx_id);
        out.number("id", message.id.into());
    });
    dns.same(flags, |dns| {
        header_flags(dns, flags);
        dns.number("opcode", message.opcode().into());
        rcode_name(dns, message.rcode());
    });
    if !message.queries.is_empty() {
        dns.objects("queries", message.queries.iter(), |query, q| {
            query.bytes("rrname", &q.name);
            type_name(query, q.kind);
        });
    }
    if !message.answers.is_empty() {
        dns.objects("answers", message.answers.iter(), answer);
    }
    if !message.authorities.is_empty() {
        dns.objects("authorities", message.authorities.iter(), answer);
    }
    if !message.additionals.is_empty() {
        dns.objects("additionals", message.additionals.iter(), answer);
    }
    if !message.answers.is_empty() {
        grouped(dns, &message.answers);
    }
}

/// Adds the flags word and the flags that are set in it.
fn header_flags<F: Fields>(dns: &mut F, flags: u16) {
    hex(dns, flags);
    for (bit, name) in [
        (0x8000, "qr"),
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0040, "z"),
    ] {
        if flags & bit != 0 {
            dns.boolean(name, true);
        }
    }
}

/// Adds the flags word in hexadecimal digits, without leading zeros.
fn hex<F: Fields>(dns: &mut F, flags: u16) {
    let [high, low] = flags.to_be_bytes();
    let digits = [high >> 4, high & 15, low >> 4, low & 15].map(|nibble| {
        let first = if nibble < 10 { b'0' } else { b'a' - 10 };
        first + nibble
    });
    let zeros = (flags.leading_zeros() / 4).min(3) as usize;
    dns.bytes("flags", &digits[zeros..]);
}

fn answer<F: Fields>(record: &mut F, answer: &Answer) {
    record.bytes("rrname", &answer.name);
    // What most answers are.
    if let (1, Rdata::Address(IpAddr::V4(address))) = (answer.kind, &answer.data) {
        return record.brief(|out| {
            out.word("rrtype", "A");
            out.number("ttl", answer.ttl.into());
            out.v4("rdata", *address);
        });
    }
    type_name(record, answer.kind);
    record.number("ttl", answer.ttl.into());
    answer_data(record, &answer.data);
}

fn answer_data<F: Fields>(record: &mut F, data: &Rdata) {
    match data {
        Rdata::Soa(soa) => {
            let [serial, refresh, retry, expire, minimum] = soa.numbers;
            record.value(
                "soa",
                json!({"mname": text(&soa.mname), "rname": text(&soa.rname), "serial": serial,
                    "refresh": refresh, "retry": retry, "expire": expire, "minimum": minimum}),
            );
        }
        Rdata::Srv(priority, weight, port, name) => {
            record.value(
                "srv",
                json!({"priority": priority, "weight": weight, "port": port, "name": text(name)}),
            );
        }
        Rdata::Sshfp(algorithm, kind, fingerprint) => {
            let hex: Vec<String> = fingerprint.iter().map(|b| format!("{b:02x}")).collect();
            record.value(
                "sshfp",
                json!({"fingerprint": hex.join(":"), "algo": algorithm, "type": kind}),
            );
        }
        Rdata::Address(address) => record.address("rdata", *address, false),
        Rdata::Name(name) | Rdata::Text(name) | Rdata::Mx(_, name) => record.bytes("rdata", name),
        _ => {}
    }
}

fn plain(data: &Rdata) -> Option<Text<'_>> {
    match data {
        Rdata::Address(address) => Some(Text::Address(*address)),
        Rdata::Name(name) | Rdata::Text(name) | Rdata::Mx(_, name) => Some(Text::Bytes(name)),
        _ => None,
    }
}

/// Place of a type among the groups, in their order.
fn group_of(kind: u16) -> Option<usize> {
    match kind {
        1 => Some(0),
        2 => Some(1),
        5 => Some(2),
        12 => Some(3),
        15 => Some(4),
        16 => Some(5),
        28 => Some(6),
        _ => None,
    }
}

/// Adds the answers by type: only those with plain data.
fn grouped<F: Fields>(dns: &mut F, answers: &[Answer]) {
    // A bit for each group that is there.
    let mut there = 0_u8;
    for answer in answers {
        if let Some(place) = group_of(answer.kind)
            && plain(&answer.data).is_some()
        {
            there |= 1 << place;
        }
    }
    if there == 0 {
        return;
    }
    let of = |place: usize| {
        let of = answers.iter().filter(move |answer| group_of(answer.kind) == Some(place));
        of.filter_map(|answer| plain(&answer.data))
    };
    dns.object("grouped", |groups| {
        while there != 0 {
            let place = there.trailing_zeros() as usize;
            there &= there - 1;
            match place {
                0 => groups.texts("A", of(place)),
                1 => groups.texts("NS", of(place)),
                2 => groups.texts("CNAME", of(place)),
                3 => groups.texts("PTR", of(place)),
                4 => groups.texts("MX", of(place)),
                5 => groups.texts("TXT", of(place)),
                _ => groups.texts("AAAA", of(place)),
            }
        }
    });
}

fn rcode_name<F: Fields>(record: &mut F, rcode: u16) {
    let name = match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        other => return record.text("rcode", &other.to_string()),
    };
    record.word("rcode", name);
}

/// Names of record types, by number (IANA registry).
const NAMES: &[(u16, &str)] = &[
    (1, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (11, "WKS"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (22, "NSAP"),
    (23, "NSAPPTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (28, "AAAA"),
    (29, "LOC"),
    (30, "NXT"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (38, "A6"),
    (39, "DNAME"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (49, "DHCID"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (55, "HIP"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
    (256, "URI"),
];

/// The number of a record type.
pub(crate) fn type_number(name: &str) -> Option<u16> {
    NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(number, _)| *number)
}

/// Adds the name of a record type (IANA registry), or its number.
fn type_name<F: Fields>(record: &mut F, kind: u16) {
    match kind {
        1 => record.word("rrtype", "A"),
        5 => record.word("rrtype", "CNAME"),
        28 => record.word("rrtype", "AAAA"),
        _ => rare_type_name(record, kind),
    }
}

/// Adds the name of any record type, or its number.
fn rare_type_name<F: Fields>(record: &mut F, kind: u16) {
    let name = match LOW_NAMES.get(usize::from(kind)) {
        Some(name) => *name,
        None => NAMES
            .binary_search_by_key(&kind, |(number, _)| *number)
            .ok()
            .and_then(|at| NAMES.get(at))
            .map_or("", |(_, name)| name),
    };
    if name.is_empty() {
        return record.text("rrtype", &kind.to_string());
    }
    record.word("rrtype", name);
}

/// The names of the types that nearly all records have, by number; empty where there is none.
const LOW_NAMES: [&str; 66] = {
    let mut names = [""; 66];
    let mut at = 0;
    while at < NAMES.len() {
        let (number, name) = NAMES[at];
        if (number as usize) < names.len() {
            names[number as usize] = name;
        }
        at += 1;
    }
    names
};

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn types_are_named_or_numbered() {
        let name = |kind| {
            let mut record = Object::new();
            type_name(&mut record, kind);
            record.remove("rrtype").unwrap()
        };
        assert_eq!(name(28), "AAAA");
        assert_eq!(name(65), "HTTPS");
        assert_eq!(name(65_280), "65280");
    }

    #[test]
    fn a_query_looks_like_this() {
        let bytes = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
        let (parsed, whole) = net::app::dns::parse(bytes).unwrap();
        assert!(whole);
        let mut record = Object::new();
        message(&mut record, &parsed, 0);
        expect_test::expect![[r#"{"version":3,"type":"request","tx_id":0,"id":4660,"flags":"100","rd":true,"opcode":0,"rcode":"NOERROR","queries":[{"rrname":"example.com","rrtype":"A"}]}"#]]
            .assert_eq(&Value::from(record).to_string());
    }

    /// A response: one question, an address, two strings, a name server.
    fn response() -> Message {
        let mut bytes = b"\x12\x34\x84\0\0\x01\0\x02\0\x01\0\0\x01a\x02ex\0\0\x01\0\x01".to_vec();
        bytes.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x09\0\x04\x0a\0\0\x01");
        bytes.extend_from_slice(b"\xc0\x0c\0\x10\0\x01\0\0\0\x09\0\x04\x01x\x01y");
        bytes.extend_from_slice(b"\xc0\x0e\0\x02\0\x01\0\0\0\x09\0\x05\x02ns\xc0\x0e");
        let (message, whole) = net::app::dns::parse(&bytes).unwrap();
        assert!(whole);
        message
    }

    #[test]
    fn version_2_and_local_names_have_shapes_of_their_own() {
        let mut record = Object::new();
        version_2(&mut record, &response(), (0, 7));
        expect_test::expect![[r#"{"version":2,"type":"answer","id":4660,"rrname":"a.ex","rrtype":"A","flags":"8400","qr":true,"aa":true,"opcode":0,"rcode":"NOERROR","answers":[{"rrname":"a.ex","rrtype":"A","ttl":9,"rdata":"10.0.0.1"},{"rrname":"a.ex","rrtype":"TXT","ttl":9,"rdata":"x"},{"rrname":"a.ex","rrtype":"TXT","ttl":9,"rdata":"y"}],"authorities":[{"rrname":"ex","rrtype":"NS","ttl":9,"rdata":"ns.ex"}],"grouped":{"A":["10.0.0.1"],"TXT":["x","y"]}}"#]]
            .assert_eq(&Value::from(record).to_string());
        let mut record = Object::new();
        local(&mut record, &response());
        expect_test::expect![[r#"{"type":"response","id":4660,"flags":"8400","qr":true,"aa":true,"opcode":0,"queries":[{"rrname":"a.ex","rrtype":"a"}],"answers":[{"rrname":"a.ex","a":"10.0.0.1"},{"rrname":"a.ex","txt":["x","y"]}],"authorities":[{"rrname":"ex","ns":"ns.ex"}]}"#]]
            .assert_eq(&Value::from(record).to_string());
    }

    #[test]
    fn messages_are_told_by_the_types_they_have() {
        let has = |name: &str| has_type(&response(), &[type_number(name).unwrap()]);
        assert!(has("A") && has("txt") && has("NS"));
        assert!(!has("MX"));
        assert_eq!(type_number("nonsense"), None);
    }
}
