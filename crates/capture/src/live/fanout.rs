//! Sharing an interface between workers (`PACKET_FANOUT`, see packet(7)).

use std::os::fd::BorrowedFd;

use super::{LiveError, socket};

/// Which packets come to the same worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Those of a flow, by the kernel's hash, which is the same for both directions. The kernel joins
    /// IPv4 fragments first, so that they follow their flow: they are seen and counted as one packet,
    /// and what it will not join is not seen at all.
    #[default]
    Flows,
    /// Those between two hosts, IPv4 and IPv6; everything else comes to the first worker. Fragments
    /// come as they are.
    Hosts,
}

/// A group of sockets that share an interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) number: u16,
    pub(super) share: Share,
    /// What leaves is left out, as it arrives again. A group does not take that over from its sockets.
    pub(super) once: bool,
}

/// Only Linux shares an interface between workers.
#[cfg(not(target_os = "linux"))]
pub(super) fn join(_: BorrowedFd<'_>, group: Group, interface: &str) -> Result<(), LiveError> {
    let source = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(LiveError::Fanout { interface: interface.to_owned(), group: group.number, source })
}

/// Makes a socket one of a group.
#[cfg(target_os = "linux")]
pub(super) fn join(socket: BorrowedFd<'_>, group: Group, interface: &str) -> Result<(), LiveError> {
    let refused =
        |source| LiveError::Fanout { interface: interface.to_owned(), group: group.number, source };
    let mode = match group.share {
        Share::Flows => libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG,
        Share::Hosts => libc::PACKET_FANOUT_CBPF,
    };
    let once = if group.once { libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING } else { 0 };
    let value: libc::c_uint = (mode | once) << 16 | u32::from(group.number);
    socket::set(socket, (libc::SOL_PACKET, libc::PACKET_FANOUT), &value).map_err(refused)?;
    if group.share == Share::Hosts {
        let option = (libc::SOL_PACKET, libc::PACKET_FANOUT_DATA);
        socket::set_program(socket, option, &hosts()).map_err(refused)?;
    }
    Ok(())
}

/// A program that makes a number of both addresses, the same for both directions.
#[cfg(target_os = "linux")]
fn hosts() -> Vec<libc::sock_filter> {
    /// Places are counted from the network header, wherever the packet begins.
    const NETWORK: u32 = libc::SKF_NET_OFF.cast_unsigned();
    const PROTOCOL: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PROTOCOL).cast_unsigned();
    let (load, to_x, xor_x) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_MISC,
        libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X,
    );
    let step = |code: u32, k| step(code, (0, 0), k);
    // All words of both addresses, then their bits mixed so that any of them decides.
    let words = |places: std::ops::Range<u32>| {
        let words = places.step_by(4);
        let mut code: Vec<_> = words
            .flat_map(|at| [step(to_x, 0), step(load, NETWORK + at), step(xor_x, 0)])
            .collect();
        code.push(step(libc::BPF_ALU | libc::BPF_MUL, 0x9e37_79b1));
        code.push(step(libc::BPF_ALU | libc::BPF_RSH, 16));
        // BPF_RET | BPF_A
        code.push(step(libc::BPF_RET | 0x10, 0));
        code
    };
    let (v4, v6) = (words(12..20), words(8..40));
    let jump = libc::BPF_JMP | libc::BPF_JEQ;
    let over = u8::try_from(v4.len() + 2).unwrap_or(u8::MAX);
    let zero = step(libc::BPF_LD | libc::BPF_IMM, 0);
    let mut code = vec![
        step(load, PROTOCOL),
        // To the program for IPv4, for IPv6, or on to the end.
        self::step(jump, (2, 0), 0x0800),
        self::step(jump, (over, 0), 0x86dd),
        step(libc::BPF_RET, 0),
        zero,
    ];
    code.extend(v4);
    code.push(zero);
    code.extend(v6);
    code
}

#[cfg(target_os = "linux")]
fn step(code: u32, (jt, jf): (u8, u8), k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}
