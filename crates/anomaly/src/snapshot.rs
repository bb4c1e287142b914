//! The whole state of an engine as bytes, so that a restart forgets nothing.
//!
//! JSON. A rule's groups are taken back only when the rule's text is still the same; others begin
//! anew and are named.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::engine::{Counters, Watermark};
use crate::state::group::Group;

/// Form of the snapshot.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Snapshot {
    version: u32,
    seed: u64,
    /// Hash of a constant: sketches of another hash function would be misread.
    probe: u64,
    watermark: Watermark,
    rules: BTreeMap<String, RuleSnapshot>,
}

#[derive(Serialize, Deserialize)]
struct RuleSnapshot {
    text: String,
    bucket: i64,
    counters: Counters,
    /// The least recently used first.
    groups: Vec<(String, Group)>,
}

/// Why a snapshot is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No snapshot, or a broken one.
    #[error("not a snapshot of the anomaly engine")]
    Format(#[from] serde_json::Error),
    /// Made by another version of the engine.
    #[error("snapshot of form {version} cannot be read by this version")]
    Version {
        /// Its form.
        version: u32,
    },
}

/// What was taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Groups with their state.
    pub groups: usize,
    /// Rules that begin anew because they changed or are gone.
    pub dropped: Vec<String>,
}

impl Engine {
    /// The state as bytes.
    ///
    /// # Errors
    /// [`RestoreError::Format`] when it cannot be written.
    pub fn snapshot(&self) -> Result<Vec<u8>, RestoreError> {
        let mut rules = BTreeMap::new();
        for state in &self.states {
            let mut groups = Vec::with_capacity(state.groups.len());
            state.groups.visit(|key, group| groups.push((key.to_owned(), group.clone())));
            let (text, bucket) = (state.rule.text.clone(), state.bucket);
            let counters = state.counters;
            rules.insert(state.rule.id.clone(), RuleSnapshot { text, bucket, counters, groups });
        }
        let (seed, watermark) = (self.seed, self.watermark);
        let snapshot = Snapshot { version: VERSION, seed, probe: probe(seed), watermark, rules };
        Ok(serde_json::to_vec(&snapshot)?)
    }

    /// Takes the state of a snapshot instead of its own.
    ///
    /// # Errors
    /// [`RestoreError`]; then the engine is unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<Restored, RestoreError> {
        let mut snapshot: Snapshot = serde_json::from_slice(bytes)?;
        if snapshot.version != VERSION || snapshot.probe != probe(snapshot.seed) {
            return Err(RestoreError::Version { version: snapshot.version });
        }
        let mut restored = Restored::default();
        self.reseed(snapshot.seed);
        self.watermark = snapshot.watermark;
        for state in &mut self.states {
            let Some(saved) = snapshot.rules.remove(&state.rule.id) else { continue };
            if saved.text != state.rule.text {
                restored.dropped.push(state.rule.id.clone());
                continue;
            }
            state.bucket = saved.bucket;
            state.counters = saved.counters;
            while state.groups.pop().is_some() {}
            state.bytes = 0;
            for (key, group) in saved.groups {
                state.bytes = state.bytes.saturating_add(group.bytes());
                state.groups.touch(&key, || group);
            }
            state.shrink();
            restored.groups = restored.groups.saturating_add(state.groups.len());
        }
        restored.dropped.extend(snapshot.rules.into_keys());
        Ok(restored)
    }
}

fn probe(seed: u64) -> u64 {
    FixedState::with_seed(seed).hash_one("pikett")
}
