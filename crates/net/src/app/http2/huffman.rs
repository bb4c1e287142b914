//! The static Huffman code of HPACK (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: lengths alone determine it, symbols of one length in order of their value.

use std::sync::OnceLock;

/// Bits of the code of each byte, and of the end-of-string symbol (RFC 7541 appendix B).
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The longest code, in bits.
const LONGEST: usize = 30;
/// The end-of-string symbol, which must not occur.
const END: u16 = 256;

/// For each length: the first code, how many codes there are, and where their symbols begin.
#[derive(Clone, Copy, Default)]
struct Rank {
    first: u32,
    count: u32,
    at: usize,
}

struct Table {
    ranks: [Rank; LONGEST + 1],
    symbols: Vec<u16>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut ranks = [Rank::default(); LONGEST + 1];
        let mut symbols = Vec::with_capacity(LENGTHS.len());
        let mut code = 0u32;
        for (length, rank) in ranks.iter_mut().enumerate() {
            code <<= 1;
            *rank = Rank { first: code, count: 0, at: symbols.len() };
            for (symbol, bits) in (0u16..).zip(LENGTHS) {
                if usize::from(bits) == length && length > 0 {
                    symbols.push(symbol);
                    rank.count = rank.count.saturating_add(1);
                }
            }
            code = code.saturating_add(rank.count);
        }
        Table { ranks, symbols }
    })
}

/// Decodes a string, appending to `out`; `None` when it is no such string: an end-of-string symbol,
/// or padding that is longer than seven bits or not of ones.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let table = table();
    // At most 30 bits of an unfinished code.
    let (mut code, mut length) = (0u32, 0usize);
    for byte in bytes {
        for shift in (0..8u32).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            length = length.saturating_add(1);
            let rank = table.ranks.get(length)?;
            let Some(nth) = code.checked_sub(rank.first).filter(|nth| *nth < rank.count) else {
                continue;
            };
            let at = rank.at.saturating_add(usize::try_from(nth).unwrap_or(usize::MAX));
            match table.symbols.get(at).copied() {
                Some(END) | None => return None,
                Some(symbol) => out.push(u8::try_from(symbol).unwrap_or(0)),
            }
            (code, length) = (0, 0);
        }
    }
    let ones = 1u32.checked_shl(u32::try_from(length).unwrap_or(32))?.saturating_sub(1);
    (length < 8 && code == ones).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_the_rfc() {
        // RFC 7541 appendix C.4 and C.6.
        let cases: &[(&[u8], &[u8])] = &[
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", b"www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", b"no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f", b"custom-key"),
            (b"\x64\x02", b"302"),
            (b"", b""),
        ];
        for (coded, plain) in cases {
            let mut out = Vec::new();
            assert_eq!(decode(coded, &mut out), Some(()));
            assert_eq!(out, *plain);
        }
    }

    #[test]
    fn what_is_no_such_string() {
        // Padding of zeros, a whole byte of padding, the end-of-string symbol.
        for wrong in [&b"\x00"[..], b"\x64\x02\xff", b"\xff\xff\xff\xff"] {
            assert_eq!(decode(wrong, &mut Vec::new()), None, "{wrong:x?}");
        }
    }
}
