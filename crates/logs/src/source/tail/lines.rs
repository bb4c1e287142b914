//! Bytes of a file into lines. A line that is too long comes in numbered parts, so that nothing of it is
//! lost and memory stays bounded.
//!
//! Knows no files: bytes are put in, lines are taken out, each with its offsets.

use memchr::memchr;

use super::encoding::Unit;
use super::print::Print;

/// Longest line that is given out whole when it is JSON, bytes.
pub(super) const WHOLE: usize = 1024 * 1024;

/// How lines are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// How a line feed is written.
    pub(super) unit: Unit,
    /// Longest line or part, bytes.
    pub(super) part: usize,
    /// A line that begins with `{` is given out whole up to [`WHOLE`].
    pub(super) json: bool,
}

/// Where in a line that comes in parts one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Within {
    /// Offset of the line's first byte.
    pub(super) start: u64,
    /// Parts given out so far.
    pub(super) parts: u32,
}

/// A line, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its bytes, without the line end.
    pub(super) bytes: &'a [u8],
    /// Offset of its first byte in the file.
    pub(super) start: u64,
    /// Offset behind its line end.
    pub(super) end: u64,
    /// The line it is a part of, itself counted; `parts` is 0 for a whole line.
    pub(super) within: Within,
    /// No further part follows.
    pub(super) last: bool,
}

impl Line<'_> {
    /// What tells this place of the file from another.
    pub(super) fn print(&self) -> Print {
        Print::ending(self.bytes, self.start)
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Cuts what is put in into lines. What is incomplete stays inside.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    buffer: Vec<u8>,
    /// Bytes at the head of the buffer that were given out.
    taken: usize,
    /// Bytes behind `taken` in which no line ends.
    searched: usize,
    /// Offset in the file of the byte at `taken`.
    offset: u64,
    within: Within,
}

impl Splitter {
    /// Starts at an offset of the file, perhaps within a long line.
    pub(super) fn at(offset: u64, within: Within) -> Self {
        Self { offset, within, ..Self::default() }
    }

    /// Offset behind everything put in.
    pub(super) fn read_to(&self) -> u64 {
        self.offset.saturating_add(length(self.waiting().len()))
    }

    /// Bytes that wait for the rest of their line.
    pub(super) fn waiting(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    /// The last bytes put in, for comparing with the file: at most `most` of them.
    pub(super) fn newest(&self, most: usize) -> &[u8] {
        self.buffer.get(self.buffer.len().saturating_sub(most)..).unwrap_or_default()
    }

    /// Puts in what `read` writes into a slice of `most` bytes; it says how many they are.
    pub(super) fn put<E>(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.compact();
        let have = self.buffer.len();
        self.buffer.resize(have.saturating_add(most), 0);
        let result = read(self.buffer.get_mut(have..).unwrap_or_default());
        let got = result.as_ref().map_or(0, |got| *got);
        self.buffer.truncate(have.saturating_add(got));
        result
    }

    /// Takes back what was put in last.
    pub(super) fn unput(&mut self, bytes: usize) {
        let kept = self.buffer.len().saturating_sub(bytes).max(self.taken);
        self.buffer.truncate(kept);
        self.searched = self.searched.min(self.waiting().len());
    }

    fn compact(&mut self) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Gives back memory that the waiting bytes do not need, but for a few that [`Splitter::newest`] shows.
    pub(super) fn rest(&mut self, newest: usize) {
        let keep = self.waiting().len().max(newest).min(self.buffer.len());
        let dropped = self.buffer.len().saturating_sub(keep).min(self.taken);
        self.buffer.drain(..dropped);
        self.taken = self.taken.saturating_sub(dropped);
        self.buffer.shrink_to(keep.saturating_mul(2));
    }

    /// The next complete line, or the next part of a long one.
    pub(super) fn next(&mut self, cut: Cut) -> Option<Line<'_>> {
        let have = self.buffer.get(self.taken..).unwrap_or_default();
        let json = cut.json && self.within.parts == 0 && have.first() == Some(&b'{');
        let limit = if json { WHOLE.max(cut.part) } else { cut.part };
        match feed(have, self.searched, cut.unit) {
            Some((at, behind)) if at <= limit => Some(self.take(at, behind, true)),
            found => {
                if have.len() <= limit {
                    // No line end that far; only the last unit may be half of one.
                    self.searched =
                        found.map_or_else(|| have.len().saturating_sub(1) & !1, |(at, _)| at);
                    return None;
                }
                let at = boundary(have, cut);
                Some(self.take(at, at, false))
            }
        }
    }

