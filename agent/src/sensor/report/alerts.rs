//! Records of what rules found: alerts, and packets that rules want to be kept.

use net::app::file::File;
use net::app::{Transaction, TxList};
use net::engine::InFlow;
use net::{Direction, Flow, Packet};
use signature::MatchSource;

use super::memory::Memory;
use super::{FROM_END, Output, Reporter, bits_into, tx_object};
use crate::sensor::detect;
use crate::sensor::eve::fields::Fields;
use crate::sensor::eve::{self, Head};
use crate::sensor::inspect::our_direction;
use crate::sensor::settings::RecordOptions;
use crate::sensor::store::{Fate, Store};

impl<O: Output> Reporter<O> {
    /// Runs the rules on a packet; a record for each that matched.
    pub(super) fn detect(&mut self, packet: &Packet<'_>, place: Option<&mut InFlow<'_>>) {
        let Some(detector) = &mut self.detector else { return };
        let found = match &place {
            Some(place) => {
                let memory = self.memory.of(place.flow);
                let at = detect::Place {
                    flow: place.flow,
                    dir: place.dir,
                    transactions: &*place.transactions,
                    in_stream: place.in_stream,
                    one_way: place.one_way,
                };
                detector.packet(packet, Some(at), Some(&mut memory.detection))
            }
            None => detector.packet(packet, None, None),
        };
        let found = found.len();
        if let Some(place) = &place {
            keep_files(&mut self.store, detector, place.flow);
        }
        if found == 0 {
            if detector.is_tagged() {
                self.tagged(packet, place.map(|place| (&*place.flow, place.dir)));
            }
            return;
        }
        self.matches.clear();
        self.matches.extend_from_slice(detector.found());
        let tagged = detector.is_tagged();
        if let Some(place) = &place {
            keep_out(&mut self.matches, self.memory.of(place.flow));
            if self.matches.is_empty() {
                return;
            }
        }
        let flow = place.map(|place| {
            place.flow.set_alerted();
            (&*place.flow, place.dir, &*place.transactions)
        });
        self.alerts(flow, Some(packet));
        if tagged {
            self.tagged(packet, flow.map(|(flow, dir, _)| (flow, dir)));
        }
    }

    /// The record of a packet that a rule with `tag` wants kept.
    pub(super) fn tagged(&mut self, packet: &Packet<'_>, flow: Option<(&Flow, Direction)>) {
        let options = &self.settings.records;
        if !options.alert_tagged {
            return;
        }
        let head = Head { kind: "packet", ts: self.ts, packet: self.packet, options };
        let record = self.output.begin();
        match flow {
            Some((flow, dir)) => head.of_flow(record, flow, dir),
            None => head.of_packet(record, packet),
        }
        eve::alert::packet(record, packet);
        self.output.end(self.ts, "packet");
    }

    /// A record for each of the collected matches.
    pub(super) fn alerts(
        &mut self,
        flow: Option<(&Flow, Direction, &TxList)>,
        packet: Option<&Packet<'_>>,
    ) {
        let Some(detector) = &self.detector else { return };
        let options = &self.settings.records;
        let head = Head { kind: "alert", ts: self.ts, packet: self.packet, options };
        for hit in &self.matches {
            let Some(rule) = detector.rules().rule(hit.rule) else { continue };
            let tx_id = hit.tx.filter(|_| hit.source != MatchSource::Frame);
            let client = flow
                .and_then(|(_, _, all)| options.xff.client(tx_id.and_then(|id| all.get(id)), all));
            let overwrite = client.filter(|_| options.xff.mode == eve::xff::Mode::Overwrite);
            let record = self.output.begin();
            match (flow, packet) {
                (Some((flow, dir, _)), _) => {
                    let dir = hit.direction.map_or(dir, our_direction);
                    head.of_client(record, (flow.name(), dir), overwrite);
                }
                (None, Some(packet)) => head.of_packet(record, packet),
                (None, None) => continue,
            }
            let source = packet.map_or(FROM_END, eve::alert::source);
            record.text("pkt_src", source);
            if let Some(tx) = tx_id {
                record.number("tx_id", tx);
            }
            let mut alert = eve::Object::new();
            let mut about = eve::alert::rule(&rule, options);
            if let Some(client) = client.filter(|_| overwrite.is_none()) {
                let shown = eve::address(client, options.compress_ipv6);
                about.insert("xff".into(), shown);
            }
            alert.insert("alert".into(), about.into());
            eve::alert::notes(&mut alert, hit, detector.rules());
            if let Some((flow, ..)) = flow.filter(|_| options.alert_metadata && options.metadata) {
                bits_into((&self.memory, Some(detector)), flow, &mut alert);
            }
            for (key, value) in alert {
                record.value(&key, value);
            }
            if let Some((flow, dir, transactions)) = flow {
                let dir = hit.direction.map_or(dir, our_direction);
                let store = self.store.as_ref();
                of_flow(record, hit, (flow, dir, transactions), (options, store));
            }
            if eve::alert::wants_payload(options) {
                let stream = match flow {
                    Some((flow, dir, _))
                        if flow.proto() == 6 && hit.source != MatchSource::Packet =>
                    {
                        let dir = hit.direction.map_or(dir, our_direction);
                        let memory = self.memory.get(flow);
                        memory.map(|m| m.detection.evidence(dir, options.alert_payload_size))
                    }
                    _ => None,
                };
                let stream = stream.filter(|bytes| !bytes.is_empty());
                let own = packet.map_or(&[][..], |packet| packet.payload);
                let shown = (stream.as_deref().unwrap_or(own), stream.is_some());
                eve::alert::payload(record, shown, options);
            }
            if let Some(packet) = packet {
                eve::alert::evidence(record, packet, options);
            }
            self.output.end(self.ts, "alert");
        }
    }
}

