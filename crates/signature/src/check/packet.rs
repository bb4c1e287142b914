//! Keywords on packet headers, flow counters, events: `flow`, `dsize`, `flags`, `itype`, ...

use crate::{
    AppProto, IpOption, Number,
    check::{
        builder::{Builder, none, text},
        content::compare,
        layers, number,
        rule::{Cmp, FlagsMode, FlowTest, Side, Test, TxTest},
    },
    error::RuleError,
};

impl Builder<'_, '_> {
    /// Handles the keywords of this module.
    pub(super) fn packet_option(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<bool, RuleError> {
        let test = match name {
            "flow" => {
                let given = text(name, value)?;
                flow(&mut self.flow, given)?;
                return Ok(true);
            }
            "dsize" => Test::Dsize(compare(name, value, 65_535)?),
            "ttl" => Test::Ttl(compare(name, value, 255)?),
            "id" => Test::Id(compare(name, value, 65_535)?),
            "tos" => Test::Tos(compare(name, value, 255)?),
            "ip_proto" => Test::IpProto(ip_proto(value)?),
            "itype" => Test::Itype(compare(name, value, 255)?),
            "icode" => Test::Icode(compare(name, value, 255)?),
            "icmp_id" => Test::IcmpId(compare(name, unquoted(value), 65_535)?),
            "icmp_seq" => Test::IcmpSeq(compare(name, unquoted(value), 65_535)?),
            "icmpv6.mtu" => Test::IcmpMtu(compare(name, value, u64::from(u32::MAX))?),
            "seq" | "tcp.seq" => Test::Seq(compare(name, value, u64::from(u32::MAX))?),
            "ack" | "tcp.ack" => Test::Ack(compare(name, value, u64::from(u32::MAX))?),
            "window" | "tcp.window" => Test::Window(compare(name, value, 65_535)?),
            "tcp.mss" => Test::Mss(compare(name, value, 65_535)?),
            "tcp.wscale" => Test::Wscale(compare(name, value, 255)?),
            "fragoffset" => Test::FragOffset(compare(name, value, 65_535)?),
            "flags" | "tcp.flags" => tcp_flags(text(name, value)?)?,
            "fragbits" => frag_bits(text(name, value)?)?,
            "sameip" => {
                none(name, value)?;
                Test::SameIp
            }
            "ipopts" => ip_option(text(name, value)?)?,
            "flow.age" => Test::FlowAge(compare(name, value, u64::from(u32::MAX))?),
            "flow.pkts_toserver" => {
                Test::FlowPackets { side: Side::Client, cmp: compare(name, value, u64::MAX)? }
            }
            "flow.pkts_toclient" => {
                Test::FlowPackets { side: Side::Server, cmp: compare(name, value, u64::MAX)? }
            }
            "flow.bytes_toserver" => {
                Test::FlowBytes { side: Side::Client, cmp: compare(name, value, u64::MAX)? }
            }
            "flow.bytes_toclient" => {
                Test::FlowBytes { side: Side::Server, cmp: compare(name, value, u64::MAX)? }
            }
            "stream_size" | "flow.pkts" | "flow.bytes" => sided(name, text(name, value)?)?,
            "decode-event" | "stream-event" | "app-layer-event" | "engine-event" => {
                return self.event(name, text(name, value)?);
            }
            "tls.version" | "tls_version" | "ssl_version" => {
                return self.tls_version(name, text(name, value)?);
            }
            "dns.opcode" => {
                return self.number(
                    name,
                    Number::DnsOpcode,
                    compare(name, value, 255)?,
                    AppProto::Dns,
                );
            }
            "dns.rcode" => {
                return self.number(
                    name,
                    Number::DnsRcode,
                    compare(name, value, 65_535)?,
                    AppProto::Dns,
                );
            }
            _ => return layers::option(self, name, value),
        };
        self.tests.push(test);
        Ok(true)
    }

    /// A comparison of a number of the protocol.
    pub(super) fn number(
        &mut self,
        keyword: &str,
        number: Number,
        cmp: Cmp,
        proto: AppProto,
    ) -> Result<bool, RuleError> {
        self.imply(keyword, proto)?;
        self.tx_tests.push(TxTest::Number { number, cmp });
        Ok(true)
    }

    /// The keyword belongs to `proto`, which the header must allow and the sensor parse.
    pub(super) fn imply(&mut self, keyword: &str, proto: AppProto) -> Result<(), RuleError> {
        if !self.checker.support.parsed.contains(proto) {
            return Err(RuleError::unsupported(keyword, "the protocol is not parsed"));
        }
        match self.protocol.app {
            Some(app) if app.covers().common(proto.covers()).is_empty() => {
                Err(RuleError::misplaced(keyword, format!("does not exist in {}", app.name())))
            }
            // What the header says may be narrower than the keyword's protocol.
            Some(app) if app.covers().union(proto.covers()) == proto.covers() => Ok(()),
            _ => {
                self.protocol.app = Some(proto);
                Ok(())
            }
        }
    }

    fn tls_version(&mut self, keyword: &str, given: &str) -> Result<bool, RuleError> {
        let (cmp, plain): (fn(u64) -> Cmp, &str) = match given.strip_prefix('!') {
            Some(rest) => (Cmp::Ne, rest),
            None => (Cmp::Eq, given),
        };
        let version = match plain.trim().trim_matches('"') {
            "1.0" | "tls1.0" => 0x0301,
            "1.1" | "tls1.1" => 0x0302,
            "1.2" | "tls1.2" => 0x0303,
            "1.3" | "tls1.3" => 0x0304,
            "sslv3" => 0x0300,
            "sslv2" => 0x0002,
            other => {
                match other.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
                    Some(version) if version <= 0xffff => version,
                    _ => {
                        return Err(RuleError::value(
                            keyword,
                            given.as_bytes(),
                            "not one known version",
                        ));
                    }
                }
            }
        };
        self.number(keyword, Number::TlsVersion, cmp(version), AppProto::Tls)
    }

