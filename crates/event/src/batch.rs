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
