//! NetFlow 5, 7, 9 and IPFIX (RFC 3954, RFC 7011) into events of EVE's type `netflow`.
//!
//! Crate `netflow_parser` decodes datagrams within limits; here its records get EVE's names
//! (`record`), templates are kept so that a restart does not wait for exporters to send them again
//! ([`Templates`]), and the sequence numbers of exporters tell what never arrived. Opens no socket
//! and reads no clock.

use std::net::SocketAddr;
use std::sync::Arc;

use event::{Event, Timestamp};
use netflow_parser::variable_versions::ipfix::lookup::IPFixField;
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{AutoScopedParser, NetflowError, NetflowPacket, NetflowParser};

mod record;
mod sequence;
mod templates;
#[cfg(test)]
mod tests;

use sequence::Sequences;
pub use templates::{Templates, TemplatesError};

/// Most exporters whose templates and sequence numbers are known at once; an exporter's observation
/// domains count one each.
const MAX_EXPORTERS: usize = 4_096;
/// Most templates of one exporter.
const MAX_TEMPLATES: usize = 512;

/// What became of datagrams since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Datagrams that could not be decoded, or not to their end.
    pub malformed: u64,
    /// Sets of records whose template was not known: those of an exporter before it sends its
    /// templates for the very first time.
    pub without_template: u64,
    /// Records (NetFlow 9: datagrams) that the exporters' sequence numbers say are missing.
    pub lost: u64,
}

/// Decodes the datagrams of all exporters.
#[derive(Debug)]
pub struct Decoder {
    parser: AutoScopedParser,
    sequences: Sequences,
    figures: Figures,
}

/// What is said of all records of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Version of the protocol: 5, 7, 9 or 10 for IPFIX.
    pub(crate) version: u16,
    /// When it was sent.
    pub(crate) sent: Timestamp,
    /// Milliseconds that the exporter has been up, where the version says so.
    pub(crate) uptime: Option<u32>,
    /// Who sent it.
    pub(crate) exporter: SocketAddr,
    /// Source or observation domain within the exporter.
    pub(crate) domain: u32,
}

impl Decoder {
    /// A decoder that goes on with `templates`.
    ///
    /// # Errors
    /// When the library refuses its limits.
    pub fn new(templates: Arc<Templates>) -> Result<Self, TemplatesError> {
        let parser = NetflowParser::builder()
            .with_cache_size(MAX_TEMPLATES)
            .with_template_store(templates)
            .try_multi_source()
            .and_then(|parser| parser.with_max_sources(MAX_EXPORTERS))
            .map_err(|error| TemplatesError::Limits(error.to_string()))?;
        Ok(Self { parser, sequences: Sequences::new(MAX_EXPORTERS), figures: Figures::default() })
    }

    /// What became of datagrams so far.
    #[must_use]
    pub const fn figures(&self) -> Figures {
        self.figures
    }

    /// The flows of a datagram from `exporter` that came at `now`. One that cannot be decoded gives
    /// those before the place, and is counted.
    pub fn datagram(&mut self, exporter: SocketAddr, bytes: &[u8], now: Timestamp) -> Vec<Event> {
        // Its port may change with each start of an exporter; its templates belong to the address.
        let exporter = SocketAddr::new(exporter.ip().to_canonical(), 0);
        let result = self.parser.parse_from_source(exporter, bytes);
        if let Some(error) = &result.error {
            self.figures.malformed = self.figures.malformed.saturating_add(1);
            tracing::debug!(%exporter, %error, limit = is_limit(error), "NetFlow datagram not decoded");
        }
        let mut out = Vec::new();
        for packet in result.packets {
            self.packet(packet, exporter, now, &mut out);
        }
        out
    }

    fn packet(
        &mut self,
        packet: NetflowPacket,
        exporter: SocketAddr,
        now: Timestamp,
        out: &mut Vec<Event>,
    ) {
        let before = out.len();
        let (header, sequence) = match packet {
            NetflowPacket::V5(packet) => record::v5(&packet, exporter, now, out),
            NetflowPacket::V7(packet) => record::v7(&packet, exporter, now, out),
            NetflowPacket::V9(packet) => {
                let header = Header {
                    version: 9,
                    sent: Timestamp::from_seconds(packet.header.unix_secs.into()),
                    uptime: Some(packet.header.sys_up_time),
                    exporter,
                    domain: packet.header.source_id,
                };
                for set in packet.flowsets {
                    self.v9_set(set.body, &header, now, out);
                }
                (header, packet.header.sequence_number)
            }
            NetflowPacket::IPFix(packet) => {
                let header = Header {
                    version: 10,
                    sent: Timestamp::from_seconds(packet.header.export_time.into()),
                    uptime: None,
                    exporter,
                    domain: packet.header.observation_domain_id,
                };
                let mut unknown = false;
                for set in packet.flowsets {
                    unknown |= self.ipfix_set(set.body, &header, now, out);
                }
                // How many records a set without template has is not known.
                if unknown {
                    self.sequences.forget(&header);
                    return;
                }
                (header, packet.header.sequence_number)
            }
            _ => return,
        };
        // NetFlow 9 counts datagrams, the others count records.
        let records = u32::try_from(out.len().saturating_sub(before)).unwrap_or(u32::MAX);
        let count = if header.version == 9 { 1 } else { records };
        let lost = self.sequences.lost(&header, sequence, count);
        self.figures.lost = self.figures.lost.saturating_add(lost);
    }

    fn v9_set(
        &mut self,
        set: v9::FlowSetBody,
        header: &Header,
        now: Timestamp,
        out: &mut Vec<Event>,
    ) {
        match set {
            v9::FlowSetBody::Data(data) => {
                for fields in data.fields {
                    let fields = fields
                        .into_iter()
                        .map(|(field, value)| (IPFixField::new(field.into(), None), value));
                    out.push(record::of_fields(fields, header, now));
                }
            }
            v9::FlowSetBody::NoTemplate(_) => self.no_template(),
            _ => {}
        }
    }

    /// True when records of it could not be counted.
    fn ipfix_set(
        &mut self,
        set: ipfix::FlowSetBody,
        header: &Header,
        now: Timestamp,
        out: &mut Vec<Event>,
    ) -> bool {
        match set {
            ipfix::FlowSetBody::Data(data) => {
                for fields in data.fields {
                    out.push(record::of_fields(fields.into_iter(), header, now));
                }
                false
            }
            ipfix::FlowSetBody::V9Data(data) => {
                self.v9_set(v9::FlowSetBody::Data(data), header, now, out);
                false
            }
            ipfix::FlowSetBody::NoTemplate(_) => {
                self.no_template();
                true
            }
            // Records about the exporter itself are counted in its sequence numbers too.
            ipfix::FlowSetBody::OptionsData(_) | ipfix::FlowSetBody::V9OptionsData(_) => true,
            _ => false,
        }
    }

    fn no_template(&mut self) {
        self.figures.without_template = self.figures.without_template.saturating_add(1);
    }
}

fn is_limit(error: &NetflowError) -> bool {
    matches!(error, NetflowError::DecodedOutputLimitExceeded { .. })
}