    fn event(&mut self, keyword: &str, given: &str) -> Result<bool, RuleError> {
        if keyword != "app-layer-event" {
            let prefix = if keyword == "stream-event" && !given.starts_with("stream.") {
                "stream."
            } else {
                ""
            };
            self.tests.push(Test::Event(format!("{prefix}{given}").into()));
            return Ok(true);
        }
        let (proto, _) = given.split_once('.').unwrap_or((given, ""));
        if proto == "applayer" || !given.contains('.') {
            self.tests.push(Test::Event(format!("app-layer.{given}").into()));
            return Ok(true);
        }
        let app = AppProto::from_name(proto)
            .ok_or_else(|| RuleError::value(keyword, given.as_bytes(), "unknown protocol"))?;
        self.imply(keyword, app)?;
        self.tx_tests.push(TxTest::Event { proto: app, name: given.into() });
        Ok(true)
    }
}

fn unquoted(value: Option<&[u8]>) -> Option<&[u8]> {
    match value {
        Some([b'"', inner @ .., b'"']) => Some(inner),
        other => other,
    }
}

fn flow(test: &mut FlowTest, given: &str) -> Result<(), RuleError> {
    let bad = |why: &str| RuleError::value("flow", given.as_bytes(), why);
    test.present = true;
    for part in given.split(',').map(str::trim) {
        let slot = match part.to_ascii_lowercase().as_str() {
            "established" => &mut test.established,
            "not_established" => &mut test.not_established,
            "stateless" => &mut test.stateless,
            "to_server" | "from_client" => &mut test.to_server,
            "to_client" | "from_server" => &mut test.to_client,
            "no_stream" => &mut test.no_stream,
            "only_stream" => &mut test.only_stream,
            "no_frag" => &mut test.no_frag,
            "only_frag" => &mut test.only_frag,
            _ => return Err(bad("unknown word")),
        };
        if *slot {
            return Err(bad("the same word twice"));
        }
        *slot = true;
    }
    let states =
        u8::from(test.established) + u8::from(test.not_established) + u8::from(test.stateless);
    let contradicts = (test.to_server && test.to_client)
        || (test.no_stream && test.only_stream)
        || (test.no_frag && test.only_frag);
    if states > 1 || contradicts {
        return Err(bad("contradicting words"));
    }
    Ok(())
}

