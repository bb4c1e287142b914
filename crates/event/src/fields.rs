//! The field dictionary: every field the product itself writes, its type and its other name.
//!
//! A record is stored once, under its canonical name (EVE for network records, ECS for host and
//! common fields). Queries and rules may use either name; aliases are resolved here, never copied.
//! An alias means the same in the same unit, and no record has both: `event.duration` counts nanoseconds
//! and is no other name of `flow.age`, the cloud a record is about is not the region of its agent.

/// How a field is stored and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Exact text, also searched by prefix and wildcard.
    Keyword,
    /// Running text, searched by word and phrase.
    Text,
    /// Integer or float.
    Number,
    /// IPv4 or IPv6 address; ranges and CIDR.
    Ip,
    /// Point in time.
    Date,
    /// True or false.
    Bool,
}

/// One field the product writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Canonical dotted name, as stored.
    pub name: &'static str,
    /// The other convention's name of it; empty when there is none.
    pub alias: &'static str,
    /// Type.
    pub kind: FieldType,
    /// What it holds.
    pub doc: &'static str,
}

const fn field(
    name: &'static str,
    alias: &'static str,
    kind: FieldType,
    doc: &'static str,
) -> Field {
    Field { name, alias, kind, doc }
}

/// The dictionary, in the order of the reference documentation.
pub const FIELDS: &[Field] = &[
    field("timestamp", "@timestamp", FieldType::Date, "when it happened"),
    field("event_type", "", FieldType::Keyword, "EVE event type"),
    field("event.id", "", FieldType::Keyword, "identity: agent/boot/sequence"),
    field("event.created", "", FieldType::Date, "when the agent saw it"),
    field("event.action", "", FieldType::Keyword, "what was done, such as ssh_login"),
    field("event.category", "", FieldType::Keyword, "ECS category"),
    field("event.outcome", "", FieldType::Keyword, "success or failure"),
    field("event.original", "", FieldType::Text, "the record as it came"),
    field("event.module", "", FieldType::Keyword, "parser that read the record"),
    field("event.dataset", "", FieldType::Keyword, "log it is from, such as aws.cloudtrail"),
    field("event.code", "", FieldType::Keyword, "code of the event at its source"),
    field("event.severity", "", FieldType::Number, "severity at its source"),
    field("message", "", FieldType::Text, "text of the record"),
    field("agent.id", "", FieldType::Keyword, "agent that saw it"),
    field("agent.version", "", FieldType::Keyword, "version of that agent"),
    field("host.name", "", FieldType::Keyword, "host it happened on"),
    field("host.ip", "", FieldType::Ip, "address of that host"),
    field("zone", "observer.ingress.zone", FieldType::Keyword, "network zone of the agent"),
    field("region", "", FieldType::Keyword, "region or site of the agent"),
    field("cloud.region", "", FieldType::Keyword, "region of a cloud that a record is about"),
    field("src_ip", "source.ip", FieldType::Ip, "source address"),
    field("src_port", "source.port", FieldType::Number, "source port"),
    field("dest_ip", "destination.ip", FieldType::Ip, "destination address"),
    field("dest_port", "destination.port", FieldType::Number, "destination port"),
    field("proto", "network.transport", FieldType::Keyword, "transport protocol"),
    field("app_proto", "network.protocol", FieldType::Keyword, "application protocol, by content"),
    field("community_id", "network.community_id", FieldType::Keyword, "Community ID version 1"),
    field("flow_id", "event.flow_id", FieldType::Number, "identity of the flow at its sensor"),
    field(
        "in_iface",
        "observer.ingress.interface.name",
        FieldType::Keyword,
        "interface it was captured on",
    ),
    field("vlan", "network.vlan.id", FieldType::Number, "VLAN identifiers, outer first"),
    field("pcap_cnt", "", FieldType::Number, "number of the packet in a capture file"),
    field("tx_id", "", FieldType::Number, "number of the transaction in its flow"),
    field("direction", "", FieldType::Keyword, "of a packet: to_server or to_client"),
    field("network.direction", "", FieldType::Keyword, "of a flow: inbound, outbound, internal"),
    field("flow.start", "event.start", FieldType::Date, "first packet of the flow"),
    field("flow.end", "event.end", FieldType::Date, "last packet of the flow"),
    field("flow.age", "", FieldType::Number, "seconds from first to last packet"),
    field("flow.state", "", FieldType::Keyword, "new, established, closed, bypassed"),
    field("flow.reason", "", FieldType::Keyword, "why the flow ended"),
    field("flow.alerted", "", FieldType::Bool, "whether a signature fired on it"),
    field("flow.pkts_toserver", "source.packets", FieldType::Number, "packets to the server"),
    field("flow.pkts_toclient", "destination.packets", FieldType::Number, "packets to the client"),
    field("flow.bytes_toserver", "source.bytes", FieldType::Number, "bytes to the server"),
    field("flow.bytes_toclient", "destination.bytes", FieldType::Number, "bytes to the client"),
    field("dns.type", "", FieldType::Keyword, "query, request, answer or response"),
    field("dns.id", "", FieldType::Number, "transaction id"),
    field("dns.rrname", "dns.question.name", FieldType::Keyword, "name asked for"),
    field("dns.rrtype", "dns.question.type", FieldType::Keyword, "type asked for"),
    field("dns.rcode", "dns.response_code", FieldType::Keyword, "response code"),
    field("dns.queries.rrname", "", FieldType::Keyword, "names asked for"),
    field("dns.answers.rdata", "dns.answers.data", FieldType::Keyword, "data of the answers"),
    field("http.hostname", "url.domain", FieldType::Keyword, "host asked for"),
    field("http.url", "url.original", FieldType::Text, "request target"),
    field("http.http_user_agent", "user_agent.original", FieldType::Text, "user agent"),
    field("http.http_method", "http.request.method", FieldType::Keyword, "method"),
    field("http.http_refer", "http.request.referrer", FieldType::Text, "referer"),
    field(
        "http.http_content_type",
        "http.response.mime_type",
        FieldType::Keyword,
        "content type of the response",
    ),
    field("http.protocol", "http.version", FieldType::Keyword, "protocol version"),
    field("http.status", "http.response.status_code", FieldType::Number, "status of the response"),
    field(
        "http.length",
        "http.response.body.bytes",
        FieldType::Number,
        "bytes of the response body",
    ),
    field("tls.sni", "tls.client.server_name", FieldType::Keyword, "server name asked for"),
    field("tls.version", "tls.version_protocol", FieldType::Keyword, "protocol version"),
    field("tls.subject", "tls.server.subject", FieldType::Keyword, "subject of the certificate"),
    field("tls.issuerdn", "tls.server.issuer", FieldType::Keyword, "issuer of the certificate"),
    field(
        "tls.serial",
        "tls.server.x509.serial_number",
        FieldType::Keyword,
        "serial number of the certificate",
    ),
    field(
        "tls.fingerprint",
        "tls.server.hash.sha1",
        FieldType::Keyword,
        "SHA-1 of the certificate",
    ),
    field("tls.notbefore", "tls.server.not_before", FieldType::Date, "certificate valid from"),
    field("tls.notafter", "tls.server.not_after", FieldType::Date, "certificate valid until"),
    field("tls.ja3.hash", "tls.client.ja3", FieldType::Keyword, "JA3 of the client"),
    field("tls.ja3s.hash", "tls.server.ja3s", FieldType::Keyword, "JA3S of the server"),
    field("tls.ja4", "tls.client.ja4", FieldType::Keyword, "JA4 of the client"),
    field("fileinfo.filename", "file.name", FieldType::Keyword, "name of a file in transit"),
    field("fileinfo.size", "file.size", FieldType::Number, "its size"),
    field("fileinfo.sha256", "file.hash.sha256", FieldType::Keyword, "its SHA-256"),
    field("alert.action", "", FieldType::Keyword, "allowed or blocked"),
    field("alert.gid", "", FieldType::Number, "generator"),
    field("alert.signature_id", "rule.id", FieldType::Keyword, "sid of the signature"),
    field("alert.rev", "rule.version", FieldType::Number, "its revision"),
    field("alert.signature", "rule.name", FieldType::Text, "its message or title"),
    field("alert.category", "rule.category", FieldType::Keyword, "its category"),
    field("alert.severity", "", FieldType::Number, "EVE severity, 1 worst"),
    field("detection.engine", "", FieldType::Keyword, "engine that found it"),
    field("detection.rule_id", "rule.uuid", FieldType::Keyword, "identity of the rule"),
    field("detection.title", "", FieldType::Text, "title of the rule"),
    field(
        "detection.severity",
        "",
        FieldType::Keyword,
        "informational, low, medium, high, critical",
    ),
    field("detection.entity.field", "", FieldType::Keyword, "field the entity was taken from"),
    field("detection.entity.value", "", FieldType::Keyword, "what the detection is about"),
    field("detection.explanation", "", FieldType::Text, "why it fired"),
    field(
        "detection.attack",
        "threat.technique.id",
        FieldType::Keyword,
        "ATT&CK techniques and tactics",
    ),
    field("detection.evidence", "", FieldType::Keyword, "identities of the events it rests on"),
    field("anomaly.type", "", FieldType::Keyword, "decode, stream or applayer"),
    field("anomaly.event", "anomaly.name", FieldType::Keyword, "name of the anomaly"),
    field("user.name", "", FieldType::Keyword, "user"),
    field("user.id", "", FieldType::Keyword, "identity of the user"),
    field("user.target.name", "", FieldType::Keyword, "user that was changed to"),
    field("process.name", "", FieldType::Keyword, "name of the process"),
    field("process.pid", "", FieldType::Number, "its identity"),
    field("process.executable", "", FieldType::Keyword, "its file"),
    field("process.command_line", "", FieldType::Text, "its command line"),
    field("process.parent.name", "", FieldType::Keyword, "name of its parent"),
    field("process.parent.executable", "", FieldType::Keyword, "file of its parent"),
    field("service.name", "", FieldType::Keyword, "service or unit"),
    field("log.file.path", "", FieldType::Keyword, "file the record was read from"),
    field("log.offset", "", FieldType::Number, "its position there, bytes"),
    field("log.level", "", FieldType::Keyword, "level as the source has it"),
    field("log.syslog.facility.code", "", FieldType::Number, "facility"),
    field("log.syslog.severity.code", "", FieldType::Number, "severity, 0 worst"),
    field("log.syslog.appname", "", FieldType::Keyword, "application"),
    field("log.syslog.procid", "", FieldType::Keyword, "process id as written"),
    field("log.syslog.hostname", "", FieldType::Keyword, "host as written"),
];

