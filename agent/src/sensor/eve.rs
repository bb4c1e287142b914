//! Records with the names and shapes of Suricata's EVE log.
//!
//! Pure functions from what the engine found to JSON objects. The fields common to all records are
//! made here; each kind of record has its file.

pub(crate) mod alert;
pub(crate) mod anomaly;
pub(crate) mod arp;
pub(crate) mod dcerpc;
pub(crate) mod dhcp;
pub(crate) mod dns;
pub(crate) mod fields;
pub(crate) mod file;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod ftp;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod krb5;
pub(crate) mod ldap;
pub(crate) mod ntp;
pub(crate) mod pop3;
pub(crate) mod quic;
pub(crate) mod rfb;
pub(crate) mod sip;
pub(crate) mod smb;
pub(crate) mod smtp;
pub(crate) mod snmp;
pub(crate) mod ssh;
pub(crate) mod stats;
pub(crate) mod tftp;
pub(crate) mod tls;
pub(crate) mod websocket;
pub(crate) mod xff;

use std::net::IpAddr;

use fields::{Brief as _, Fields};
use net::{Direction, Flow, FlowName, Packet};
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

/// Adds the name of an IP protocol, or its number.
fn proto<F: Fields>(record: &mut F, proto: u8) {
    let name = match proto {
        1 => "ICMP",
        2 => "IGMP",
        4 => "IP-in-IP",
        6 => "TCP",
        17 => "UDP",
        41 => "IPv6",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "IPv6-ICMP",
        132 => "SCTP",
        other => return record.text("proto", &format!("{other:03}")),
    };
    record.word("proto", name);
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
    fn begin<F: Fields>(&self, record: &mut F) {
        record.head(self.ts, self.kind);
        if self.packet > 0 {
            record.number("pcap_cnt", self.packet);
        }
    }

    /// A record about a flow, seen in a direction.
    pub(crate) fn of_flow<F: Fields>(&self, record: &mut F, flow: &Flow, dir: Direction) {
        self.of_client(record, (flow.name(), dir), None);
    }

    /// The same with another address for the client.
    pub(crate) fn of_client<F: Fields>(
        &self,
        record: &mut F,
        (flow, dir): (FlowName, Direction),
        client: Option<IpAddr>,
    ) {
        let (mut src, mut dst) = flow.endpoints(dir);
        if let Some(client) = client {
            let place = if dir == Direction::ToServer { &mut src } else { &mut dst };
            place.0 = client;
        }
        let vlan = flow.key().vlan();
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (src.0, dst.0)
            && let proto @ (6 | 17) = flow.key().proto()
            && vlan == [0; 3]
        {
            record.brief(|out| {
                out.head(self.ts, self.kind);
                if self.packet > 0 {
                    out.number("pcap_cnt", self.packet);
                }
                out.number("flow_id", flow.id().0);
                out.v4("src_ip", from);
                out.number("src_port", src.1.into());
                out.v4("dest_ip", to);
                out.number("dest_port", dst.1.into());
                if proto == 17 {
                    out.constant("proto", "UDP");
                } else {
                    out.constant("proto", "TCP");
                }
                out.number("ip_v", 4);
            });
        } else {
            self.begin(record);
            record.number("flow_id", flow.id().0);
            if vlan.iter().any(|id| *id != 0) {
                let tags: Vec<u16> = vlan.iter().copied().filter(|id| *id != 0).collect();
                record.value("vlan", json!(tags));
            }
            let with_ports = matches!(flow.key().proto(), 6 | 17 | 132);
            self.endpoints(record, src, dst, with_ports);
            proto(record, flow.key().proto());
            record.number("ip_v", if flow.key().low().0.is_ipv4() { 4 } else { 6 });
        }
        if self.options.community_id && self.kind != "flow" {
            record.ascii("community_id", &flow.community_id(self.options.community_seed));
        }
    }

    /// A record about a packet without a flow.
    pub(crate) fn of_packet<F: Fields>(&self, record: &mut F, packet: &Packet<'_>) {
        self.begin(record);
        let vlan = packet.vlan.ids();
        if !vlan.is_empty() {
            record.value("vlan", json!(vlan));
        }
        if packet.ip_version() == 0 {
            return;
        }
        let (src_port, dst_port) = packet.ports();
        let with_ports = matches!(packet.proto, 6 | 17 | 132) && packet.fragment.is_none();
        self.endpoints(record, (packet.src, src_port), (packet.dst, dst_port), with_ports);
        proto(record, packet.proto);
        record.number("ip_v", packet.ip_version().into());
    }

    fn endpoints<F: Fields>(
        &self,
        record: &mut F,
        src: (IpAddr, u16),
        dst: (IpAddr, u16),
        with_ports: bool,
    ) {
        let compress = self.options.compress_ipv6;
        record.address("src_ip", src.0, compress);
        if with_ports {
            record.number("src_port", src.1.into());
        }
        record.address("dest_ip", dst.0, compress);
        if with_ports {
            record.number("dest_port", dst.1.into());
        }
    }
}

