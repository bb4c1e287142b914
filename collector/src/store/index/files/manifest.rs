//! What the files of a partition's commit were, kept in the commit itself.
//!
//! The list of segments (`meta.json`) is replaced as a whole with each commit and merge. Into it
//! goes the table of the files it names, each with its length and the digest over the tags of its
//! pages, a count, and the digest of the list before: so that a file that is cut, exchanged or
//! gone is seen, and a partition that was put back to an older state of itself has come less far
//! than the vault's checkpoint says. The index library skips what it does not know there.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::vault::{Head, Link};

/// Name of the table in the list of segments.
const NAME: &str = "pikett";

/// A sealed file as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Bytes before sealing.
    pub length: u64,
    /// Digest over its name, its salt and the tags of its pages.
    pub root: Link,
}

/// The table as it lies in the list of segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// How often the list was replaced before.
    pub count: u64,
    /// Digest of the list before.
    pub previous: Link,
    /// The files it names.
    pub files: BTreeMap<String, Written>,
}

/// Files of a partition as far as they are known, and how far it has come.
#[derive(Debug, Default)]
pub(in crate::store::index) struct Manifest {
    pub(in crate::store::index) head: Head,
    pub(in crate::store::index) files: BTreeMap<String, Written>,
}

/// Digest of a list of segments.
fn digest(bytes: &[u8]) -> Link {
    let mut context = Context::new(&SHA256);
    context.update(b"pikett partition 1");
    context.update(bytes);
    Link::of(&context.finish())
}

/// Segments that a list names, as their files begin.
fn segments(list: &Map<String, Value>) -> Vec<String> {
    let segments = list.get("segments").and_then(Value::as_array).into_iter().flatten();
    let id = |one: &Value| Some(one.get("segment_id")?.as_str()?.replace('-', ""));
    segments.filter_map(id).collect()
}

/// Reads the table out of a list of segments; gives how far the partition has come too. A list
/// from before there were tables has come no step.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(Table, Head)> {
    let list: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let Some(table) = list.get(NAME) else { return Some((Table::default(), Head::default())) };
    let table: Table = serde_json::from_value(table.clone()).ok()?;
    let head = Head { count: table.count.saturating_add(1), digest: digest(bytes) };
    Some((table, head))
}

impl Manifest {
    /// What a list on disk says.
    pub(in crate::store::index) fn of(bytes: &[u8]) -> Self {
        read(bytes).map_or_else(Self::default, |(table, head)| Self { head, files: table.files })
    }

    /// Puts the table into a list that is about to be written; `missing` gives the files of a
    /// segment that were written by an older version. Gives the list and how far the partition
    /// has come with it.
    pub(in crate::store::index) fn amend(
        &mut self,
        list: &[u8],
        missing: impl Fn(&str) -> Vec<(String, Written)>,
    ) -> serde_json::Result<(Vec<u8>, Head)> {
        let mut list: Map<String, Value> = serde_json::from_slice(list)?;
        let mut files = BTreeMap::new();
        for segment in segments(&list) {
            let of = |name: &str| name.starts_with(&segment);
            if !self.files.keys().any(|name| of(name)) {
                self.files.extend(missing(&segment));
            }
            let known = self.files.range(segment.clone()..).take_while(|(name, _)| of(name));
            files.extend(known.map(|(name, written)| (name.clone(), *written)));
        }
        let table = Table { count: self.head.count, previous: self.head.digest, files };
        list.insert(NAME.to_owned(), serde_json::to_value(table)?);
        let bytes = serde_json::to_vec(&list)?;
        let head = Head { count: self.head.count.saturating_add(1), digest: digest(&bytes) };
        Ok((bytes, head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SEGMENT: &str = "0123456789abcdef0123456789abcdef";

    fn list(segments: &[&str]) -> Vec<u8> {
        let segments: Vec<Value> = segments.iter().map(|id| json!({"segment_id": id})).collect();
        json!({"segments": segments, "opstamp": 7}).to_string().into_bytes()
    }

    #[test]
    fn each_list_names_its_files_and_the_list_before() {
        let mut manifest = Manifest::default();
        let written = Written { length: 5, root: Link([1; 32]) };
        for name in [format!("{SEGMENT}.idx"), format!("{SEGMENT}.store"), "other.idx".into()] {
            manifest.files.insert(name, written);
        }
        let none = |_: &str| Vec::new();
        let hyphens = "01234567-89ab-cdef-0123-456789abcdef";
        let (first, head) = manifest.amend(&list(&[hyphens]), none).unwrap();
        assert_eq!(head.count, 1);
        let (table, read_head) = read(&first).unwrap();
        assert_eq!((table.files.len(), read_head, table.previous), (2, head, Link::default()));
        manifest.head = head;
        let older = |segment: &str| vec![(format!("{segment}.pos"), written)];
        let (second, next) = manifest.amend(&list(&["ffff"]), older).unwrap();
        let (table, _) = read(&second).unwrap();
        assert_eq!((table.previous, table.count, next.count), (head.digest, 1, 2));
        assert_eq!(table.files.keys().collect::<Vec<_>>(), ["ffff.pos"]);
        let again = Manifest::of(&second);
        assert_eq!((again.head, again.files), (next, table.files));
    }

    #[test]
    fn lists_of_older_versions_and_what_is_none() {
        assert_eq!(read(&list(&[])), Some((Table::default(), Head::default())));
        for bad in ["", "[]", "{\"pikett\": 3}", "{\"pikett\": {\"count\": -1}}"] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
        assert!(Manifest::default().amend(b"no json", |_| Vec::new()).is_err());
    }
}
