//! Which `_id`s shippers have sent lately, so that a batch sent again after a lost answer is not
//! stored twice.
//!
//! A window over the newest identities in two generations: between [`MOST`] and twice as many are
//! known, about 40 MB when full. It lives in memory and begins empty with the process. Identities
//! of different senders never meet: nobody can keep another's events out by guessing.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

/// Identities of one generation.
pub(in crate::web) const MOST: usize = 250_000;

/// Half a SHA-256: enough that nobody finds two with the same.
type Half = [u8; 16];

/// What one action says about itself: its identity and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    key: Half,
    content: Half,
}

impl Named {
    /// Of a document sent by `sender` into `index` under `id`.
    pub(super) fn new(sender: &str, index: &str, id: &str, content: &[u8]) -> Self {
        let mut key = Sha256::new();
        for part in [sender, index, id] {
            // The length keeps ("a", "bc") and ("ab", "c") apart.
            key.update(part.len().to_le_bytes());
            key.update(part);
        }
        Self { key: half(key), content: half(Sha256::new_with_prefix(content)) }
    }
}

fn half(hash: Sha256) -> Half {
    let mut half = Half::default();
    for (slot, byte) in half.iter_mut().zip(hash.finalize()) {
        *slot = byte;
    }
    half
}

/// What is known of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Not seen in the window.
    New,
    /// Seen with this very content.
    Same,
    /// Seen with another content.
    Changed,
}

/// What was known of an identity before it was remembered.
#[derive(Debug)]
pub(super) struct Undo {
    key: Half,
    before: Option<Half>,
}

/// The identities sent lately.
#[derive(Debug)]
pub struct Window {
    young: HashMap<Half, Half>,
    old: HashMap<Half, Half>,
    most: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl Window {
    /// A window that keeps at least `most` identities.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most: most.max(1) }
    }

    /// What is known of a document.
    pub(super) fn look(&self, named: &Named) -> Known {
        match self.young.get(&named.key).or_else(|| self.old.get(&named.key)) {
            None => Known::New,
            Some(content) if *content == named.content => Known::Same,
            Some(_) => Known::Changed,
        }
    }

    /// Remembers a document; gives what [`Self::undo`] needs.
    pub(super) fn put(&mut self, named: Named) -> Undo {
        let before = self.young.get(&named.key).or_else(|| self.old.get(&named.key)).copied();
        if self.young.len() >= self.most && !self.young.contains_key(&named.key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(named.key, named.content);
        Undo { key: named.key, before }
    }

    /// Takes back what was remembered of a document that was not stored after all.
    pub(super) fn undo(&mut self, undo: &Undo) {
        match undo.before {
            Some(content) => self.young.insert(undo.key, content),
            None => self.young.remove(&undo.key),
        };
    }
}
