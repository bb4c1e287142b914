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
    #[expect(clippy::vec_box, reason = "exchanged with those of transactions as they are")]
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
        for (waiting, message) in self.waiting.drain(..).zip(&mut self.messages) {
            let Waiting { flow, dir, ts, packet, source, tx } = waiting;
            let head = Head { kind: "dns", ts, packet, options: &self.options };
            let record = self.output.begin();
            head.of_client(record, (flow, dir), None);
            record.word("pkt_src", source);
            record.object("dns", |dns| eve::dns::message(dns, message, tx));
            self.output.end(ts, "dns");
            // Room for a message of thousands of records is not kept.
            if !message.empty() {
                **message = Message::default();
            }
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

    /// Has all written that waits, here or in the output.
    pub(super) fn flush_all(&mut self) {
        self.flush();
        self.output.flush();
    }

    /// The output, when all is written.
    pub(super) fn into_inner(mut self) -> O {
        self.flush_all();
        self.output
    }
}

#[cfg(test)]
mod tests {
    use capture::{Burst, Frame};
    use etherparse::PacketBuilder;
    use serde_json::Value;

    use crate::sensor::eve::Object;
    use crate::sensor::report::{Output, Reporter};
    use crate::sensor::settings::Settings;
    use crate::sensor::worker::{Share, Source, Worker};

    /// Keeps records.
    #[derive(Default)]
    struct Kept {
        record: Object,
        all: Vec<Value>,
    }

    impl Output for Kept {
        type Record = Object;

        fn begin(&mut self) -> &mut Object {
            self.record.clear();
            &mut self.record
        }

        fn end(&mut self, ts: i64, kind: &'static str) {
            let mut record = std::mem::take(&mut self.record);
            record.insert("at".into(), ts.into());
            record.insert("kind".into(), kind.into());
            self.all.push(record.into());
        }
    }

    struct Frames(std::vec::IntoIter<Vec<u8>>, Vec<u8>, i64);

    impl Source for Frames {
        type Error = ();

        fn next_burst(&mut self, _: usize) -> Result<Burst<'_>, ()> {
            let Some(bytes) = self.0.next() else { return Ok(Burst::new()) };
            (self.1, self.2) = (bytes, self.2 + 1_000);
            let wire_len = u32::try_from(self.1.len()).unwrap();
            let (ts, bytes) = (self.2, self.1.as_slice());
            let frame =
                Frame { ts, interface: 0, bytes, wire_len, link: 1, checksums_pending: false };
            Ok([frame].into_iter().collect())
        }
    }

    /// A question from `port`, or its answer with an address.
    fn message(port: u16, answer: bool) -> Vec<u8> {
        let mut dns = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3];
        dns.extend_from_slice(b"www\x07example\0\0\x01\0\x01");
        let (mut from, mut to) = (([10, 0, 0, 1], port), ([192, 0, 2, 53], 53));
        if answer {
            std::mem::swap(&mut from, &mut to);
            (dns[2], dns[3], dns[7]) = (0x81, 0x80, 1);
            dns.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9]);
        }
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64);
        let mut frame = Vec::new();
        builder.udp(from.1, to.1).write(&mut frame, &dns).unwrap();
        frame
    }

    fn arp() -> Vec<u8> {
        let mut frame = [&[0xff; 6][..], &[2; 6], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
        frame.extend_from_slice(&[2, 2, 2, 2, 2, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
        frame
    }

    fn records(frames: Vec<Vec<u8>>, all_types: bool) -> Vec<Value> {
        let mut settings = Settings::default();
        settings.records.arp = true;
        if all_types {
            // Messages are chosen by their types: none waits.
            settings.records.dns_types = (0..=u16::MAX).collect();
        }
        let config = settings.engine.clone();
        let reporter = Reporter::new(settings, Kept::default(), None);
        let mut worker = Worker::new(config, reporter, Share { index: 0, count: 1 });
        worker.run(&mut Frames(frames.into_iter(), Vec::new(), 1_000_000)).unwrap();
        worker.finish().0.all
    }

    #[test]
    fn what_waits_has_the_records_and_the_order_of_what_does_not() {
        // More than may wait, records of other kinds between them, flows of one message and of several.
        let mut frames = Vec::new();
        for port in 1..120 {
            frames.push(message(port, false));
            if port % 3 == 0 {
                frames.push(message(port, true));
            }
            if port % 41 == 0 {
                frames.push(arp());
            }
        }
        let later = records(frames.clone(), false);
        assert_eq!(later, records(frames, true));
        let count = |kind: &str| later.iter().filter(|record| record["kind"] == kind).count();
        assert_eq!((count("dns"), count("arp"), count("flow")), (119 + 39, 2, 119));
    }
}
