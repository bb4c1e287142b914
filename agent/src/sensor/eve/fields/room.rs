//! Text under way: bytes with room behind them, into which pieces are stored whole.
//!
//! A store of known size is one instruction or two, a copy of unknown size a call. So pieces have a fixed
//! size, of which the first bytes count; what is behind them is overwritten by the next piece.
//! Numbers and addresses are words made in registers.

use std::net::Ipv4Addr;

/// Bytes of text, and room for more.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The text, then whatever was there.
    bytes: Vec<u8>,
    /// Where the text begins.
    front: usize,
    /// Where it ends.
    at: usize,
}

/// Room that is made at least when there is too little.
const MORE: usize = 1 << 12;

/// The octets of addresses with a dot behind, the first digit in the lowest byte, and the bits that they take.
const OCTETS: [(u32, u32); 256] = {
    let mut octets = [(0, 0); 256];
    let mut n = 0_u8;
    loop {
        let [hundreds, tens, ones] = [b'0' + n / 100, b'0' + n / 10 % 10, b'0' + n % 10];
        let (digits, length) = match n {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            _ => ([hundreds, tens, ones, b'.'], 4),
        };
        octets[n as usize] = (u32::from_le_bytes(digits), 8 * length);
        if n == u8::MAX {
            break;
        }
        n += 1;
    }
    octets
};

/// Numbers below this have at most eight digits.
const EIGHT_DIGITS: u32 = 100_000_000;

/// `0` in each byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight digits of a number below [`EIGHT_DIGITS`], as numbers, the first in the lowest byte.
#[inline(always)]
const fn eight_digits(n: u32) -> u64 {
    // Halves, then pairs, then digits: each step divides all lanes of the word at once. The factors
    // are 2^20 / 100 and 2^10 / 10, rounded up: right for lanes below 10,000 and below 100.
    let halves = (n / 10_000) as u64 | ((n % 10_000) as u64) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let pairs = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - tens * 10) << 8
}

/// Six digits of a number below a million, the first in the lowest byte; two zero bytes behind.
#[inline(always)]
pub(super) const fn six_digits(n: u32) -> u64 {
    (eight_digits(n) | ZEROS) >> 16
}

/// Whether one of the bytes of a word cannot stand in a JSON string as it is: controls, quotes, backslashes
/// and all beyond ASCII.
#[inline(always)]
const fn any_special(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The highest bit of each byte says it. A borrow comes only from a byte that is special itself.
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (word | control | quote | backslash) & (ONES * 0x80) != 0
}

/// The same of sixteen bytes, which the compiler looks at together.
#[inline(always)]
fn any_special_of_16(bytes: &[u8; 16]) -> bool {
    bytes.iter().fold(false, |any, byte| {
        any | (byte.cast_signed() < 0x20) | (*byte == b'"') | (*byte == b'\\')
    })
}

/// Copies the first and the last `N` bytes, which may overlap, and gives them. Both slices have the same
/// length, of at least `N`.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> [[u8; N]; 2] {
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return [[0; N]; 2];
    };
    if let Some(to) = to.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut() {
        *to = *last;
    }
    [*first, *last]
}

/// Copies and tells whether all bytes can stand in a string as they are. Both slices have the same length.
#[inline(always)]
fn copy_plain(to: &mut [u8], from: &[u8]) -> bool {
    match from.len() {
        16.. => {
            let [first, last] = copy_ends::<16>(to, from);
            let mut special = any_special_of_16(&first) | any_special_of_16(&last);
            let ((to, _), (from, _)) = (to.as_chunks_mut::<16>(), from.as_chunks::<16>());
            for (to, from) in to.iter_mut().zip(from).skip(1) {
                *to = *from;
                special |= any_special_of_16(from);
            }
            !special
        }
        8.. => {
            let [first, last] = copy_ends(to, from).map(u64::from_le_bytes);
            !(any_special(first) | any_special(last))
        }
        4.. => {
            let [first, last] = copy_ends(to, from).map(u32::from_le_bytes);
            !any_special(u64::from(first) | u64::from(last) << 32)
        }
        _ => {
            to.copy_from_slice(from);
            from.iter().all(|byte| !any_special(u64::from(*byte) | 0x6161_6161_6161_6100))
        }
    }
}

/// Copies between slices of the same length.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        1 => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
        2..4 => _ = copy_ends::<2>(to, from),
        4..8 => _ = copy_ends::<4>(to, from),
        8..=16 => _ = copy_ends::<8>(to, from),
        17..=32 => _ = copy_ends::<16>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// A number below [`EIGHT_DIGITS`] as a word, its first digit in the lowest byte, and its length.
