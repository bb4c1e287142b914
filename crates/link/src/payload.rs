//! The payload of a batch: events as JSON lines under zstd.
//!
//! JSON keeps old collectors able to read newer agents; zstd takes its size back.

use std::io::{BufRead, BufReader, Read};

use event::Event;

/// Most bytes a payload may have after decompression.
pub const MAX_PLAIN: u64 = 64 * 1024 * 1024;

/// Level of compression: fast, about four times smaller.
const LEVEL: i32 = 1;

/// Why a payload was refused.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Not zstd, or cut short.
    #[error("batch payload cannot be decompressed")]
    Compression(#[source] std::io::Error),
    /// A line is no event.
    #[error("line {line} of the batch is no event")]
    Line {
        /// From 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// More than 64 MiB of plain text.
    #[error("batch payload is larger than {MAX_PLAIN} bytes")]
    TooLarge,
    /// A batch of nothing: its last sequence is before its first, or the range has no number.
    #[error("batch announces the impossible range {first} to {last}")]
    Range {
        /// As announced.
        first: u64,
        /// As announced.
        last: u64,
    },
    /// Sequences are not `first, first+1, .. last`.
    #[error("line {line} of the batch has sequence {found}, expected {expected}")]
    Sequence {
        /// From 1.
        line: usize,
        /// Sequence expected there.
        expected: u64,
        /// Sequence found.
        found: u64,
    },
    /// Fewer or more events than the batch announces.
    #[error("batch announces {announced} events and holds {found}")]
    Count {
        /// `last - first + 1`.
        announced: u64,
        /// Lines found.
        found: u64,
    },
}

/// Packs events.
///
/// # Errors
/// When an event cannot be written as JSON or the compressor fails.
pub fn pack(events: &[Event]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    // A line at a time: the compressor costs by the call.
    let mut line = Vec::new();
    for event in events {
        line.clear();
        serde_json::to_writer(&mut line, event)?;
        line.push(b'\n');
        std::io::Write::write_all(&mut encoder, &line)?;
    }
    encoder.finish()
}

/// Unpacks the events `first_seq..=last_seq`, checking that they are just these.
///
/// # Errors
/// [`PayloadError`]; memory is bounded by [`MAX_PLAIN`] whatever the input.
pub fn unpack(payload: &[u8], first_seq: u64, last_seq: u64) -> Result<Vec<Event>, PayloadError> {
    let announced = last_seq
        .checked_sub(first_seq)
        .and_then(|n| n.checked_add(1))
        .ok_or(PayloadError::Range { first: first_seq, last: last_seq })?;
    let decoder = zstd::Decoder::new(payload).map_err(PayloadError::Compression)?;
    let mut reader = BufReader::new(decoder.take(MAX_PLAIN.saturating_add(1)));
    let mut events = Vec::new();
    let mut line = Vec::new();
    let mut number = 0_usize;
    let mut total = 0_u64;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(PayloadError::Compression)?;
        if read == 0 {
            break;
        }
        number = number.saturating_add(1);
        total = total.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        if total > MAX_PLAIN {
            return Err(PayloadError::TooLarge);
        }
        let event: Event = serde_json::from_slice(&line)
            .map_err(|source| PayloadError::Line { line: number, source })?;
        let expected = first_seq.saturating_add(u64::try_from(events.len()).unwrap_or(u64::MAX));
        if event.seq != expected {
            return Err(PayloadError::Sequence { line: number, expected, found: event.seq });
        }
        events.push(event);
    }
    let found = u64::try_from(events.len()).unwrap_or(u64::MAX);
    if found == announced { Ok(events) } else { Err(PayloadError::Count { announced, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Kind, Object, Timestamp};
    use proptest::prelude::*;

    fn events(first: u64, count: u64) -> Vec<Event> {
        (first..first + count)
            .map(|seq| Event {
                seq,
                time: Timestamp::from_seconds(1),
                seen: Timestamp::from_seconds(2),
                kind: Kind::Log,
                fields: Object::from_iter([("message".to_owned(), format!("line {seq}").into())]),
            })
            .collect()
    }

    #[test]
    fn round_trip() {
        let before = events(5, 100);
        assert_eq!(unpack(&pack(&before).unwrap(), 5, 104).unwrap(), before);
    }

    #[test]
    fn wrong_announcements_are_refused() {
        let payload = pack(&events(5, 3)).unwrap();
        for (first, last, expected) in [
            (5, 8, "batch announces 4 events and holds 3"),
            (5, 6, "batch announces 2 events and holds 3"),
            (4, 6, "line 1 of the batch has sequence 5, expected 4"),
            (9, 5, "batch announces the impossible range 9 to 5"),
            (0, u64::MAX, "batch announces the impossible range 0 to 18446744073709551615"),
        ] {
            assert_eq!(unpack(&payload, first, last).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = zstd::encode_all(std::io::repeat(b' ').take(MAX_PLAIN + 10), 1).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(matches!(unpack(&bomb, 1, 1), Err(PayloadError::TooLarge)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(unpack(&bytes, 1, 1).is_err());
        }

        #[test]
        fn a_flipped_byte_never_panics(at in 0_usize..200, bit in 0_u8..8) {
            let mut payload = pack(&events(1, 20)).unwrap();
            let at = at % payload.len();
            payload[at] ^= 1 << bit;
            if let Ok(found) = unpack(&payload, 1, 20) {
                prop_assert_eq!(found.len(), 20);
            }
        }
    }
}
