//! The few calls on sockets that the standard library lacks.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::LiveError;

/// Waits until there is something to read or the time is over; what poll says, 0 for nothing.
pub(super) fn poll(socket: BorrowedFd<'_>, milliseconds: i32) -> io::Result<i16> {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd that lives across the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    if ready >= 0 {
        return Ok(poll.revents);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) }
}

/// Sets an option of a socket. `T` must be what the option takes, without pointers to what dies
/// before the call.
pub(super) fn set<T: Copy>(
    socket: BorrowedFd<'_>,
    (level, name): (i32, i32),
    value: &T,
) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the option is read from `value`, which lives across the call, and `size` is its size.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Shares an interface with the other sockets of a group: by flow hash, which is the same for both
/// directions, fragments joined first so that they follow their flow.
///
/// `once`: what leaves is left out, as it arrives again. A group does not take that over from its
/// sockets.
#[cfg(target_os = "linux")]
pub(super) fn join_fanout(
    socket: BorrowedFd<'_>,
    group: u16,
    interface: &str,
    once: bool,
) -> Result<(), LiveError> {
    let once = if once { libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING } else { 0 };
    let mode = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG | once;
    let value: libc::c_uint = mode << 16 | u32::from(group);
    set(socket, (libc::SOL_PACKET, libc::PACKET_FANOUT), &value)
        .map_err(|source| LiveError::Fanout { interface: interface.to_owned(), group, source })
}

/// Only Linux shares an interface between workers.
#[cfg(not(target_os = "linux"))]
pub(super) fn join_fanout(
    _: BorrowedFd<'_>,
    group: u16,
    interface: &str,
    _: bool,
) -> Result<(), LiveError> {
    let source = io::Error::from(io::ErrorKind::Unsupported);
    Err(LiveError::Fanout { interface: interface.to_owned(), group, source })
}
