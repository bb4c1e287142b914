//! Records of flows under EVE's names: addresses, ports and protocol, and what EVE's `netflow` has;
//! every other element below `netflow.elements` under its name in the IANA registry of IPFIX.

use std::net::{IpAddr, SocketAddr};

use event::{Event, Kind, Object, Timestamp, set};
use netflow_parser::protocol::ProtocolTypes;
use netflow_parser::static_versions::{v5, v7};
use netflow_parser::variable_versions::field_value::{DataNumber, DurationValue, FieldValue};
use netflow_parser::variable_versions::ipfix::lookup::{IANAIPFixField as Element, IPFixField};
use serde_json::Value;

use super::Header;

/// Seconds between the epochs of NTP (1900) and Unix.
const NTP: i64 = 2_208_988_800;
/// Elements of a record that are kept beyond those with a name of ours.
const MAX_ELEMENTS: usize = 64;
/// Flows that say they ended longer before their datagram, or behind it, are dated by that, µs.
const PLAUSIBLE: (i64, i64) = (86_400_000_000, 60_000_000);

/// What a flow is known by.
#[derive(Debug, Default)]
struct Flow {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: Option<u64>,
    destination_port: Option<u64>,
    protocol: Option<u64>,
    packets: Option<u64>,
    octets: Option<u64>,
    flags: Option<u64>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    icmp: Option<(u64, u64)>,
    elements: Object,
    /// Elements that found no room among these.
    dropped: u64,
}

/// The flow of a record without a template: versions 5 and 7 have types of their own and the same names.
macro_rules! fixed {
    ($record:ident, $header:ident) => {
        Flow {
            source: Some($record.src_addr.into()),
            destination: Some($record.dst_addr.into()),
            source_port: Some($record.src_port.into()),
            destination_port: Some($record.dst_port.into()),
            protocol: Some($record.protocol_number.into()),
            packets: Some($record.d_pkts.into()),
            octets: Some($record.d_octets.into()),
            flags: Some($record.tcp_flags.into()),
            start: $header.at_uptime($record.first),
            end: $header.at_uptime($record.last),
            ..Flow::default()
        }
    };
}

pub(super) fn v5(
    packet: &v5::V5,
    exporter: SocketAddr,
    now: Timestamp,
    out: &mut Vec<Event>,
) -> (Header, u32) {
    let head = &packet.header;
    let header = Header {
        version: 5,
        sent: Timestamp::from_seconds(head.unix_secs.into()),
        uptime: Some(head.sys_up_time),
        exporter,
        domain: u32::from(head.engine_type) << 8 | u32::from(head.engine_id),
    };
    for record in &packet.flowsets {
        let mut flow = fixed!(record, header);
        flow.numbers(&[
            ("ingressInterface", record.input.into()),
            ("egressInterface", record.output.into()),
            ("ipClassOfService", record.tos.into()),
            ("bgpSourceAsNumber", record.src_as.into()),
            ("bgpDestinationAsNumber", record.dst_as.into()),
            ("samplingInterval", (head.sampling_interval & 0x3fff).into()),
        ]);
        out.push(flow.into_event(&header, now));
    }
    (header, head.flow_sequence)
}

pub(super) fn v7(
    packet: &v7::V7,
    exporter: SocketAddr,
    now: Timestamp,
    out: &mut Vec<Event>,
) -> (Header, u32) {
    let head = &packet.header;
    let header = Header {
        version: 7,
        sent: Timestamp::from_seconds(head.unix_secs.into()),
        uptime: Some(head.sys_up_time),
        exporter,
        domain: 0,
    };
    for record in &packet.flowsets {
        let mut flow = fixed!(record, header);
        flow.numbers(&[
            ("ingressInterface", record.input.into()),
            ("egressInterface", record.output.into()),
        ]);
        out.push(flow.into_event(&header, now));
    }
    (header, head.flow_sequence)
}

/// A record of NetFlow 9 or IPFIX.
pub(super) fn of_fields(
    fields: impl Iterator<Item = (IPFixField, FieldValue)>,
    header: &Header,
    now: Timestamp,
) -> Event {
    let mut flow = Flow::default();
    for (field, value) in fields {
        match field {
            IPFixField::IANA(element) => flow.element(element, &value, header),
            IPFixField::ReverseInformationElement(element) => {
                flow.other(&name(&format!("{element:?}")), &value);
            }
            other => flow.other(&other_name(&other), &value),
        }
    }
    flow.into_event(header, now)
}

/// `OctetDeltaCount` as the registry writes it.
fn name(debug: &str) -> String {
    let mut chars = debug.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).filter(char::is_ascii_alphanumeric).collect()
}

