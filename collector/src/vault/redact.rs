//! Redactions as the vault keeps them: orders in the keyring while they are carried out, tombstones in the
//! journal for ever. Not here: what is done to partitions and log.

use super::{Head, Link, Signed, Vault, VaultError, journal, names, partition_key};
use crate::journal::{Entry, What};
use crate::redaction::{Order, Tombstone};

/// Name of the key that a partition gets while it is written anew.
#[must_use]
pub(crate) fn fresh_key(partition: &str) -> String {
    format!("fresh/{partition}")
}

/// The tombstones among entries, with their proofs.
pub fn tombstones(entries: &[(Entry, Link)]) -> impl Iterator<Item = (&Tombstone, &Signed)> {
    entries.iter().filter_map(|(entry, _)| match &entry.what {
        What::Redacted { stone, proof } => Some((stone, proof)),
        _ => None,
    })
}

impl Vault {
    /// Notes that a redaction is begun, durably: from now on it is carried out whatever happens, and its
    /// events are not stored again.
    ///
    /// # Errors
    /// [`VaultError`]; then it is not begun.
    pub(crate) fn begin_redaction(&self, order: &Order) -> Result<(), VaultError> {
        self.keyring.order(order.clone())?;
        self.redactions.begin(order);
        Ok(())
    }

    /// Destroys the key of a partition that is written anew under its fresh key, which takes its place.
    ///
    /// # Errors
    /// [`VaultError`]; then the old key is still there.
    pub(crate) fn exchange(
        &self,
        partition: &str,
        order: Option<&str>,
        after: Head,
    ) -> Result<(), VaultError> {
        let (fresh, name) = (fresh_key(partition), partition_key(partition));
        self.keyring.exchange((&fresh, &name), order, after)?;
        self.set_head(&name, after);
        Ok(())
    }

    /// Notes that partitions and log are sealed anew that were asked for at `asked`.
    ///
    /// # Errors
    /// [`VaultError`]; then it is noted again.
    pub(crate) fn end_reseal(&self, asked: i64, log: Head) -> Result<(), VaultError> {
        self.note(What::Resealed { asked, log })?;
        self.checkpoint(true)?;
        Ok(self.keyring.resealed(asked)?)
    }

    /// Leaves the tombstone of a redaction that is done in partitions and log, once.
    ///
    /// # Errors
    /// [`VaultError`]; then it is done again.
    pub(crate) fn end_redaction(&self, id: &str, log: Head) -> Result<Tombstone, VaultError> {
        let order = self.keyring.orders().into_iter().find(|order| order.id == id);
        let order = order.unwrap_or_default();
        let path = self.journal.path();
        let known = journal::scan(path, &self.keyring.file_key(names::JOURNAL)?)
            .map_err(|source| VaultError::io("read", path, source))?;
        let told = tombstones(&known.entries).find(|(stone, _)| stone.id == id);
        let stone = match told {
            // Killed before the order was taken away.
            Some((stone, _)) => stone.clone(),
            None => {
                let stone = self.redactions.tombstone(order, log);
                let proof = self.signer.sign(&stone)?;
                self.note(What::Redacted { stone: stone.clone(), proof })?;
                stone
            }
        };
        self.checkpoint(true)?;
        self.keyring.done(id)?;
        Ok(stone)
    }
}
