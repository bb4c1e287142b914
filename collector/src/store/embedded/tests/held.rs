//! Who holds a partition or a segment reads on, though its files are removed meanwhile: by a merge, by writing
//! the partition anew, by retention. What somebody else removed is damage.

use super::*;
use crate::store::index::read::search::search;
use tantivy::IndexWriter;
use tantivy::TantivyDocument;

/// A store with one partition of three segments, and that partition.
fn filled(directory: &Path) -> (Embedded, Arc<Partition>) {
    let (store, source) = (open(directory), source("a"));
    for seq in 1..=3 {
        append(&store, &source, batch(&source, seq..=seq));
        store.flush().unwrap();
    }
    store.close();
    let store = open(directory);
    let partition = store.index.partitions.all().remove(0);
    assert_eq!(partition.reader.searcher().segment_readers().len(), 3);
    (store, partition)
}

fn events_with(field: &str, seen: &[FieldSeen]) -> Option<u64> {
    seen.iter().find(|one| one.name == field).map(|one| one.events)
}

/// Everything that reads files of the partition that searches have open.
fn reads(partition: &Arc<Partition>) {
    let held = [Arc::clone(partition)];
    let fields = Known::default().fields(&held).unwrap();
    assert_eq!(events_with("n", &fields), Some(3));
    let values = dictionary::values(&held, &FieldRef::new("message"), "number", 9).unwrap();
    assert_eq!(values.len(), 3);
    let request = SearchRequest { query: "number*".into(), limit: 10, ..SearchRequest::default() };
    let time = (&Cancel::default(), now());
    let suspect = &mut |_: &Partition| panic!("damage is suspected");
    let found = search(&held, &request, time, suspect);
    assert_eq!(found.unwrap().hits.len(), 3);
}

#[test]
fn segments_that_are_merged_away_are_read_on() {
    let directory = tempfile::tempdir().unwrap();
    let (_store, partition) = filled(directory.path());
    let mut writer: IndexWriter<TantivyDocument> =
        partition.index.writer_with_num_threads(1, 15_000_000).unwrap();
    let all: Vec<_> = partition.segments().unwrap().iter().map(|one| one.id()).collect();
    writer.merge(&all).wait().unwrap();
    writer.garbage_collect_files().wait().unwrap();
    writer.wait_merging_threads().unwrap();
    assert_eq!(files(directory.path(), "index", ".fast").len(), 1);
    reads(&partition);
    partition.reload().unwrap();
    reads(&partition);
}

#[test]
fn a_partition_that_is_written_anew_or_dropped_is_read_on() {
    let directory = tempfile::tempdir().unwrap();
    let (store, old) = filled(directory.path());
    store.index.partitions.rewrite(old.key, None).unwrap();
    let new = store.index.partitions.get(old.key).unwrap();
    assert!(!Arc::ptr_eq(&old, &new));
    reads(&old);
    reads(&new);
    store.index.partitions.remove(new.key, (3, 1, "test")).unwrap();
    assert_eq!(files(directory.path(), "index", ".fast"), Vec::<PathBuf>::new());
    reads(&old);
    reads(&new);
    assert_eq!(store.fields().unwrap(), []);
}

#[test]
fn what_somebody_else_removed_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path());
    std::fs::remove_file(files(directory.path(), "index", ".fast").remove(0)).unwrap();
    assert!(matches!(store.fields(), Err(SearchError::Failed { .. })));
}
