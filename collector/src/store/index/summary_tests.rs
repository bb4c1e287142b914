//! A filter never forgets a term, says no to nearly all others, and hostile tables are refused.

use super::*;
use proptest::prelude::*;

/// Whether a finished filter may have a term.
fn has(filter: &[u8], term: &[u8]) -> bool {
    let (block, bits) = places((filter.len() / BLOCK) as u64, term);
    let start = usize::try_from(block).unwrap() * BLOCK;
    bits.iter().all(|bit| filter[start + bit / 8] & (1 << (bit % 8)) != 0)
}

fn name(number: u64) -> Vec<u8> {
    format!("host-{number}.example.com").into_bytes()
}

#[test]
fn what_was_added_is_there_and_little_else() {
    // The number of terms expected may be far too high: many segments have the same ones.
    for (terms, expected) in [(1, 1), (10, 10), (10, 100_000), (5_000, 5_000), (5_000, 80_000)] {
        let mut making = Making::new(expected);
        (0..terms).for_each(|number| making.add(&name(number)));
        let filter = making.finish().unwrap();
        assert!((0..terms).all(|number| has(&filter, &name(number))), "{terms} of {expected}");
        let wrong = (terms..terms + 20_000).filter(|number| has(&filter, &name(*number))).count();
        assert!(wrong < 20_000 / 50, "{wrong} wrong of 20000 with {terms} of {expected}");
        // Folded: a few bytes for each term.
        let most = usize::try_from(terms).unwrap() * 6 + BLOCK * 2;
        assert!(filter.len() <= most, "{} bytes for {terms} terms", filter.len());
    }
}

#[test]
fn a_filter_that_would_say_yes_to_everything_is_left_out() {
    let mut making = Making::new(1);
    (0..200).for_each(|number| making.add(&name(number)));
    assert_eq!(making.finish(), None);
    assert_eq!(Making::new(u64::MAX).blocks(), MAX_BLOCKS);
}

#[test]
fn tables_that_point_outside_are_refused() {
    let good = Table {
        filters: vec![Filter { field: 1, offset: 64, blocks: 2 }],
        segments: ["a".to_owned()].into(),
        ..Table::default()
    };
    let text = serde_json::to_vec(&good).unwrap();
    assert_eq!(Table::read(&text, 192), Some(good.clone()));
    assert_eq!(Table::read(&text, 191), None);
    for (offset, blocks) in [(0, 3), (u64::MAX, 1), (0, 1 << 63), (0, u64::MAX)] {
        let filters = vec![Filter { field: 1, offset, blocks }];
        let bad = serde_json::to_vec(&Table { filters, ..good.clone() }).unwrap();
        assert_eq!(Table::read(&bad, 1 << 40), None, "{offset} {blocks}");
    }
    for bad in ["", "{}", "[]", "{\"filters\": -1}"] {
        fuzz_table(bad.as_bytes());
        assert_eq!(Table::read(bad.as_bytes(), 64), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn folding_forgets_nothing(
        terms in proptest::collection::btree_set(".{0,12}", 0..300),
        expected in 1..5_000_u64,
    ) {
        let mut making = Making::new(expected.max(terms.len() as u64));
        terms.iter().for_each(|term| making.add(term.as_bytes()));
        let filter = making.finish().unwrap();
        prop_assert!(filter.len().is_power_of_two() && filter.len() >= BLOCK);
        prop_assert!(terms.iter().all(|term| has(&filter, term.as_bytes())));
    }

    #[test]
    fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_table(&bytes);
    }
}
