//! The spool from outside: order, limits, notes, damage.

use super::*;
use event::{Kind, Object, Timestamp};
use proptest::prelude::*;

pub(super) fn events(count: usize) -> Vec<Event> {
    let event = |n| Event {
        seq: 0,
        time: Timestamp::from_seconds(1),
        seen: Timestamp::from_seconds(2),
        kind: Kind::Log,
        fields: Object::from_iter([("message".to_owned(), format!("line {n}").into())]),
    };
    (0..count).map(event).collect()
}

pub(super) fn open(folder: &Path, boot: u64) -> Spool {
    open_with(folder, boot, Limits::default())
}

pub(super) fn open_with(folder: &Path, boot: u64, limits: Limits) -> Spool {
    Spool::open(folder, SpoolKey::new([7; 32]), limits, boot).unwrap()
}

/// Everything readable from the oldest unacknowledged on: `boot:first-last` or `skip boot:first-last`.
pub(super) fn drain(spool: &Spool) -> Vec<String> {
    let mut cursor = Cursor::default();
    let mut out = Vec::new();
    while let Some((item, next)) = spool.read(cursor).unwrap() {
        cursor = next;
        out.push(match item {
            Item::Batch { boot, first_seq, last_seq, payload } => {
                let found = payload::unpack(&payload, first_seq, last_seq).unwrap();
                assert_eq!(found.len() as u64, last_seq - first_seq + 1);
                format!("{boot}:{first_seq}-{last_seq}")
            }
            Item::Skipped(s) => {
                format!("skip {}:{}-{} {}", s.boot, s.first_seq, s.last_seq, s.reason)
            }
        });
    }
    out
}

pub(super) fn newest_file(folder: &Path) -> PathBuf {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "spool"));
    names.sort();
    names.pop().unwrap()
}

#[test]
fn first_in_first_out_until_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    spool.append(&mut events(3), b"").unwrap();
    spool.append(&mut events(2), b"").unwrap();
    spool.append(&mut [], b"").unwrap();
    assert_eq!(drain(&spool), ["1:1-3", "1:4-5"]);
    assert_eq!(spool.pending(), 5);
    spool.acknowledge(1, 3).unwrap();
    assert_eq!(drain(&spool), ["1:4-5"]);
    spool.acknowledge(2, 100).unwrap();
    assert_eq!(spool.pending(), 2);
    spool.acknowledge(1, 5).unwrap();
    assert_eq!(drain(&spool), [""; 0]);
}

#[test]
fn a_killed_agent_finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    spool.append(&mut events(3), b"").unwrap();
    drop(spool);
    let mut spool = open(folder.path(), 2);
    spool.set_checkpoint(0);
    spool.append(&mut events(1), b"").unwrap();
    assert_eq!(drain(&spool), ["1:1-3", "2:1-1"]);
    assert_eq!(spool.damage(), [""; 0]);
    spool.acknowledge(1, 3).unwrap();
    spool.acknowledge(2, 1).unwrap();
    drop(spool);
    assert_eq!(drain(&open(folder.path(), 3)), ["2:1-1"], "kept until its file has grown");
}

#[test]
fn notes_outlive_a_kill_until_they_are_kept_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    for note in [&b"at 10"[..], b"", b"at 20", b"at 30"] {
        spool.append(&mut events(2), note).unwrap();
    }
    spool.acknowledge(1, 8).unwrap();
    drop(spool);
    let mut spool = open(folder.path(), 2);
    let notes = |boot, seq| spool.notes_after(boot, seq).unwrap();
    assert_eq!(notes(1, 2), [b"at 20", b"at 30"]);
    assert_eq!(notes(1, 8), [b""; 0]);
    assert_eq!(
        notes(9, 9),
        [b"at 10", b"at 20", b"at 30"],
        "an unknown checkpoint forgets nothing"
    );
    spool.acknowledge(1, 8).unwrap();
    drop(spool);
    let mut spool = open(folder.path(), 3);
    assert_eq!(spool.notes_after(1, 6).unwrap(), [b"at 30"], "acknowledged, yet not deleted");
    spool.set_checkpoint(0);
    spool.acknowledge(1, 8).unwrap();
    assert_eq!(spool.bytes(), 0);
}

#[test]
fn finishing_leaves_nothing_to_send_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    spool.append(&mut events(3), b"").unwrap();
    spool.append(&mut events(2), b"").unwrap();
    spool.acknowledge(1, 3).unwrap();
    spool.finish().unwrap();
    assert_eq!(drain(&spool), ["1:4-5"], "what waits stays");
    spool.acknowledge(1, 5).unwrap();
    spool.finish().unwrap();
    drop(spool);
    assert_eq!(drain(&open(folder.path(), 2)), [""; 0]);
}

