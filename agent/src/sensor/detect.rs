//! Signatures over packets, streams and transactions of one worker.
//!
//! Keeps per flow what the signature engine wants to remember and the stretch of raw stream that has
//! not been scanned. Raw data is scanned when enough has come, when the other side answers, when a
//! transaction is complete and at the end of the flow: as one piece, so that what a rule looks for may
//! lie across segments. A piece cut for its size is scanned again with the next one's beginning.

use std::sync::{Arc, OnceLock};

use net::app::{Record, Transaction, TxList};
use net::{Chunk, Content, Direction, Flow, FlowState as Phase, Packet, Protocol};
use signature::{
    AppProto, ChunkView, FlowView, Match, PacketView, RuleSet, Scan, Scratch, Tables, TxState,
};

use super::figures::ScanFigures;
use super::inspect::{FrameView, TxView, direction};
use super::packet_view;
use super::raw::Raw;
use super::settings::{Encrypted, Handling};

/// Bytes that are worth a scan of their own.
const ENOUGH: usize = 2560;
/// States of ended transactions kept for new ones.
const SPARE: usize = 64;
/// Bytes of a piece that are scanned again with the next one.
const OVERLAP: usize = 512;

/// States of transactions under their numbers.
type States = Vec<(u64, TxState)>;

/// What detection remembers of a flow.
#[derive(Debug, Default)]
pub(crate) struct FlowMemory {
    state: signature::FlowState,
    transactions: States,
    /// Raw stream of both directions, once there is some.
    raw: Option<Box<[Raw; 2]>>,
    /// Bytes of a direction that are to be scanned with the next opportunity, whatever their number.
    flush: [bool; 2],
    /// Everything that follows is encrypted: nothing to scan.
    encrypted: bool,
    /// The flow was established before this packet: the one that ends the handshake is not yet in it.
    established: bool,
}

/// A packet's place in its flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) dir: Direction,
    pub(crate) transactions: &'a TxList,
    /// Its payload was used for the stream.
    pub(crate) in_stream: bool,
    /// Only what belongs to its direction is inspected.
    pub(crate) one_way: bool,
}

/// Rules and the room to run them, for one worker.
#[derive(Debug)]
pub(crate) struct Detector {
    rules: Arc<RuleSet>,
    tables: Arc<Tables>,
    scratch: Scratch,
    /// States of transactions that are over, for new ones.
    spare: Vec<TxState>,
    /// Room for states that no flow has at the moment.
    rooms: Vec<States>,
    /// State of a transaction that begins and ends with the packet at hand; empty between packets.
    alone: TxState,
    found: Vec<Match>,
    /// Rules that want files kept.
    stores: Vec<Match>,
    tagged: bool,
    alerts: u64,
    /// Most alerts of one packet, when not the default.
    most: Option<u16>,
    /// What was counted under rules that are no longer in force.
    before: ScanFigures,
    frames_lost: u64,
    /// Every segment is scanned as it comes.
    inline: bool,
    encrypted: Encrypted,
}

/// The rules' name of a protocol.
fn app_proto(protocol: Protocol) -> AppProto {
    match protocol {
        Protocol::Unknown => AppProto::Unknown,
        Protocol::Failed => AppProto::Failed,
        Protocol::Http => AppProto::Http,
        Protocol::Dns => AppProto::Dns,
        Protocol::Tls => AppProto::Tls,
        other => by_name(other),
    }
}

/// Protocols looked up by their name once each.
fn by_name(protocol: Protocol) -> AppProto {
    static KNOWN: [OnceLock<AppProto>; 128] = [const { OnceLock::new() }; 128];
    let find = || AppProto::from_name(protocol.name()).unwrap_or_default();
    KNOWN.get(protocol as usize).map_or_else(find, |known| *known.get_or_init(find))
}

fn is_established(flow: &Flow) -> bool {
    match flow.proto() {
        6 => {
            flow.state() == Phase::Established
                || flow.tcp_state() >= net::flow::tcp::TcpState::Established
        }
        _ => flow.both_seen(),
    }
}

