//! Entry points for fuzzing: whatever a hostile peer, a damaged disk or a mistyped token brings must
//! end in an answer, without panic and within the limits.

use crate::enrol::Token;
use crate::payload;
use crate::spool;

/// Unpacks `data` as the payload of a batch; the first two bytes choose the range it announces.
pub fn fuzz_payload(data: &[u8]) {
    let (range, body) = data.split_at_checked(2).unwrap_or((&[], data));
    let first = range.first().copied().map_or(1, u64::from);
    let count = range.last().copied().map_or(1, u64::from);
    let last = first.saturating_add(count).saturating_sub(1);
    if let Ok(events) = payload::unpack(body, first, last) {
        assert_eq!(u64::try_from(events.len()).ok(), Some(count), "announced and found");
    }
}

/// Reads `data` as a file of the spool after a crash.
pub fn fuzz_segment(data: &[u8]) {
    if let Ok(records) = spool::scan(data) {
        assert!(records <= data.len(), "a record has bytes");
    }
}

/// Reads `data` as an enrolment token; what is taken must be told back the same.
pub fn fuzz_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(token) = text.parse::<Token>() {
        let again: Option<Token> = token.reveal().parse().ok();
        assert!(again.is_some_and(|again| again.reveal() == token.reveal()), "round trip");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Event, Kind, Object, Timestamp};
    use proptest::prelude::*;

    /// Good inputs of each entry point, to be damaged.
    fn seeds() -> Vec<Vec<u8>> {
        let (time, fields) = (Timestamp::EPOCH, Object::new());
        let event = Event { seq: 3, time, seen: time, kind: Kind::Log, fields };
        let packed = payload::pack(std::slice::from_ref(&event)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = spool::SpoolKey::new([1; 32]);
        let mut spool =
            spool::Spool::open(folder.path(), key, spool::Limits::default(), 1).unwrap();
        spool.append(&mut [event], b"note").unwrap();
        let segment = std::fs::read(folder.path().join("0000000000000001.spool")).unwrap();
        assert_eq!(spool::scan(&segment).unwrap(), 1);
        let secret = service::Secret::new("s3".into());
        let token = Token { id: "a".into(), secret, authority: [9; 32] }.reveal().into_bytes();
        vec![[&[3, 1][..], &packed].concat(), segment, token, Vec::new()]
    }

    proptest! {
        #[test]
        fn damaged_and_random_input_ends(
            at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<bool>(),
            random in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            for mut data in seeds().into_iter().chain([random]) {
                if !data.is_empty() {
                    let at = at.index(data.len());
                    if cut { data.truncate(at) } else { data[at] = value }
                }
                fuzz_payload(&data);
                fuzz_segment(&data);
                fuzz_token(&data);
            }
        }
    }

    #[test]
    fn a_token_survives_what_copying_does_to_it() {
        let [_, _, token, _] = <[Vec<u8>; 4]>::try_from(seeds()).unwrap();
        let token = String::from_utf8(token).unwrap();
        for text in [token.clone(), format!("  {token}\n"), format!("{token}\r\n")] {
            assert_eq!(text.parse::<Token>().unwrap().reveal(), token);
        }
        for (text, reason) in [
            (token.to_uppercase(), "it must begin with pk1."),
            (token.replacen('a', "", 1), "id"),
            (token.replacen("s3", &"s".repeat(129), 1), "secret"),
            (token.replacen("s3", "s 3", 1), "secret"),
            (
                token.chars().rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
                "fingerprint",
            ),
            (format!("{token}."), "too many parts"),
            ("pk1".to_owned(), "id"),
            ("pk1.a".to_owned(), "secret"),
            ("pk1.a.b".to_owned(), "fingerprint"),
        ] {
            let error = text.parse::<Token>().map(|token| token.reveal()).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "enrolment token is malformed ({reason}); copy it whole from the collector"
                )
            );
        }
    }
}
