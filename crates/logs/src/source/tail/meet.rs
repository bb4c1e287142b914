//! Which files there are, and where reading each begins: at its start, where it was left, or where the
//! file was left that it is a copy of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::followed::{Content, Followed, Out, Turn, place};
use super::packed::{Packed, Packing};
use super::rest::{continued, is_lost, is_telling, path_of};
use super::{
    Found, Id, MAX_FILES, Note, Position, Sink, Tailer, Waiting, glob, id_of, place_of, rotation,
    state_of,
};

/// Seconds for which the place in a file that is not there any more is kept.
const KEEP: i64 = 14 * 86_400;
/// Most places kept; those of files that are there are kept in any case.
const MAX_KEPT: usize = 8192;

/// How a file relates to what is known.
pub(super) enum Origin {
    /// Its own place is known, or it is new.
    Own(Content, Position),
    /// Nothing is known of it.
    New(Content),
    /// It continues a file that is over, from its place.
    Continues(Content, Position),
    /// It is a copy of a file that is still followed.
    CopyOf(Id),
    /// What is known by its inode is of another content.
    Replaced(Position),
}

impl Tailer {
    /// Looks for new files and for files whose path leads elsewhere now.
    pub(super) fn look(&mut self, sink: &mut dyn Sink) {
        let first = std::mem::take(&mut self.first_look);
        let (present, folders) = self.present(sink);
        for (id, followed) in &mut self.followed {
            match present.get(id) {
                Some(found) => {
                    followed.gone = false;
                    followed.seen_at.clone_from(&found.path);
                }
                None => followed.gone = true,
            }
        }
        self.settled.retain(|id, state| present.get(id).is_some_and(|found| found.state == *state));
        self.copies.retain(|id, copy| match present.get(id) {
            Some(found) => {
                copy.found.path.clone_from(&found.path);
                copy.found.state == found.state
            }
            None => false,
        });
        // Those with a place of their own first: what they are tells what copies are.
        let (known, mut new): (Vec<Found>, Vec<Found>) = present
            .into_values()
            .filter(|found| !self.is_known(found.id))
            .partition(|found| self.positions.contains_key(&*found.key()));
        for found in known {
            new.extend(self.meet(found, first, sink));
        }
        if first {
            self.find_orphans(sink);
        }
        // What is copied before its copies. A compressed file may still be in the making beside what it
        // is made of.
        new.sort_by_key(|found| {
            (Packing::of(&found.path).is_some(), rotation::is_rotated(&found.path))
        });
        for found in new {
            if !self.is_known(found.id) {
                self.meet(found, first, sink);
            }
        }
        self.compare_copies();
        self.forget();
        self.listen(folders);
    }

    /// Which copies end within what they copy: nothing in them is new.
    fn compare_copies(&mut self) {
        for copy in self.copies.values_mut() {
            let Some(original) = self.followed.get(&copy.of) else { continue };
            copy.end = original.end_of_copy(&copy.found).unwrap_or_default();
        }
    }

    /// What copies of a file that is over are: those within what was read of it hold nothing new.
    fn settle_copies(&mut self, original: Id, read_to: u64) {
        let (over, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.copies).into_iter().partition(|(_, copy)| copy.of == original);
        self.copies = kept.into_iter().collect();
        for (id, copy) in over {
            let Some(end) = copy.end else { continue };
            let size =
                copy.found.open().and_then(|file| file.metadata()).map_or(0, |data| data.len());
            if place_of(&end) == size && size <= read_to {
                self.settle(id, &copy.found.path);
                if is_telling(&end) {
                    self.also.push((copy.found.key(), Some(end)));
                }
            }
        }
    }

    fn is_known(&self, id: Id) -> bool {
        self.followed.contains_key(&id)
            || self.copies.contains_key(&id)
            || self.settled.contains_key(&id)
    }