fn flow_view(flow: &Flow, transactions: &TxList, memory: &FlowMemory) -> FlowView {
    let (packets, bytes) = (flow.packets(), flow.bytes());
    let age = flow.last().saturating_sub(flow.start()).div_euclid(1_000_000);
    FlowView {
        established: is_established(flow),
        app: app_proto(flow.protocol()),
        app_by_direction: transactions
            .protocols()
            .map(|sides| [app_proto(sides.to_server), app_proto(sides.to_client)]),
        stream_size: stream_size(flow, memory.seen()),
        packets: [u64::from(packets.to_server), u64::from(packets.to_client)],
        bytes: [bytes.to_server, bytes.to_client],
        age: age.unsigned_abs(),
    }
}

/// Sequence numbers used by each side since its first one; what was seen where they are not known.
fn stream_size(flow: &Flow, seen: [u64; 2]) -> [u64; 2] {
    if flow.proto() != 6 {
        return seen;
    }
    let size = |dir: Direction| u64::from(flow.tcp_sent(dir));
    [size(Direction::ToServer), size(Direction::ToClient)]
}

impl FlowMemory {
    /// Names of the bits that rules have set on the flow.
    pub(crate) fn bits<'a>(&'a self, rules: &'a RuleSet) -> impl Iterator<Item = &'a str> {
        self.state.flow_bits().filter_map(|bit| rules.flow_bit_name(bit))
    }

    /// What an alert shows of the stream of a direction: what the newest packet made known.
    pub(crate) fn evidence(&self, dir: Direction, most: usize) -> Vec<u8> {
        let raw = self.raw.as_ref().and_then(|raw| raw.get(dir.index()));
        raw.map(|raw| raw.evidence(most)).unwrap_or_default()
    }

    /// No raw stream waits for a scan.
    fn is_scanned(&self) -> bool {
        self.raw.iter().flat_map(|raw| raw.iter()).all(|raw| raw.unscanned() == 0)
    }

    /// True when rules have set bits.
    pub(crate) fn has_bits(&self) -> bool {
        self.state.flow_bits().next().is_some()
    }

    /// Bytes of raw stream seen by direction.
    fn seen(&self) -> [u64; 2] {
        self.raw.as_ref().map_or([0; 2], |raw| raw.each_ref().map(Raw::seen))
    }
}

impl Detector {
    pub(crate) fn new(rules: Arc<RuleSet>, tables: Arc<Tables>) -> Self {
        let scratch = Scratch::new(&rules);
        Self {
            rules,
            tables,
            scratch,
            spare: Vec::new(),
            rooms: Vec::new(),
            alone: TxState::default(),
            found: Vec::new(),
            stores: Vec::new(),
            tagged: false,
            alerts: 0,
            most: None,
            before: ScanFigures::default(),
            frames_lost: 0,
            inline: false,
            encrypted: Encrypted::default(),
        }
    }

    /// Scans every segment as it comes, or waits until there is enough.
    pub(crate) fn inline(mut self, inline: bool) -> Self {
        self.inline = inline;
        self
    }

    /// Most alerts of one packet; the default when not given.
    pub(crate) fn max_alerts(mut self, most: Option<u16>) -> Self {
        self.most = most;
        if let Some(most) = most {
            self.scratch.set_max_alerts(usize::from(most));
        }
        self
    }

    /// What becomes of flows that are encrypted.
    pub(crate) fn encrypted(mut self, handling: Encrypted) -> Self {
        self.encrypted = handling;
        self
    }

