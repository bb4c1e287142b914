//! The spool after a crash at any byte, at its limits under any load, and what a hole in it means.

use super::tests::{drain, events, newest_file, open, open_with};
use super::*;
use proptest::prelude::*;

/// A record of the same size each time, so that the files of a test have equal records.
fn append(spool: &mut Spool, note: &[u8]) {
    spool.append(&mut events(2), note).unwrap();
}

#[test]
fn a_crash_at_every_byte_keeps_every_whole_record() {
    let whole = tempfile::tempdir().unwrap();
    let mut spool = open(whole.path(), 1);
    let mut ends = vec![(32, Vec::new())];
    for n in 1..=4_u64 {
        append(&mut spool, format!("at {n}").as_bytes());
        let mut lines = ends.last().unwrap().1.clone();
        lines.push(format!("1:{}-{}", n * 2 - 1, n * 2));
        ends.push((usize::try_from(spool.bytes()).unwrap(), lines));
    }
    drop(spool);
    let bytes = fs::read(newest_file(whole.path())).unwrap();
    assert_eq!(bytes.len(), ends.last().unwrap().0);
    for cut in 0..=bytes.len() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(segment::path(folder.path(), 1), &bytes[..cut]).unwrap();
        let mut spool = open(folder.path(), 2);
        let known = ends.iter().rev().find(|(end, _)| *end <= cut);
        let (end, lines) = known.cloned().unwrap_or((usize::MAX, Vec::new()));
        assert_eq!(drain(&spool), lines, "cut at {cut}");
        assert_eq!(spool.notes_after(9, 0).unwrap().len(), lines.len(), "cut at {cut}");
        let damage = spool.damage();
        let expected = match cut {
            0..32 => "no spool header, file ignored".to_owned(),
            _ if end == cut => String::new(),
            _ => format!("unreadable from byte {end} on"),
        };
        assert_eq!(damage.len(), usize::from(!expected.is_empty()), "cut at {cut}");
        assert!(damage.iter().all(|words| words.ends_with(&expected)), "cut at {cut}: {damage:?}");
        // It goes on: new events get their place behind the old ones, in a file of their own.
        append(&mut spool, b"");
        assert_eq!(drain(&spool).last().unwrap(), "2:1-2", "cut at {cut}");
    }
}

/// Three files of one boot, the middle one without its last record.
fn with_hole(folder: &Path) -> Spool {
    let limits = Limits { segment_bytes: 300, ..Limits::default() };
    let mut spool = open_with(folder, 1, limits);
    while spool.segments.len() < 3 {
        append(&mut spool, b"");
    }
    append(&mut spool, b"");
    let middle = &spool.segments[1];
    let (path, last) = (middle.path.clone(), middle.records.last().unwrap().offset);
    assert!(middle.records.len() > 1, "the middle file keeps something");
    drop(spool);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..usize::try_from(last).unwrap() + 10]).unwrap();
    open_with(folder, 2, limits)
}

#[test]
fn a_hole_is_told_in_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let lines = drain(&with_hole(folder.path()));
    let firsts: Vec<u64> =
        lines.iter().map(|line| line.split([':', '-']).nth(1).unwrap().parse().unwrap()).collect();
    assert!(firsts.is_sorted() && firsts[0] == 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.ends_with("spool_corrupt")).count(), 1);
}

/// The collector acknowledges one item after the other; whatever it has not acknowledged must still
/// come after a broken connection.
#[test]
fn acknowledging_a_hole_forgets_nothing_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = drain(&with_hole(folder.path()));
    for stop in 0..=all.len() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = with_hole(folder.path());
        let mut cursor = Cursor::default();
        for _ in 0..stop {
            let (item, next) = spool.read(cursor).unwrap().unwrap();
            cursor = next;
            let (boot, last) = match item {
                Item::Batch { boot, last_seq, .. } => (boot, last_seq),
                Item::Skipped(skipped) => (skipped.boot, skipped.last_seq),
            };
            spool.acknowledge(boot, last).unwrap();
        }
        assert_eq!(drain(&spool), all[stop..], "after {stop} acknowledgements");
    }
}

#[test]
fn a_batch_larger_than_the_spool_costs_nothing_that_is_there() {
    for when_full in [WhenFull::RefuseNew, WhenFull::DropOldest] {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { bytes: 2_000, segment_bytes: 400, when_full };
        let mut spool = open_with(folder.path(), 1, limits);
        for _ in 0..6 {
            append(&mut spool, b"");
        }
        let before = drain(&spool);
        let error = spool.append(&mut events(1), &[b'n'; 2_000]).unwrap_err();
        assert_eq!(error.to_string(), format!("spool is full ({} bytes)", spool.bytes()));
        assert_eq!(drain(&spool), before, "{when_full:?}");
        append(&mut spool, b"");
        assert_eq!(drain(&spool).last().unwrap(), "1:13-14", "no sequence was used");
    }
}

#[test]
fn a_spool_smaller_than_a_segment_still_drops_its_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 3_000, when_full: WhenFull::DropOldest, ..Limits::default() };
    let mut spool = open_with(folder.path(), 1, limits);
    for _ in 0..100 {
        append(&mut spool, b"");
        assert!(spool.bytes() <= limits.bytes, "{} bytes", spool.bytes());
    }
    assert_eq!(drain(&spool).last().unwrap(), "1:199-200");
}

