//! Header compression of HTTP/2 (RFC 7541): a decoder with limits.
//!
//! One [`Decoder`] per direction of a connection; header blocks must be given in order and whole.
//! What a small block can expand to is bounded by [`MAX_LIST`], the dynamic table by [`MAX_TABLE`].

use std::collections::VecDeque;

use super::huffman;

/// Bytes of names and values given out for one block; the rest is decoded (for the table) and dropped.
pub const MAX_LIST: usize = 256 << 10;
/// Fields given out for one block.
pub const MAX_FIELDS: usize = 1024;
/// Most the dynamic table may hold, in the sense of RFC 7541 section 4.1.
pub const MAX_TABLE: usize = 64 << 10;
/// Bytes of one name or value after decoding.
const MAX_STRING: usize = 64 << 10;
/// What an entry counts beside its bytes (RFC 7541 section 4.1).
const ENTRY: usize = 32;

/// One thing a header block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A header field.
    Header {
        /// Name, with the colon of pseudo headers.
        name: Vec<u8>,
        /// Value.
        value: Vec<u8>,
    },
    /// The dynamic table gets another size, in bytes.
    SizeUpdate(u64),
}

/// Why a block cannot be decoded further: the compression state is lost from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// An integer that does not fit (RFC 7541 section 5.1).
    Integer,
    /// An index beyond both tables.
    Index,
    /// A string that is cut off, or no Huffman code.
    Text,
}

/// Decodes the header blocks of one direction.
#[derive(Debug)]
pub struct Decoder {
    /// Newest first.
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, max: 4096 }
    }
}

/// What a block came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended early.
    pub problem: Option<Problem>,
    /// Fields were left out for [`MAX_LIST`] or [`MAX_FIELDS`].
    pub cut: bool,
}

impl Decoder {
    /// Bytes in the dynamic table, as RFC 7541 section 4.1 counts them.
    #[must_use]
    pub fn table_size(&self) -> usize {
        self.size
    }

    /// Decodes one whole block; its fields go to the end of `out`.
    pub fn decode(&mut self, block: &[u8], out: &mut Vec<Field>) -> Outcome {
        let mut rest = block;
        let mut outcome = Outcome::default();
        let (mut bytes, mut fields) = (0usize, 0usize);
        while !rest.is_empty() {
            if outcome.cut && rest.first().is_some_and(|first| first & 0x80 != 0) {
                // A reference changes nothing: not worth a copy that nobody gets.
                match integer(&mut rest, 7) {
                    Ok(_) => continue,
                    Err(problem) => {
                        outcome.problem = Some(problem);
                        break;
                    }
                }
            }
            match self.field(&mut rest) {
                Ok(Field::Header { name, value }) => {
                    bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
                    fields = fields.saturating_add(1);
                    if bytes > MAX_LIST || fields > MAX_FIELDS {
                        outcome.cut = true;
                    } else {
                        out.push(Field::Header { name, value });
                    }
                }
                Ok(update) => {
                    fields = fields.saturating_add(1);
                    if fields <= MAX_FIELDS {
                        out.push(update);
                    }
                }
                Err(problem) => {
                    outcome.problem = Some(problem);
                    break;
                }
            }
        }
        outcome
    }

    fn field(&mut self, rest: &mut &[u8]) -> Result<Field, Problem> {
        let first = rest.first().copied().unwrap_or_default();
        if first & 0x80 != 0 {
            let (name, value) = self.entry(integer(rest, 7)?)?;
            return Ok(Field::Header { name: name.to_vec(), value: value.to_vec() });
        }
        if first & 0xe0 == 0x20 {
            let size = integer(rest, 5)?;
            self.max = usize::try_from(size).unwrap_or(usize::MAX).min(MAX_TABLE);
            self.shrink(0);
            return Ok(Field::SizeUpdate(size));
        }
        let indexed = first & 0x40 != 0;
        let index = integer(rest, if indexed { 6 } else { 4 })?;
        let name = match index {
            0 => text(rest)?,
            _ => self.entry(index)?.0.to_vec(),
        };
        let value = text(rest)?;
        if indexed {
            self.insert(&name, &value);
        }
        Ok(Field::Header { name, value })
    }

