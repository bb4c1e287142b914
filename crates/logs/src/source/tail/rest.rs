//! The rest of a file that is not where it was: looked for beside it, under the names that rotation gives,
//! and kept in mind when it is not found, because it may turn up later.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::followed::Content;
use super::meet::Origin;
use super::packed::{Packed, Packing};
use super::print::{Print, head_of};
use super::{Found, Position, Sink, Tailer, glob, id_of, place_of, rotation, state_of};

/// Most files of a folder looked at to find the rest of one.
const MAX_SIBLINGS: usize = 10_000;
/// Looks for the rest of a file while names change under the eyes.
const PASSES: usize = 5;
/// Most places kept whose file is not found, the newest.
const MAX_LOST: usize = 64;

/// What was found beside a file.
enum Beside {
    /// Its rest.
    Found(Found, Box<Origin>),
    /// Its rest, which is read there already.
    Taken,
    /// Not its rest, and all could be read.
    Nothing,
    /// Not its rest, but something could not be read or went away.
    Moved,
}

impl Tailer {
    /// Files that were followed before the start and are not there under a name that is looked for: the
    /// rest of each is looked for beside where it was.
    pub(super) fn find_orphans(&mut self, sink: &mut dyn Sink) {
        let orphans: Vec<(String, Position)> = self
            .positions
            .iter()
            .filter(|(_, position)| matches!(position, Position::File { .. }))
            .map(|(key, position)| (key.clone(), position.clone()))
            .collect();
        for (key, position) in orphans {
            let path = path_of(&position);
            let group = self.groups.iter().position(|group| {
                group.patterns.iter().any(|pattern| glob::covers(pattern, &path))
            });
            if let Some(group) = group {
                self.find_rest(&key, &position, group, sink);
            }
        }
    }

    /// Looks beside a file for where its content is now, and reads on there. True when it is found.
    pub(super) fn find_rest(
        &mut self,
        key: &str,
        position: &Position,
        group: usize,
        sink: &mut dyn Sink,
    ) -> bool {
        if !is_telling(position) {
            return false;
        }
        // Files are renamed and compressed meanwhile: what has gone while it was looked at is looked for again.
        for _ in 0..PASSES {
            match self.rest_beside(key, position, group) {
                Beside::Found(found, origin) => {
                    self.begin(found, *origin, false, sink);
                    return true;
                }
                Beside::Taken => {
                    self.take_up(position);
                    return true;
                }
                Beside::Nothing => return false,
                Beside::Moved => {}
            }
        }
        false
    }

    fn rest_beside(&self, key: &str, position: &Position, group: usize) -> Beside {
        let path = path_of(position);
        let Some((siblings, mut moved)) = siblings(&path, group) else { return Beside::Nothing };
        let (taken, free): (Vec<Found>, Vec<Found>) = siblings
            .into_iter()
            .filter(|found| *found.key() == *key || found.path != path)
            .partition(|found| *found.key() != *key && self.is_taken(found));
        let (packed, plain): (Vec<Found>, Vec<Found>) =
            free.into_iter().partition(|found| Packing::of(&found.path).is_some());
        let mut look = |found: Found| {
            let beside = self.rest_in(found, key, position);
            moved |= beside.is_err();
            beside.ok().flatten()
        };
        if let Some(beside) = plain.into_iter().find_map(&mut look) {
            return beside;
        }
        // One that is being compressed is read on where it is, not in what comes of it.
        let holds = |found: &Found| {
            let plain = Packing::of(&found.path).is_none();
            plain
                && found
                    .open()
                    .and_then(|file| continued(file, None, position))
                    .is_ok_and(|c| c.is_some())
        };
        if taken.iter().any(holds) {
            return Beside::Taken;
        }
        match packed.into_iter().find_map(&mut look) {
            Some(beside) => beside,
            None if moved => Beside::Moved,
            None => Beside::Nothing,
        }
    }

    /// Whether a file is read already from a place of its own.
    fn is_taken(&self, found: &Found) -> bool {
        self.followed.contains_key(&found.id)
            || self.settled.get(&found.id) == Some(&found.state)
            || self.has_own_place(found)
    }

    /// Whether the rest of what has the place is in a file, and who reads it.
    fn rest_in(&self, found: Found, key: &str, position: &Position) -> io::Result<Option<Beside>> {
        let Some((content, place)) = self.furthest(&found, Some(position), |_| true)? else {
            return Ok(None);
        };
        if *found.key() == *key {
            return Ok(Some(Beside::Found(found, Box::new(Origin::Own(content, place)))));
        }
        if self.is_copy_of_another(&found, key, &place)? {
            return Ok(Some(Beside::Taken));
        }
        Ok(Some(Beside::Found(found, Box::new(Origin::Continues(content, place)))))
    }

