//! Where partitions lie and how they stand, for who looks after them.

use std::path::Path;

use super::{PartitionKey, Partitions};
use crate::room;
use crate::store::storage::{FolderFigures, PartitionFigures, Standing, StorageFigures};

impl Partitions {
    /// Where everything lies. Looks at the disk.
    pub(crate) fn storage(&self) -> StorageFigures {
        let mut partitions: Vec<(PartitionKey, PartitionFigures)> = Vec::new();
        for one in self.all() {
            let warm = self.is_warm(&one.path);
            let (documents, bytes) = (Some(one.documents()), one.bytes());
            let name = one.key.to_string();
            let standing = Standing::Searched;
            partitions.push((one.key, PartitionFigures { name, warm, standing, documents, bytes }));
        }
        let lacking = |key: PartitionKey, warm, standing| {
            let name = key.to_string();
            (key, PartitionFigures { name, warm, standing, ..PartitionFigures::default() })
        };
        let away = self.missing();
        partitions.extend(away.iter().map(|key| lacking(*key, true, Standing::Away)));
        let closed = self.unreadable.keys().into_iter().filter(|key| self.get(*key).is_none());
        partitions.extend(
            closed.map(|key| {
                lacking(key, self.is_warm(&self.folders.place(key)), Standing::Unreadable)
            }),
        );
        partitions.sort_by_key(|(key, _)| *key);
        let partitions: Vec<PartitionFigures> =
            partitions.into_iter().map(|(_, one)| one).collect();
        let hot = folder(&self.folders.hot, (false, true), &partitions);
        let there = !self.is_away();
        let warm = self.folders.warm.as_deref();
        let warm = warm.map(|path| folder(path, (true, there), &partitions));
        StorageFigures { folders: std::iter::once(hot).chain(warm).collect(), partitions }
    }
}

/// A folder with what lies in it.
pub(crate) fn folder(
    path: &Path,
    (warm, there): (bool, bool),
    partitions: &[PartitionFigures],
) -> FolderFigures {
    // Where no disk is mounted the room of another one would be measured.
    let measured = if there { room::measure(path).ok() } else { None };
    let mut out = FolderFigures {
        path: path.display().to_string(),
        warm,
        there,
        free: measured.map(|(free, _)| free),
        size: measured.map(|(_, size)| size),
        ..FolderFigures::default()
    };
    let searched = |one: &&PartitionFigures| one.standing == Standing::Searched;
    for one in partitions.iter().filter(searched).filter(|one| one.warm == warm) {
        out.partitions = out.partitions.saturating_add(1);
        out.bytes = out.bytes.saturating_add(one.bytes);
    }
    out
}
