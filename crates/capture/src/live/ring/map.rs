//! The memory of a ring, shared with the kernel.
#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the status of a block stands in its description (`struct tpacket_block_desc`).
const STATUS: usize = 8;

/// Blocks of equal size, one behind the other.
#[derive(Debug)]
pub(super) struct Map {
    start: NonNull<u8>,
    blocks: usize,
    size: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached through `Map` alone.
unsafe impl Send for Map {}

impl Map {
    /// Maps the ring of a socket that has one of `blocks` blocks of `size` bytes.
    pub(super) fn new(socket: BorrowedFd<'_>, blocks: usize, size: usize) -> io::Result<Self> {
        let length = blocks.checked_mul(size).ok_or(io::ErrorKind::InvalidInput)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches nothing that is there.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                access,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { start, blocks, size })
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    fn at(&self, block: usize) -> NonNull<u8> {
        assert!(block < self.blocks, "a block of the ring");
        // SAFETY: within the mapping, as `block` is one of its blocks.
        unsafe { self.start.add(block * self.size) }
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        let start = self.at(block).as_ptr();
        // SAFETY: a block is longer than its description, of which the status is a part.
        let status = unsafe { start.add(STATUS) };
        // SAFETY: aligned as blocks are pages; it lives as long as the mapping, which `self` owns; we
        // and the kernel write it as a whole, and no slice of the block lives while `self` is lent.
        unsafe { AtomicU32::from_ptr(status.cast()) }
    }

    /// Whether the kernel has given a block to us.
    pub(super) fn is_ours(&self, block: usize) -> bool {
        self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    /// Gives a block back to the kernel.
    pub(super) fn give_back(&mut self, block: usize) {
        self.status(block).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }

    /// The bytes of a block; empty when it is the kernel's.
    pub(super) fn block(&mut self, block: usize) -> &mut [u8] {
        if !self.is_ours(block) {
            return &mut [];
        }
        let start = self.at(block).as_ptr();
        // SAFETY: within the mapping, which outlives the slice as `self` is lent with it; the block is
        // ours, so that the kernel does not write it, and `self` is lent mutably, so that nobody else does.
        unsafe { std::slice::from_raw_parts_mut(start, self.size) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, once; nothing that borrows from it is left.
        let result = unsafe { libc::munmap(self.start.as_ptr().cast(), self.blocks * self.size) };
        debug_assert_eq!(result, 0, "the mapping was one");
    }
}
