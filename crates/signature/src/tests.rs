//! What the tests of this room share: rule sets with and without prefilter, packets, transactions, a bench that
//! keeps the state of one worker and one flow.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    AppProto, Buffer, ChunkView, Direction, FileFacts, FlowState, FlowView, Inspect, IpFields,
    LoadOptions, Match, Number, PacketView, ProtoSet, Report, RuleSet, Scan, Scratch, Source,
    Support, Tables, TcpFields, TxState, Verdict, View,
};

/// A sensor that parses every protocol that has buffers.
pub(crate) fn everything() -> LoadOptions {
    let all = ProtoSet::of(
        &Buffer::all().flat_map(Buffer::protocols).copied().collect::<Vec<AppProto>>(),
    );
    LoadOptions {
        support: Support {
            detected: all,
            parsed: all,
            file_magic: &["PE32 executable", "PDF document"],
        },
        ..LoadOptions::default()
    }
}

pub(crate) fn load(rules: &str) -> (RuleSet, Report) {
    let source = Source { name: "test.rules".to_owned(), text: rules.as_bytes().to_vec() };
    RuleSet::load(vec![source], &everything())
}

/// Loads rules that must all be good.
pub(crate) fn good(rules: &str) -> RuleSet {
    let (set, report) = load(rules);
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    set
}

/// The same rules with every pattern and need taken out of the prefilter, so that each is evaluated everywhere.
pub(crate) fn naive(rules: &str) -> RuleSet {
    let mut set = good(rules);
    // Nothing is dropped for what its header needs either.
    set.needs = crate::compile::need::Needs::default();
    for groups in set.plan.packet.iter_mut().flatten().chain(&mut set.plan.stream) {
        let searches = || {
            let by_port = groups.by_port.values().chain(groups.by_sender.values());
            std::iter::once(&groups.all).chain(by_port).chain(groups.by_app.values())
        };
        let all: Vec<u32> = searches().flat_map(crate::compile::group::Searches::rules).collect();
        groups.always.extend(all);
        groups.addresses_need = 0;
        groups.always_by_port_need = 0;
        groups.all = crate::compile::group::Searches::default();
        groups.by_port.clear();
        groups.by_sender.clear();
        groups.by_app.clear();
    }
    for hook in set.plan.tx.iter_mut().flatten().flat_map(|plan| &mut plan.hooks) {
        hook.always.extend(hook.matcher.rules().to_vec());
        hook.matcher = crate::compile::matcher::Matcher::default();
    }
    set
}

/// A UDP packet from 10.0.0.1:40000 to 8.8.8.8:80 at second 1.
pub(crate) fn packet(payload: &[u8]) -> PacketView<'_> {
    PacketView {
        time: 1_000_000,
        src: IpAddr::from([10, 0, 0, 1]),
        dst: IpAddr::from([8, 8, 8, 8]),
        src_port: Some(40_000),
        dst_port: Some(80),
        ip_proto: 17,
        ip: IpFields { version: 4, ttl: 64, ..IpFields::default() },
        payload,
        direction: Some(Direction::ToServer),
        flow: Some(FlowView { established: true, ..FlowView::default() }),
        ..PacketView::default()
    }
}

/// The same as a TCP packet with these flags, whose payload no stream takes in.
pub(crate) fn segment(flags: u8, payload: &[u8]) -> PacketView<'_> {
    let tcp = TcpFields { flags, ..TcpFields::default() };
    PacketView { ip_proto: 6, tcp: Some(tcp), ..packet(payload) }
}

/// A TCP packet whose payload is in the stream.
pub(crate) fn tcp_packet() -> PacketView<'static> {
    PacketView { in_stream: true, ..segment(0x10, b"") }
}

