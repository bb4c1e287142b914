//! The sink of a worker: turns what the engine finds into records.
//!
//! Holds what has to be remembered per flow between packets, in a table beside the engine's slab.
//! Records go to an [`Output`]; it neither knows files nor queues.

use net::app::{Record, Transaction, TxList};
use net::engine::InFlow;
use net::{Chunk, Direction, EndReason, Flow, Packet, Sink};

use super::detect::{Detector, FlowMemory};
use super::eve::fields::Fields;
use super::eve::{self, Head};
use super::figures::ScanFigures;
use super::inspect::our_direction;
use super::settings::{Handling, Hassh, Settings};

/// Where records go.
pub(crate) trait Output {
    /// What its records are made of.
    type Record: Fields;
    /// A record to be filled.
    fn begin(&mut self) -> Self::Record;
    /// Takes one record; `ts` is its time in microseconds since the epoch.
    fn record(&mut self, ts: i64, kind: &'static str, record: Self::Record);
}

/// What is remembered of a flow.
#[derive(Debug, Default)]
struct Memory {
    /// The flow it is about; slots are reused.
    flow: u64,
    /// The TLS or SSH session has its record.
    session_done: bool,
    /// It is encrypted and let pass.
    bypassed: bool,
    /// Transactions that rules keep out of the records.
    unlogged: Vec<u64>,
    /// What detection remembers.
    detection: FlowMemory,
}

/// Sink of one worker.
#[derive(Debug)]
pub(crate) struct Reporter<O> {
    settings: Settings,
    output: O,
    detector: Option<Detector>,
    matches: Vec<signature::Match>,
    memory: Vec<Memory>,
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
        let detector = detector
            .map(|detector| detector.inline(settings.engine.inline).encrypted(settings.encrypted));
        Self {
            hassh,
            source: FROM_END,
            settings,
            output,
            detector,
            matches: Vec::new(),
            memory: Vec::new(),
            packet: 0,
            ts: 0,
        }
    }

    /// Switches on what rules need of the engine: digests of files.
    pub(crate) fn ask(&self, config: &mut net::Config) {
        let Some(detector) = &self.detector else { return };
        let [md5, sha1, sha256] = detector.rules().digests();
        let files = &mut config.app.files;
        files.md5 |= md5;
        files.sha1 |= sha1;
        files.sha256 |= sha256;
    }

    /// What detection counted so far; zeros without rules.
    pub(crate) fn scan_figures(&self) -> ScanFigures {
        self.detector.as_ref().map(Detector::figures).unwrap_or_default()
    }

    /// The output, when all is done.
    pub(crate) fn into_output(self) -> O {
        self.output
    }

    fn memory(&mut self, flow: &Flow) -> &mut Memory {
        memory_of(&mut self.memory, flow)
    }

    fn write(
        &mut self,
        kind: &'static str,
        place: Place<'_>,
        fill: impl FnOnce(&mut O::Record, &Settings),
    ) {
        let options = &self.settings.records;
        let head = Head { kind, ts: self.ts, packet: self.packet, options };
        let mut record = self.output.begin();
        head.of_flow(&mut record, place.flow, place.dir);
        record.text("pkt_src", self.source);
        fill(&mut record, &self.settings);
        self.output.record(self.ts, kind, record);
    }

