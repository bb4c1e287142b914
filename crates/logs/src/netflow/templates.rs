//! Templates of exporters, kept over a restart.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use netflow_parser::template_store::{
    TemplateKind, TemplateStore, TemplateStoreError, TemplateStoreKey,
};
use serde::{Deserialize, Serialize};

/// Most templates of all exporters together.
const MAX: usize = 65_536;
/// Version of the snapshot.
const VERSION: u32 = 1;

/// Why kept templates are not taken, or a decoder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TemplatesError {
    /// A snapshot that is none.
    #[error("kept templates cannot be read")]
    Damaged(#[from] serde_json::Error),
    /// A snapshot of another version.
    #[error("kept templates are of version {0}")]
    Version(u32),
    /// The library does not take the limits given.
    #[error("limits of the NetFlow decoder: {0}")]
    Limits(String),
}

/// Exporter and domain, kind, number.
type Key = (String, u8, u16);

/// Templates by exporter.
#[derive(Debug, Default)]
pub struct Templates {
    known: Mutex<BTreeMap<Key, Vec<u8>>>,
    changed: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    version: u32,
    templates: Vec<(Key, Vec<u8>)>,
}

impl Templates {
    /// The templates of a snapshot.
    ///
    /// # Errors
    /// When it is none of this version.
    pub fn restore(bytes: &[u8]) -> Result<Self, TemplatesError> {
        let snapshot: Snapshot = serde_json::from_slice(bytes)?;
        if snapshot.version != VERSION {
            return Err(TemplatesError::Version(snapshot.version));
        }
        let known = snapshot.templates.into_iter().take(MAX).collect();
        Ok(Self { known: Mutex::new(known), changed: AtomicBool::new(false) })
    }

    /// A snapshot, when there is something new since the last one.
    #[must_use]
    pub fn snapshot(&self) -> Option<Vec<u8>> {
        if !self.changed.swap(false, Ordering::AcqRel) {
            return None;
        }
        let known = self.lock().clone();
        let snapshot = Snapshot { version: VERSION, templates: known.into_iter().collect() };
        serde_json::to_vec(&snapshot).ok()
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<u8>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(of: &TemplateStoreKey) -> Option<Key> {
    let kind = match of.kind {
        TemplateKind::V9Data => 0,
        TemplateKind::V9Options => 1,
        TemplateKind::IpfixData => 2,
        TemplateKind::IpfixOptions => 3,
        TemplateKind::IpfixV9Data => 4,
        TemplateKind::IpfixV9Options => 5,
        _ => return None,
    };
    Some((of.scope.to_string(), kind, of.template_id))
}

impl TemplateStore for Templates {
    fn get(&self, of: &TemplateStoreKey) -> Result<Option<Vec<u8>>, TemplateStoreError> {
        Ok(key(of).and_then(|key| self.lock().get(&key).cloned()))
    }

    fn put(&self, of: &TemplateStoreKey, value: &[u8]) -> Result<(), TemplateStoreError> {
        let Some(key) = key(of) else { return Ok(()) };
        let mut known = self.lock();
        if known.len() < MAX || known.contains_key(&key) {
            let before = known.insert(key, value.to_vec());
            if before.as_deref() != Some(value) {
                self.changed.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    fn remove(&self, of: &TemplateStoreKey) -> Result<(), TemplateStoreError> {
        if let Some(key) = key(of)
            && self.lock().remove(&key).is_some()
        {
            self.changed.store(true, Ordering::Release);
        }
        Ok(())
    }
}