    /// What waits, as the last line of a file that ends without a line end.
    pub(super) fn remainder(&mut self) -> Option<Line<'_>> {
        let have = self.waiting().len();
        (have > 0).then(|| self.take(have, have, true))
    }

    fn take(&mut self, length_of: usize, behind: usize, last: bool) -> Line<'_> {
        let (start, from) = (self.offset, self.taken);
        let mut within = self.within;
        if !last || within.parts > 0 {
            if within.parts == 0 {
                within.start = start;
            }
            within.parts = within.parts.saturating_add(1);
        }
        self.within = if last { Within::default() } else { within };
        self.offset = start.saturating_add(length(behind));
        self.taken = from.saturating_add(behind);
        self.searched = 0;
        let bytes = self.buffer.get(from..from.saturating_add(length_of)).unwrap_or_default();
        Line { bytes, start, end: self.offset, within, last }
    }
}

/// Where the first line end is, and what is behind it.
fn feed(have: &[u8], searched: usize, unit: Unit) -> Option<(usize, usize)> {
    let mut from = searched;
    loop {
        let at = from.saturating_add(memchr(b'\n', have.get(from..)?)?);
        let next = at.saturating_add(1);
        // Lines begin at whole units, so that the place within the line tells the place within a unit.
        match unit {
            Unit::Byte => return Some((at, next)),
            Unit::Little if at.is_multiple_of(2) && have.get(next) == Some(&0) => {
                return Some((at, next.saturating_add(1)));
            }
            Unit::Big if !at.is_multiple_of(2) && have.get(at.checked_sub(1)?) == Some(&0) => {
                return Some((at.saturating_sub(1), next));
            }
            Unit::Little | Unit::Big => from = next,
        }
    }
}