    fn entry(&self, index: u64) -> Result<(&[u8], &[u8]), Problem> {
        let at =
            usize::try_from(index).ok().and_then(|n| n.checked_sub(1)).ok_or(Problem::Index)?;
        if let Some((name, value)) = STATIC.get(at) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = at.checked_sub(STATIC.len()).and_then(|at| self.entries.get(at));
        entry.map(|(name, value)| (name.as_slice(), value.as_slice())).ok_or(Problem::Index)
    }

    /// An entry larger than the table empties it (RFC 7541 section 4.4).
    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let more = name.len().saturating_add(value.len()).saturating_add(ENTRY);
        self.shrink(more);
        if more <= self.max {
            self.size = self.size.saturating_add(more);
            self.entries.push_front((name.to_vec(), value.to_vec()));
        }
    }

    fn shrink(&mut self, more: usize) {
        while self.size.saturating_add(more) > self.max {
            let Some((name, value)) = self.entries.pop_back() else { break };
            let gone = name.len().saturating_add(value.len()).saturating_add(ENTRY);
            self.size = self.size.saturating_sub(gone);
        }
    }
}

/// An integer with a prefix of that many bits (RFC 7541 section 5.1).
fn integer(rest: &mut &[u8], bits: u32) -> Result<u64, Problem> {
    let (first, mut tail) = rest.split_first().ok_or(Problem::Integer)?;
    let mask = 0xffu8.checked_shr(8u32.saturating_sub(bits)).unwrap_or(0);
    let mut value = u64::from(first & mask);
    if first & mask == mask {
        let mut shift = 0u32;
        loop {
            let (byte, after) = tail.split_first().ok_or(Problem::Integer)?;
            tail = after;
            // Nothing here is longer than 32 bits.
            if shift > 28 {
                return Err(Problem::Integer);
            }
            let part = u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            value = value.saturating_add(part);
            shift = shift.saturating_add(7);
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = tail;
    if value > u64::from(u32::MAX) { Err(Problem::Integer) } else { Ok(value) }
}

fn text(rest: &mut &[u8]) -> Result<Vec<u8>, Problem> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = usize::try_from(integer(rest, 7)?).unwrap_or(usize::MAX);
    let (bytes, tail) = rest.split_at_checked(length).ok_or(Problem::Text)?;
    *rest = tail;
    if !coded {
        return Ok(bytes.get(..MAX_STRING).unwrap_or(bytes).to_vec());
    }
    // The shortest code has five bits.
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(3) >> 1);
    huffman::decode(bytes, &mut out).ok_or(Problem::Text)?;
    out.truncate(MAX_STRING);
    Ok(out)
}