    /// News of a transaction: writes the records it is complete enough for.
    fn transaction(&mut self, flow: &Flow, tx: &Transaction, dir: Direction, ended: bool) {
        let place = Place { flow, tx, dir };
        if self.memory(flow).unlogged.contains(&tx.id) {
            return;
        }
        let (encrypted, handling) = match &tx.record {
            Record::Tls(tls) => (tls.encrypted, self.settings.encrypted.tls),
            Record::Ssh(ssh) => (ssh.encrypted, self.settings.encrypted.ssh),
            _ => (false, Handling::Track),
        };
        if encrypted && handling == Handling::Bypass {
            self.memory(flow).bypassed = true;
        }
        match &tx.record {
            Record::Dns(message) => {
                let options = &self.settings.records;
                let wanted = if message.is_response() {
                    options.dns_responses
                } else {
                    options.dns_requests
                };
                // Suricata gives no record of a message it cannot read to its end.
                let broken = tx.events.iter().any(|e| e.name == "malformed_data");
                if wanted && !(broken && self.settings.compat) {
                    self.write(flow.protocol().name(), place, |record, _| {
                        record.object("dns", |dns| eve::dns::message(dns, message, tx.id));
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
                if done && eve::tls::is_worth_a_record(tls) && !self.memory(flow).session_done {
                    self.memory(flow).session_done = true;
                    let place = Place { dir: Direction::ToServer, ..place };
                    self.write("tls", place, |record, settings| {
                        let session = eve::tls::session(tls, &settings.records);
                        record.value("tls", session.into());
                    });
                }
            }
            Record::Smtp(_) | Record::Ftp(_) | Record::FtpData(_) => {
                if is_complete(tx) {
                    self.whole(Place { dir: Direction::ToServer, ..place });
                }
            }
            Record::Ssh(ssh) => self.ssh(place, ssh, ended),
            Record::Http2(http2) => {
                if is_complete(tx) && eve::http2::is_worth_a_record(http2) {
                    self.http2(place, http2);
                }
            }
            Record::Websocket(_) => self.whole(place),
        }
        self.files(place);
        self.anomalies(place);
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
            tx_object(record, Some(place.tx), &settings.records);
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
        if std::mem::replace(&mut self.memory(place.flow).session_done, true) {
            return;
        }
        self.write("ssh", Place { dir: Direction::ToServer, ..place }, |record, settings| {
            tx_object(record, Some(place.tx), &settings.records);
        });
    }

    /// A record for each file of a transaction that has ended with this news.
    fn files(&mut self, place: Place<'_>) {
        for file in place.tx.files.iter().filter(|file| file.has_ended_now()) {
            self.write("fileinfo", Place { dir: file.dir, ..place }, |record, settings| {
                tx_object(record, Some(place.tx), &settings.records);
                record.text("app_proto", place.tx.protocol().name());
                record.object("fileinfo", |info| eve::file::of(info, file, place.tx.id));
            });
        }
    }

    fn http(&mut self, place: Place<'_>, http: &net::app::http::Http) {
        for dir in [Direction::ToServer, Direction::ToClient] {
            let Some(body) = eve::file::body_of(http, dir) else { continue };
            self.write("fileinfo", Place { dir, ..place }, |record, settings| {
                record.object("http", |out| eve::http::transaction(out, http, &settings.records));
                record.text("app_proto", "http");
                let name = eve::file::name(http, dir);
                record.object("fileinfo", |out| {
                    eve::file::of_http(out, name, body, place.tx.id);
                });
            });
        }
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
            let mut record = self.output.begin();
            match flow {
                Some((flow, dir)) => head.of_flow(&mut record, flow, dir),
                None => head.of_packet(&mut record, packet),
            }
            record.value("anomaly", eve::anomaly::packet(event));
            record.text("pkt_src", eve::alert::source(packet));
            eve::ethernet(&mut record, packet, options);
            self.output.record(self.ts, "anomaly", record);
        }
    }
}

/// What is remembered of a flow, in the table beside the engine's slab.
fn memory_of<'a>(table: &'a mut Vec<Memory>, flow: &Flow) -> &'a mut Memory {
    let slot = flow.slot();
    if slot >= table.len() {
        table.resize_with(slot.saturating_add(1), Memory::default);
    }
    // The table was just made long enough.
    let memory = &mut table[slot];
    if memory.flow != flow.id().0 {
        *memory = Memory { flow: flow.id().0, ..Memory::default() };
    }
    memory
}

