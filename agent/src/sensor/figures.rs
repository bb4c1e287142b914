//! What a worker counts: the engine's figures, those of detection, and which of them are losses.
//!
//! [`LOSSES`] is the one table of everything that was not fully inspected. The report of the agent
//! and its problems in words are made from it, so that a counter cannot be forgotten in one of them.

/// Counters of detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanFigures {
    /// Counters of the signature engine.
    pub(crate) scan: signature::ScanStats,
    /// Buffers that went to the bounded prefilter; slower, nothing is missed.
    pub(crate) fallbacks: u64,
    /// Inspections of one rule cut short by their budget.
    pub(crate) budget_hits: u64,
    /// Expressions cut short by their limits.
    pub(crate) pcre_limits: u64,
    /// Alerts given.
    pub(crate) alerts: u64,
    /// Frames that no rule saw: too many waited.
    pub(crate) frames_lost: u64,
}

impl ScanFigures {
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.scan.inspections, other.scan.inspections),
            (&mut self.scan.partials_lost, other.scan.partials_lost),
            (&mut self.scan.beyond_limit, other.scan.beyond_limit),
            (&mut self.scan.instances_beyond, other.scan.instances_beyond),
            (&mut self.scan.flow_state_full, other.scan.flow_state_full),
            (&mut self.fallbacks, other.fallbacks),
            (&mut self.budget_hits, other.budget_hits),
            (&mut self.pcre_limits, other.pcre_limits),
            (&mut self.alerts, other.alerts),
            (&mut self.frames_lost, other.frames_lost),
        ];
        for (mine, theirs) in pairs {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Flows that have ended and their transactions, by protocol and transport.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppFigures {
    /// Over TCP and over anything else.
    counts: [[(u64, u64); 2]; 64],
}

impl Default for AppFigures {
    fn default() -> Self {
        Self { counts: [[(0, 0); 2]; 64] }
    }
}

impl AppFigures {
    /// A flow has ended.
    pub(crate) fn flow(&mut self, protocol: net::Protocol, is_tcp: bool, transactions: u64) {
        let place = self.counts.get_mut(protocol as usize);
        if let Some((flows, txs)) = place.and_then(|sides| sides.get_mut(usize::from(!is_tcp))) {
            *flows = flows.saturating_add(1);
            *txs = txs.saturating_add(transactions);
        }
    }

    /// Flows and transactions of a protocol over TCP and over anything else.
    pub(crate) fn of(&self, protocol: net::Protocol) -> [(u64, u64); 2] {
        self.counts.get(protocol as usize).copied().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            mine.0 = mine.0.saturating_add(theirs.0);
            mine.1 = mine.1.saturating_add(theirs.1);
        }
    }
}

/// Everything one worker has counted since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) net: net::Stats,
    pub(crate) scan: ScanFigures,
    pub(crate) apps: AppFigures,
    /// Files in transit that were wanted and are not kept.
    pub(crate) files_refused: u64,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.net.add(&other.net);
        self.scan.add(&other.scan);
        self.apps.add(&other.apps);
        self.files_refused = self.files_refused.saturating_add(other.files_refused);
    }
}

/// One way in which traffic is not fully inspected.
pub(crate) struct Loss {
    /// Its name in reports.
    pub(crate) name: &'static str,
    /// What the number counts, in words.
    pub(crate) words: &'static str,
    pub(crate) count: fn(&Figures) -> u64,
}

const fn loss(name: &'static str, words: &'static str, count: fn(&Figures) -> u64) -> Loss {
    Loss { name, words, count }
}

/// All of them.
pub(crate) const LOSSES: [Loss; 16] = [
    loss("flow_table_full", "packets without a flow: table full", |f| f.net.flows_shed),
    loss("flow_evicted", "flows ended early: table full", |f| f.net.flows_evicted),
    loss("stream_memory", "segments not reassembled: memory cap", |f| f.net.stream_shed),
    loss("stream_gap", "gaps in streams: segments that were never seen", |f| f.net.stream_gaps),
    loss("stream_depth", "streams not inspected beyond their depth", |f| {
        f.net.stream_depth_reached
    }),
    loss("bad_checksum", "packets with a wrong checksum, not reassembled", |f| f.net.bad_checksum),
    loss("defrag_memory", "fragments not reassembled: memory cap", |f| f.net.defrag.shed),
    loss("defrag_timeout", "datagrams whose fragments never all came", |f| f.net.defrag.timeouts),
    loss("inspection_budget", "inspections of a signature cut short by their budget", |f| {
        f.scan.budget_hits
    }),
    loss("pcre_limit", "regular expressions of signatures cut short by their limits", |f| {
        f.scan.pcre_limits
    }),
    loss("half_matched", "half-matched signatures dropped: too many in a transaction", |f| {
        f.scan.scan.partials_lost
    }),
    loss("instances_beyond", "buffers with more instances than are looked at", |f| {
        f.scan.scan.instances_beyond
    }),
    loss("flow_state_full", "thresholds of a flow without room for their state", |f| {
        f.scan.scan.flow_state_full
    }),
    loss("frames_lost", "frames that no signature saw: too many at a time", |f| f.scan.frames_lost),
    loss("files_refused", "files in transit not kept: quota, disk or too many", |f| {
        f.files_refused
    }),
    loss("alert_limit", "alerts beyond the limit of one packet", |f| f.scan.scan.beyond_limit),
];

/// Losses that are part of ordinary traffic or of the configuration: reported as figures, not told
/// as a problem.
pub(crate) const ORDINARY: [&str; 3] = ["stream_gap", "stream_depth", "defrag_timeout"];

#[cfg(test)]
mod tests;
