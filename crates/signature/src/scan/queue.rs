//! The end of a scan: order, thresholds, verdict.

use std::net::IpAddr;

use crate::{
    Action, Direction, RuleId,
    check::{
        Rule,
        rule::{CountBy, SuppressBy, Test},
    },
    compile::plan,
    scan::{Scan, tables::Ruling},
};

/// Most alerts of one packet; more are counted.
const MAX_ALERTS: usize = 15;

/// Most notes of one match.
pub(crate) const MAX_NOTES: usize = 4;

/// What a rule found beside its match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The context of a value in a data set: [`crate::RuleSet::context`] has the text.
    Context {
        /// Number of the set.
        set: u32,
        /// Number of the context in it.
        context: u32,
    },
    /// Bits of information per byte of a buffer.
    Entropy {
        /// Which buffer.
        buffer: crate::Buffer,
        /// The number as [`f64::to_bits`] gives it.
        bits: u64,
    },
}

/// Where a rule matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchSource {
    /// The packet itself.
    Packet,
    /// Reassembled data.
    Stream,
    /// A transaction.
    Transaction,
    /// A frame; its number stands for that of the transaction.
    Frame,
}

/// A rule that matched and is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Which rule; details by [`crate::RuleSet::rule`].
    pub rule: RuleId,
    /// What it does.
    pub action: Action,
    /// Number of the transaction, for matches in one.
    pub tx: Option<u64>,
    /// Direction of the data that matched.
    pub direction: Option<Direction>,
    /// Where it matched.
    pub source: MatchSource,
    /// What was found beside the match, as far as there is room.
    pub notes: [Option<Note>; MAX_NOTES],
}

/// What a verdict covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Scope {
    /// Nothing.
    #[default]
    None,
    /// This packet.
    Packet,
    /// The whole flow from now on.
    Flow,
}

/// What is to happen with the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdict {
    /// A pass rule matched: no further inspection of this.
    pub pass: Scope,
    /// A drop (or reject) rule matched: stop this.
    pub drop: Scope,
    /// A reject rule matched: also answer.
    pub reject: Scope,
}

/// The result of a scan.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// Rules to alert on, in rule order.
    pub matches: &'a [Match],
    /// Rules with `filestore` that matched, shown or not.
    pub stores: &'a [Match],
    /// What is to happen.
    pub verdict: Verdict,
    /// Alerts beyond the limit of one packet.
    pub beyond_limit: u32,
    /// A rule that matched before (`tag`) wants this packet recorded.
    pub tagged: bool,
}