/// The field with this canonical name or alias.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name || (field.alias == name && !name.is_empty()))
}

/// The name a field is stored under: an alias becomes the canonical name, others stay.
#[must_use]
pub fn canonical(name: &str) -> &str {
    by_name(name).map_or(name, |field| field.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_and_aliases_are_unique() {
        let mut seen = HashSet::new();
        for field in FIELDS {
            assert!(seen.insert(field.name), "{} twice", field.name);
        }
        for field in FIELDS.iter().filter(|field| !field.alias.is_empty()) {
            assert!(seen.insert(field.alias), "{} twice", field.alias);
        }
    }

    #[test]
    fn aliases_resolve_to_the_stored_name() {
        assert_eq!(canonical("source.ip"), "src_ip");
        assert_eq!(canonical("src_ip"), "src_ip");
        assert_eq!(canonical("@timestamp"), "timestamp");
        assert_eq!(canonical("no.such.field"), "no.such.field");
        assert_eq!(canonical("event.dataset"), "event.dataset");
        assert_eq!(canonical("cloud.region"), "cloud.region");
        assert_eq!(by_name(""), None);
    }

    #[test]
    fn both_names_lead_to_one_field() {
        for field in FIELDS {
            assert_eq!(by_name(field.name), Some(field));
            assert_eq!(canonical(field.name), field.name);
            if !field.alias.is_empty() {
                assert_eq!(by_name(field.alias), Some(field), "{}", field.alias);
                assert_eq!(canonical(field.alias), field.name);
            }
            for wrong in [field.name.to_uppercase(), format!("{}.x", field.name)] {
                assert!(by_name(&wrong).is_none_or(|other| other.name == wrong), "{wrong}");
            }
        }
    }

    /// A field is either a value or the parent of values: else one document could not hold both.
    #[test]
    fn no_stored_name_is_the_parent_of_another() {
        for field in FIELDS {
            let below = format!("{}.", field.name);
            let child = FIELDS.iter().find(|other| other.name.starts_with(&below));
            assert_eq!(child.map(|child| child.name), None, "below {}", field.name);
        }
        let text = |name: &str| {
            let part = |part: &str| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            name.trim_start_matches('@').split('.').all(part)
        };
        for field in FIELDS {
            assert!(
                text(field.name) && (field.alias.is_empty() || text(field.alias)),
                "{}",
                field.name
            );
        }
    }

    #[test]
    fn every_field_is_explained() {
        assert!(FIELDS.iter().all(|field| !field.doc.is_empty()));
    }
}