fn ip_proto(value: Option<&[u8]>) -> Result<Cmp, RuleError> {
    let given = text("ip_proto", value)?;
    let names = [
        ("icmp", 1),
        ("igmp", 2),
        ("ipip", 4),
        ("tcp", 6),
        ("udp", 17),
        ("ipv6", 41),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("ipv6-icmp", 58),
        ("sctp", 132),
    ];
    let (negated, name) = match given.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, given),
    };
    match names.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, proto)) if negated => Ok(Cmp::Ne(*proto)),
        Some((_, proto)) => Ok(Cmp::Eq(*proto)),
        None => compare("ip_proto", value, 255),
    }
}

fn mode(text: &str) -> (FlagsMode, &str) {
    let text = text.trim();
    for (sign, mode) in [('+', FlagsMode::All), ('*', FlagsMode::Any), ('!', FlagsMode::Not)] {
        if let Some(rest) = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign)) {
            return (mode, rest);
        }
    }
    (FlagsMode::Exact, text)
}

fn flag_bits(letters: &str) -> Option<u8> {
    letters.chars().try_fold(0, |bits, letter| {
        let bit = match letter.to_ascii_uppercase() {
            'F' => 0x01,
            'S' => 0x02,
            'R' => 0x04,
            'P' => 0x08,
            'A' => 0x10,
            'U' => 0x20,
            'E' | '2' => 0x40,
            'C' | '1' => 0x80,
            '0' => 0,
            _ => return None,
        };
        Some(bits | bit)
    })
}

fn tcp_flags(given: &str) -> Result<Test, RuleError> {
    let bad = || RuleError::value("flags", given.as_bytes(), "not understood");
    let (first, second) = given.split_once(',').unwrap_or((given, ""));
    let (mode, letters) = mode(first);
    if letters.is_empty() {
        return Err(bad());
    }
    let want = flag_bits(letters.trim()).ok_or_else(bad)?;
    let ignore = flag_bits(second.trim()).ok_or_else(bad)?;
    Ok(Test::Flags { mode, want, ignore })
}

fn frag_bits(given: &str) -> Result<Test, RuleError> {
    let (mode, letters) = mode(given);
    let want = letters.chars().try_fold(0, |bits, letter| match letter.to_ascii_uppercase() {
        'M' => Some(bits | 1),
        'D' => Some(bits | 2),
        'R' => Some(bits | 4),
        _ => None,
    });
    match want {
        Some(want) if want != 0 => Ok(Test::FragBits { mode, want }),
        _ => Err(RuleError::value("fragbits", given.as_bytes(), "not understood")),
    }
}

fn ip_option(given: &str) -> Result<Test, RuleError> {
    let option = match given.to_ascii_lowercase().as_str() {
        "any" => return Ok(Test::IpOptions(None)),
        "rr" => IpOption::Rr,
        "lsrr" => IpOption::Lsrr,
        "eol" => IpOption::Eol,
        "nop" => IpOption::Nop,
        "ts" => IpOption::Ts,
        "sec" => IpOption::Sec,
        "esec" => IpOption::Esec,
        "ssrr" => IpOption::Ssrr,
        "satid" => IpOption::Satid,
        "rtralt" => IpOption::RouterAlert,
        "qs" => IpOption::QuickStart,
        "cipso" => IpOption::Cipso,
        _ => return Err(RuleError::value("ipopts", given.as_bytes(), "unknown option")),
    };
    Ok(Test::IpOptions(Some(option)))
}

/// `server,<,5` and `toserver,>10`.
fn sided(keyword: &str, given: &str) -> Result<Test, RuleError> {
    let bad = || RuleError::value(keyword, given.as_bytes(), "not understood");
    let (side, rest) = given.split_once(',').ok_or_else(bad)?;
    let side = match side.trim() {
        "server" if keyword == "stream_size" => Side::Server,
        "client" if keyword == "stream_size" => Side::Client,
        // What goes to the server the client sent.
        "toserver" => Side::Client,
        "toclient" => Side::Server,
        "both" => Side::Both,
        "either" => Side::Either,
        _ => return Err(bad()),
    };
    let rest: String = rest.chars().filter(|c| !matches!(c, ',' | ' ')).collect();
    let cmp = number::compare(&rest, u64::from(u32::MAX)).ok_or_else(bad)?;
    Ok(match keyword {
        "stream_size" => Test::StreamSize { side, cmp },
        "flow.pkts" => Test::FlowPackets { side, cmp },
        _ => Test::FlowBytes { side, cmp },
    })
}