#[test]
fn two_processes_cannot_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path(), 1);
    let second = Spool::open(folder.path(), SpoolKey::new([7; 32]), Limits::default(), 2);
    assert!(matches!(second, Err(SpoolError::InUse { .. })));
}

#[test]
fn a_full_spool_refuses_and_uses_no_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 2_000, segment_bytes: 500, when_full: WhenFull::RefuseNew };
    let mut spool = open_with(folder.path(), 1, limits);
    let mut taken = 0;
    let error = loop {
        match spool.append(&mut events(5), b"") {
            Ok(()) => taken += 5,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full { .. }), "{error}");
    assert_eq!(spool.next_seq(), taken + 1);
    assert!(spool.bytes() <= 2_000);
    spool.acknowledge(1, taken).unwrap();
    spool.append(&mut events(5), b"").unwrap();
    assert_eq!(drain(&spool), [format!("1:{}-{}", taken + 1, taken + 5)]);
}

#[test]
fn drop_oldest_reports_every_event_it_drops() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 2_000, segment_bytes: 500, when_full: WhenFull::DropOldest };
    let mut spool = open_with(folder.path(), 1, limits);
    for _ in 0..30 {
        spool.append(&mut events(5), b"").unwrap();
    }
    let mut expected = 1;
    let mut skipped = 0;
    for line in drain(&spool) {
        let range = line.split(':').nth(1).unwrap().split(' ').next().unwrap();
        let (first, last) = range.split_once('-').unwrap();
        assert_eq!(first.parse::<u64>().unwrap(), expected, "{line}");
        let last = last.parse::<u64>().unwrap();
        if line.starts_with("skip") {
            assert!(line.ends_with("spool_full"));
            skipped += last - expected + 1;
        }
        expected = last + 1;
    }
    assert_eq!(expected, 151);
    assert!(skipped > 0 && spool.bytes() <= 2_000);
    spool.acknowledge(1, 150).unwrap();
    assert_eq!(drain(&spool), [""; 0]);
}

#[test]
fn a_torn_tail_is_noted_and_the_rest_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    spool.append(&mut events(3), b"").unwrap();
    spool.append(&mut events(3), b"").unwrap();
    drop(spool);
    let path = newest_file(folder.path());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let mut spool = open(folder.path(), 2);
    assert_eq!(drain(&spool), ["1:1-3"]);
    let damage = spool.damage();
    assert!(damage.len() == 1 && damage[0].contains("unreadable from byte"), "{damage:?}");
}

#[test]
fn a_damaged_record_becomes_a_skipped_range() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    for _ in 0..3 {
        spool.append(&mut events(2), b"").unwrap();
    }
    drop(spool);
    let path = newest_file(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let found = drain(&open(folder.path(), 2));
    assert!(found.iter().any(|line| line == "skip 1:3-4 spool_corrupt"), "{found:?}");
    assert!(found.contains(&"1:1-2".to_owned()), "{found:?}");
}

#[test]
fn the_wrong_key_reads_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    spool.append(&mut events(2), b"").unwrap();
    drop(spool);
    let other = SpoolKey::new([8; 32]);
    let spool = Spool::open(folder.path(), other, Limits::default(), 2).unwrap();
    assert_eq!(drain(&spool), ["skip 1:1-2 spool_corrupt"]);
}

#[test]
fn nothing_readable_stands_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    spool.append(&mut events(50), b"").unwrap();
    let bytes = fs::read(newest_file(folder.path())).unwrap();
    for needle in [&b"line"[..], b"message", b"seen"] {
        assert!(!bytes.windows(needle.len()).any(|w| w == needle));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens to one byte of one file: no panic, and no sequence is both sent and skipped.
    #[test]
    fn any_damage_is_survived(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { segment_bytes: 400, ..Limits::default() };
        let mut spool = open_with(folder.path(), 1, limits);
        for _ in 0..6 {
            spool.append(&mut events(2), b"").unwrap();
        }
        drop(spool);
        let path = newest_file(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = value }
        fs::write(&path, &bytes).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for line in drain(&open(folder.path(), 2)) {
            let range = line.split(':').nth(1).unwrap().split(' ').next().unwrap();
            let (first, last) = range.split_once('-').unwrap();
            for seq in first.parse::<u64>().unwrap()..=last.parse::<u64>().unwrap() {
                prop_assert!(seen.insert(seq), "{seq} twice");
            }
        }
    }
}