/// Where a part may end: not within a character.
fn boundary(have: &[u8], cut: Cut) -> usize {
    let most = cut.part.min(have.len());
    let byte = |at: usize| have.get(at).copied().unwrap_or(0);
    match cut.unit {
        Unit::Byte => {
            // At most three bytes of a character in UTF-8 stand before its end.
            let back = (0..4).find(|back| byte(most.saturating_sub(*back)) & 0xc0 != 0x80);
            most.saturating_sub(back.unwrap_or(0)).max(1)
        }
        Unit::Little | Unit::Big => {
            let even = most & !1;
            let high = if cut.unit == Unit::Little { 1 } else { 2 };
            let before = byte(even.saturating_sub(high));
            let split = (0xd8..0xdc).contains(&before);
            even.saturating_sub(if split { 2 } else { 0 }).max(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Cut = Cut { unit: Unit::Byte, part: 64, json: false };

    fn put(splitter: &mut Splitter, bytes: &[u8]) {
        let put = splitter.put::<()>(bytes.len(), |room| {
            room.copy_from_slice(bytes);
            Ok(bytes.len())
        });
        assert_eq!(put, Ok(bytes.len()));
    }

    fn texts(splitter: &mut Splitter, cut: Cut) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(line) = splitter.next(cut) {
            let text = String::from_utf8_lossy(line.bytes);
            let part = match (line.within.parts, line.last) {
                (0, _) => String::new(),
                (part, last) => format!(
                    " part {part} of {}{}",
                    line.within.start,
                    if last { ", last" } else { "" }
                ),
            };
            out.push(format!("{}-{}:{text}{part}", line.start, line.end));
        }
        out
    }

    #[test]
    fn incomplete_lines_wait() {
        let mut splitter = Splitter::at(100, Within::default());
        put(&mut splitter, b"one\ntw");
        assert_eq!(texts(&mut splitter, PLAIN), ["100-104:one"]);
        put(&mut splitter, b"o\n\n");
        splitter.rest(8);
        assert_eq!(texts(&mut splitter, PLAIN), ["104-108:two", "108-109:"]);
        assert_eq!(splitter.read_to(), 109);
        put(&mut splitter, b"wrong");
        splitter.unput(5);
        put(&mut splitter, b"end");
        assert_eq!(splitter.newest(2), b"nd");
        assert_eq!(splitter.remainder().unwrap().bytes, b"end");
        assert_eq!(splitter.remainder(), None);
    }

    #[test]
    fn long_lines_come_in_parts_and_reading_goes_on_within_them() {
        let cut = Cut { part: 4, ..PLAIN };
        let mut splitter = Splitter::at(0, Within::default());
        put(&mut splitter, b"abcdefghij\nxyz\nabcd\n");
        assert_eq!(
            texts(&mut splitter, cut),
            [
                "0-4:abcd part 1 of 0",
                "4-8:efgh part 2 of 0",
                "8-11:ij part 3 of 0, last",
                "11-15:xyz",
                "15-20:abcd"
            ]
        );
        let mut splitter = Splitter::at(8, Within { start: 0, parts: 2 });
        put(&mut splitter, b"ij\nxyz\n");
        assert_eq!(texts(&mut splitter, cut), ["8-11:ij part 3 of 0, last", "11-15:xyz"]);
    }

    #[test]
    fn parts_end_between_characters() {
        let cut = Cut { part: 4, ..PLAIN };
        let mut splitter = Splitter::default();
        put(&mut splitter, "ab\u{20ac}c\u{e4}\n".as_bytes());
        assert_eq!(
            texts(&mut splitter, cut),
            ["0-2:ab part 1 of 0", "2-6:\u{20ac}c part 2 of 0", "6-9:\u{e4} part 3 of 0, last"]
        );
        // Bytes that are no UTF-8 are cut anyhow.
        put(&mut splitter, &[0x80; 12]);
        assert_eq!(splitter.next(cut).unwrap().bytes.len(), 4);
        let wide = Cut { unit: Unit::Little, part: 4, json: false };
        let mut splitter = Splitter::default();
        put(&mut splitter, b"a\0\x3d\xd8\x00\xde\n\0");
        assert_eq!(splitter.next(wide).unwrap().bytes, b"a\0");
        assert_eq!(splitter.next(wide).unwrap().bytes, b"\x3d\xd8\x00\xde");
    }

    #[test]
    fn json_is_whole_for_longer() {
        let cut = Cut { part: 4, json: true, ..PLAIN };
        let mut splitter = Splitter::default();
        put(&mut splitter, b"{1234567}\nplain\n");
        assert_eq!(texts(&mut splitter, cut)[..2], ["0-10:{1234567}", "10-14:plai part 1 of 10"]);
        let mut splitter = Splitter::default();
        put(&mut splitter, &[b'{'; WHOLE]);
        assert_eq!(splitter.next(cut), None);
        put(&mut splitter, b"{");
        assert_eq!(splitter.next(cut).unwrap().bytes, b"{{{{");
    }

    #[test]
    fn line_feeds_of_two_bytes() {
        // U+0A0A and U+0A00 are no line feeds.
        for (unit, order) in [(Unit::Little, 0), (Unit::Big, 1)] {
            let cut = Cut { unit, ..PLAIN };
            let units: [u16; 7] = [0x61, 0x0a0a, 0x0a00, 0x0a, 0x0d, 0x0a, 0x62];
            let bytes: Vec<u8> = units
                .iter()
                .flat_map(|unit| if order == 0 { unit.to_le_bytes() } else { unit.to_be_bytes() })
                .collect();
            for at in 0..=bytes.len() {
                let mut splitter = Splitter::default();
                let mut lengths = Vec::new();
                for piece in [&bytes[..at], &bytes[at..]] {
                    put(&mut splitter, piece);
                    while let Some(line) = splitter.next(cut) {
                        lengths.push((line.bytes.len(), line.end));
                    }
                }
                assert_eq!(lengths, [(6, 8), (2, 12)], "{unit:?} {at}");
                assert_eq!(splitter.waiting().len(), 2);
            }
        }
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_are_put_in(
            text in "[a\n]{0,60}", cuts in prop::collection::vec(0_usize..60, 0..5), part in 1_usize..9,
        ) {
            let cut = Cut { part, ..PLAIN };
            let mut whole = Splitter::default();
            put(&mut whole, text.as_bytes());
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut pieces = Splitter::default();
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                put(&mut pieces, &text.as_bytes()[pair[0]..pair[1]]);
                found.extend(texts(&mut pieces, cut));
                pieces.rest(4);
            }
            prop_assert_eq!(texts(&mut whole, cut), found);
        }

        #[test]
        fn every_byte_is_in_exactly_one_line(bytes in prop::collection::vec(any::<u8>(), 0..200), part in 2_usize..20) {
            for unit in [Unit::Byte, Unit::Little, Unit::Big] {
                let cut = Cut { unit, part, json: false };
                let mut splitter = Splitter::default();
                put(&mut splitter, &bytes);
                let mut at = 0;
                while let Some(line) = splitter.next(cut) {
                    prop_assert!(line.start == at && line.end > at && line.bytes.len() <= part.max(4));
                    at = line.end;
                }
                prop_assert_eq!(at + splitter.waiting().len() as u64, bytes.len() as u64);
                prop_assert!(splitter.waiting().len() <= part);
            }
        }
    }
}
