//! How far files are read when their records are given out as events that stand between each other.
//!
//! A file is read up to the first record that was not given out. Events that were given out may have records behind
//! that place: how many of each is kept with it, and so many are left out when they are read again. So no event is
//! lost and none comes twice, whenever the program is killed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::assemble::EventId;
use crate::source::{Moved, Position};

/// What a line is.
#[derive(Debug)]
pub(super) enum What {
    /// A record of the event of this number.
    Of(u64, Option<Arc<EventId>>),
    /// A record of an event that was given out before the program was started.
    Again(Arc<EventId>),
    /// Nothing.
    Empty,
}

/// A line that was read.
#[derive(Debug)]
struct Line {
    what: What,
    /// The place behind it; forgotten when there is none.
    after: Option<Position>,
    done: bool,
}

/// One file.
#[derive(Debug, Default)]
struct File {
    lines: VecDeque<Line>,
    /// The place before the first line, when it is not kept yet.
    moved: Option<Option<Position>>,
    /// It is not followed any more.
    left: bool,
}

/// Places in all files of a source.
#[derive(Debug)]
pub(super) struct Places {
    /// Key of what was given out ahead.
    key: Arc<str>,
    files: BTreeMap<Arc<str>, File>,
    /// Records to be left out when they are read again.
    again: BTreeMap<EventId, u32>,
    /// What is kept of it.
    kept: Vec<(EventId, u32)>,
}

impl Places {
    /// Goes on from what was kept under `key`.
    pub(super) fn new(key: &str, kept: Option<&Position>) -> Self {
        let kept = match kept {
            Some(Position::Ahead(kept)) => kept.clone(),
            _ => Vec::new(),
        };
        Self {
            key: key.into(),
            files: BTreeMap::new(),
            again: kept.iter().cloned().collect(),
            kept,
        }
    }

    /// Whether a record is of an event that was given out before the program was started.
    pub(super) fn is_again(&mut self, id: &EventId) -> bool {
        let Some(left) = self.again.get_mut(id) else { return false };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.again.remove(id);
        }
        true
    }

    /// A line was read: `before` and `after` are the places around it.
    pub(super) fn read(
        &mut self,
        file: &Arc<str>,
        what: What,
        (before, after): (Position, Position),
    ) {
        let known = self
            .files
            .entry(Arc::clone(file))
            .or_insert_with(|| File { moved: Some(Some(before)), ..File::default() });
        known.left = false;
        let done = !matches!(what, What::Of(..));
        known.push(Line { what, after: Some(after), done });
    }

    /// A place moves although nothing was read.
    pub(super) fn moved(&mut self, (file, after): Moved) {
        let known = self.files.entry(file).or_default();
        known.left = true;
        known.push(Line { what: What::Empty, after, done: true });
    }

    /// An event is given out: the places that move with it.
    pub(super) fn given(&mut self, number: u64) -> Vec<Moved> {
        let mut out = Vec::new();
        let mut ahead: BTreeMap<EventId, u32> = self.again.clone();
        for (key, file) in &mut self.files {
            for line in &mut file.lines {
                line.done |= matches!(&line.what, What::Of(event, _) if *event == number);
            }
            file.settle();
            out.extend(file.moved.take().map(|place| (Arc::clone(key), place)));
            for line in file.lines.iter().filter(|line| line.done) {
                if let What::Of(_, Some(id)) | What::Again(id) = &line.what {
                    let left = ahead.entry(EventId::clone(id)).or_default();
                    *left = left.saturating_add(1);
                }
            }
        }
        self.files.retain(|_, file| !file.left || !file.lines.is_empty());
        let ahead: Vec<(EventId, u32)> = ahead.into_iter().collect();
        if ahead != self.kept {
            let kept = (!ahead.is_empty()).then(|| Position::Ahead(ahead.clone()));
            out.push((Arc::clone(&self.key), kept));
            self.kept = ahead;
        }
        out
    }
}

impl File {
    fn push(&mut self, line: Line) {
        self.lines.push_back(line);
        self.settle();
    }

    /// Moves on over lines that are done with.
    fn settle(&mut self) {
        while self.lines.front().is_some_and(|line| line.done) {
            if let Some(line) = self.lines.pop_front() {
                self.moved = Some(line.after);
            }
        }
    }
}
