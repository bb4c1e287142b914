//! How stored events stand: how long each class of data lasts, where it lies, what goes and what moves next, what
//! was destroyed. API, console and `pikett-collector retention` have their figures from here.
//!
//! What is told is worked out from names and sizes of partitions and from the configuration. Not here: the rules
//! themselves ([`crate::store::retention`]), dropping and moving ([`crate::store::index`]).

use anyhow::Result;
use event::Timestamp;
use serde::Serialize;

use crate::config::{Config, RetentionConfig, StorageConfig};
use crate::custody::Proven;
use crate::init::Folder;
use crate::store::index::PartitionKey;
use crate::store::index::partition::{folder, is_warm_folder};
use crate::store::retention::{self, Held, HotPolicy, NextMove, Outlook};
use crate::store::storage::{FolderFigures, PartitionFigures, Standing, StorageFigures};

/// Deletions that are told one by one.
const LAST: usize = 20;

/// How stored events stand.
#[derive(Debug, Serialize)]
pub struct Upkeep {
    /// Each class of data, the default class first.
    pub classes: Vec<ClassUpkeep>,
    /// The folders, that which is written to first.
    pub folders: Vec<FolderFigures>,
    /// What may stay in the folder that is written to, and what leaves it next; `None` without a warm folder.
    pub moves: Option<Moves>,
    /// Partitions that are not searched.
    pub lacking: Vec<PartitionFigures>,
    /// What is gone for good; `None` when nobody has looked.
    pub destroyed: Option<Destroyed>,
}

/// How a class stands.
#[derive(Debug, Serialize)]
pub struct ClassUpkeep {
    /// How long it lasts, and what goes next.
    #[serde(flatten)]
    pub outlook: Outlook,
    /// Documents in it; `None` when nobody has looked into the partitions.
    pub documents: Option<u64>,
    /// Bytes of it in the warm folder.
    pub warm_bytes: u64,
}

/// What moves to the warm folder.
#[derive(Debug, Serialize)]
pub struct Moves {
    /// Days that may stay; no limit of age when absent.
    pub keep_days: Option<i64>,
    /// Bytes that may stay; no limit of size when absent.
    pub keep_bytes: Option<u64>,
    /// What moves next.
    pub next: Option<NextMove>,
}

/// What is gone for good.
#[derive(Debug, Serialize)]
pub struct Destroyed {
    /// Partitions.
    pub partitions: usize,
    /// Documents they held.
    pub documents: u64,
    /// Bytes they took.
    pub bytes: u64,
    /// The last ones, the newest first, with their signed statements.
    pub last: Vec<Proven>,
}

impl From<Vec<Proven>> for Destroyed {
    fn from(mut all: Vec<Proven>) -> Self {
        let sum = |of: fn(&Proven) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
        let (documents, bytes) = (sum(|one| one.deletion.documents), sum(|one| one.deletion.bytes));
        let partitions = all.len();
        all.reverse();
        all.truncate(LAST);
        Self { partitions, documents, bytes, last: all }
    }
}

fn held(one: &PartitionFigures) -> Option<Held> {
    Some(Held { key: PartitionKey::parse(&one.name)?, bytes: one.bytes })
}

/// How everything stands at a time. What is destroyed is not known yet.
#[must_use]
pub fn of(
    storage: StorageFigures,
    (limits, places): (&RetentionConfig, &StorageConfig),
    now: Timestamp,
) -> Upkeep {
    let StorageFigures { folders, partitions } = storage;
    let policy = limits.policy(now);
    // Retention leaves alone what is out of reach, and nobody knows how large that is.
    let searched = |one: &&PartitionFigures| one.standing == Standing::Searched;
    let all: Vec<Held> = partitions.iter().filter(searched).filter_map(held).collect();
    let outlooks = retention::outlook(&all, &policy, now).into_iter();
    let classes = outlooks.map(|outlook| {
        let of_it = |one: &&PartitionFigures| {
            let key = PartitionKey::parse(&one.name);
            key.is_some_and(|key| policy.governs(key.class).shown() == outlook.class)
        };
        let documents: Option<Vec<u64>> =
            partitions.iter().filter(of_it).filter(searched).map(|one| one.documents).collect();
        let warm = partitions.iter().filter(of_it).filter(|one| one.warm);
        ClassUpkeep {
            documents: documents.map(|all| all.into_iter().fold(0, u64::saturating_add)),
            warm_bytes: warm.map(|one| one.bytes).fold(0, u64::saturating_add),
            outlook,
        }
    });
    let classes = classes.collect();
    let hot = partitions.iter().filter(searched).filter(|one| !one.warm);
    let hot: Vec<Held> = hot.filter_map(held).collect();
    let moves = places.warm().map(|warm| {
        let HotPolicy { days, max_bytes } = warm.hot;
        let next = retention::next_move(&hot, &warm.hot, now);
        Moves { keep_days: days, keep_bytes: max_bytes, next }
    });
    let mut lacking = partitions;
    lacking.retain(|one| one.standing != Standing::Searched);
    Upkeep { classes, folders, moves, lacking, destroyed: None }
}

/// How everything stands by the names of the partitions alone, also while a collector has them open.
///
/// # Errors
/// When a folder of events cannot be read.
pub fn outside(config: &Config, now: Timestamp) -> Result<Upkeep> {
    let hot = Folder::new(&config.data).events().join("index");
    let mut partitions = Vec::new();
    let mut list = |path: &std::path::Path, warm| -> Result<()> {
        partitions.extend(retention::held(path)?.into_iter().map(|one| PartitionFigures {
            name: one.key.to_string(),
            warm,
            bytes: one.bytes,
            ..PartitionFigures::default()
        }));
        Ok(())
    };
    list(&hot, false)?;
    let warm = config.storage.warm.as_deref();
    warm.map(|warm| list(warm, true)).transpose()?;
    let folders = std::iter::once(folder(&hot, (false, hot.exists()), &partitions));
    let warm = warm.map(|path| folder(path, (true, is_warm_folder(path)), &partitions));
    let folders = folders.chain(warm).collect();
    Ok(of(StorageFigures { folders, partitions }, (&config.retention, &config.storage), now))
}

impl Upkeep {
    /// Lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
        let classes = self.classes.iter().map(|class| class.outlook.line());
        let folders = self.folders.iter().map(|one| {
            let name = if one.warm { "warm folder" } else { "data folder" };
            if !one.there {
                let why = "its disk is not mounted, or nothing was moved yet";
                return format!("{name} {}: it is not there; {why}", one.path);
            }
            let free = one.free.map_or_else(String::new, |free| format!(", {} free", mib(free)));
            format!(
                "{name} {}: {} in {} partitions{free}",
                one.path,
                mib(one.bytes),
                one.partitions
            )
        });
        let next = self.moves.as_ref().and_then(|moves| moves.next.as_ref());
        let next = next.map(|next| {
            let on = next.on.as_ref().map_or_else(String::new, |on| format!(" on {on}"));
            let (name, bytes) = (&next.partition, mib(next.bytes));
            format!(
                "next to move to the warm folder: {name} ({bytes}){on} by {}",
                next.reason.as_str()
            )
        });
        classes.chain(folders).chain(next).collect()
    }
}

#[cfg(test)]
mod tests;