fn other_name(field: &IPFixField) -> String {
    match field {
        IPFixField::Enterprise { enterprise_number, field_number } => {
            format!("enterprise{enterprise_number}Element{field_number}")
        }
        other => name(&format!("{other:?}")),
    }
}

impl Header {
    /// The time at which the exporter had been up for `milliseconds`; its counter wraps after 49 days.
    fn at_uptime(&self, milliseconds: u32) -> Option<Timestamp> {
        let ago = i64::from(self.uptime?.wrapping_sub(milliseconds));
        Some(Timestamp::from_micros(self.sent.micros().saturating_sub(ago.saturating_mul(1_000))))
    }
}

fn number(value: &FieldValue) -> Option<u64> {
    Some(match value {
        FieldValue::DataNumber(number) => match number {
            DataNumber::U8(value) => (*value).into(),
            DataNumber::U16(value) => (*value).into(),
            DataNumber::U24(value) | DataNumber::U32(value) => (*value).into(),
            DataNumber::U64(value) => *value,
            DataNumber::U128(value) => u64::try_from(*value).ok()?,
            DataNumber::I8(value) => u64::try_from(*value).ok()?,
            DataNumber::I16(value) => u64::try_from(*value).ok()?,
            DataNumber::I24(value) | DataNumber::I32(value) => u64::try_from(*value).ok()?,
            DataNumber::I64(value) => u64::try_from(*value).ok()?,
            DataNumber::I128(value) => u64::try_from(*value).ok()?,
            DataNumber::Vec(_) => return None,
        },
        FieldValue::ProtocolType(protocol) => u8::from(*protocol).into(),
        FieldValue::TcpControlBits(bits, _) => u16::from(*bits).into(),
        FieldValue::FlowEndReason(reason) => u8::from(*reason).into(),
        _ => return None,
    })
}

fn time(value: &FieldValue) -> Option<Timestamp> {
    let FieldValue::Duration(value) = value else { return None };
    let micros = match value {
        DurationValue::Seconds { value, .. } => {
            i64::try_from(*value).ok()?.checked_mul(1_000_000)?
        }
        DurationValue::Millis { value, .. } => i64::try_from(*value).ok()?.checked_mul(1_000)?,
        DurationValue::MicrosNtp { seconds, fraction }
        | DurationValue::NanosNtp { seconds, fraction } => {
            let seconds = i64::from(*seconds).saturating_sub(NTP).saturating_mul(1_000_000);
            let part = u64::from(*fraction).saturating_mul(1_000_000) >> 32;
            seconds.saturating_add(i64::try_from(part).ok()?)
        }
    };
    Some(Timestamp::from_micros(micros))
}

fn address(value: &FieldValue) -> Option<IpAddr> {
    IpAddr::try_from(value).ok()
}

impl Flow {
    fn numbers(&mut self, numbers: &[(&str, u64)]) {
        for (name, number) in numbers.iter().filter(|(_, number)| *number != 0) {
            self.elements.insert((*name).to_owned(), (*number).into());
        }
    }

    /// Takes an element of the registry.
    fn element(&mut self, element: Element, value: &FieldValue, header: &Header) {
        let uptime = || match value {
            FieldValue::Duration(DurationValue::Millis { value, .. }) => {
                header.at_uptime(u32::try_from(*value).ok()?)
            }
            value => header.at_uptime(u32::try_from(number(value)?).ok()?),
        };
        match element {
            Element::SourceIpv4address | Element::SourceIpv6address => {
                self.source = address(value).or(self.source);
            }
            Element::DestinationIpv4address | Element::DestinationIpv6address => {
                self.destination = address(value).or(self.destination);
            }
            Element::SourceTransportPort => self.source_port = number(value),
            Element::DestinationTransportPort => self.destination_port = number(value),
            Element::ProtocolIdentifier => self.protocol = number(value),
            Element::PacketDeltaCount | Element::PacketTotalCount => {
                self.packets = self.packets.or_else(|| number(value));
            }
            Element::OctetDeltaCount | Element::OctetTotalCount => {
                self.octets = self.octets.or_else(|| number(value));
            }
            Element::TcpControlBits => self.flags = number(value),
            Element::FlowStartSysUpTime => self.start = self.start.or_else(uptime),
            Element::FlowEndSysUpTime => self.end = self.end.or_else(uptime),
            Element::FlowStartSeconds
            | Element::FlowStartMilliseconds
            | Element::FlowStartMicroseconds
            | Element::FlowStartNanoseconds => self.start = time(value),
            Element::FlowEndSeconds
            | Element::FlowEndMilliseconds
            | Element::FlowEndMicroseconds
            | Element::FlowEndNanoseconds => self.end = time(value),
            Element::IcmpTypeCodeIpv4 | Element::IcmpTypeCodeIpv6 => {
                self.icmp = number(value).map(|both| (both >> 8 & 0xff, both & 0xff));
            }
            other => self.other(&name(&format!("{other:?}")), value),
        }
    }

