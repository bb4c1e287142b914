//! What of the configuration is about stored events: how long each class of data is kept, how large its
//! partitions become.

use std::path::PathBuf;
use std::time::Duration;

use event::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::store::class::{self, Class, ClassName, Selector};
use crate::store::embedded::{PART_BYTES, PART_DOCUMENTS};
use crate::store::index::write::mover::Warm;
use crate::store::retention::HotPolicy;
use crate::store::{ClassPolicy, Limits, RetentionPolicy};

const DAY_SECONDS: i64 = 86_400;

/// How long and how much to keep; the newest partition of each class always stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// Days, of what is of no class.
    #[schemars(range(min = 1))]
    pub days: u32,
    /// Gibibytes of index, of what is of no class.
    #[schemars(range(min = 1))]
    pub gigabytes: u64,
    /// Mebibytes of the disk that events leave free: one gibibyte or a twentieth of the disk,
    /// whichever is less, unless said otherwise.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub keep_free_megabytes: Option<u64>,
    /// Days of audit records.
    #[schemars(range(min = 1))]
    pub audit_days: u32,
    /// Mebibytes of audit records.
    #[schemars(range(min = 8))]
    pub audit_megabytes: u64,
    /// Classes of data with limits of their own, at most eight; an event is of the first that picks it.
    #[serde(deserialize_with = "checked")]
    #[schemars(with = "Vec<ClassConfig>")]
    pub class: Vec<ClassConfig>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            days: 90,
            gigabytes: 100,
            keep_free_megabytes: None,
            audit_days: 400,
            audit_megabytes: 1024,
            class: Vec::new(),
        }
    }
}

/// A class of data.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassConfig {
    /// Its name: lower-case letters, digits and `-`, at most 24, a letter first. It stands in the names of
    /// its partitions.
    #[schemars(with = "String")]
    pub name: ClassName,
    /// Days.
    #[schemars(range(min = 1))]
    pub days: u32,
    /// Gibibytes of index; no limit when absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub gigabytes: Option<u64>,
    /// What is of it.
    pub select: Selector,
}

impl From<&ClassConfig> for Class {
    fn from(config: &ClassConfig) -> Self {
        Self { name: config.name, select: config.select.clone() }
    }
}

fn checked<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ClassConfig>, D::Error> {
    let classes = Vec::<ClassConfig>::deserialize(from)?;
    let list: Vec<Class> = classes.iter().map(Class::from).collect();
    class::check(&list).map_err(serde::de::Error::custom)?;
    Ok(classes)
}

impl RetentionConfig {
    /// The classes, in order.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        self.class.iter().map(Class::from).collect()
    }

    /// What it means at a time.
    #[must_use]
    pub fn policy(&self, now: Timestamp) -> RetentionPolicy {
        let older_than = |days: u32| Some(now.plus_seconds(-i64::from(days) * DAY_SECONDS));
        let bytes = |gigabytes: u64| gigabytes.saturating_mul(1 << 30);
        let class = |one: &ClassConfig| ClassPolicy {
            name: one.name,
            limits: Limits {
                older_than: older_than(one.days),
                max_bytes: one.gigabytes.map(bytes),
            },
        };
        RetentionPolicy {
            older_than: older_than(self.days),
            max_bytes: Some(bytes(self.gigabytes)),
            classes: self.class.iter().map(class).collect(),
        }
    }
}

/// How events lie on disk.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// Gibibytes of a partition from which on a next part of its day is begun.
    #[schemars(range(min = 1))]
    pub partition_gigabytes: u64,
    /// Events of a partition from which on a next part of its day is begun.
    #[schemars(range(min = 100_000))]
    pub partition_events: u64,
    /// A second folder, on a larger and slower disk, where partitions go whose day is over.
    pub warm: Option<PathBuf>,
    /// Gibibytes that may stay in the data folder while there is a second one.
    #[schemars(range(min = 1))]
    pub hot_gigabytes: Option<u64>,
    /// Days that may stay in the data folder while there is a second one; 7 when neither is given.
    #[schemars(range(min = 0))]
    pub hot_days: Option<u32>,
}

/// Days that stay in the data folder when nothing is said.
const HOT_DAYS: i64 = 7;
/// Time between two looks at what is to be moved.
const MOVE_EVERY: Duration = Duration::from_secs(60);

impl StorageConfig {
    /// The second folder, and what goes there.
    #[must_use]
    pub fn warm(&self) -> Option<Warm> {
        let days = self.hot_days.map(i64::from);
        let hot = HotPolicy {
            max_bytes: self.hot_gigabytes.map(|gigabytes| gigabytes.saturating_mul(1 << 30)),
            days: days.or_else(|| self.hot_gigabytes.is_none().then_some(HOT_DAYS)),
        };
        self.warm.clone().map(|folder| Warm { folder, hot, every: MOVE_EVERY })
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            partition_gigabytes: PART_BYTES >> 30,
            partition_events: PART_DOCUMENTS,
            warm: None,
            hot_gigabytes: None,
            hot_days: None,
        }
    }
}
