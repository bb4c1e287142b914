//! By when something that is gone had come: the receipt of the next sound record behind it tells.
//!
//! Records follow each other in the order of their receipt. Not here: when the events in them happened,
//! which may be long before and which nobody can know any more.

use event::Timestamp;

/// By when what was lost had been received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Until {
    latest: Option<Timestamp>,
    /// Something is gone, and nothing sound came behind it yet.
    open: bool,
}

impl Until {
    /// Something is gone here.
    pub const fn lost(&mut self) {
        self.open = true;
    }

    /// A sound record, received at a time.
    pub fn sound(&mut self, received: Timestamp) {
        if std::mem::take(&mut self.open) {
            self.latest = self.latest.max(Some(received));
        }
    }

    /// The time; `None` when nothing was lost, or when nothing tells by when.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        self.latest.filter(|_| !self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_sound_record_tells_by_when() {
        let time = Timestamp::from_seconds;
        let mut until = Until::default();
        until.sound(time(1));
        assert_eq!(until.time(), None, "nothing is gone");
        until.lost();
        assert_eq!(until.time(), None, "nothing tells");
        until.sound(time(3));
        until.sound(time(4));
        assert_eq!(until.time(), Some(time(3)));
        until.lost();
        until.sound(time(2));
        assert_eq!(until.time(), Some(time(3)), "a clock that was set back");
        until.lost();
        assert_eq!(until.time(), None, "of the last nobody knows");
    }
}
