//! The contract of stores, kept by the embedded one.

use super::*;
use crate::store::contract::{Engine, contract};

struct Own {
    directory: tempfile::TempDir,
    store: Option<Embedded>,
}

impl Own {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Some(open(directory.path()));
        Self { directory, store }
    }
}

impl Engine for Own {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn crash(&mut self) {
        // Dropping it commits nothing, as a crash would not.
        self.store = None;
        self.store = Some(open(self.directory.path()));
    }
}

contract!(Own::new());
