//! What the owner of writing does about damage: looks at what could not be read, takes out of service what is damaged,
//! and indexes again what the log still has of it. Not here: what counts as damage (`index/partition.rs`).

use super::{Work, Worker, index_error, lacks};
use crate::store::index::partition::{PartitionKey, Quarantined};
use crate::store::log::Position;
use crate::store::log::append::count;
use crate::store::log::reader::{Reader, Step};

impl Worker {
    /// Opens what could not be read before, takes what turns out damaged out of service, seals anew what is due.
    pub(super) fn look_again(&mut self) {
        self.look_for_warm();
        for (key, reason) in self.partitions.retry() {
            match self.partitions.salvage(key, &reason, false) {
                Ok(damaged) => self.note(damaged),
                Err(error) => self.fail(&error),
            }
        }
        if let Err(error) = self.reseal() {
            self.fail(&error);
        }
    }

    /// Takes notice of damage; it is repaired with the next commit.
    pub(in crate::store::index) fn note(&mut self, damaged: Vec<Quarantined>) {
        for found in damaged {
            count(&self.counters.quarantined, 1);
            self.repair.insert(found.partition);
            self.problems.push(found.problem);
        }
    }

    /// Checks a partition thoroughly and takes what is damaged out of service.
    pub(super) fn inspect(&mut self, key: PartitionKey) {
        // What is not there is not damaged.
        self.look_for_warm();
        // Looking through what the disk does not give helps nobody.
        if self.partitions.get(key).is_none() || self.partitions.is_unreadable(key) {
            return;
        }
        // Nobody may merge or delete files meanwhile.
        if let Some(writer) = self.writers.remove(&key) {
            if writer.dirty {
                // What it holds uncommitted is read from the log again. The other writers hold
                // parts of the same records, so all go back to the last commit.
                self.rewind();
            }
            if let Err(error) = writer.writer.wait_merging_threads() {
                tracing::warn!(partition = %key, %error, "merging did not finish");
            }
        }
        match self.partitions.salvage(key, "found damaged by a search", true) {
            Ok(damaged) => self.note(damaged),
            Err(error) => self.fail(&error),
        }
    }

    /// Indexes again, from what the log still has, documents that damaged partitions lack.
    pub(super) fn repair(&mut self) -> Work<()> {
        let keys = self.repair.clone();
        let mut reader =
            Reader::new(self.config.log.clone(), self.feed.keys.clone(), Position::default());
        self.commit()?;
        let end = self.next;
        while reader.position() < end {
            let entry = match reader.step()? {
                Step::Record(at, _, _) if at >= end => break,
                Step::Record(at, packed, _) => packed.unpack().ok().map(|entry| (at, entry)),
                Step::Damage(_) => None,
                Step::End(_) => break,
            };
            let items = entry.iter().flat_map(|(at, e)| e.items.iter().map(move |i| (*at, e, i)));
            for (at, entry, item) in items {
                let Some(key) = self.key(at, entry, item) else { continue };
                if keys.contains(&key) {
                    let again =
                        self.add(key, entry, item, |partition| lacks(partition, entry, item));
                    count(&self.counters.repaired, usize::from(again.map_err(index_error)?));
                }
            }
        }
        self.repair.clear();
        Ok(())
    }
}