    /// The files that match, by id, and the folders in which more may appear.
    fn present(
        &mut self,
        sink: &mut dyn Sink,
    ) -> (BTreeMap<Id, Found>, BTreeSet<std::path::PathBuf>) {
        let mut present = BTreeMap::new();
        let mut folders = BTreeSet::new();
        let mut problems = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            for pattern in &group.patterns {
                let expanded = glob::expand(pattern);
                folders.extend(expanded.folders);
                for path in expanded.paths {
                    if group.exclude.iter().any(|pattern| glob::covers(pattern, &path)) {
                        continue;
                    }
                    match std::fs::metadata(&path) {
                        Ok(metadata) if metadata.is_file() => {
                            let id = id_of(&metadata);
                            let state = state_of(&metadata);
                            present.entry(id).or_insert(Found { id, path, group: index, state });
                        }
                        Ok(_) => {}
                        // It may have been renamed meanwhile, unless it is a link to nowhere.
                        Err(_) if path.symlink_metadata().is_err() => {}
                        Err(error) => problems.push((path, error.to_string())),
                    }
                }
            }
        }
        for (path, reason) in problems {
            self.tell(path, reason, sink);
        }
        (present, folders)
    }

    /// Watches the folders, and those that followed files really lie in.
    fn listen(&mut self, mut folders: BTreeSet<std::path::PathBuf>) {
        self.by_path.clear();
        for (id, followed) in &self.followed {
            self.by_path.insert(followed.seen_at.clone(), *id);
            if let Ok(real) = followed.seen_at.canonicalize()
                && real != followed.seen_at
            {
                folders.extend(real.parent().map(Path::to_owned));
                self.by_path.insert(real, *id);
            }
        }
        for (id, copy) in &self.copies {
            self.by_path.insert(copy.found.path.clone(), *id);
        }
        self.bell.watch(&folders);
    }

    /// Begins to follow a file. One that has taken the inode of another is given back, to be met as a new one.
    fn meet(&mut self, found: Found, first: bool, sink: &mut dyn Sink) -> Option<Found> {
        if self.followed.len() >= MAX_FILES {
            if self.told.insert(found.path.clone(), "too many".to_owned()).is_none() {
                sink.note(Note::TooMany(found.path));
            }
            return None;
        }
        match self.origin(&found) {
            Ok(Some(Origin::Replaced(position))) => {
                let rest = self.find_rest(&found.key(), &position, found.group, sink);
                self.positions.remove(&*found.key());
                if !rest && path_of(&position) == found.path {
                    sink.note(Note::Truncated { path: found.path.clone(), lost: 0 });
                }
                if !rest {
                    self.keep_lost(&found.key(), position);
                }
                return Some(found);
            }
            Ok(Some(origin)) => self.begin(found, origin, first, sink),
            Ok(None) => {}
            // Renamed or removed since; the next look meets it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.names = true,
            // A compressed file that is still being written is met when it is whole.
            Err(error)
                if error.kind() == io::ErrorKind::UnexpectedEof && self.is_recent(&found.path) => {}
            Err(error) => self.tell(found.path, error.to_string(), sink),
        }
        None
    }

    pub(super) fn begin(&mut self, found: Found, origin: Origin, first: bool, sink: &mut dyn Sink) {
        let (content, begin) = match origin {
            Origin::CopyOf(original) => {
                self.copies.insert(found.id, Waiting { of: original, found, end: None });
                return;
            }
            Origin::Own(content, position) => {
                self.positions.remove(&*found.key());
                (content, place(&position))
            }
            Origin::Continues(content, position) => {
                let path = path_of(&position);
                sink.note(Note::Continued { path, copy: found.path.clone() });
                self.take_up(&position);
                // Its own place from now on, also when nothing is left in it: what it copies is forgotten
                // when another file takes its inode.
                self.also.push((found.key(), Some(renamed(position.clone(), &found.path))));
                (content, place(&position))
            }
            Origin::New(content) => {
                let begin = self.beginning(&found, &content, first);
                (content, (begin, Default::default(), Default::default()))
            }
            Origin::Replaced(_) => return,
        };
        let id = found.id;
        let mut followed = Followed::new(found, content, begin);
        followed.read = self.clock.monotonic();
        if self.groups.get(followed.group).is_some_and(|group| group.containers) {
            followed = followed.of_container();
        }
        self.followed.insert(id, followed);
    }

    /// Where a new file is begun.
    fn beginning(&self, found: &Found, content: &Content, first: bool) -> u64 {
        // Files that appear while we run are new: they are read from their start in any case.
        let from_start =
            !first || self.groups.get(found.group).is_none_or(|group| group.from_start);
        match content {
            Content::Plain(file) if !from_start => file.metadata().map_or(0, |data| data.len()),
            _ => 0,
        }
    }

    /// How a file relates to what is known; `None` when it is left alone.
    fn origin(&self, found: &Found) -> io::Result<Option<Origin>> {
        let file = found.open()?;
        let metadata = file.metadata()?;
        let packing = Packing::of(&found.path);
        if let Some(position) = self.positions.get(&*found.key()) {
            return Ok(Some(match continued(file, packing, position)? {
                Some(content) => Origin::Own(content, position.clone()),
                None => Origin::Replaced(position.clone()),
            }));
        }
        let age = self.now().0.micros() / 1_000_000 - metadata.mtime();
        let group = self.groups.get(found.group);
        let oldest = group.and_then(|group| group.ignore_older);
        if oldest.is_some_and(|oldest| age > i64::try_from(oldest).unwrap_or(i64::MAX)) {
            return Ok(None);
        }
        if let Some(origin) = self.relative(found, packing)? {
            return Ok(Some(origin));
        }
        // A compressed file that matches and was there before is the past.
        if packing.is_some() && self.first_look_of_past(group.is_some_and(|group| group.from_start))
        {
            return Ok(None);
        }
        Ok(Some(Origin::New(opened(file, packing)?)))
    }

    const fn first_look_of_past(&self, from_start: bool) -> bool {
        self.looked.is_none() && !from_start
    }

    /// Whether it is a copy of a file whose place is known.
    fn relative(&self, found: &Found, packing: Option<Packing>) -> io::Result<Option<Origin>> {
        let named = |original: &Path| {
            if packing.is_some() {
                rotation::is_related(&found.path, original)
            } else {
                rotation::is_copy_of(&found.path, original)
            }
        };
        let (now, _) = self.now();
        for (id, followed) in &self.followed {
            let position = followed.position(now);
            if !named(&followed.path) {
                continue;
            }
            // One in the making is not as long yet as what was read of the original.
            if followed.end_of_copy(found)?.is_some()
                || (is_telling(&position)
                    && continued(found.open()?, packing, &position)?.is_some())
            {
                return Ok(Some(Origin::CopyOf(*id)));
            }
        }
        // A plain file that copies one which is over cannot be told from another of the same beginning,
        // unless the other is looked for.
        let sought = |key: &str| packing.is_some() || is_lost(key);
        let Some((_, sought)) = self.furthest(found, None, sought)? else { return Ok(None) };
        let known = self.furthest(found, Some(&sought), |_| true)?;
        Ok(known.map(|(content, position)| Origin::Continues(content, position)))
    }

    /// A followed file has another content: its rest may be in a copy; then it is read from its start.
    pub(super) fn replaced(&mut self, id: Id, sink: &mut dyn Sink) -> Turn {
        let (now, clock) = self.now();
        let Some(followed) = self.followed.get(&id) else { return Turn::End };
        let position = followed.position(now);
        let (path, group, beyond) = (followed.path.clone(), followed.group, followed.beyond());
        let key = Arc::clone(&followed.key);
        let found = self.find_rest(&key, &position, group, sink);
        self.settle_copies(id, place_of(&position));
        let Some(followed) = self.followed.get_mut(&id) else { return Turn::End };
        let mut lost = 0;
        if !found {
            // What was read of it and waits is all there is of it.
            lost = beyond;
            if let Some(group) = self.groups.get(group) {
                let mut out = Out { sink, also: &mut self.also, now, clock };
                if !followed.finish(group, &mut out) {
                    return Turn::Stopped;
                }
            }
            let position = followed.position(now);
            self.keep_lost(&key, position);
        }
        let Some(followed) = self.followed.get_mut(&id) else { return Turn::End };
        followed.restart();
        sink.note(Note::Truncated { path, lost });
        // At once, so that it is known by its new content when names are looked at.
        let Some(group) = self.groups.get(group) else { return Turn::More };
        let mut out = Out { sink, also: &mut self.also, now, clock };
        match followed.turn(group, &mut out) {
            Ok(Turn::Stopped) => Turn::Stopped,
            _ => {
                followed.dirty = true;
                Turn::More
            }
        }
    }

    /// Places of files that have long been gone are given up, the oldest first.
    fn forget(&mut self) {
        let (now, _) = self.now();
        let oldest = now.micros() / 1_000_000 - KEEP;
        let mut kept: Vec<(i64, &String)> = self
            .positions
            .iter()
            .filter_map(|(key, position)| match position {
                Position::File { time, path, .. } if !self.is_settled(key) => {
                    (!Path::new(path).exists() || *time < oldest).then_some((*time, key))
                }
                _ => None,
            })
            .collect();
        kept.sort_unstable();
        let excess = kept.len().saturating_sub(MAX_KEPT);
        let gone: Vec<String> = kept
            .iter()
            .enumerate()
            .filter(|(at, (time, _))| *at < excess || *time < oldest)
            .map(|(_, (_, key))| (*key).clone())
            .collect();
        for key in gone {
            self.positions.remove(&key);
            self.also.push((key.into(), None));
        }
    }

    fn is_settled(&self, key: &str) -> bool {
        self.settled.keys().any(|(device, inode)| *key == *format!("file:{device}:{inode}"))
    }
}

/// The same place in a file of another name.
fn renamed(mut position: Position, to: &Path) -> Position {
    if let Position::File { path, .. } = &mut position {
        *path = to.display().to_string();
    }
    position
}

/// A file opened at its start.
fn opened(file: File, packing: Option<Packing>) -> io::Result<Content> {
    match packing {
        None => Ok(Content::Plain(file)),
        Some(packing) => Packed::open(file, packing).map(Content::Packed),
    }
}
