//! The sink of a worker: turns what the engine finds into records.
//!
//! Holds what has to be remembered per flow between packets, in a table beside the engine's slab.
//! Records go to an [`Output`]; it neither knows files nor queues.

use net::app::{Record, Transaction, TxList};
use net::engine::InFlow;
use net::{Chunk, Direction, EndReason, Flow, Packet, Sink};

use super::eve::{self, Head, Object};
use super::settings::Settings;

/// Where records go.
pub(crate) trait Output {
    /// Takes one record; `ts` is its time in microseconds since the epoch.
    fn record(&mut self, ts: i64, record: Object);
}

/// What is remembered of a flow.
#[derive(Debug, Default)]
struct Memory {
    /// The flow it is about; slots are reused.
    flow: u64,
    /// The TLS session has its record.
    tls_done: bool,
}

/// Sink of one worker.
#[derive(Debug)]
pub(crate) struct Reporter<O> {
    settings: Settings,
    output: O,
    memory: Vec<Memory>,
    /// Number of the newest packet.
    packet: u64,
    ts: i64,
}

/// A transaction in its flow.
#[derive(Clone, Copy)]
struct Place<'a> {
    flow: &'a Flow,
    tx: &'a Transaction,
    dir: Direction,
}

impl<O: Output> Reporter<O> {
    pub(crate) fn new(settings: Settings, output: O) -> Self {
        Self { settings, output, memory: Vec::new(), packet: 0, ts: 0 }
    }

    /// The output, when all is done.
    pub(crate) fn into_output(self) -> O {
        self.output
    }

    fn memory(&mut self, flow: &Flow) -> &mut Memory {
        let slot = flow.slot();
        if slot >= self.memory.len() {
            self.memory.resize_with(slot.saturating_add(1), Memory::default);
        }
        // The table was just made long enough.
        let memory = &mut self.memory[slot];
        if memory.flow != flow.id().0 {
            *memory = Memory { flow: flow.id().0, ..Memory::default() };
        }
        memory
    }

    fn write(
        &mut self,
        kind: &'static str,
        place: Place<'_>,
        fill: impl FnOnce(&mut Object, &Settings),
    ) {
        let options = &self.settings.records;
        let head = Head { kind, ts: self.ts, packet: self.packet, options };
        let mut record = head.of_flow(place.flow, place.dir);
        fill(&mut record, &self.settings);
        self.output.record(self.ts, record);
    }

    /// News of a transaction: writes the records it is complete enough for.
    fn transaction(&mut self, flow: &Flow, tx: &Transaction, dir: Direction, ended: bool) {
        let place = Place { flow, tx, dir };
        match &tx.record {
            Record::Dns(message) => {
                let options = &self.settings.records;
                let wanted = if message.is_response() {
                    options.dns_responses
                } else {
                    options.dns_requests
                };
                if wanted {
                    self.write(flow.protocol().name(), place, |record, _| {
                        record.insert("dns".into(), eve::dns::message(message, tx.id).into());
                    });
                }
            }
            Record::Http(http) => {
                let complete =
                    tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient);
                if complete {
                    self.http(Place { dir: Direction::ToServer, ..place }, http);
                }
            }
            Record::Tls(tls) => {
                let done = tls.encrypted || ended;
                if done && eve::tls::is_worth_a_record(tls) && !self.memory(flow).tls_done {
                    self.memory(flow).tls_done = true;
                    let place = Place { dir: Direction::ToServer, ..place };
                    self.write("tls", place, |record, settings| {
                        let session = eve::tls::session(tls, &settings.records);
                        record.insert("tls".into(), session.into());
                    });
                }
            }
        }
        self.anomalies(place);
    }

    fn http(&mut self, place: Place<'_>, http: &net::app::http::Http) {
        for dir in [Direction::ToServer, Direction::ToClient] {
            let Some(info) = eve::file::of_http(http, dir, place.tx.id) else { continue };
            self.write("fileinfo", Place { dir, ..place }, |record, settings| {
                let transaction = eve::http::transaction(http, &settings.records);
                record.insert("http".into(), transaction.into());
                record.insert("app_proto".into(), "http".into());
                record.insert("fileinfo".into(), info.into());
            });
        }
        self.write("http", place, |record, settings| {
            record.insert("tx_id".into(), place.tx.id.into());
            let transaction = eve::http::transaction(http, &settings.records);
            record.insert("http".into(), transaction.into());
        });
    }

    /// Anomalies are written when their transaction is complete.
    fn anomalies(&mut self, place: Place<'_>) {
        if !self.settings.records.anomaly_app || place.tx.events.is_empty() {
            return;
        }
        let complete =
            place.tx.is_complete(Direction::ToServer) && place.tx.is_complete(Direction::ToClient);
        if !complete {
            return;
        }
        for event in &place.tx.events {
            self.write("anomaly", Place { dir: event.dir, ..place }, |record, _| {
                record.insert("tx_id".into(), place.tx.id.into());
                record.insert("anomaly".into(), eve::anomaly::transaction(place.tx, event));
            });
        }
    }

    fn transactions(&mut self, flow: &Flow, transactions: &TxList, ended: bool) {
        let mut last = None;
        for (tx, dir) in transactions.changed() {
            // A transaction with news on both sides is one piece of news.
            if last.replace(tx.id) != Some(tx.id) {
                self.transaction(flow, tx, dir, ended);
            }
        }
    }

    fn packet_anomalies(&mut self, packet: &Packet<'_>, flow: Option<(&Flow, Direction)>) {
        let options = &self.settings.records;
        if packet.anomalies.is_empty() || !(options.anomaly_decode || options.anomaly_stream) {
            return;
        }
        for event in packet.anomalies.iter() {
            let options = &self.settings.records;
            let wanted =
                if event.is_stream() { options.anomaly_stream } else { options.anomaly_decode };
            if !wanted {
                continue;
            }
            let head = Head { kind: "anomaly", ts: self.ts, packet: self.packet, options };
            let mut record = match flow {
                Some((flow, dir)) => head.of_flow(flow, dir),
                None => head.of_packet(packet),
            };
            record.insert("anomaly".into(), eve::anomaly::packet(event));
            if let Some(mac) = packet.mac.filter(|_| options.ethernet) {
                eve::ethernet(&mut record, mac);
            }
            self.output.record(self.ts, record);
        }
    }
}

impl<O: Output> Sink for Reporter<O> {
    fn chunk(&mut self, _flow: &Flow, _chunk: &Chunk<'_>) {}

    fn packet(&mut self, packet: &Packet<'_>, place: Option<InFlow<'_>>) {
        self.packet = packet.meta.number;
        self.ts = packet.meta.ts;
        if let Some(place) = place {
            self.packet_anomalies(packet, Some((place.flow, place.dir)));
            self.transactions(place.flow, place.transactions, false);
        } else {
            self.packet_anomalies(packet, None);
        }
    }

    fn flow_end(&mut self, flow: &mut Flow, transactions: &TxList, reason: EndReason) {
        self.transactions(flow, transactions, true);
        // A session that never came to encryption is still worth its record.
        for tx in transactions.iter().filter(|tx| matches!(tx.record, Record::Tls(_))) {
            self.transaction(flow, tx, Direction::ToServer, true);
        }
        let head = Head { kind: "flow", ts: self.ts, packet: 0, options: &self.settings.records };
        self.output.record(self.ts, eve::flow::ended(&head, flow, reason));
    }
}
