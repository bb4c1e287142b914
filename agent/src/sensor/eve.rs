//! Records with the names and shapes of Suricata's EVE log.
//!
//! Pure functions from what the engine found to JSON objects. The fields common to all records are
//! made here; each kind of record has its file.

pub(crate) mod alert;
pub(crate) mod anomaly;
pub(crate) mod dns;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod ftp;
pub(crate) mod http;
pub(crate) mod smtp;
pub(crate) mod ssh;
pub(crate) mod stats;
pub(crate) mod tls;

use std::net::IpAddr;

use net::{Direction, Flow, Packet};
use serde_json::{Map, Value, json};

use super::settings::RecordOptions;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// `2026-01-31T23:59:59.000000+0000`.
pub(crate) fn timestamp(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.%6f+0000").to_string(),
        Err(_) => "1970-01-01T00:00:00.000000+0000".to_owned(),
    }
}

/// Bytes of a field as text; what is not UTF-8 is escaped as `\xNN`.
pub(crate) fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(bytes.escape_ascii().to_string()),
    }
}

/// An address; IPv6 with or without compression of zeros.
pub(crate) fn address(address: IpAddr, compress: bool) -> Value {
    match address {
        IpAddr::V6(v6) if !compress => {
            let parts: Vec<String> = v6.segments().iter().map(|s| format!("{s:04x}")).collect();
            Value::from(parts.join(":"))
        }
        other => Value::from(other.to_string()),
    }
}

/// The name of an IP protocol.
pub(crate) fn proto_name(proto: u8) -> Value {
    let name = match proto {
        1 => "ICMP",
        2 => "IGMP",
        6 => "TCP",
        17 => "UDP",
        41 => "IPv6",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "IPv6-ICMP",
        132 => "SCTP",
        other => return Value::from(format!("{other:03}")),
    };
    Value::from(name)
}

/// What every record begins with.
pub(crate) struct Head<'a> {
    pub(crate) kind: &'static str,
    /// Microseconds since the epoch.
    pub(crate) ts: i64,
    /// Number of the packet that caused the record; 0 for none.
    pub(crate) packet: u64,
    pub(crate) options: &'a RecordOptions,
}

impl Head<'_> {
    fn begin(&self) -> Object {
        let mut record = Object::new();
        record.insert("timestamp".into(), timestamp(self.ts).into());
        record
    }

    fn kind(&self, record: &mut Object) {
        if self.packet > 0 {
            record.insert("pcap_cnt".into(), self.packet.into());
        }
        record.insert("event_type".into(), self.kind.into());
    }

    /// A record about a flow, seen in a direction.
    pub(crate) fn of_flow(&self, flow: &Flow, dir: Direction) -> Object {
        let mut record = self.begin();
        record.insert("flow_id".into(), flow.id().0.into());
        self.kind(&mut record);
        let vlan = flow.key().vlan();
        let tags: Vec<u16> = vlan.iter().copied().filter(|id| *id != 0).collect();
        if !tags.is_empty() {
            record.insert("vlan".into(), json!(tags));
        }
        let (src, dst) = flow.endpoints(dir);
        let with_ports = matches!(flow.proto(), 6 | 17 | 132);
        self.endpoints(&mut record, src, dst, with_ports);
        record.insert("proto".into(), proto_name(flow.proto()));
        record
    }

    /// A record about a packet without a flow.
    pub(crate) fn of_packet(&self, packet: &Packet<'_>) -> Object {
        let mut record = self.begin();
        self.kind(&mut record);
        let vlan = packet.vlan.ids();
        if !vlan.is_empty() {
            record.insert("vlan".into(), json!(vlan));
        }
        if packet.ip_version() == 0 {
            return record;
        }
        let (src_port, dst_port) = packet.ports();
        let with_ports = matches!(packet.proto, 6 | 17 | 132) && packet.fragment.is_none();
        self.endpoints(&mut record, (packet.src, src_port), (packet.dst, dst_port), with_ports);
        record.insert("proto".into(), proto_name(packet.proto));
        record
    }

    fn endpoints(
        &self,
        record: &mut Object,
        src: (IpAddr, u16),
        dst: (IpAddr, u16),
        with_ports: bool,
    ) {
        let compress = self.options.compress_ipv6;
        record.insert("src_ip".into(), address(src.0, compress));
        if with_ports {
            record.insert("src_port".into(), src.1.into());
        }
        record.insert("dest_ip".into(), address(dst.0, compress));
        if with_ports {
            record.insert("dest_port".into(), dst.1.into());
        }
    }
}

/// Adds `ether` with the addresses of a packet.
pub(crate) fn ethernet(record: &mut Object, mac: ([u8; 6], [u8; 6])) {
    let text = |mac: [u8; 6]| mac.map(|b| format!("{b:02x}")).join(":");
    record.insert("ether".into(), json!({"src_mac": text(mac.0), "dest_mac": text(mac.1)}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_addresses() {
        assert_eq!(timestamp(1_500_000_000_000_001), "2017-07-14T02:40:00.000001+0000");
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(address(v6, true), "2001:db8::1");
        assert_eq!(address(v6, false), "2001:0db8:0000:0000:0000:0000:0000:0001");
        assert_eq!(text(b"a\xffb"), "a\\xffb");
    }
}
