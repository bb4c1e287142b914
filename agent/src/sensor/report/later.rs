//! Messages of DNS whose records are written later, several in a row.
//!
//! Where a packet is a message and a message is a record, reading, detecting and writing one after the other for
//! each packet asks the processor for more code than its nearest cache holds. So messages wait until there are
//! some; every other record is written after those that wait, so that the order stays.

use std::sync::Arc;

use net::app::dns::Message;
use net::{Direction, FlowName};
use signature::RuleSet;

use super::Output;
use crate::sensor::eve::fields::Fields as _;
use crate::sensor::eve::{self, Head};
use crate::sensor::settings::RecordOptions;

/// Messages that may wait.
const MOST: usize = 32;

/// What a record says of a message beside the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) flow: FlowName,
    pub(super) dir: Direction,
    /// Microseconds since the epoch.
    pub(super) ts: i64,
    /// Number of its packet.
    pub(super) packet: u64,
    /// What brought it, as records name it.
    pub(super) source: &'static str,
    /// Number of its transaction.
    pub(super) tx: u64,
}

/// An output before which messages wait.
#[derive(Debug)]
pub(super) struct Later<O> {
    output: O,
    options: RecordOptions,
    waiting: Vec<Waiting>,
    /// The messages of those that wait, and behind them room for more.
    messages: Vec<Box<Message>>,
}

impl<O: Output> Later<O> {
    pub(super) fn new(output: O, options: &RecordOptions) -> Self {
        Self { output, options: options.clone(), waiting: Vec::new(), messages: Vec::new() }
    }

    /// Every message has its record, of the usual form.
    pub(super) fn takes_messages(&self) -> bool {
        let options = &self.options;
        let all = options.dns_requests && options.dns_responses && options.dns_types.is_empty();
        all && !options.dns_version_2
    }

    /// One more; the answer is where its message belongs.
    pub(super) fn put(&mut self, waiting: Waiting) -> &mut Box<Message> {
        if self.waiting.len() >= MOST {
            self.flush();
        }
        let at = self.waiting.len();
        self.waiting.push(waiting);
        if self.messages.len() <= at {
            self.messages.resize_with(at.saturating_add(1), Box::default);
        }
        &mut self.messages[at]
    }

    /// Writes the records of those that wait.
    #[inline]
    pub(super) fn flush(&mut self) {
        if !self.waiting.is_empty() {
            self.write();
        }
    }

    #[inline(never)]
    fn write(&mut self) {
        for (waiting, message) in self.waiting.drain(..).zip(&self.messages) {
            let Waiting { flow, dir, ts, packet, source, tx } = waiting;
            let head = Head { kind: "dns", ts, packet, options: &self.options };
            let record = self.output.begin();
            head.of_client(record, (flow, dir), None);
            record.word("pkt_src", source);
            record.object("dns", |dns| eve::dns::message(dns, message, tx));
            self.output.end(ts, "dns");
        }
    }

    /// See [`Output::begin`].
    pub(super) fn begin(&mut self) -> &mut O::Record {
        self.flush();
        self.output.begin()
    }

    /// See [`Output::renew`].
    pub(super) fn renew(&mut self, rules: &Arc<RuleSet>) {
        self.flush();
        self.output.renew(rules);
    }

    /// See [`Output::end`].
    pub(super) fn end(&mut self, ts: i64, kind: &'static str) {
        self.output.end(ts, kind);
    }

    /// The output, when all is written.
    pub(super) fn into_inner(mut self) -> O {
        self.flush();
        self.output
    }
}