    /// Whether another file that is followed now has come as far in the same content.
    fn is_copy_of_another(&self, found: &Found, key: &str, least: &Position) -> io::Result<bool> {
        let (now, _) = self.now();
        for followed in self.followed.values() {
            let position = followed.position(now);
            if *followed.key != *key
                && place_of(&position) >= place_of(least)
                && is_telling(&position)
                && rotation::is_related(&found.path, &followed.path)
                && continued(found.open()?, Packing::of(&found.path), &position)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The content of a file at the last of the places known in it: one log may have been read on under
    /// several names. With `least` only when that place is in it too; `sought` are keys of places.
    pub(super) fn furthest(
        &self,
        found: &Found,
        least: Option<&Position>,
        sought: impl Fn(&str) -> bool,
    ) -> io::Result<Option<(Content, Position)>> {
        let packing = Packing::of(&found.path);
        let at = |position: &Position| continued(found.open()?, packing, position);
        let mut best = None;
        if let Some(least) = least {
            match at(least)? {
                Some(content) => best = Some((content, least.clone())),
                None => return Ok(None),
            }
        }
        let beyond = least.map_or(0, place_of);
        let mut known: Vec<&Position> = self
            .positions
            .iter()
            .filter(|(key, position)| {
                sought(key)
                    && is_telling(position)
                    && (least.is_none() || place_of(position) > beyond)
                    && rotation::is_related(&found.path, &path_of(position))
            })
            .map(|(_, position)| position)
            .collect();
        known.sort_unstable_by_key(|position| std::cmp::Reverse(place_of(position)));
        for position in known {
            if let Some(content) = at(position)? {
                best = Some((content, position.clone()));
                break;
            }
        }
        Ok(best)
    }

    /// Whether the place known by a file's inode is one of its content.
    fn has_own_place(&self, found: &Found) -> bool {
        self.positions.get(&*found.key()).is_some_and(|position| {
            let own =
                found.open().and_then(|file| continued(file, Packing::of(&found.path), position));
            is_telling(position) && own.is_ok_and(|content| content.is_some())
        })
    }

    /// Keeps a place whose file is not found: it may turn up under another name.
    pub(super) fn keep_lost(&mut self, key: &str, position: Position) {
        let Position::File { head, head_length: 1.., .. } = position else { return };
        let key = format!("{key}:{head:08x}");
        self.also.push((key.as_str().into(), Some(position.clone())));
        self.positions.insert(key, position);
        let mut lost: Vec<(i64, String)> = self
            .positions
            .iter()
            .filter(|(key, _)| is_lost(key))
            .map(|(key, position)| (time_of(position), key.clone()))
            .collect();
        lost.sort_unstable();
        let excess = lost.len().saturating_sub(MAX_LOST);
        for (_, key) in lost.into_iter().take(excess) {
            self.give_up(key);
        }
    }

    fn give_up(&mut self, key: String) {
        self.positions.remove(&key);
        self.also.push((key.into(), None));
    }

    /// The place of a file that was not found is taken up.
    pub(super) fn take_up(&mut self, position: &Position) {
        let same = |(key, other): &(&String, &Position)| {
            is_lost(key) && print_of(other) == print_of(position)
        };
        if let Some((key, _)) = self.positions.iter().find(same) {
            self.give_up(key.clone());
        }
    }
}

/// The files beside one that may be what has become of it, and whether one went away meanwhile.
fn siblings(path: &Path, group: usize) -> Option<(Vec<Found>, bool)> {
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    let mut moved = false;
    let found = entries
        .flatten()
        .take(MAX_SIBLINGS)
        .map(|entry| entry.path())
        .filter(|sibling| rotation::is_related(sibling, path))
        .filter_map(|path| {
            let metadata = path.metadata().inspect_err(|_| moved = true).ok()?;
            let (id, state) = (id_of(&metadata), state_of(&metadata));
            metadata.is_file().then_some(Found { id, path, group, state })
        })
        .collect();
    Some((found, moved))
}

pub(super) fn path_of(position: &Position) -> PathBuf {
    match position {
        Position::File { path, .. } => path.into(),
        _ => PathBuf::new(),
    }
}

/// Whether a key is that of a place whose file was not found.
pub(super) fn is_lost(key: &str) -> bool {
    key.starts_with("file:") && key.matches(':').count() == 3
}

const fn time_of(position: &Position) -> i64 {
    match position {
        Position::File { time, .. } => *time,
        _ => 0,
    }
}

/// What tells a place: the head, the offset and the bytes before it.
const fn print_of(position: &Position) -> Option<(u32, u64, Option<Print>)> {
    match position {
        Position::File { head, offset, tail, .. } => Some((*head, *offset, *tail)),
        _ => None,
    }
}

/// Whether a position tells a file from another.
pub(super) const fn is_telling(position: &Position) -> bool {
    matches!(position, Position::File { head_length: 1.., .. })
}

/// A file opened at a place, when it has the content that was there; else `None`.
pub(super) fn continued(
    file: File,
    packing: Option<Packing>,
    position: &Position,
) -> io::Result<Option<Content>> {
    let Position::File { offset, head, head_length, tail, .. } = position else {
        return Ok(None);
    };
    if let Some(packing) = packing {
        let mut packed = Packed::open(file, packing)?;
        let same = packed.find((*head, *head_length), *tail, *offset)?;
        return Ok(same.then_some(Content::Packed(packed)));
    }
    let same = file.metadata()?.len() >= *offset
        && head_of(&file, *head_length)? == Some(*head)
        && match tail {
            Some(print) => print.is_in(&file)?,
            None => true,
        };
    Ok(same.then_some(Content::Plain(file)))
}
