//! The owner of writing looks whether the warm folder is there: when it goes, nothing is written to what lies in it;
//! when it comes back, its partitions are searched again. Not here: what is missing meanwhile
//! (`index/partition/away.rs`).

use super::{Work, Worker};
use crate::store::index::partition::Turn;

impl Worker {
    /// Looks whether the warm folder has gone or come back.
    pub(super) fn look_for_warm(&mut self) {
        let done = match self.partitions.turn() {
            None => Ok(()),
            Some(Turn::Gone) => self.part_with_warm(),
            Some(Turn::Back) => self.welcome_warm(),
        };
        if let Err(error) = done {
            self.fail(&error);
        }
    }

    fn part_with_warm(&mut self) -> Work<()> {
        let gone = self.partitions.part();
        let mut dirty = false;
        for key in &gone {
            dirty |= self.writers.remove(key).is_some_and(|writer| writer.dirty);
        }
        if dirty {
            // What other writers hold uncommitted comes from the same records.
            self.rewind();
        }
        let existing = self.partitions.keys();
        for key in gone {
            if self.routing.is_latest(key) {
                self.routing.begin_part(key, self.committed, &existing)?;
            }
        }
        Ok(())
    }

    fn welcome_warm(&mut self) -> Work<()> {
        for (key, reason) in self.partitions.take_back()? {
            let damaged = self.partitions.salvage(key, &reason, false)?;
            self.note(damaged);
        }
        Ok(())
    }
}