/// The static table (RFC 7541 appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex
            .chars()
            .filter(char::is_ascii_hexdigit)
            .map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap())
            .collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn fields(list: &[(&str, &str)]) -> Vec<Field> {
        let header = |(name, value): &(&str, &str)| Field::Header {
            name: name.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
        };
        list.iter().map(header).collect()
    }

    /// Blocks of one connection in order, what they mean and the size of the table after each.
    type Series<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)], usize)];

    fn check(series: Series<'_>, max: usize) {
        let mut decoder = Decoder { max, ..Decoder::default() };
        for (block, expected, size) in series {
            let mut out = Vec::new();
            assert_eq!(decoder.decode(&bytes(block), &mut out), Outcome::default(), "{block}");
            assert_eq!(out, fields(expected));
            assert_eq!(decoder.table_size(), *size, "{block}");
        }
    }

    #[test]
    fn literals_of_the_rfc() {
        // RFC 7541 appendix C.2.
        let cases: Series<'_> = &[
            (
                "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
                &[("custom-key", "custom-header")],
                55,
            ),
            ("040c2f73616d706c652f70617468", &[(":path", "/sample/path")], 55),
            ("100870617373776f726406736563726574", &[("password", "secret")], 55),
            ("82", &[(":method", "GET")], 55),
        ];
        check(cases, 4096);
    }

    #[test]
    fn requests_of_the_rfc() {
        let first: &[(&str, &str)] = &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
        ];
        let second = [first, &[("cache-control", "no-cache")]].concat();
        let third: &[(&str, &str)] = &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ];
        // RFC 7541 appendices C.3 (plain) and C.4 (Huffman).
        check(
            &[
                ("828684410f7777772e6578616d706c652e636f6d", first, 57),
                ("828684be58086e6f2d6361636865", &second, 110),
                ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", third, 164),
            ],
            4096,
        );
        check(
            &[
                ("828684418cf1e3c2e5f23a6ba0ab90f4ff", first, 57),
                ("828684be5886a8eb10649cbf", &second, 110),
                ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", third, 164),
            ],
            4096,
        );
    }

    #[test]
    fn responses_of_the_rfc_with_eviction() {
        let date = "Mon, 21 Oct 2013 20:13:21 GMT";
        let first: &[(&str, &str)] = &[
            (":status", "302"),
            ("cache-control", "private"),
            ("date", date),
            ("location", "https://www.example.com"),
        ];
        let second: &[(&str, &str)] = &[
            (":status", "307"),
            ("cache-control", "private"),
            ("date", date),
            ("location", "https://www.example.com"),
        ];
        let third: &[(&str, &str)] = &[
            (":status", "200"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
            ("location", "https://www.example.com"),
            ("content-encoding", "gzip"),
            ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
        ];
        // RFC 7541 appendix C.6: the table holds 256 bytes.
        check(
            &[
                (
                    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
                    first,
                    222,
                ),
                ("4883640effc1c0bf", second, 222),
                (
                    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                    third,
                    215,
                ),
            ],
            256,
        );
    }

    #[test]
    fn problems_are_told_and_end_the_block() {
        let cases: &[(&str, Problem)] = &[
            ("80", Problem::Index),
            ("be", Problem::Index),
            ("ffffffffffffff7f", Problem::Integer),
            ("3f", Problem::Integer),
            ("0005616263", Problem::Text),
            ("0081000161", Problem::Text),
        ];
        for (block, problem) in cases {
            let outcome = Decoder::default().decode(&bytes(block), &mut Vec::new());
            assert_eq!(outcome.problem, Some(*problem), "{block}");
        }
    }

    #[test]
    fn a_size_update_shrinks_the_table_and_never_beyond_the_limit() {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        decoder.decode(&bytes("400a637573746f6d2d6b65790d637573746f6d2d686561646572"), &mut out);
        assert_eq!(decoder.table_size(), 55);
        out.clear();
        decoder.decode(&bytes("20 3fe1ffffff07"), &mut out);
        assert_eq!(decoder.table_size(), 0);
        assert_eq!(out.first(), Some(&Field::SizeUpdate(0)));
        assert_eq!(decoder.max, MAX_TABLE);
    }

    #[test]
    fn a_bomb_of_references_gives_a_bounded_list() {
        let mut decoder = Decoder::default();
        // An entry of 4,000 bytes, then 60,000 references to it: 240 MB.
        let mut block = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
        block.extend(std::iter::repeat_n(b'x', 4000));
        block.extend(std::iter::repeat_n(0xbe, 60_000));
        let mut out = Vec::new();
        let outcome = decoder.decode(&block, &mut out);
        assert_eq!(outcome, Outcome { problem: None, cut: true });
        let total: usize = out
            .iter()
            .map(|field| match field {
                Field::Header { name, value } => name.len() + value.len(),
                Field::SizeUpdate(_) => 0,
            })
            .sum();
        assert!(total <= MAX_LIST && out.len() <= MAX_FIELDS, "{total}");
        assert!(decoder.table_size() <= 4096);
    }
}
