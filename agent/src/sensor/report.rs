//! The sink of a worker: turns what the engine finds into records.
//!
//! Records go to an [`Output`]; it neither knows files nor queues.

mod alerts;
mod later;
mod memory;
mod messages;

use std::sync::Arc;

use net::app::{Record, Transaction, TxList};
use net::engine::InFlow;
use net::{Chunk, Direction, EndReason, Flow, Packet, Sink};
use signature::RuleSet;

use super::detect::{Detector, FlowMemory};
use super::eve::fields::Fields;
use super::eve::{self, Head};
use super::figures::{AppFigures, ScanFigures};
use super::settings::{Handling, Hassh, Settings};
use super::store::{Fate, Store};
use later::{Later, Waiting};
use memory::Memories;
use messages::tx_object;

/// Where records go.
pub(crate) trait Output {
    /// What its records are made of.
    type Record: Fields;
    /// A record to be filled where it will stay.
    fn begin(&mut self) -> &mut Self::Record;
    /// Rules other than those at the beginning are in force.
    fn renew(&mut self, _rules: &Arc<RuleSet>) {}
    /// Takes the record that was begun; `ts` is its time in microseconds since the epoch.
    fn end(&mut self, ts: i64, kind: &'static str);
    /// Hands on what it has kept: there may be nothing else for a while.
    fn flush(&mut self) {}
}

/// Sink of one worker.
#[derive(Debug)]
pub(crate) struct Reporter<O> {
    settings: Settings,
    output: Later<O>,
    detector: Option<Detector>,
    matches: Vec<signature::Match>,
    store: Option<Store>,
    apps: AppFigures,
    memory: Memories,
    /// What the flow at hand spoke first, when it has changed since.
    original: Option<net::Protocol>,
    /// SSH records have fingerprints.
    hassh: bool,
    /// What gives rise to records now, as they name it.
    source: &'static str,
    /// Number of the newest packet.
    packet: u64,
    ts: i64,
}

/// What gives rise to the records of a flow's end.
const FROM_END: &str = "stream (flow timeout)";

/// A transaction in its flow.
#[derive(Clone, Copy)]
struct Place<'a> {
    flow: &'a Flow,
    tx: &'a Transaction,
    dir: Direction,
}

impl<O: Output> Reporter<O> {
    pub(crate) fn new(settings: Settings, output: O, detector: Option<Detector>) -> Self {
        let hassh = match settings.records.hassh {
            Hassh::Yes => true,
            Hassh::No => false,
            Hassh::Auto => detector.as_ref().is_some_and(Detector::wants_hassh),
        };
        let store = Store::new(&settings.store);
        let detector = detector
            .map(|detector| detector.inline(settings.engine.inline).encrypted(settings.encrypted))
            .map(|detector| detector.max_alerts(settings.max_alerts));
        Self {
            hassh,
            original: None,
            source: FROM_END,
            output: Later::new(output, &settings.records),
            settings,
            detector,
            matches: Vec::new(),
            store,
            apps: AppFigures::default(),
            memory: Memories::default(),
            packet: 0,
            ts: 0,
        }
    }

    /// Switches on what rules need of the engine: digests of files, frames.
    pub(crate) fn ask(&self, app: &mut net::app::AppConfig) {
        let files = &mut app.files;
        files.stream |= self.store.is_some();
        files.sha256 |= self.store.is_some();
        let Some(rules) = self.rules() else { return };
        app.frames |= rules.uses(signature::Buffer::Frame);
        let [md5, sha1, sha256] = rules.digests();
        files.md5 |= md5;
        files.sha1 |= sha1;
        files.sha256 |= sha256;
    }

    /// The rules it goes by.
    pub(crate) fn rules(&self) -> Option<&RuleSet> {
        self.detector.as_ref().map(Detector::rules)
    }

