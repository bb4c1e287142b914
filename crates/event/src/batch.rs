//! A batch: consecutive events of one run of one agent, the unit of shipping and acknowledging.

use serde::{Deserialize, Serialize};

use crate::{Event, Origin};

/// Consecutive events of one origin and boot: `first_seq..=last_seq` without holes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Where the events come from.
    pub origin: Origin,
    /// Which run of the agent.
    pub boot: u64,
    /// The events, ascending by sequence.
    pub events: Vec<Event>,
}

impl Batch {
    /// Sequence of the first event; 0 when empty.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.events.first().map_or(0, |event| event.seq)
    }

    /// Sequence of the last event; 0 when empty.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }
}

/// What became of something that was handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The next hop has it durably.
    Delivered,
    /// The next hop refused it for good.
    Rejected,
    /// Nobody has it.
    Lost,
}

/// Reports the outcome of one batch exactly once: by [`Receipt::settle`], or as
/// [`Outcome::Lost`] when it is dropped unsettled.
pub struct Receipt {
    report: Option<Box<dyn FnOnce(Outcome) + Send>>,
}

impl Receipt {
    /// A receipt that calls `report` once.
    #[must_use]
    pub fn new(report: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self { report: Some(Box::new(report)) }
    }

    /// Reports `outcome`.
    pub fn settle(mut self, outcome: Outcome) {
        if let Some(report) = self.report.take() {
            report(outcome);
        }
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Receipt").field("settled", &self.report.is_none()).finish()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            report(Outcome::Lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn sequences_of_a_batch() {
        let batch = |seqs: &[u64]| {
            let event = |seq: &u64| Event {
                seq: *seq,
                time: crate::Timestamp::EPOCH,
                seen: crate::Timestamp::EPOCH,
                kind: crate::Kind::Log,
                fields: crate::Object::new(),
            };
            let agent = crate::AgentId::new("a").unwrap();
            let (host, version) = ("h".to_owned(), String::new());
            let origin =
                Origin { agent, host, version, zone: String::new(), region: String::new() };
            Batch { origin, boot: 7, events: seqs.iter().map(event).collect() }
        };
        for (seqs, expected) in [
            (&[][..], (0, 0)),
            (&[5], (5, 5)),
            (&[1, 2, 3], (1, 3)),
            (&[u64::MAX], (u64::MAX, u64::MAX)),
        ] {
            let batch = batch(seqs);
            assert_eq!((batch.first_seq(), batch.last_seq()), expected, "{seqs:?}");
            let json = serde_json::to_string(&batch).unwrap();
            assert_eq!(serde_json::from_str::<Batch>(&json).unwrap(), batch);
        }
        // An older agent says nothing of its version, zone and region.
        let old = r#"{"origin":{"agent":"a","host":"h"},"boot":7,"events":[]}"#;
        assert_eq!(serde_json::from_str::<Batch>(old).unwrap(), batch(&[]));
        let hostile = old.replace("\"a\"", "\"../a\"");
        assert!(serde_json::from_str::<Batch>(&hostile).is_err());
    }

    #[test]
    fn a_receipt_that_panics_on_its_way_is_lost_and_not_forgotten() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let receipt = Receipt::new(move |outcome| log.lock().unwrap().push(outcome));
        assert_eq!(format!("{receipt:?}"), "Receipt { settled: false }");
        let worker = std::thread::spawn(move || {
            let _held = receipt;
            panic!("on purpose");
        });
        assert!(worker.join().is_err());
        assert_eq!(*seen.lock().unwrap(), [Outcome::Lost]);
    }

    #[test]
    fn a_receipt_reports_once() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let receipt = |seen: &Arc<Mutex<Vec<Outcome>>>| {
            let seen = Arc::clone(seen);
            Receipt::new(move |outcome| seen.lock().unwrap().push(outcome))
        };
        receipt(&seen).settle(Outcome::Delivered);
        receipt(&seen).settle(Outcome::Rejected);
        drop(receipt(&seen));
        assert_eq!(*seen.lock().unwrap(), [Outcome::Delivered, Outcome::Rejected, Outcome::Lost]);
    }
}