    /// Keeps an element under its own name.
    fn other(&mut self, name: &str, value: &FieldValue) {
        if self.elements.len() >= MAX_ELEMENTS {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let held = match value {
            FieldValue::String(text) => Value::String(text.value.clone()),
            FieldValue::Float64(number) => {
                serde_json::Number::from_f64(*number).map_or(Value::Null, Value::Number)
            }
            FieldValue::Vec(bytes) => Value::String(hex(bytes)),
            FieldValue::MacAddr(_) => String::try_from(value).map_or(Value::Null, Value::String),
            FieldValue::Duration(_) => {
                time(value).map_or(Value::Null, |time| time.to_string().into())
            }
            value => match (address(value), number(value)) {
                (Some(address), _) => Value::String(address.to_string()),
                // Nothing was measured: exporters fill fields of fixed templates with zeros.
                (_, Some(0)) => return,
                (_, Some(number)) => number.into(),
                _ => Value::String(format!("{value:?}").chars().take(256).collect()),
            },
        };
        self.elements.insert(name.to_owned(), held);
    }

    fn into_event(self, header: &Header, now: Timestamp) -> Event {
        let mut fields = Object::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                set(&mut fields, name, value);
            }
        };
        let ports = !matches!(self.protocol, Some(1 | 58));
        put("src_ip", self.source.map(|address| address.to_string().into()));
        put("src_port", self.source_port.filter(|_| ports).map(Into::into));
        put("dest_ip", self.destination.map(|address| address.to_string().into()));
        put("dest_port", self.destination_port.filter(|_| ports).map(Into::into));
        put("proto", self.protocol.map(|number| protocol(number).into()));
        // The destination's port of ICMP is type and code in versions without an element of their own.
        let packed = self.destination_port.filter(|_| !ports);
        let icmp = self.icmp.or_else(|| packed.map(|both| (both >> 8 & 0xff, both & 0xff)));
        put("icmp_type", icmp.filter(|_| !ports).map(|icmp| icmp.0.into()));
        put("icmp_code", icmp.filter(|_| !ports).map(|icmp| icmp.1.into()));
        put("netflow.pkts", self.packets.map(Into::into));
        put("netflow.bytes", self.octets.map(Into::into));
        put("netflow.start", self.start.map(|time| time.to_string().into()));
        put("netflow.end", self.end.map(|time| time.to_string().into()));
        let age = self.start.zip(self.end).map(|(start, end)| end.micros_since(start) / 1_000_000);
        put("netflow.age", age.filter(|age| *age >= 0).map(Into::into));
        put(
            "tcp.tcp_flags",
            self.flags
                .filter(|_| self.protocol == Some(6))
                .map(|flags| format!("{flags:02x}").into()),
        );
        let elements = (!self.elements.is_empty()).then_some(Value::Object(self.elements));
        put("netflow.elements", elements);
        put("netflow.dropped_elements", (self.dropped > 0).then(|| self.dropped.into()));
        put("netflow.version", Some(header.version.into()));
        put("observer.ip", Some(header.exporter.ip().to_string().into()));
        put("netflow.domain", Some(header.domain.into()));
        put("event.module", Some("netflow".into()));
        let near = |time: &Timestamp| {
            let before = header.sent.micros_since(*time);
            before < PLAUSIBLE.0 && before > PLAUSIBLE.1.saturating_neg()
        };
        let time = self.end.filter(near).unwrap_or(header.sent);
        Event { seq: 0, time, seen: now, kind: Kind::Other("netflow".into()), fields }
    }
}

/// EVE's name of a protocol.
fn protocol(number: u64) -> String {
    match number {
        1 => "ICMP".to_owned(),
        2 => "IGMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        47 => "GRE".to_owned(),
        50 => "ESP".to_owned(),
        51 => "AH".to_owned(),
        58 => "IPv6-ICMP".to_owned(),
        132 => "SCTP".to_owned(),
        other => {
            let known = u8::try_from(other).map(ProtocolTypes::from);
            match known {
                Ok(ProtocolTypes::Unknown(_)) | Err(_) => other.to_string(),
                Ok(known) => format!("{known:?}").to_uppercase(),
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(256).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
