//! Files as they are, damaged, and of others.

use super::*;
use expect_test::expect;
use std::io::Write;
use std::path::Path;

fn open(bytes: &[u8]) -> Result<Log, EvtxError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Log::open(file)
}

/// Ids of all records, and what is damaged.
fn read(bytes: &[u8]) -> (Vec<u64>, Vec<String>) {
    let log = open(bytes).unwrap();
    let (mut ids, mut damages) = (Vec::new(), Vec::new());
    for head in log.heads() {
        for found in log.chunk(head.number).unwrap().records(None).unwrap() {
            match found {
                Ok(record) => ids.push(record.id),
                Err(damage) => damages.push(format!("{:?} {}", damage.id, damage.reason)),
            }
        }
    }
    (ids, damages)
}

#[test]
fn a_record_is_the_object_that_rules_know() {
    let log = open(&written::log(7..=7, "eve")).unwrap();
    let records = log.chunk(0).unwrap().records(None).unwrap();
    let record = records.into_iter().next().unwrap().unwrap();
    assert_eq!(
        (record.id, record.time.to_string().as_str()),
        (7, "2026-11-22T15:04:12.000000+0000")
    );
    expect![[r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Security-Auditing"}},"EventID":"4625","EventRecordID":"7","Channel":"Security","Computer":"pc1.example.org"},"EventData":{"TargetUserName":"eve","IpAddress":"192.0.2.7"}}}"##]]
    .assert_eq(&record.json);
}

#[test]
fn chunks_come_in_the_order_of_their_records() {
    let chunks = [written::chunk(&[41, 42], "a"), vec![0; CHUNK], written::chunk(&[7, 8, 9], "a")];
    let mut bytes = written::file(&chunks);
    bytes.extend([1; 100]);
    assert_eq!(read(&bytes), (vec![7, 8, 9, 41, 42], vec![]));
    let log = open(&bytes).unwrap();
    assert_eq!((log.rest(), log.first().unwrap().id, log.find(42).unwrap().id), (100, 7, 42));
    assert_eq!(log.find(10), None);
    let more = log.chunk(2).unwrap().records(Some(8)).unwrap();
    assert_eq!(more.into_iter().map(|one| one.unwrap().id).collect::<Vec<_>>(), [9]);
}

#[test]
fn what_is_no_log_is_refused() {
    let refused = |bytes: &[u8]| open(bytes).unwrap_err().to_string();
    let mut other = written::log(1..=1, "a");
    other[0] = b'e';
    for bytes in [&b"ElfFile\0rest"[..], b"", &other] {
        assert_eq!(refused(bytes), "does not begin as a Windows event log");
    }
    let file = tempfile::tempfile().unwrap();
    (&file).write_all(&written::log(1..=1, "a")).unwrap();
    file.set_len(1 << 33).unwrap();
    assert_eq!(Log::open(file).unwrap_err().to_string(), "is longer than 4 GiB");
}

#[test]
fn damage_is_told_by_its_place_and_leaves_the_rest() {
    let mut bytes = written::log(1..=60, "a");
    let second = usize::try_from(offset_of(1)).unwrap();
    bytes[second] = b'X';
    // Of the third chunk: the marker of a record, and what stands in another.
    let third = &mut bytes[usize::try_from(offset_of(2)).unwrap()..];
    let size = u32::from_le_bytes(third[516..520].try_into().unwrap());
    let one = 512 + usize::try_from(size).unwrap();
    third[one] = 0xff;
    third[512 + 24 + 4] = 0xee;
    let (ids, damages) = read(&bytes);
    assert_eq!(ids, (1..=20).chain(43..=60).collect::<Vec<_>>());
    assert_eq!(damages.len(), 2, "{damages:?}");
    assert!(damages[0].starts_with("Some(41) ") && damages[1].starts_with("None "), "{damages:?}");
    let log = open(&bytes).unwrap();
    assert_eq!(log.damaged(), [1]);
    assert!(!log.chunk(2).unwrap().is_intact() && log.chunk(0).unwrap().is_intact());
    let error = log.chunk(1).unwrap_err().to_string();
    assert!(error.starts_with("chunk 1 at byte 69632 is damaged: "), "{error}");
}

/// The public events, when they are beside the checkout: as the library reads them itself, in the same order.
#[test]
fn public_events_are_read_as_the_library_reads_them() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let root = std::env::var_os("PIKETT_CORPUS").map_or(beside, Into::into);
    let folder = root.join("sigma/regression/evtx");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no corpus");
        return;
    };
    let mut files = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        let log = Log::open(File::open(&path).unwrap()).unwrap();
        assert_eq!((log.damaged(), log.rest()), (&[][..], 0), "{}", path.display());
        let mut ours = Vec::new();
        for head in log.heads() {
            let mut chunk = log.chunk(head.number).unwrap();
            assert!(chunk.is_intact(), "{}", path.display());
            let records = chunk.records(None).unwrap();
            ours.extend(records.into_iter().map(|one| one.map(|record| record.json).unwrap()));
        }
        let mut theirs = evtx::EvtxParser::from_path(&path)
            .unwrap()
            .with_configuration(ParserSettings::new().indent(false));
        let theirs: Vec<String> = theirs.records_json().map(|one| one.unwrap().data).collect();
        assert!(!ours.is_empty());
        assert_eq!(ours, theirs, "{}", path.display());
        files += 1;
    }
    assert!(files > 0);
}
