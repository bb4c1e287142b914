//! The state of all correlations as bytes, so that a restart neither forgets nor repeats.
//!
//! JSON with a form number. A rule's groups are taken back only when its text is still the same; others
//! begin anew and are named. Bytes of another origin are refused as a whole, and the state stays as it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Correlator,
    state::{Counters, Group, Groups},
};

/// Form of the snapshot.
const VERSION: u32 = 1;
/// What it says it is: other engines keep JSON with a version, too.
const KIND: &str = "sigma correlations";

#[derive(Serialize)]
struct Written<'a> {
    kind: &'a str,
    version: u32,
    newest: Option<i64>,
    counters: Counters,
    rules: BTreeMap<&'a str, WrittenRule<'a>>,
}

#[derive(Serialize)]
struct WrittenRule<'a> {
    text: &'a str,
    groups: Vec<(&'a [String], &'a Group)>,
}

#[derive(Deserialize)]
struct Read {
    kind: String,
    version: u32,
    newest: Option<i64>,
    counters: Counters,
    rules: BTreeMap<String, ReadRule>,
}

#[derive(Deserialize)]
struct ReadRule {
    text: String,
    groups: Vec<(Vec<String>, Group)>,
}

/// Why a snapshot is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No snapshot, or a broken one.
    #[error("not a snapshot of correlations")]
    Format(#[from] serde_json::Error),
    /// A snapshot of something else.
    #[error("a snapshot of {kind:?}, not of correlations")]
    Kind {
        /// What it says it is.
        kind: String,
    },
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

impl Correlator {
    /// The state as bytes.
    ///
    /// # Errors
    /// [`RestoreError::Format`] when it cannot be written.
    pub fn snapshot(&self) -> Result<Vec<u8>, RestoreError> {
        let rules = self.plans.iter().zip(&self.groups);
        let rules = rules.map(|(plan, groups)| {
            let text = &*plan.meta.text;
            (plan.meta.id.as_str(), WrittenRule { text, groups: groups.sorted() })
        });
        Ok(serde_json::to_vec(&Written {
            kind: KIND,
            version: VERSION,
            newest: self.newest,
            counters: self.counters,
            rules: rules.collect(),
        })?)
    }

    /// Takes the state of a snapshot instead of its own.
    ///
    /// # Errors
    /// [`RestoreError`]; then the state is unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<Restored, RestoreError> {
        let mut read: Read = serde_json::from_slice(bytes)?;
        if read.kind != KIND {
            return Err(RestoreError::Kind { kind: read.kind });
        }
        if read.version != VERSION {
            return Err(RestoreError::Version { version: read.version });
        }
        let mut restored = Restored::default();
        self.newest = read.newest;
        self.counters = read.counters;
        for (plan, slot) in self.plans.iter().zip(&mut self.groups) {
            *slot = Groups::default();
            let Some(saved) = read.rules.remove(&plan.meta.id) else { continue };
            let groups = Groups::from(saved.groups);
            if saved.text != *plan.meta.text || !groups.fits(plan.targets.len()) {
                restored.dropped.push(plan.meta.id.clone());
                continue;
            }
            *slot = groups;
            slot.shrink(&self.limits, &mut self.counters);
            restored.groups += slot.len();
        }
        restored.dropped.extend(read.rules.into_keys());
        Ok(restored)
    }
}