/// What an alert shows of its flow, and of the transaction or frame that it was found in.
fn of_flow<F: Fields>(
    record: &mut F,
    hit: &signature::Match,
    (flow, dir, transactions): (&Flow, Direction, &TxList),
    (options, store): (&RecordOptions, Option<&Store>),
) {
    let frame = transactions.frames().iter().find(|frame| hit.tx == Some(frame.id));
    let frame = frame.filter(|_| hit.source == MatchSource::Frame);
    let tx = match hit.tx {
        _ if hit.source == MatchSource::Frame => transactions.iter().last(),
        Some(id) => transactions.get(id),
        // A datagram is one message: the one that the rule is about as well.
        None if flow.proto() == 17 => newest(transactions, dir),
        None => None,
    };
    if options.alert_metadata {
        tx_object(record, flow, tx, options);
    }
    if let Some(frame) = frame {
        record.object("frame", |out| eve::frame::frame(out, frame));
    }
    tx_files(record, tx, (options, store.map(|store| (store, flow))));
    if flow.protocol().is_known() {
        record.text("app_proto", flow.protocol().name());
    }
    record.text("direction", if dir == Direction::ToServer { "to_server" } else { "to_client" });
    let compress = options.compress_ipv6;
    if options.alert_metadata {
        record.object("flow", |body| eve::flow::so_far(body, flow, compress));
    }
}

/// The transaction that a packet of that direction has made or changed last.
fn newest(transactions: &TxList, dir: Direction) -> Option<&Transaction> {
    transactions.changed().filter(|(_, of)| *of == dir).map(|(tx, _)| tx).last()
}

/// Takes matches that are no alerts but keep a transaction out of the records.
pub(super) fn keep_out(matches: &mut Vec<signature::Match>, memory: &mut Memory) {
    matches.retain(|hit| {
        let config = hit.action == signature::Action::Config;
        if let Some(tx) = hit.tx.filter(|_| config) {
            memory.unlogged.get_or_insert_default().add(tx);
        }
        !config
    });
}

/// Takes note of rules that want files of a flow kept.
#[inline(always)]
pub(super) fn keep_files(store: &mut Option<Store>, detector: &detect::Detector, flow: &Flow) {
    let Some(store) = store else { return };
    for hit in detector.stores() {
        if let Some(asked) = detector.rules().rule(hit.rule).and_then(|rule| rule.file_store) {
            let tx = hit.tx.filter(|_| hit.source == MatchSource::Transaction);
            store.want(flow.id().0, asked, tx);
        }
    }
}

/// The files of a transaction inside an alert.
fn tx_files<F: Fields>(
    record: &mut F,
    tx: Option<&Transaction>,
    (options, store): (&RecordOptions, Option<(&Store, &Flow)>),
) {
    let Some(tx) = tx.filter(|tx| !tx.files.is_empty()) else { return };
    let one = |file: &File| {
        let mut out = eve::Object::new();
        let fate =
            store.map_or(Fate::Unwanted, |(store, flow)| store.fate(flow.id().0, tx.id, file));
        eve::file::of(&mut out, file, (tx.id, &fate), eve::file::stand_in(tx, options));
        serde_json::Value::from(out)
    };
    record.value("files", tx.files.iter().map(one).collect::<Vec<_>>().into());
}