    /// Some rule looks at fingerprints of SSH.
    pub(crate) fn wants_hassh(&self) -> bool {
        use signature::Buffer;
        [
            Buffer::SshHassh,
            Buffer::SshHasshString,
            Buffer::SshHasshServer,
            Buffer::SshHasshServerString,
        ]
        .into_iter()
        .any(|buffer| self.rules.uses(buffer))
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Goes on with other rules; what flows, transactions and the engine remember adopts them when it
    /// is next used.
    pub(crate) fn renew(&mut self, rules: Arc<RuleSet>) {
        self.before = self.figures();
        self.alerts = 0;
        self.scratch = Scratch::new(&rules);
        if let Some(most) = self.most {
            self.scratch.set_max_alerts(usize::from(most));
        }
        self.found.clear();
        self.rules = rules;
    }

    /// Whether a rule that matched before (`tag`) wants the last packet recorded.
    pub(crate) const fn is_tagged(&self) -> bool {
        self.tagged
    }

    /// What the last packet or flow end raised.
    pub(crate) fn found(&self) -> &[Match] {
        &self.found
    }

    /// Rules that the last packet or flow end made want files kept.
    pub(crate) fn stores(&self) -> &[Match] {
        &self.stores
    }

    /// What was counted so far.
    pub(crate) fn figures(&self) -> ScanFigures {
        let (budget_hits, pcre_limits) = self.scratch.cut_short();
        let mut figures = ScanFigures {
            scan: self.scratch.stats(),
            fallbacks: self.scratch.prefilter_stats().fallbacks,
            budget_hits,
            pcre_limits,
            alerts: self.alerts,
            frames_lost: self.frames_lost,
        };
        figures.add(&self.before);
        figures
    }

    fn count_alerts(&mut self) {
        let count = u64::try_from(self.found.len()).unwrap_or(u64::MAX);
        self.alerts = self.alerts.saturating_add(count);
    }

    /// Takes in raw stream; scanned with the packet that brought it.
    pub(crate) fn chunk(&self, memory: &mut FlowMemory, chunk: &Chunk<'_>) {
        if memory.encrypted {
            return;
        }
        let (here, there) = match &mut **memory.raw.get_or_insert_default() {
            [a, b] if chunk.dir == Direction::ToServer => (a, b),
            [a, b] => (b, a),
        };
        match chunk.content {
            Content::Data(bytes) => here.add(chunk.offset, bytes),
            // What lies before and after a gap does not belong together.
            Content::Gap(missing) => {
                here.gap(chunk.offset, missing);
                memory.flush[chunk.dir.index()] = true;
            }
        }
        if there.unscanned() > 0 {
            memory.flush[chunk.dir.reverse().index()] = true;
        }
    }

    /// Runs the rules on a packet and what it made known.
    pub(crate) fn packet(
        &mut self,
        packet: &Packet<'_>,
        place: Option<Place<'_>>,
        memory: Option<&mut FlowMemory>,
    ) -> &[Match] {
        self.found.clear();
        self.stores.clear();
        let mut names = [""; 16];
        let of_flow = place.map(|place| place.transactions.flow_events()).unwrap_or_default();
        let events = packet_view::events(packet, of_flow, &mut names);
        let mut view = packet_view::of(packet, events);
        let (Some(place), Some(memory)) = (place, memory) else {
            let mut scan = Scan::begin(&self.rules, &self.tables, &mut self.scratch, &view, None);
            scan.packet();
            let outcome = scan.finish();
            self.found.extend_from_slice(outcome.matches);
            self.stores.extend_from_slice(outcome.stores);
            self.tagged = outcome.tagged;
            self.count_alerts();
            return &self.found;
        };
        let Place { flow, dir, in_stream, .. } = place;
        view.direction = Some(direction(dir));
        let mut of_flow = flow_view(flow, place.transactions, memory);
        if flow.proto() == 6 {
            let now = of_flow.established;
            of_flow.established = std::mem::replace(&mut memory.established, now);
        }
        view.flow = Some(of_flow);
        view.in_stream = in_stream;
        if memory.encrypted {
            view.payload = &[];
        }
        self.in_flow(&view, place, memory);
        if flow.is_over() && self.found.is_empty() && memory.is_scanned() {
            memory.raw = None;
        }
        self.count_alerts();
        &self.found
    }

    /// Runs the rules on what is left of a flow at its end.
    pub(crate) fn end(
        &mut self,
        flow: &Flow,
        transactions: &TxList,
        memory: &mut FlowMemory,
    ) -> &[Match] {
        self.found.clear();
        self.stores.clear();
        self.frames_lost = self.frames_lost.saturating_add(transactions.frames_lost());
        memory.flush = [true; 2];
        let ((src, src_port), (dst, dst_port)) = flow.endpoints(Direction::ToServer);
        let view = PacketView {
            time: flow.last().unsigned_abs(),
            src,
            dst,
            src_port: Some(src_port),
            dst_port: Some(dst_port),
            ip_proto: flow.proto(),
            ip: signature::IpFields {
                version: if src.is_ipv4() { 4 } else { 6 },
                ..signature::IpFields::default()
            },
            direction: Some(signature::Direction::ToServer),
            flow: Some(flow_view(flow, transactions, memory)),
            pseudo: true,
            ..PacketView::default()
        };
        let dir = Direction::ToServer;
        let place = Place { flow, dir, transactions, in_stream: false, one_way: false };
        self.in_flow(&view, place, memory);
        self.count_alerts();
        &self.found
    }

    fn in_flow(&mut self, view: &PacketView<'_>, place: Place<'_>, memory: &mut FlowMemory) {
        let Place { flow, transactions, .. } = place;
        let only = place.one_way.then_some(place.dir);
        let FlowMemory { state, transactions: states, raw, flush, encrypted, .. } = memory;
        let (rules, tables, spare) = (&self.rules, &self.tables, &mut self.spare);
        let mut scan = Scan::begin(rules, tables, &mut self.scratch, view, Some(state));
        if !view.pseudo {
            scan.packet();
        }
        let mut raw = raw.as_deref_mut();
        if flow.proto() == 6 {
            if encrypts(transactions, self.encrypted, flush) {
                *encrypted = true;
            }
            if let Some(raw) = raw.as_deref_mut() {
                streams(&mut scan, raw, flush, (only, self.inline, view.pseudo));
            }
        }
        let kept = !states.is_empty();
        for (tx, dir) in transactions.to_inspect(only) {
            let payload = match (&raw, flow.proto()) {
                (Some([to_server, to_client]), 6) => [to_server.bytes(), to_client.bytes()],
                (None, 6) => [&[][..]; 2],
                _ => [view.payload; 2],
            };
            let inspected =
                TxView::new((tx, dir), app_proto(spoken(flow, tx)), flow.client().0, payload);
            // A datagram with all of its transaction: nothing of it has to be remembered.
            if !kept && only.is_none() && is_whole(tx, dir) {
                scan.transaction(&inspected, &mut self.alone, direction(dir));
                self.alone.clear();
                continue;
            }
            let at = states.iter().position(|(id, _)| *id == tx.id).unwrap_or_else(|| {
                if states.capacity() == 0 {
                    *states = self.rooms.pop().unwrap_or_default();
                }
                states.push((tx.id, spare.pop().unwrap_or_default()));
                states.len().saturating_sub(1)
            });
            if let Some((_, state)) = states.get_mut(at) {
                scan.transaction(&inspected, state, direction(dir));
            }
        }
        frames(&mut scan, (flow, transactions), only, spare);
        let outcome = scan.finish();
        self.found.extend_from_slice(outcome.matches);
        self.stores.extend_from_slice(outcome.stores);
        self.tagged = outcome.tagged;
        if !states.is_empty() {
            forget_states(states, (transactions, only), (&mut self.spare, &mut self.rooms));
        }
        for raw in raw.into_iter().flatten() {
            // What came before the encryption is still scanned, each direction in its turn.
            if *encrypted && raw.unscanned() == 0 {
                raw.clear();
            } else {
                raw.trim();
            }
        }
    }
}

/// Notes which directions have come to the end of a transaction; true when all that follows is encrypted.
fn encrypts(transactions: &TxList, handling: Encrypted, flush: &mut [bool; 2]) -> bool {
    let mut encrypted = false;
    for (tx, dir) in transactions.changed() {
        if tx.is_complete(dir) {
            flush[dir.index()] = true;
        }
        if is_over(tx, handling) {
            encrypted = true;
            *flush = [true; 2];
        }
    }
    encrypted
}

/// Runs the rules on the raw streams that have enough to scan: of one direction (`only`), in pieces of any size
/// (`all`), for the last time (`last`).
fn streams(
    scan: &mut Scan<'_>,
    raw: &mut [Raw; 2],
    flush: &mut [bool; 2],
    (only, all, last): (Option<Direction>, bool, bool),
) {
    for (dir, raw) in [Direction::ToServer, Direction::ToClient].into_iter().zip(raw) {
        raw.begin();
        if only.is_some_and(|only| only != dir) {
            continue;
        }
        let now = std::mem::take(&mut flush[dir.index()]) || all;
        if raw.unscanned() == 0 || !(now || raw.unscanned() >= ENOUGH) {
            continue;
        }
        for (offset, data) in raw.blocks(OVERLAP).filter(|(_, data)| !data.is_empty()) {
            scan.stream(&ChunkView { direction: direction(dir), offset, data, last });
        }
        raw.settle();
    }
}

/// Nothing more comes of a transaction, and all of its news is of one direction.
fn is_whole(tx: &Transaction, dir: Direction) -> bool {
    tx.is_complete(Direction::ToServer)
        && tx.is_complete(Direction::ToClient)
        && !tx.has_uninspected(dir.reverse())
}

/// Drops the states of transactions that are over. Most flows have a transaction now and then: the room of its state
/// goes to the next flow that has one.
fn forget_states(
    states: &mut States,
    (transactions, only): (&TxList, Option<Direction>),
    (spare, rooms): (&mut Vec<TxState>, &mut Vec<States>),
) {
    states.retain_mut(|(id, state)| {
        let open = transactions.get(*id).is_some_and(|tx| {
            let complete =
                tx.is_complete(Direction::ToServer) && tx.is_complete(Direction::ToClient);
            !complete || only.is_some_and(|dir| tx.has_uninspected(dir.reverse()))
        });
        if !open && spare.len() < SPARE {
            state.clear();
            spare.push(std::mem::take(state));
        }
        open
    });
    if states.is_empty() && states.capacity() > 0 && rooms.len() < SPARE {
        rooms.push(std::mem::take(states));
    }
}

/// Runs the rules on the frames of a flow, those of one direction or all.
fn frames(
    scan: &mut Scan<'_>,
    (flow, transactions): (&Flow, &TxList),
    only: Option<Direction>,
    spare: &mut Vec<TxState>,
) {
    for frame in transactions.frames() {
        if only.is_some_and(|only| only != frame.dir) {
            continue;
        }
        let mut state = spare.pop().unwrap_or_default();
        let inspected = FrameView { frame, protocol: app_proto(flow.protocol()) };
        scan.transaction(&inspected, &mut state, direction(frame.dir));
        state.clear();
        spare.push(state);
    }
}

/// The protocol of a transaction: the flow's, unless the flow has changed to another since.
fn spoken(flow: &Flow, tx: &Transaction) -> Protocol {
    match tx.protocol() {
        // One parser reads DNS, mDNS and LLMNR.
        Protocol::Dns => flow.protocol(),
        // One message of DNS makes all of a connection DNS over HTTP/2.
        Protocol::Http2 if flow.protocol() == Protocol::Doh2 => Protocol::Doh2,
        protocol => protocol,
    }
}

/// True for a session that is encrypted from now on, and not to be scanned any more.
fn is_over(tx: &Transaction, handling: Encrypted) -> bool {
    match &tx.record {
        Record::Tls(tls) if handling.tls != Handling::Scan => {
            tls.encrypted
                && tx.progress(Direction::ToServer) >= net::app::tls::progress::DONE
                && tx.progress(Direction::ToClient) >= net::app::tls::progress::DONE
        }
        Record::Ssh(ssh) if handling.ssh != Handling::Scan => ssh.encrypted,
        _ => false,
    }
}