/// What rules have noted about a flow in its bits: `traffic/id/NAME` and `traffic/label/NAME` say what
/// the traffic is, the others are named as they are.
pub(crate) fn noted<'a>(bits: impl Iterator<Item = &'a str>, into: &mut Object) {
    for bit in bits {
        let (object, key, name) = match bit.strip_prefix("traffic/") {
            Some(rest) => match rest.split_once('/') {
                Some((kind @ ("id" | "label"), name)) => ("traffic", kind, name),
                _ => ("metadata", "flowbits", bit),
            },
            None => ("metadata", "flowbits", bit),
        };
        let place = into.entry(object).or_insert_with(|| json!({}));
        if let Some(place) = place.as_object_mut()
            && let Some(list) = place.entry(key).or_insert_with(|| json!([])).as_array_mut()
        {
            list.push(name.into());
        }
    }
}

/// `ether` of a packet whose protocol is not read.
fn json_ether_type(ether_type: u16) -> Value {
    json!({"ether_type": ether_type})
}

/// Adds `ether`: the type of a packet that has no IP header, and the addresses when they are wanted.
pub(crate) fn ethernet<F: Fields>(record: &mut F, packet: &Packet<'_>, options: &RecordOptions) {
    let mac = packet.mac.filter(|_| options.ethernet);
    let typed = packet.ip_version() == 0 && packet.ether_type != 0;
    if mac.is_none() && !typed {
        return;
    }
    let text = |mac: [u8; 6]| mac.map(|b| format!("{b:02x}")).join(":");
    let mut ether = if typed { json_ether_type(packet.ether_type) } else { json!({}) };
    if let Some((src, dst)) = mac {
        ether["src_mac"] = text(src).into();
        ether["dest_mac"] = text(dst).into();
    }
    record.value("ether", ether);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_a_flow_say_what_its_traffic_is() {
        let mut record = json!({"metadata": {"entropy": 1}});
        let bits = ["traffic/id/curl", "a/b", "traffic/label/x/y", "traffic/other", "traffic/id/z"];
        noted(bits.into_iter(), record.as_object_mut().unwrap());
        let wanted = json!({
            "metadata": {"entropy": 1, "flowbits": ["a/b", "traffic/other"]},
            "traffic": {"id": ["curl", "z"], "label": ["x/y"]},
        });
        assert_eq!(record, wanted);
    }

    #[test]
    fn times_and_addresses() {
        assert_eq!(timestamp(1_500_000_000_000_001), "2017-07-14T02:40:00.000001+0000");
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(address(v6, true), "2001:db8::1");
        assert_eq!(address(v6, false), "2001:0db8:0000:0000:0000:0000:0000:0001");
        assert_eq!(text(b"a\xffb"), "a\\xffb");
    }
}