    /// Goes on with other rules.
    pub(crate) fn renew(&mut self, rules: Arc<RuleSet>) {
        let Some(detector) = &mut self.detector else { return };
        self.output.renew(&rules);
        detector.renew(rules);
        if self.settings.records.hassh == Hassh::Auto {
            self.hassh = detector.wants_hassh();
        }
    }

    /// What detection counted so far; zeros without rules.
    pub(crate) fn scan_figures(&self) -> ScanFigures {
        self.detector.as_ref().map(Detector::figures).unwrap_or_default()
    }

    /// Files in transit that were wanted and are not kept.
    pub(crate) fn files_refused(&self) -> u64 {
        self.store.as_ref().map(Store::refused).unwrap_or_default()
    }

    /// Flows that have ended, by protocol.
    pub(crate) fn app_figures(&self) -> AppFigures {
        self.apps
    }

    /// Writes what waits to be written: called when there is nothing else to do, and at the end.
    pub(crate) fn flush(&mut self) {
        self.output.flush_all();
    }

    /// The output, when all is done.
    pub(crate) fn into_output(self) -> O {
        self.output.into_inner()
    }

    fn write(
        &mut self,
        kind: &'static str,
        place: Place<'_>,
        fill: impl FnOnce(&mut O::Record, &Settings),
    ) {
        let options = &self.settings.records;
        let head = Head { kind, ts: self.ts, packet: self.packet, options };
        let record = self.output.begin();
        head.of_flow(record, place.flow, place.dir);
        record.word("pkt_src", self.source);
        if options.metadata {
            noted((&self.memory, self.detector.as_ref()), place.flow, record);
        }
        fill(record, &self.settings);
        self.output.end(self.ts, kind);
    }

