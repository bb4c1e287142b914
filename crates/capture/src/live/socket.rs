//! The few calls on sockets that the standard library lacks.
#![expect(unsafe_code, reason = "system calls")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

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

/// Gives a socket a program of the kernel's packet filter.
#[cfg(target_os = "linux")]
pub(super) fn set_program(
    socket: BorrowedFd<'_>,
    option: (i32, i32),
    program: &[libc::sock_filter],
) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    // The kernel copies the program and does not write to it; it outlives the call.
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    set(socket, option, &program)
}