impl<O: Output> Reporter<O> {
    /// Runs the rules on a packet; a record for each that matched.
    fn detect(&mut self, packet: &Packet<'_>, place: Option<&mut InFlow<'_>>) {
        let Some(detector) = &mut self.detector else { return };
        let found = match &place {
            Some(place) => {
                let memory = memory_of(&mut self.memory, place.flow);
                let at = (&*place.flow, place.dir, place.transactions, place.in_stream);
                detector.packet(packet, Some(at), Some(&mut memory.detection))
            }
            None => detector.packet(packet, None, None),
        };
        if found.is_empty() {
            if detector.is_tagged() {
                self.tagged(packet, place.map(|place| (&*place.flow, place.dir)));
            }
            return;
        }
        self.matches.clear();
        self.matches.extend_from_slice(found);
        let tagged = detector.is_tagged();
        if let Some(place) = &place {
            let unlogged = &mut memory_of(&mut self.memory, place.flow).unlogged;
            keep_out(&mut self.matches, unlogged);
            if self.matches.is_empty() {
                return;
            }
        }
        let flow = place.map(|place| {
            place.flow.set_alerted();
            (&*place.flow, place.dir, place.transactions)
        });
        self.alerts(flow, Some(packet));
        if tagged {
            self.tagged(packet, flow.map(|(flow, dir, _)| (flow, dir)));
        }
    }

    /// The record of a packet that a rule with `tag` wants kept.
    fn tagged(&mut self, packet: &Packet<'_>, flow: Option<(&Flow, Direction)>) {
        let options = &self.settings.records;
        if !options.alert_tagged {
            return;
        }
        let head = Head { kind: "packet", ts: self.ts, packet: self.packet, options };
        let mut record = self.output.begin();
        match flow {
            Some((flow, dir)) => head.of_flow(&mut record, flow, dir),
            None => head.of_packet(&mut record, packet),
        }
        eve::alert::packet(&mut record, packet);
        self.output.record(self.ts, "packet", record);
    }

    /// A record for each of the collected matches.
    fn alerts(&mut self, flow: Option<(&Flow, Direction, &TxList)>, packet: Option<&Packet<'_>>) {
        let Some(detector) = &self.detector else { return };
        let options = &self.settings.records;
        let head = Head { kind: "alert", ts: self.ts, packet: self.packet, options };
        for hit in &self.matches {
            let Some(rule) = detector.rules().rule(hit.rule) else { continue };
            let mut record = self.output.begin();
            match (flow, packet) {
                (Some((flow, dir, _)), _) => {
                    let dir = hit.direction.map_or(dir, our_direction);
                    head.of_flow(&mut record, flow, dir);
                }
                (None, Some(packet)) => head.of_packet(&mut record, packet),
                (None, None) => continue,
            }
            let source = packet.map_or(FROM_END, eve::alert::source);
            record.text("pkt_src", source);
            if let Some(tx) = hit.tx {
                record.number("tx_id", tx);
            }
            let mut alert = eve::Object::new();
            alert.insert("alert".into(), eve::alert::rule(&rule).into());
            eve::alert::notes(&mut alert, hit, detector.rules());
            for (key, value) in alert {
                record.value(&key, value);
            }
            if let Some((flow, dir, transactions)) = flow {
                let dir = hit.direction.map_or(dir, our_direction);
                let name = if dir == Direction::ToServer { "to_server" } else { "to_client" };
                let tx = hit.tx.and_then(|id| transactions.get(id));
                tx_object(&mut record, tx, options);
                tx_files(&mut record, tx);
                if flow.protocol().is_known() {
                    record.text("app_proto", flow.protocol().name());
                }
                record.text("direction", name);
                let compress = options.compress_ipv6;
                record.object("flow", |body| eve::flow::so_far(body, flow, compress));
            }
            if let Some(packet) = packet {
                eve::alert::evidence(&mut record, packet, options);
            }
            self.output.record(self.ts, "alert", record);
        }
    }
}

fn is_complete(tx: &Transaction) -> bool {
    tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient)
}

/// Most transactions of a flow that are remembered as kept out of the records.
const MAX_UNLOGGED: usize = 1_024;

