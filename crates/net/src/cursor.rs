//! A bounds-checked reader over outside bytes.
//!
//! Every parser of this crate reads through it: each method returns `None` at the end of the bytes
//! instead of panicking, and never moves when it returns `None`.

/// Position in a slice of untrusted bytes.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Number of unread bytes.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// True at the end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        Some(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    /// Skips `n` bytes.
    pub fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(|_| ())
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// Big-endian 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Big-endian 24 bits.
    pub fn u24(&mut self) -> Option<u32> {
        self.array::<3>().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Big-endian 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Little-endian 16 bits.
    pub fn u16_le(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Little-endian 32 bits.
    pub fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Little-endian 64 bits.
    pub fn u64_le(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A slice preceded by its length in one byte.
    pub fn vec8(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u8()?;
        let out = ahead.take(usize::from(n))?;
        *self = ahead;
        Some(out)
    }

    /// A slice preceded by its length in two bytes.
    pub fn vec16(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u16()?;
        let out = ahead.take(usize::from(n))?;
        *self = ahead;
        Some(out)
    }

    /// A slice preceded by its length in three bytes.
    pub fn vec24(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let n = ahead.u24()?;
        let out = ahead.take(usize::try_from(n).ok()?)?;
        *self = ahead;
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_stops_at_the_end() {
        let mut c = Cursor::new(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(c.u8(), Some(1));
        assert_eq!(c.u16(), Some(0x0203));
        assert_eq!(c.u24(), Some(0x040506));
        assert_eq!(c.position(), 6);
        assert_eq!(c.u16(), None, "one byte is not two");
        assert_eq!(c.remaining(), 1, "a failed read does not move");
        assert_eq!(c.u8(), Some(7));
        assert!(c.is_empty());
    }

    #[test]
    fn little_endian_numbers() {
        let bytes: Vec<u8> = (1..=14).collect();
        let mut c = Cursor::new(&bytes);
        assert_eq!(c.u16_le(), Some(0x0201));
        assert_eq!(c.u32_le(), Some(0x0605_0403));
        assert_eq!(c.u64_le(), Some(0x0e0d_0c0b_0a09_0807));
        assert_eq!(c.u64_le(), None);
    }

    #[test]
    fn length_prefixed_slices_do_not_move_when_short() {
        let mut c = Cursor::new(&[0, 3, b'a', b'b']);
        assert_eq!(c.vec16(), None);
        assert_eq!(c.position(), 0);
        let mut c = Cursor::new(&[2, b'a', b'b', 9]);
        assert_eq!(c.vec8(), Some(&b"ab"[..]));
        assert_eq!(c.rest(), &[9]);
    }
}