impl<'a> Scan<'a> {
    /// Sorts matches, applies thresholds, gives alerts and verdict.
    pub fn finish(mut self) -> Outcome<'a> {
        self.scratch.stores.clear();
        let (mut verdict, mut beyond) = (Verdict::default(), 0);
        if !self.scratch.queue.is_empty() {
            (verdict, beyond) = self.rule_on_matches();
        }
        let packet = self.packet;
        let of_flow = !packet.pseudo
            && self
                .flow
                .as_mut()
                .and_then(|flow| flow.tags())
                .is_some_and(|tags| tags.packet(packet));
        let tagged = (!packet.pseudo && self.tables.is_tagged(packet)) || of_flow;
        let Self { scratch, .. } = self;
        let (matches, stores) = (&scratch.queue, &scratch.stores);
        Outcome { matches, stores, verdict, beyond_limit: beyond, tagged }
    }

    /// Sorts the matches and drops those that say nothing: what they come to, and how many were too many.
    fn rule_on_matches(&mut self) -> (Verdict, u32) {
        let mut queue = std::mem::take(&mut self.scratch.queue);
        // Within a rule the newer transaction first, packets last.
        queue.sort_unstable_by_key(|queued| {
            (queued.rule, std::cmp::Reverse(queued.tx.map_or(0, |tx| tx.saturating_add(1))))
        });
        let mut stores = std::mem::take(&mut self.scratch.stores);
        let mut verdict = Verdict::default();
        let mut passed = false;
        let most = self.scratch.max_alerts.unwrap_or(MAX_ALERTS);
        let (mut shown, mut beyond) = (0, 0_u32);
        queue.retain_mut(|queued| {
            let Some(rule) = self.rules.rules.get(queued.rule.0 as usize) else { return false };
            if passed {
                return false;
            }
            let ruling = self.ruling(rule, queued);
            if ruling == Ruling::Nothing {
                return false;
            }
            if self.is_fast(rule, queued) {
                queued.action = rule.rate.map_or(queued.action, |rate| rate.action);
            }
            apply(rule, queued.action, &mut verdict);
            if rule.file_store.is_some() {
                stores.push(*queued);
            }
            passed = queued.action == Action::Pass && verdict.drop == Scope::None;
            let visible = ruling == Ruling::Show && rule.shows;
            if visible && shown >= most {
                beyond += 1;
                return false;
            }
            shown += usize::from(visible);
            visible
        });
        self.scratch.stats.beyond_limit += u64::from(beyond);
        if let Some(flow) = &mut self.flow {
            flow.passed |= verdict.pass == Scope::Flow;
            flow.dropped |= verdict.drop == Scope::Flow;
        }
        self.scratch.queue = queue;
        self.scratch.stores = stores;
        (verdict, beyond)
    }

    fn ruling(&mut self, rule: &Rule, queued: &Match) -> Ruling {
        if self.is_suppressed(rule, queued) {
            return Ruling::Silent;
        }
        let Some(threshold) = &rule.threshold else { return Ruling::Show };
        if threshold.by == CountBy::Flow {
            let Some(flow) = &mut self.flow else { return Ruling::Show };
            let ruling = flow.threshold(queued.rule.0, threshold, self.packet);
            self.scratch.stats.flow_state_full += u64::from(ruling.is_none());
            return ruling.unwrap_or(Ruling::Show);
        }
        let rule_key = (rule.meta.gid, rule.meta.sid);
        self.tables.threshold(threshold, rule_key, self.packet, self.ends(queued))
    }

    fn is_suppressed(&self, rule: &Rule, queued: &Match) -> bool {
        if rule.suppress.is_empty() {
            return false;
        }
        let (src, dst) = self.ends(queued);
        rule.suppress.iter().any(|suppress| {
            let set = self.rules.addresses.get(suppress.addresses as usize);
            let has = |address| set.is_some_and(|set| set.contains(address));
            match suppress.by {
                SuppressBy::Any => true,
                SuppressBy::Src => has(src),
                SuppressBy::Dst => has(dst),
                SuppressBy::Either => has(src) || has(dst),
            }
        })
    }

    /// Whether the rule matches so fast that its other action stands.
    fn is_fast(&self, rule: &Rule, queued: &Match) -> bool {
        rule.rate.is_some_and(|rate| {
            let rule = (rule.meta.gid, rule.meta.sid);
            self.tables.is_fast(&rate, rule, self.packet, self.ends(queued))
        })
    }

    /// Source and destination as the alert has them.
    fn ends(&self, queued: &Match) -> (IpAddr, IpAddr) {
        match (queued.direction, self.packet.direction) {
            (Some(data), Some(own)) if data != own => (self.packet.dst, self.packet.src),
            _ => (self.packet.src, self.packet.dst),
        }
    }
}

/// Takes the rule's action into the verdict.
fn apply(rule: &Rule, action: Action, verdict: &mut Verdict) {
    let kind = plan::kind(rule);
    let app = rule.protocol.app.is_some()
        || rule.tests.iter().any(|test| matches!(test, Test::AppProto { .. }));
    // A rule on the application protocol alone is about the flow.
    let protocol_only = app
        && rule.blocks.is_empty()
        && rule.tests.iter().all(|test| matches!(test, Test::AppProto { .. }));
    let stateful = rule.flow.established || rule.protocol.app.is_some();
    let of_flow = kind.transaction || kind.addresses || protocol_only;
    let scope = if of_flow || (kind.stream && stateful) { Scope::Flow } else { Scope::Packet };
    match action {
        Action::Alert | Action::Config => {}
        // What was dropped before stays dropped.
        Action::Pass => {
            if verdict.drop == Scope::None {
                verdict.pass = verdict.pass.max(scope);
            }
        }
        Action::Drop => verdict.drop = verdict.drop.max(scope),
        Action::Reject => {
            verdict.drop = verdict.drop.max(scope);
            verdict.reject = verdict.reject.max(scope);
        }
    }
}