    /// News of a transaction: writes the records it is complete enough for.
    fn transaction(&mut self, flow: &Flow, tx: &Transaction, dir: Direction, ended: bool) {
        let place = Place { flow, tx, dir };
        if self.memory.get(flow).is_some_and(|memory| memory.is_unlogged(tx.id)) {
            return;
        }
        let (encrypted, handling) = match &tx.record {
            Record::Tls(tls) => (tls.encrypted, self.settings.encrypted.tls),
            Record::Ssh(ssh) => (ssh.encrypted, self.settings.encrypted.ssh),
            _ => (false, Handling::Track),
        };
        if encrypted && handling == Handling::Bypass {
            self.memory.of(flow).bypassed = true;
        }
        match &tx.record {
            Record::Dns(message) => self.dns(place, message),
            Record::Http(http) => {
                let complete =
                    tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient);
                if complete {
                    self.http(Place { dir: Direction::ToServer, ..place }, http);
                }
            }
            Record::Tls(tls) => {
                let done = tls.told || tls.encrypted || ended;
                // Suricata says nothing of a hello that was answered by a reset.
                let flags = flow.tcp_flags();
                let reset = (flags.to_server | flags.to_client) & net::decode::tcp_flags::RST != 0;
                let asked = ended && !(self.settings.compat && reset);
                if done
                    && eve::tls::is_worth_a_record(tls, asked)
                    && !self.memory.of(flow).session_done
                {
                    self.memory.of(flow).session_done = true;
                    let place = Place { dir: Direction::ToServer, ..place };
                    let original = self.original;
                    self.write("tls", place, |record, settings| {
                        record.object("tls", |out| {
                            eve::tls::session(out, tls, &settings.records);
                            if let Some(original) = original {
                                out.word("from_proto", original.name());
                            }
                        });
                    });
                }
            }
            Record::Smtp(_) | Record::Ftp(_) | Record::FtpData(_) => {
                if is_complete(tx) {
                    self.whole(Place { dir: Direction::ToServer, ..place });
                }
            }
            Record::Ssh(ssh) => self.ssh(place, ssh, ended),
            Record::Dcerpc(_) if is_complete(tx) => {
                self.plain("dcerpc", Place { dir: Direction::ToServer, ..place });
            }
            Record::Smb(smb)
                if is_complete(tx) && self.settings.records.smb_wants(eve::smb::kind_name(smb)) =>
            {
                self.plain("smb", Place { dir: Direction::ToServer, ..place });
            }
            Record::Dcerpc(_) | Record::Smb(_) => {}
            Record::Http2(http2) => {
                if is_complete(tx) && eve::http2::is_worth_a_record(http2) {
                    self.http2(place, http2);
                }
            }
            Record::Websocket(_) => self.whole(place),
            _ => self.message(place),
        }
        self.files(place);
        self.anomalies(place);
    }

    /// A record that is the transaction's object alone.
    fn plain(&mut self, kind: &'static str, place: Place<'_>) {
        self.write(kind, place, |record, settings| {
            tx_object(record, place.flow, Some(place.tx), &settings.records);
        });
    }

    /// The record of a transaction that is complete.
    fn whole(&mut self, place: Place<'_>) {
        let kind = match &place.tx.record {
            Record::Smtp(_) => "smtp",
            Record::Ftp(_) => "ftp",
            Record::FtpData(_) => "ftp_data",
            Record::Websocket(_) => "websocket",
            _ => return,
        };
        self.write(kind, place, |record, settings| {
            record.number("tx_id", place.tx.id);
            tx_object(record, place.flow, Some(place.tx), &settings.records);
        });
    }

    /// The record of a stream of HTTP/2, and of the DNS message in it.
    fn http2(&mut self, place: Place<'_>, http2: &net::app::http2::Http2) {
        let place = Place { dir: Direction::ToServer, ..place };
        self.write("http", place, |record, _| {
            record.number("tx_id", place.tx.id);
            record.object("http", |out| eve::http2::transaction(out, http2));
        });
        let message = http2.sides.to_client.dns.as_ref().or(http2.sides.to_server.dns.as_ref());
        if let Some(message) = message {
            self.write("dns", place, |record, _| {
                record.object("dns", |dns| eve::dns::message(dns, message, place.tx.id));
            });
        }
    }

    /// An SSH connection has its record when all that is wanted of it is known.
    fn ssh(&mut self, place: Place<'_>, ssh: &net::app::ssh::Ssh, ended: bool) {
        use net::app::ssh::progress;
        let wanted = if self.hassh { progress::DONE } else { progress::BANNER };
        let got =
            place.tx.progress(Direction::ToServer).min(place.tx.progress(Direction::ToClient));
        let known = [&ssh.sides.to_server, &ssh.sides.to_client];
        if (got < wanted && !ended) || known.iter().all(|side| side.protocol.is_empty()) {
            return;
        }
        if std::mem::replace(&mut self.memory.of(place.flow).session_done, true) {
            return;
        }
        self.write("ssh", Place { dir: Direction::ToServer, ..place }, |record, settings| {
            tx_object(record, place.flow, Some(place.tx), &settings.records);
        });
    }

    /// A message of DNS or of one of its relatives.
    fn dns(&mut self, place: Place<'_>, message: &net::app::dns::Message) {
        let options = &self.settings.records;
        let of_kind =
            if message.is_response() { options.dns_responses } else { options.dns_requests };
        let of_type =
            options.dns_types.is_empty() || eve::dns::has_type(message, &options.dns_types);
        // Suricata gives no record of a message it cannot read to its end.
        let broken = place.tx.events.iter().any(|e| e.name == "malformed_data");
        if !of_kind || !of_type || (broken && self.settings.compat) {
            return;
        }
        let (name, id) = (place.flow.protocol().name(), place.tx.id);
        if self.settings.records.dns_version_2 && place.flow.protocol() == net::Protocol::Dns {
            let count = if message.is_response() { 1 } else { message.queries.len() };
            for at in 0..count {
                self.write(name, place, |record, _| {
                    record.object("dns", |dns| eve::dns::version_2(dns, message, (at, id)));
                });
            }
            return;
        }
        self.write(name, place, |record, _| eve::dns::of_flow(record, place.flow, message, id));
    }

    /// A record for each file of a transaction that has ended with this news.
    fn files(&mut self, place: Place<'_>) {
        for (at, file) in place.tx.files.iter().enumerate() {
            if !file.has_ended_now() {
                continue;
            }
            let fate = match &mut self.store {
                Some(store) => store.end(place.flow.id().0, place.tx.id, (at, file)),
                None => Fate::Unwanted,
            };
            self.write("fileinfo", Place { dir: file.dir, ..place }, |record, settings| {
                tx_object(record, place.flow, Some(place.tx), &settings.records);
                record.word("app_proto", place.tx.protocol().name());
                record.object("fileinfo", |info| {
                    let stand_in = eve::file::stand_in(place.tx, &settings.records);
                    eve::file::of(info, file, (place.tx.id, &fate), stand_in);
                });
            });
        }
    }

    fn http(&mut self, place: Place<'_>, http: &net::app::http::Http) {
        self.write("http", place, |record, settings| {
            record.number("tx_id", place.tx.id);
            record.object("http", |out| eve::http::transaction(out, http, &settings.records));
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
                record.number("tx_id", place.tx.id);
                record.value("anomaly", eve::anomaly::transaction(place.tx, event));
            });
        }
    }

    /// Keeps a message of DNS for a record later, where that is all that is new; else `false`.
    fn put_off(&mut self, place: &mut InFlow<'_>) -> bool {
        let Some((tx, dir)) = place.transactions.only_message() else { return false };
        let flow = &*place.flow;
        if flow.protocol() != net::Protocol::Dns
            || place.one_way
            || self.store.is_some()
            || !self.output.takes_messages()
            || self
                .memory
                .get(flow)
                .is_some_and(|memory| memory.is_unlogged(tx) || memory.detection.has_bits())
        {
            return false;
        }
        let (ts, packet, source) = (self.ts, self.packet, self.source);
        let waiting = Waiting { flow: flow.name(), dir, ts, packet, source, tx };
        place.transactions.exchange(self.output.put(waiting));
        true
    }

    fn transactions(&mut self, flow: &Flow, transactions: &TxList, ended: bool) {
        if !transactions.flow_events().is_empty() && self.settings.records.anomaly_app {
            self.flow_events(flow, transactions);
        }
        self.original = transactions.original_protocol();
        let mut last = None;
        transactions.changed().for_each(|(tx, dir)| {
            // A transaction with news on both sides is one piece of news.
            if last.replace(tx.id) == Some(tx.id) {
                return;
            }
            if let Some(store) = &mut self.store {
                store.news(flow.id().0, tx);
            }
            self.transaction(flow, tx, dir, ended);
        });
    }

    /// What is wrong with the protocol of a flow.
    fn flow_events(&mut self, flow: &Flow, transactions: &TxList) {
        for event in transactions.flow_events() {
            let options = &self.settings.records;
            let head = Head { kind: "anomaly", ts: self.ts, packet: self.packet, options };
            let record = self.output.begin();
            head.of_flow(record, flow, Direction::ToServer);
            record.text("pkt_src", self.source);
            record.value("anomaly", eve::anomaly::of_flow(flow.protocol(), event));
            self.output.end(self.ts, "anomaly");
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
            let record = self.output.begin();
            match flow {
                Some((flow, dir)) => {
                    head.of_flow(record, flow, dir);
                    if options.metadata {
                        noted((&self.memory, self.detector.as_ref()), flow, record);
                    }
                }
                None => head.of_packet(record, packet),
            }
            record.value("anomaly", eve::anomaly::packet(event));
            record.text("pkt_src", eve::alert::source(packet));
            eve::ethernet(record, packet, options);
            self.output.end(self.ts, "anomaly");
        }
    }
}