#[inline(always)]
const fn number_word(value: u32) -> (u64, usize) {
    let digits = eight_digits(value);
    // Zeros in front, as bits of whole bytes; of zero itself one digit stays.
    let zeros = (digits | 1 << 56).trailing_zeros() & 0x38;
    ((digits | ZEROS) >> zeros, 8 - (zeros / 8) as usize)
}

/// An address with a quote behind it as two words with their lengths.
#[inline(always)]
fn v4_words(address: Ipv4Addr) -> [(u64, usize); 2] {
    let [a, b, c, d] = address.octets().map(|octet| OCTETS[usize::from(octet)]);
    let join = |a: (u32, u32), b: (u32, u32)| u64::from(a.0) | u64::from(b.0) << (a.1 & 63);
    let (front, back) = (a.1 + b.1, c.1 + d.1);
    // The last dot becomes a quote.
    let quote = u64::from(b'.' ^ b'"') << ((back - 8) & 63);
    [(join(a, b), (front / 8) as usize), (join(c, d) ^ quote, (back / 8) as usize)]
}

impl Room {
    /// Without text, with room for that many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], ..Self::default() }
    }

    /// The text so far.
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(self.front..self.at).unwrap_or_default()
    }

    /// The text from a place on, see [`Self::end`].
    pub(super) fn since(&self, place: usize) -> &[u8] {
        self.bytes.get(place..self.at).unwrap_or_default()
    }

    /// Length of the text.
    pub(super) const fn len(&self) -> usize {
        self.at - self.front
    }

    /// Where the text ends: the place of what comes next.
    #[inline(always)]
    pub(super) const fn end(&self) -> usize {
        self.at
    }

    /// Forgets what is behind a place.
    #[inline(always)]
    pub(super) fn truncate(&mut self, end: usize) {
        self.at = self.at.min(end).max(self.front);
    }

    /// Forgets the first `length` bytes and has what is left begin at a multiple of `alignment`, a power of two,
    /// in memory.
    pub(super) fn forget(&mut self, length: usize, alignment: usize) {
        let from = self.at.min(self.front.saturating_add(length));
        let left = self.at - from;
        let mut front = self.bytes.as_ptr().align_offset(alignment);
        if self.bytes.len() < alignment.saturating_add(left) {
            self.grow(alignment);
            front = self.bytes.as_ptr().align_offset(alignment);
        }
        let front = front.min(alignment);
        if front != from {
            self.bytes.copy_within(from..from + left, front);
        }
        (self.front, self.at) = (front, front + left);
    }

    /// Makes room for `wanted` bytes.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, wanted: usize) {
        let enough = self.at + wanted + MORE;
        self.bytes.resize(enough.max(2 * self.bytes.len()), 0);
    }

    /// The next `length` bytes of room.
    #[inline(always)]
    fn next(&mut self, length: usize) -> Option<&mut [u8]> {
        self.bytes.get_mut(self.at..self.at.checked_add(length)?)
    }

    /// The next `N` bytes of room.
    #[inline(always)]
    fn chunk<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.next(N)?.try_into().ok()
    }

    /// Adds the first `length` bytes of a piece.
    #[inline(always)]
    pub(super) fn piece<const N: usize>(&mut self, piece: &[u8; N], length: usize) {
        loop {
            if let Some(room) = self.chunk() {
                *room = *piece;
                self.at += length;
                return;
            }
            self.grow(N);
        }
    }

    /// Adds one byte.
    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        self.piece(&[byte], 1);
    }

    /// Puts a byte into the text.
    #[inline(always)]
    pub(super) fn set_byte(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.bytes.get_mut(at) {
            *place = byte;
        }
    }

    /// Puts a piece into the text.
    #[inline(always)]
    pub(super) fn set<const N: usize>(&mut self, at: usize, piece: &[u8; N]) {
        let place = self.bytes.get_mut(at..).and_then(|text| text.first_chunk_mut());
        if let Some(place) = place {
            *place = *piece;
        }
    }

    /// Adds bytes.
    #[inline(always)]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        loop {
            if let Some(room) = self.next(bytes.len()) {
                copy(room, bytes);
                self.at += bytes.len();
                return;
            }
            self.grow(bytes.len());
        }
    }

    /// Adds a string in which nothing has to be escaped, with its quotes.
    #[inline(always)]
    pub(super) fn quoted(&mut self, value: &[u8]) {
        loop {
            if let Some([open, room @ .., close]) = self.next(value.len() + 2) {
                (*open, *close) = (b'"', b'"');
                copy(room, value);
                self.at += value.len() + 2;
                return;
            }
            self.grow(value.len() + 2);
        }
    }

    /// Adds a string with its quotes, or nothing when something in it has to be escaped: whether it did.
    pub(super) fn quoted_if_plain(&mut self, value: &[u8]) -> bool {
        let length = value.len() + 2;
        let Some([open, room @ .., close]) = self.next(length) else {
            self.grow(length);
            return self.quoted_if_plain(value);
        };
        (*open, *close) = (b'"', b'"');
        let plain = copy_plain(room, value);
        self.at += if plain { length } else { 0 };
        plain
    }

    /// Adds a number.
    pub(super) fn number(&mut self, value: u64) {
        if let Ok(value @ 0..EIGHT_DIGITS) = u32::try_from(value)
            && let Some(room) = self.chunk()
        {
            let (word, length) = number_word(value);
            *room = word.to_le_bytes();
            self.at += length;
            return;
        }
        self.any_number(value);
    }

    /// Adds a number of any length, wherever there is room or not.
    #[cold]
    #[inline(never)]
    fn any_number(&mut self, value: u64) {
        self.short(|mut out| {
            out.number(value);
            out.len()
        });
    }

    /// Adds an address and a quote behind it.
    #[inline(always)]
    pub(super) fn v4_and_quote(&mut self, address: Ipv4Addr) {
        for (word, length) in v4_words(address) {
            self.piece(&word.to_le_bytes(), length);
        }
    }

    /// Adds what is certain to be shorter than [`Short::MOST`].
    #[inline(always)]
    pub(super) fn short(&mut self, fill: impl FnOnce(Short<'_>) -> usize) {
        if self.bytes.len().saturating_sub(self.at) < Short::ROOM {
            self.grow(Short::ROOM);
        }
        if let Some(room) = self.chunk() {
            self.at += fill(Short { room, at: 0 });
        }
    }
}