/// The packet that answers: ends and direction turned round.
pub(crate) fn answer(packet: PacketView<'_>) -> PacketView<'_> {
    PacketView {
        src: packet.dst,
        dst: packet.src,
        src_port: packet.dst_port,
        dst_port: packet.src_port,
        direction: packet.direction.map(Direction::reverse),
        ..packet
    }
}

pub(crate) fn sids(set: &RuleSet, matches: &[Match]) -> Vec<u32> {
    matches.iter().map(|found| set.rule(found.rule).unwrap().sid).collect()
}

/// One worker with one flow and one transaction.
pub(crate) struct Bench {
    pub(crate) set: RuleSet,
    pub(crate) tables: Tables,
    pub(crate) scratch: Scratch,
    pub(crate) flow: FlowState,
    pub(crate) state: TxState,
}

impl Bench {
    pub(crate) fn new(rules: &str) -> Self {
        Self::with(good(rules))
    }

    pub(crate) fn with(set: RuleSet) -> Self {
        let scratch = Scratch::new(&set);
        Self {
            set,
            tables: Tables::default(),
            scratch,
            flow: FlowState::default(),
            state: TxState::default(),
        }
    }

    /// Goes on with other rules, as a worker does.
    pub(crate) fn replace(&mut self, set: RuleSet) {
        self.scratch = Scratch::new(&set);
        self.set = set;
    }

    /// Runs `work` within the scan of one packet: verdict and sids.
    pub(crate) fn scan(
        &mut self,
        packet: &PacketView<'_>,
        work: impl FnOnce(&mut Scan<'_>, &mut TxState),
    ) -> (Verdict, Vec<u32>) {
        let mut scan =
            Scan::begin(&self.set, &self.tables, &mut self.scratch, packet, Some(&mut self.flow));
        work(&mut scan, &mut self.state);
        let outcome = scan.finish();
        (outcome.verdict, sids(&self.set, outcome.matches))
    }

    pub(crate) fn packet(&mut self, packet: &PacketView<'_>) -> Vec<u32> {
        self.scan(packet, |scan, _| scan.packet()).1
    }

    /// A packet that belongs to no flow.
    pub(crate) fn stray(&mut self, packet: &PacketView<'_>) -> Vec<u32> {
        let packet = PacketView { flow: None, direction: None, ..*packet };
        let mut scan = Scan::begin(&self.set, &self.tables, &mut self.scratch, &packet, None);
        scan.packet();
        sids(&self.set, scan.finish().matches)
    }

    /// Stream data that a packet in the same direction completed.
    pub(crate) fn stream(&mut self, direction: Direction, offset: u64, data: &[u8]) -> Vec<u32> {
        let packet =
            if direction == Direction::ToServer { tcp_packet() } else { answer(tcp_packet()) };
        let chunk = ChunkView { direction, offset, data, last: false };
        self.scan(&packet, |scan, _| {
            scan.packet();
            scan.stream(&chunk);
        })
        .1
    }

    pub(crate) fn tx(&mut self, tx: &Fixed, direction: Direction) -> Vec<u32> {
        let packet =
            if direction == Direction::ToServer { tcp_packet() } else { answer(tcp_packet()) };
        self.scan(&packet, |scan, state| scan.transaction(tx, state, direction)).1
    }
}

pub(crate) fn on_packet(set: &RuleSet, packet: &PacketView<'_>) -> Vec<u32> {
    let (tables, mut scratch, mut flow) =
        (Tables::default(), Scratch::new(set), FlowState::default());
    let mut scan = Scan::begin(set, &tables, &mut scratch, packet, Some(&mut flow));
    scan.packet();
    sids(set, scan.finish().matches)
}

/// Whether a rule with these options matches a UDP payload, with the prefilter and without it.
pub(crate) fn payload_matches(options: &str, payload: &[u8]) -> bool {
    let rule = format!("alert udp any any -> any any (msg:\"t\"; {options} sid:1;)");
    let with = on_packet(&good(&rule), &packet(payload));
    let without = on_packet(&naive(&rule), &packet(payload));
    assert_eq!(with, without, "prefiltered and naive differ: {options} on {payload:?}");
    with == [1]
}

/// Options, the payloads on which they match, the payloads on which they do not.
pub(crate) type PayloadRow<'a> = (&'a str, &'a [&'a [u8]], &'a [&'a [u8]]);

