use expect_test::{Expect, expect};
use proptest::prelude::*;
use service::causes;
use service::pieces::{PIECE, TAG};

use super::*;

/// Cheap, so that tests may try a passphrase.
const CHEAP: Costs = Costs { memory: 32, passes: 1, lanes: 1 };

fn words(text: &str) -> ExportKey {
    ExportKey::Passphrase(Secret::new(text.to_owned()))
}

fn bytes(byte: u8) -> ExportKey {
    ExportKey::Key(KeyBytes::new([byte; 32]))
}

fn content(length: usize) -> Vec<u8> {
    (b' '..=b'~').cycle().take(length).collect()
}

fn sealed(key: &ExportKey, content: &[u8]) -> Vec<u8> {
    let mut writer = seal_at(Vec::new(), key, CHEAP).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// What comes out, and how it ends.
fn opened(file: &[u8], key: &ExportKey) -> (Vec<u8>, Result<u64, ExportError>) {
    let mut out = Vec::new();
    let done = SealedExport::read(file).and_then(|export| {
        export.open(key, &mut |plain| {
            out.extend_from_slice(plain);
            Ok(())
        })
    });
    (out, done)
}

#[test]
fn what_was_sealed_opens_with_its_key_and_shows_nothing() {
    for key in [words("correct horse battery"), bytes(7)] {
        for length in [0, 1, 100, PIECE, PIECE * 2 + 1] {
            let content = content(length);
            let file = sealed(&key, &content);
            assert_eq!(file.len(), HEAD + length + TAG * length.div_ceil(PIECE).max(1));
            let (out, done) = opened(&file, &key);
            assert_eq!((out, done.unwrap()), (content.clone(), length as u64));
            let shown = |part: &[u8]| file.windows(part.len()).any(|window| window == part);
            assert!(length < 50 || !shown(&content[..20]));
        }
        assert_ne!(sealed(&key, b"same"), sealed(&key, b"same"));
    }
}

#[test]
fn what_is_made_now_costs_what_is_recommended_and_opens() {
    let key = words("correct horse battery");
    let mut writer = seal(Vec::new(), &key).unwrap();
    writer.write_all(b"text").unwrap();
    let file = writer.finish().unwrap();
    assert_eq!(SealedExport::read(&file[..]).unwrap().head.costs, COSTS);
    assert_eq!(opened(&file, &key).0, b"text");
}

#[test]
fn a_file_says_why_it_does_not_open() {
    let check = |file: &[u8], key: &ExportKey, expected: Expect| {
        let (out, done) = opened(file, key);
        assert!(out.is_empty());
        expected.assert_eq(&causes(&done.unwrap_err()));
    };
    let with_key = sealed(&bytes(7), b"text");
    let with_words = sealed(&words("a"), b"text");
    let changed = |file: &[u8], at: usize, byte: u8| {
        let mut file = file.to_vec();
        file[at] = byte;
        file
    };
    check(&with_key, &bytes(8), expect!["this is not its key, or its head was changed"]);
    check(&with_words, &words("b"), expect!["this is not its passphrase, or its head was changed"]);
    check(&with_key, &words("a"), expect!["it was sealed with a key"]);
    check(&with_words, &bytes(7), expect!["it was sealed with a passphrase"]);
    check(b"", &bytes(7), expect!["no sealed export: it does not begin as one"]);
    check(b"{\"a\":1}\n", &bytes(7), expect!["no sealed export: it does not begin as one"]);
    check(&with_key[..HEAD - 1], &bytes(7), expect!["cut off within its head of 88 bytes"]);
    let later = changed(&with_key, 7, 2);
    check(
        &later,
        &bytes(7),
        expect!["a sealed export of version 2, which this program does not know"],
    );
    check(&changed(&with_key, 8, 3), &bytes(7), expect!["its head is damaged: no kind of key"]);
    check(&changed(&with_key, 9, 1), &bytes(7), expect!["its head is damaged: no kind of key"]);
    check(
        &changed(&with_key, 15, 1),
        &bytes(7),
        expect!["its head is damaged: a key costs nothing"],
    );
    check(
        &changed(&with_words, 12, 0xff),
        &words("a"),
        expect![
            "its head asks for 4278190112 KiB, 1 passes, 1 lanes to try a passphrase, more than is given"
        ],
    );
    let none = changed(&with_words, 23, 0);
    check(&none, &words("a"), expect!["its head is damaged: costs that argon2id does not know"]);
    let flipped = changed(&with_words, 30, with_words[30] ^ 1);
    check(&flipped, &words("a"), expect!["this is not its passphrase, or its head was changed"]);
    let torn = &with_key[..with_key.len() - 1];
    check(
        torn,
        &bytes(7),
        expect!["damaged at piece 0: changed, moved or cut off there; 0 bytes before it are whole"],
    );
}

#[test]
fn two_files_under_one_key_do_not_exchange_pieces() {
    let (one, other) = (sealed(&bytes(7), &content(99)), sealed(&bytes(7), &content(99)));
    let mixed = [&one[..HEAD], &other[HEAD..]].concat();
    assert!(matches!(opened(&mixed, &bytes(7)).1, Err(ExportError::Pieces(_))));
}

#[test]
fn keys_are_not_shown() {
    expect![[r#"[Passphrase(Secret(..)), Key(KeyBytes(..))]"#]]
        .assert_eq(&format!("{:?}", [words("battery"), bytes(7)]));
}

#[test]
fn every_flipped_bit_of_a_head_is_seen() {
    let file = sealed(&bytes(7), b"text");
    for (at, bit) in (0..HEAD).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = file.clone();
        changed[at] ^= 1 << bit;
        let (out, done) = opened(&changed, &bytes(7));
        assert!(done.is_err() && out.is_empty(), "byte {at}, bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A cut, a flip or more bytes at any place: it is seen, and what came out is what stood before it.
    #[test]
    fn one_change_is_always_seen(
        length in 0..PIECE * 2,
        place in any::<prop::sample::Index>(),
        what in 0..3_u8,
        bit in 0..8_u32,
    ) {
        let content = content(length);
        let mut file = sealed(&bytes(7), &content);
        let place = place.index(file.len());
        match what {
            0 => file[place] ^= 1 << bit,
            1 => file.truncate(place),
            _ => file.insert(place, u8::MAX),
        }
        let (out, done) = opened(&file, &bytes(7));
        prop_assert!(done.is_err());
        prop_assert!(content.starts_with(&out) && out.len() <= place);
    }

    #[test]
    fn damaged_and_random_files_end(
        length in 0..PIECE * 2,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        random in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut file = sealed(&bytes(fuzz::KEY[0]), &content(length));
        fuzz::fuzz_export(&file);
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        fuzz::fuzz_export(&file);
        fuzz::fuzz_export(&file[..cut.index(file.len())]);
        fuzz::fuzz_export(&random);
        fuzz::fuzz_export(&[&MAGIC[..], &random].concat());
    }
}
