//! The piece of a capture file that is at hand: read in large steps, handed out in order without a
//! copy.
//!
//! Knows nothing of formats: it gives the next bytes, as many as are asked for, and stops at the end.

use std::io::{self, Read};

/// Bytes read at once, as long as no record is longer: few calls of the system, and all of it stays in
/// the processor's cache.
const PIECE: usize = 256 << 10;

/// A source of bytes and what was read of it ahead of time.
pub(super) struct Window {
    input: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    /// What was handed out last begins here and ends at `next`.
    taken: usize,
    /// What was not handed out yet.
    next: usize,
    /// What was read ends here.
    end: usize,
}

impl Window {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, bytes: Vec::new(), taken: 0, next: 0, end: 0 }
    }

    /// Hands out the next `n` bytes, or all that are left where they are fewer: see [`Self::taken`].
    /// Gives their number.
    ///
    /// # Errors
    /// That of the source; nothing is handed out then.
    #[inline]
    pub(super) fn take(&mut self, n: usize) -> io::Result<usize> {
        if self.end.saturating_sub(self.next) < n {
            self.read_on(n)?;
        }
        let count = self.end.saturating_sub(self.next).min(n);
        self.taken = self.next;
        self.next = self.next.saturating_add(count);
        Ok(count)
    }

    /// What was handed out last.
    #[inline]
    pub(super) fn taken(&self) -> &[u8] {
        self.bytes.get(self.taken..self.next).unwrap_or_default()
    }

    /// Where what was handed out last begins, see [`Self::piece`].
    #[inline]
    pub(super) fn begin(&self) -> usize {
        self.taken
    }

    /// `len` bytes from `begin` on, as long as nothing was taken since that was not in [`Self::rest`].
    #[inline]
    pub(super) fn piece(&self, begin: usize, len: usize) -> &[u8] {
        self.bytes.get(begin..begin.saturating_add(len)).unwrap_or_default()
    }

    /// What was read and not handed out yet.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.next..self.end).unwrap_or_default()
    }

    /// Hands out `n` bytes of the [`Self::rest`] after those that are skipped.
    #[inline]
    pub(super) fn pass(&mut self, skipped: usize, n: usize) {
        self.taken = self.next.saturating_add(skipped).min(self.end);
        self.next = self.taken.saturating_add(n).min(self.end);
    }

    /// Reads until `n` bytes are there, or no more come.
    #[cold]
    fn read_on(&mut self, n: usize) -> io::Result<()> {
        self.bytes.copy_within(self.next..self.end, 0);
        self.end = self.end.saturating_sub(self.next);
        (self.taken, self.next) = (0, 0);
        if self.bytes.len() < n.max(PIECE) {
            self.bytes.resize(n.max(PIECE), 0);
        }
        while self.end < n {
            let Some(room) = self.bytes.get_mut(self.end..) else { break };
            match self.input.read(room) {
                Ok(0) => break,
                Ok(more) => self.end = self.end.saturating_add(more),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, with interruptions, and then an error or the end.
    struct Slow {
        left: Vec<u8>,
        step: usize,
        interrupted: bool,
        broken: bool,
    }

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.left.is_empty() && self.broken {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = self.step.min(self.left.len()).min(into.len());
            into[..count].copy_from_slice(&self.left[..count]);
            self.left.drain(..count);
            Ok(count)
        }
    }

    fn window(length: usize, step: usize, broken: bool) -> Window {
        let left = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        Window::new(Box::new(Slow { left, step, interrupted: false, broken }))
    }

    #[test]
    fn bytes_come_in_order_however_they_are_read() {
        for step in [1, 7, 1000, 2 * PIECE] {
            let mut window = window(3000, step, false);
            let (mut all, mut n) = (Vec::new(), 0);
            loop {
                let count = window.take(n).unwrap();
                assert_eq!(window.taken().len(), count);
                all.extend_from_slice(window.taken());
                if count < n {
                    break;
                }
                n = (n + 13) % 400;
            }
            let expected: Vec<u8> = (0..3000).map(|n| u8::try_from(n % 251).unwrap()).collect();
            assert_eq!(all, expected, "{step}");
        }
    }

    #[test]
    fn what_is_longer_than_a_piece_comes_in_one() {
        let mut window = window(3 * PIECE, PIECE / 3, false);
        assert_eq!(window.take(5).unwrap(), 5);
        assert_eq!(window.take(2 * PIECE).unwrap(), 2 * PIECE);
        assert_eq!(window.taken()[..2], [5, 6]);
        assert_eq!(window.take(2 * PIECE).unwrap(), PIECE - 5);
        assert_eq!(window.take(1).unwrap(), 0);
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        let mut window = window(10, 10, true);
        assert_eq!(window.take(8).unwrap(), 8);
        assert_eq!(window.take(2).unwrap(), 2);
        assert_eq!(window.take(1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