/// Takes matches that are no alerts but keep a transaction out of the records.
fn keep_out(matches: &mut Vec<signature::Match>, unlogged: &mut Vec<u64>) {
    matches.retain(|hit| {
        let config = hit.action == signature::Action::Config;
        if let Some(tx) = hit.tx.filter(|_| config) {
            if unlogged.len() >= MAX_UNLOGGED {
                unlogged.remove(0);
            }
            unlogged.push(tx);
        }
        !config
    });
}

/// The application record inside an alert.
fn tx_object<F: Fields>(
    record: &mut F,
    tx: Option<&Transaction>,
    options: &super::settings::RecordOptions,
) {
    let Some(tx) = tx else { return };
    match &tx.record {
        Record::Http(http) => {
            record.object("http", |out| eve::http::transaction(out, http, options));
        }
        Record::Dns(message) => {
            record.object("dns", |out| eve::dns::message(out, message, tx.id));
        }
        Record::Tls(tls) => record.value("tls", eve::tls::session(tls, options).into()),
        Record::Smtp(smtp) => eve::smtp::both(record, smtp, &options.mail),
        Record::Ftp(ftp) => record.value("ftp", eve::ftp::command(ftp).into()),
        Record::FtpData(transfer) => record.value("ftp_data", eve::ftp::data(transfer)),
        Record::Ssh(ssh) => record.value("ssh", eve::ssh::connection(ssh).into()),
        Record::Http2(http2) => {
            record.object("http", |out| eve::http2::transaction(out, http2));
            let message = http2.sides.to_client.dns.as_ref().or(http2.sides.to_server.dns.as_ref());
            if let Some(message) = message {
                record.object("dns", |out| eve::dns::message(out, message, tx.id));
            }
        }
        Record::Websocket(frame) => record.value("websocket", eve::websocket::frame(frame).into()),
    }
}

/// The files of a transaction inside an alert.
fn tx_files<F: Fields>(record: &mut F, tx: Option<&Transaction>) {
    let Some(tx) = tx.filter(|tx| !tx.files.is_empty()) else { return };
    let one = |file| {
        let mut out = eve::Object::new();
        eve::file::of(&mut out, file, tx.id);
        serde_json::Value::from(out)
    };
    record.value("files", tx.files.iter().map(one).collect::<Vec<_>>().into());
}

impl<O: Output> Sink for Reporter<O> {
    fn chunk(&mut self, flow: &Flow, chunk: &Chunk<'_>) {
        if let Some(detector) = &self.detector {
            detector.chunk(&mut memory_of(&mut self.memory, flow).detection, chunk);
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
            let mut record = self.output.begin();
            head.of_packet(&mut record, packet);
            record.value("arp", eve::arp::message(arp));
            self.output.record(self.ts, "arp", record);
        }
        self.detect(packet, place.as_mut());
        if let Some(place) = place {
            self.packet_anomalies(packet, Some((place.flow, place.dir)));
            self.transactions(place.flow, place.transactions, false);
        } else {
            self.packet_anomalies(packet, None);
        }
    }

    fn flow_end(&mut self, flow: &mut Flow, transactions: &TxList, reason: EndReason) {
        self.source = FROM_END;
        if let Some(detector) = &mut self.detector {
            let memory = memory_of(&mut self.memory, flow);
            self.matches.clear();
            self.matches.extend_from_slice(detector.end(flow, transactions, &mut memory.detection));
            keep_out(&mut self.matches, &mut memory.unlogged);
            memory.detection = FlowMemory::default();
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
        let state = match self.memory(flow).bypassed {
            true => "bypassed",
            false => eve::flow::state_name(flow),
        };
        let head = Head { kind: "flow", ts: self.ts, packet: 0, options: &self.settings.records };
        let mut record = self.output.begin();
        eve::flow::ended(&mut record, &head, flow, (state, reason));
        if let Some(original) = transactions.original_protocol() {
            record.text("app_proto_orig", original.name());
        }
        self.output.record(self.ts, "flow", record);
    }
}
