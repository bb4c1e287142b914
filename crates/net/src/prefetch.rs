//! Memory that will be needed soon, asked for ahead of time.
//!
//! The only room of this crate with `unsafe` code: a plain read of what is far away holds the processor up
//! until it is there, a prefetch does not. It is a hint alone: it neither reads nor writes anything that
//! a program could see, whatever the address. Where there is no such instruction, nothing happens.

#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "the instruction cannot be had otherwise; measured, it is worth it"
    )
)]

/// Bytes of a line of the processor's cache.
const LINE: usize = 64;

/// Asks for all of a value.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing and never faults, whatever the address is; every x86-64 has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn line(_at: *const u8) {}
