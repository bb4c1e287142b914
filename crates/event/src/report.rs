//! What an agent tells of itself: the other half of the loss ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Hop, Ledger, Timestamp};

/// State of an agent at one moment; sent to the collector every few seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was made, by the agent's clock.
    pub time: Timestamp,
    /// Boot of the agent's spool.
    pub boot: u64,
    /// When the agent started.
    pub started: Timestamp,
    /// Version of the agent.
    pub version: String,
    /// Counters of each hop since the start.
    pub ledgers: BTreeMap<Hop, Ledger>,
    /// Last sequence given out in this boot.
    pub last_seq: u64,
    /// Events waiting for an acknowledgement, of all boots.
    pub pending: u64,
    /// Bytes of the spool on disk.
    pub spool_bytes: u64,
    /// Events acknowledged since the start.
    pub acknowledged: u64,
    /// Events the collector refused for good.
    pub rejected: u64,
    /// Events reported as skipped.
    pub skipped: u64,
    /// Rules in force, by engine: (loaded, rejected).
    #[serde(default)]
    pub rules: BTreeMap<String, (u64, u64)>,
    /// What packet workers did not fully inspect since the start, by cause; causes without any are
    /// left out. Their units differ (packets, segments, inspections, alerts): no hop of the ledger.
    #[serde(default)]
    pub not_inspected: BTreeMap<String, u64>,
    /// Interfaces captured on and log sources read, in words.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Counters of each log source.
    #[serde(default)]
    pub sources: Vec<SourceReport>,
    /// What is wrong now, in words.
    #[serde(default)]
    pub problems: Vec<String>,
    /// Resident memory, bytes.
    #[serde(default)]
    pub resident_bytes: u64,
}

/// Counters of one log source since the agent's start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// What it is, such as `files /var/log/*.log`.
    pub name: String,
    /// Lines, records or messages taken.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that no parser understood; they are kept whole.
    #[serde(default)]
    pub unparsed: u64,
    /// Those of which the header of syslog was understood and no parser knows the message.
    #[serde(default)]
    pub header_only: u64,
    /// Those that were cut.
    #[serde(default)]
    pub truncated: u64,
    /// Files that could not be read, connections that failed.
    #[serde(default)]
    pub errors: u64,
    /// Those given up because the agent was behind.
    #[serde(default)]
    pub shed: u64,
    /// Those the kernel dropped before the agent saw them.
    #[serde(default)]
    pub dropped: u64,
    /// When the last one was taken, by the agent's clock.
    #[serde(default)]
    pub last_event: Option<Timestamp>,
    /// Bytes known to be there and not taken yet.
    #[serde(default)]
    pub behind_bytes: u64,
    /// How far it is read, in words; empty when it has no place.
    #[serde(default)]
    pub position: String,
    /// The senders of the most messages, when others send to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerReport>,
    /// Senders known, at most 1024.
    #[serde(default)]
    pub peer_count: u64,
    /// Seconds of silence after which it is found silent; none when it may be silent for as long as it likes. The agent sets
    /// it with what is configured or learned; 0 stands for never where it is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after_seconds: Option<u64>,
    /// That time was learned, not configured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet_learned: bool,
    /// Since when it is silent, once that is too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// What only this kind of source counts, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<String, u64>,
}

/// Counters of one sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReport {
    /// Its address, or `others`.
    pub address: String,
    /// Messages taken.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that no parser understood.
    pub unparsed: u64,
    /// When the last one came.
    pub last_seen: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_a_newer_or_older_agent_is_read() {
        let report = Report {
            ledgers: BTreeMap::from([(Hop::Logs, Ledger { seen: 1, ..Ledger::default() })]),
            ..Report::default()
        };
        let mut json = serde_json::to_value(&report).unwrap();
        assert_eq!(serde_json::from_value::<Report>(json.clone()).unwrap(), report);
        json["something_new"] = 1.into();
        json.as_object_mut().unwrap().remove("inputs");
        assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
    }

    /// What the first version wrote is read by every later one; what it must have is named when absent.
    #[test]
    fn the_oldest_report_is_read() {
        let oldest = serde_json::json!({
            "time": "2026-01-01T00:00:00Z", "boot": 1, "started": "2026-01-01T00:00:00Z",
            "version": "0.1.0", "ledgers": {"capture": {"seen": 5, "processed": 4}}, "last_seq": 9,
            "pending": 0, "spool_bytes": 0, "acknowledged": 9, "rejected": 0, "skipped": 0,
        });
        let report: Report = serde_json::from_value(oldest.clone()).unwrap();
        assert_eq!((report.ledgers[&Hop::Capture].residue(), report.resident_bytes), (1, 0));
        for name in ["time", "boot", "ledgers", "last_seq", "acknowledged"] {
            let mut less = oldest.clone();
            less.as_object_mut().unwrap().remove(name);
            let error = serde_json::from_value::<Report>(less).unwrap_err().to_string();
            assert_eq!(error, format!("missing field `{name}`"));
        }
        let mut forged = oldest;
        forged["pending"] = (-1).into();
        assert!(serde_json::from_value::<Report>(forged).is_err());
    }
}