/// Adds what rules have noted about a flow.
#[inline(always)]
fn noted<F: Fields>(known: (&Memories, Option<&Detector>), flow: &Flow, record: &mut F) {
    if known.0.get(flow).is_some_and(|memory| memory.detection.has_bits()) {
        bits_of(known, flow, record);
    }
}

#[inline(never)]
fn bits_of<F: Fields>(known: (&Memories, Option<&Detector>), flow: &Flow, record: &mut F) {
    let mut noted = eve::Object::new();
    bits_into(known, flow, &mut noted);
    for (key, value) in noted {
        record.value(&key, value);
    }
}

/// The same into an object that has something already.
fn bits_into(
    (memories, detector): (&Memories, Option<&Detector>),
    flow: &Flow,
    into: &mut eve::Object,
) {
    if let (Some(memory), Some(detector)) = (memories.get(flow), detector) {
        eve::noted(memory.detection.bits(detector.rules()), into);
    }
}

/// Nothing more comes of a transaction.
fn is_complete(tx: &Transaction) -> bool {
    tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient)
}

impl<O: Output> Sink for Reporter<O> {
    fn chunk(&mut self, flow: &Flow, chunk: &Chunk<'_>) {
        if let Some(detector) = &self.detector {
            detector.chunk(&mut self.memory.of(flow).detection, chunk);
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, place: Option<InFlow<'_>>) {
        self.packet = packet.meta.number;
        self.source = eve::alert::source(packet);
        self.ts = packet.meta.ts;
        let mut place = place;
        if let net::decode::Transport::Arp(arp) = &packet.transport
            && self.settings.records.arp
        {
            let options = &self.settings.records;
            let head = Head { kind: "arp", ts: self.ts, packet: self.packet, options };
            let record = self.output.begin();
            head.of_packet(record, packet);
            record.value("arp", eve::arp::message(arp));
            self.output.end(self.ts, "arp");
        }
        self.detect(packet, place.as_mut());
        if let Some(place) = &mut place {
            self.packet_anomalies(packet, Some((place.flow, place.dir)));
            if !self.put_off(place) {
                self.transactions(place.flow, place.transactions, false);
            }
        } else {
            self.packet_anomalies(packet, None);
        }
    }

    fn upcoming(&mut self, slot: usize) {
        self.memory.fetch(slot);
    }

    fn flow_end(&mut self, flow: &mut Flow, transactions: &TxList, reason: EndReason) {
        self.source = FROM_END;
        self.apps.flow(flow.protocol(), flow.proto() == 6, transactions.created());
        if let Some(detector) = &mut self.detector {
            let memory = self.memory.of(flow);
            self.matches.clear();
            self.matches.extend_from_slice(detector.end(flow, transactions, &mut memory.detection));
            alerts::keep_out(&mut self.matches, memory);
            alerts::keep_files(&mut self.store, detector, flow);
            if !self.matches.is_empty() {
                flow.set_alerted();
                self.alerts(Some((&*flow, Direction::ToServer, transactions)), None);
            }
        }
        self.transactions(flow, transactions, true);
        // A session that never came to encryption is still worth its record.
        for tx in transactions.iter().filter(|tx| matches!(tx.record, Record::Tls(_))) {
            self.transaction(flow, tx, Direction::ToServer, true);
        }
        let state = match self.memory.of(flow).bypassed {
            true => "bypassed",
            false => eve::flow::state_name(flow),
        };
        let head = Head { kind: "flow", ts: self.ts, packet: 0, options: &self.settings.records };
        let record = self.output.begin();
        eve::flow::ended(record, &head, flow, (state, reason));
        if self.settings.records.metadata {
            noted((&self.memory, self.detector.as_ref()), flow, record);
        }
        if let Some(original) = transactions.original_protocol() {
            record.text("app_proto_orig", original.name());
        }
        if let Some(sides) = transactions.protocols() {
            record.text("app_proto_ts", sides.to_server.name());
            record.text("app_proto_tc", sides.to_client.name());
        }
        self.output.end(self.ts, "flow");
        if let Some(store) = &mut self.store {
            store.forget(flow.id().0);
        }
        self.memory.of(flow).detection = FlowMemory::default();
    }
}