#[test]
fn acknowledged_files_wait_for_their_checkpoint_and_then_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 2_000, segment_bytes: 400, when_full: WhenFull::RefuseNew };
    let mut spool = open_with(folder.path(), 1, limits);
    let error = loop {
        if let Err(error) = spool.append(&mut events(2), b"position") {
            break error;
        }
    };
    assert!(matches!(error, SpoolError::Full { .. }));
    let last = spool.next_seq() - 1;
    spool.acknowledge(1, last).unwrap();
    assert_eq!(spool.pending(), 0);
    assert!(spool.append(&mut events(2), b"position").is_err(), "the notes stand nowhere else");
    // A checkpoint in the middle frees the files up to it and no more.
    let third = spool.segments[2].number;
    spool.set_checkpoint(spool.segments[1].records.last().unwrap().last_seq);
    append(&mut spool, b"position");
    assert_eq!(spool.segments[0].number, third);
    spool.set_checkpoint(spool.next_seq() - 1);
    append(&mut spool, b"position");
    assert_eq!(
        drain(&spool),
        [format!("1:{}-{}", last + 1, last + 2), format!("1:{}-{}", last + 3, last + 4)]
    );
}

#[test]
fn acknowledgements_out_of_order_and_of_others_are_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = open(folder.path(), 1);
    append(&mut spool, b"");
    drop(spool);
    let mut spool = open(folder.path(), 2);
    append(&mut spool, b"");
    append(&mut spool, b"");
    for (boot, last, expected) in [
        (3, u64::MAX, &["1:1-2", "2:1-2", "2:3-4"][..]),
        (2, 1, &["1:1-2", "2:1-2", "2:3-4"]),
        (2, 2, &["1:1-2", "2:3-4"]),
        (1, 2, &["2:3-4"]),
        (2, 1, &["2:3-4"]),
        (2, u64::MAX, &[]),
    ] {
        spool.acknowledge(boot, last).unwrap();
        assert_eq!(drain(&spool), expected, "after {boot}:{last}");
    }
}

#[test]
fn foreign_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["notes.txt", "x.spool", "-1.spool", ".spool"] {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    let mut spool = open(folder.path(), 1);
    append(&mut spool, b"");
    assert_eq!((drain(&spool).len(), spool.damage().len()), (1, 0));
    assert_eq!(fs::read(folder.path().join("x.spool")).unwrap(), b"mine");
    let blocked = folder.path().join("notes.txt");
    let error = Spool::open(&blocked, SpoolKey::new([1; 32]), Limits::default(), 1).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot make {}", blocked.display()));
    assert_eq!(format!("{:?}", SpoolKey::new([1; 32])), "SpoolKey(..)");
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, usize),
    Acknowledge(u64),
    Checkpoint,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..20_usize, 0..60_usize).prop_map(|(events, note)| Step::Append(events, note)),
        3 => (1..12_u64).prop_map(Step::Acknowledge),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Against a plain list of what was appended and not acknowledged: with either policy the bytes stay
    /// below the limit, nothing is lost unless it is told as skipped, nothing comes twice.
    #[test]
    fn any_load_keeps_the_limit_and_the_account(
        steps in prop::collection::vec(step(), 1..80), drop_oldest in any::<bool>(), bytes in 1_000..4_000_u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let when_full = if drop_oldest { WhenFull::DropOldest } else { WhenFull::RefuseNew };
        let limits = Limits { bytes, segment_bytes: 500, when_full };
        let mut boot = 1;
        let mut spool = open_with(folder.path(), boot, limits);
        let mut model = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Append(count, note) => {
                    let first = spool.next_seq();
                    match spool.append(&mut events(count), &vec![b'n'; note]) {
                        Ok(()) => model.extend((first..spool.next_seq()).map(|seq| (boot, seq))),
                        Err(error) => {
                            prop_assert!(matches!(error, SpoolError::Full { .. }), "{}", error);
                            prop_assert_eq!(spool.next_seq(), first);
                        }
                    }
                }
                Step::Acknowledge(seq) => {
                    // What is acknowledged is what came first, as a collector does it.
                    let Some(&(oldest, from)) = model.first() else { continue };
                    let upto = from + seq;
                    spool.acknowledge(oldest, upto).unwrap();
                    let lines = ranges(&spool);
                    model.retain(|one| one.0 != oldest || one.1 > upto || lines.contains(one));
                }
                Step::Checkpoint => spool.set_checkpoint(spool.next_seq() - 1),
                Step::Restart => {
                    // Skipped ranges and acknowledgements live in memory; what is on disk comes again.
                    drop(spool);
                    boot += 1;
                    spool = open_with(folder.path(), boot, limits);
                    model = ranges(&spool);
                }
            }
            prop_assert!(spool.bytes() <= bytes, "{} of {}", spool.bytes(), bytes);
            prop_assert_eq!(&ranges(&spool), &model);
        }
    }
}

/// Every (boot, sequence) that is still to come, each once.
fn ranges(spool: &Spool) -> std::collections::BTreeSet<(u64, u64)> {
    let mut out = std::collections::BTreeSet::new();
    for line in drain(spool) {
        let line = line.trim_start_matches("skip ").split(' ').next().unwrap();
        let (boot, range) = line.split_once(':').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        for seq in first.parse::<u64>().unwrap()..=last.parse::<u64>().unwrap() {
            assert!(out.insert((boot.parse().unwrap(), seq)), "{line} twice");
        }
    }
    out
}