/// A short text under way: that there is room for it was looked at before.
#[derive(Debug)]
pub(super) struct Short<'a> {
    room: &'a mut [u8; Short::ROOM],
    at: usize,
}

impl Short<'_> {
    /// Bytes that there can be before the last piece; a power of two, less one.
    const MOST: usize = 511;
    /// Room for it, and for a last piece.
    const ROOM: usize = 1_024;

    /// Length of the text so far.
    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.at
    }

    /// Adds the first `length` bytes of a piece.
    #[inline(always)]
    pub(super) fn piece<const N: usize>(&mut self, piece: &[u8; N], length: usize) {
        self.set(self.at, piece);
        self.at += length;
    }

    /// Stores a piece at a place.
    #[inline(always)]
    pub(super) fn set<const N: usize>(&mut self, at: usize, piece: &[u8; N]) {
        debug_assert!(at <= Self::MOST, "no short text");
        // So that the compiler knows that it fits.
        let at = at & Self::MOST;
        if let Some(room) = self.room.get_mut(at..at + N) {
            room.copy_from_slice(piece);
        }
    }

    /// Adds a string in which nothing has to be escaped, with its quotes.
    #[inline(always)]
    pub(super) fn quoted(&mut self, value: &[u8]) {
        let (at, length) = (self.at & Self::MOST, value.len() + 2);
        if let Some([open, room @ .., close]) = self.room.get_mut(at..at + length) {
            (*open, *close) = (b'"', b'"');
            copy(room, value);
        }
        self.at += length;
    }

    /// Adds a number.
    #[inline(always)]
    pub(super) fn number(&mut self, value: u64) {
        if let Ok(digit @ 0..10) = u8::try_from(value) {
            return self.piece(&[b'0' + digit], 1);
        }
        match u32::try_from(value) {
            Ok(value @ 0..EIGHT_DIGITS) => {
                let (word, length) = number_word(value);
                self.piece(&word.to_le_bytes(), length);
            }
            _ => self.long(value),
        }
    }

    /// Adds a number of more than eight digits.
    #[inline(never)]
    fn long(&mut self, value: u64) {
        let split = |value: u64| {
            let low = u32::try_from(value % u64::from(EIGHT_DIGITS)).unwrap_or(0);
            (value / u64::from(EIGHT_DIGITS), low)
        };
        let (rest, low) = split(value);
        let (highest, middle) = split(rest);
        let first = if highest > 0 { u32::try_from(highest).unwrap_or(0) } else { middle };
        let (word, length) = number_word(first);
        self.piece(&word.to_le_bytes(), length);
        for eight in [(highest > 0).then_some(middle), Some(low)].into_iter().flatten() {
            self.piece(&(eight_digits(eight) | ZEROS).to_le_bytes(), 8);
        }
    }

    /// Adds an address and a quote behind it.
    #[inline(always)]
    pub(super) fn v4_and_quote(&mut self, address: Ipv4Addr) {
        for (word, length) in v4_words(address) {
            self.piece(&word.to_le_bytes(), length);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(fill: impl FnOnce(&mut Room)) -> String {
        let mut room = Room::default();
        fill(&mut room);
        String::from_utf8(room.text().to_vec()).unwrap()
    }

    #[test]
    fn numbers_around_every_power_of_ten() {
        for power in 0..20 {
            let ten = 10_u64.pow(power);
            for value in [ten - 1, ten, ten + 1, ten.wrapping_mul(9), u64::MAX - ten] {
                assert_eq!(text(|room| room.number(value)), value.to_string());
            }
        }
    }

    #[test]
    fn every_byte_is_plain_or_not_wherever_it_stands() {
        for length in 1..40 {
            for (place, byte) in
                (0..length).flat_map(|place| (0..=u8::MAX).map(move |b| (place, b)))
            {
                let mut value = vec![b'a'; length];
                value[place] = byte;
                let plain = matches!(byte, 0x20..=0x7f) && byte != b'"' && byte != b'\\';
                let mut room = Room::default();
                assert_eq!(room.quoted_if_plain(&value), plain, "{byte:#x} at {place}");
                let wanted = if plain { [b"\"", &value[..], b"\""].concat() } else { Vec::new() };
                assert_eq!(room.text(), wanted);
            }
        }
    }

    #[test]
    fn room_is_made_for_what_is_written_and_no_more() {
        let mut room = Room::with_capacity(1 << 16);
        for _ in 0..1_000 {
            room.number(u64::MAX);
            room.number(1);
            room.push(b',');
        }
        assert_eq!((room.len(), room.bytes.len()), (22_000, 1 << 16));
    }

    #[test]
    fn what_is_left_begins_where_it_is_wanted() {
        const ALIGNMENT: usize = 256;
        let mut room = Room::default();
        let (mut wanted, mut written) = (Vec::new(), Vec::new());
        for n in 0_u8..200 {
            let piece = vec![n; usize::from(n) * 7 % 300];
            wanted.extend_from_slice(&piece);
            room.bytes(&piece);
            let whole = room.len() / ALIGNMENT * ALIGNMENT;
            written.extend_from_slice(&room.text()[..whole]);
            room.forget(whole, ALIGNMENT);
            assert_eq!(room.text().as_ptr().align_offset(ALIGNMENT), 0);
            assert!(room.len() < ALIGNMENT);
        }
        written.extend_from_slice(room.text());
        assert_eq!(written, wanted);
        room.forget(usize::MAX, ALIGNMENT);
        assert!(room.text().is_empty());
    }

    proptest! {
        #[test]
        fn numbers_are_as_they_are_formatted(value: u64, shift in 0_u32..64) {
            let value = value >> shift;
            prop_assert_eq!(text(|room| room.number(value)), value.to_string());
        }

        #[test]
        fn six_digits_are_as_they_are_formatted(value in 0_u32..1_000_000) {
            let digits = six_digits(value).to_le_bytes();
            let wanted = format!("{value:06}\0\0");
            prop_assert_eq!(&digits[..], wanted.as_bytes());
        }

        #[test]
        fn addresses_are_as_they_are_formatted(octets: [u8; 4]) {
            let address = Ipv4Addr::from(octets);
            prop_assert_eq!(text(|room| room.v4_and_quote(address)), format!("{address}\""));
        }

        #[test]
        fn what_is_added_is_there(parts in prop::collection::vec(".{0,70}", 0..200)) {
            let all = text(|room| {
                for (at, part) in parts.iter().enumerate() {
                    match at % 2 {
                        0 => room.bytes(part.as_bytes()),
                        _ => room.quoted(part.as_bytes()),
                    }
                }
            });
            let wanted: String = (0..).zip(&parts).map(|(at, part)| match at % 2 {
                0 => part.clone(),
                _ => format!("\"{part}\""),
            }).collect();
            prop_assert_eq!(all, wanted);
        }
    }
}
