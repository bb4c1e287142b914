//! Entry point for fuzzing: whatever a file holds that is said to be a sealed export, reading it ends in an answer,
//! within the limits, and gives out no more than the file holds.

use super::{ExportKey, KeyKind, SealedExport};
use service::key::KeyBytes;

/// The key that the seeds of fuzzing are sealed with.
pub const KEY: [u8; 32] = [7; 32];

/// Reads `data` as a sealed export under [`KEY`]; of one with a passphrase the head alone, since trying one is slow.
pub fn fuzz_export(data: &[u8]) {
    let Ok(export) = SealedExport::read(data) else { return };
    if export.kind() == KeyKind::Key {
        let mut given = 0_usize;
        let done = export.open(&ExportKey::Key(KeyBytes::new(KEY)), &mut |plain| {
            given = given.saturating_add(plain.len());
            Ok(())
        });
        assert!(given < data.len(), "more than it holds");
        if let Ok(length) = done {
            assert_eq!(u64::try_from(given).ok(), Some(length), "told and given");
        }
    }
}