pub(crate) fn check_rows(rows: &[PayloadRow<'_>]) {
    for (options, yes, no) in rows {
        for (payloads, expected) in [(yes, true), (no, false)] {
            for payload in *payloads {
                let shown = payload.escape_ascii();
                assert_eq!(payload_matches(options, payload), expected, "{options} on \"{shown}\"");
            }
        }
    }
}

/// Buffer, direction, instance.
type Place = (Buffer, Direction, u32);

/// A transaction made of fixed buffers.
pub(crate) struct Fixed {
    pub(crate) proto: AppProto,
    pub(crate) id: u64,
    buffers: BTreeMap<Place, (Vec<u8>, u64, bool)>,
    pub(crate) complete: bool,
    pub(crate) numbers: BTreeMap<Number, u64>,
    pub(crate) event: &'static str,
    pub(crate) files: Vec<FileFacts<'static>>,
}

impl Fixed {
    /// Whole buffers, the same in both directions; a buffer named again is its next instance.
    pub(crate) fn new(proto: AppProto, buffers: &[(Buffer, &str)]) -> Self {
        let mut fixed = Self {
            proto,
            id: 3,
            buffers: BTreeMap::new(),
            complete: true,
            numbers: BTreeMap::new(),
            event: "",
            files: Vec::new(),
        };
        for (buffer, text) in buffers {
            let known = fixed.buffers.keys().filter(|(known, ..)| known == buffer).count() / 2;
            for direction in [Direction::ToServer, Direction::ToClient] {
                let instance = u32::try_from(known).unwrap();
                fixed.put((*buffer, direction, instance), text.as_bytes(), (0, true));
            }
        }
        fixed
    }

    /// Sets one instance in one direction; `window`: position within the whole, and whether it ends there.
    pub(crate) fn put(&mut self, place: Place, bytes: &[u8], window: (u64, bool)) {
        self.buffers.insert(place, (bytes.to_vec(), window.0, window.1));
    }
}

impl Inspect for Fixed {
    fn protocol(&self) -> AppProto {
        self.proto
    }
    fn id(&self) -> u64 {
        self.id
    }
    fn buffer(&self, buffer: Buffer, direction: Direction, instance: u32) -> View<'_> {
        match self.buffers.get(&(buffer, direction, instance)) {
            Some((bytes, offset, last)) => View::Data { bytes, offset: *offset, last: *last },
            None if self.complete => View::Absent,
            None => View::Pending,
        }
    }
    fn number(&self, number: Number, _direction: Direction) -> Option<u64> {
        self.numbers.get(&number).copied()
    }
    fn file(&self, _direction: Direction, instance: u32) -> Option<FileFacts<'_>> {
        self.files.get(instance as usize).copied()
    }
    fn has_event(&self, name: &str) -> bool {
        name == self.event
    }
    fn is_complete(&self, _direction: Direction) -> bool {
        self.complete
    }
}

/// Sids on one transaction; asked twice without progress, nothing fires twice.
pub(crate) fn on_tx(set: &RuleSet, tx: &Fixed, direction: Direction) -> Vec<u32> {
    let packet = PacketView { direction: Some(direction), ..tcp_packet() };
    let (tables, mut scratch, mut flow, mut state) =
        (Tables::default(), Scratch::new(set), FlowState::default(), TxState::default());
    let mut scan = Scan::begin(set, &tables, &mut scratch, &packet, Some(&mut flow));
    scan.transaction(tx, &mut state, direction);
    scan.transaction(tx, &mut state, direction);
    sids(set, scan.finish().matches)
}

/// Whether a rule fires on a transaction, with the prefilter and without it.
pub(crate) fn tx_case(rule: &str, tx: &Fixed, direction: Direction, expected: bool) {
    for set in [good(rule), naive(rule)] {
        assert_eq!(on_tx(&set, tx, direction) == [1], expected, "{rule}");
    }
}

/// Every rejected rule with its place and reason, one a line.
pub(crate) fn reasons(text: &[u8], options: &LoadOptions) -> String {
    let source = Source { name: "r".to_owned(), text: text.to_vec() };
    let (set, report) = RuleSet::load(vec![source], options);
    let mut out = format!("{} accepted\n", set.len());
    for rule in &report.rejected {
        let sid = rule.sid.map_or_else(|| "-".to_owned(), |sid| sid.to_string());
        out.push_str(&format!("{}:{} sid {sid}: {}\n", rule.line, rule.column, rule.error));
    }
    out
}
