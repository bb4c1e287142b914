//! Making the socket of a ring.
#![expect(unsafe_code, reason = "system calls")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::super::{LiveError, LiveOptions, libpcap, socket};
use super::block::{Layout, TAG};
use super::map::Map;

/// What was refused, and why.
type Refused = (&'static str, io::Error);

/// Milliseconds after which a block is given to us though it is not full.
const RETIRE: u32 = 20;
/// Bytes of a block, for rings of eight mebibytes and more; a packet is never longer.
const BLOCK: usize = 1 << 20;
/// Bytes of a block of small rings.
const SMALL_BLOCK: usize = 1 << 18;
/// What the kernel wants to be told and, with blocks, does not use.
const FRAME: u32 = 2048;

/// A socket that is not bound yet.
pub(super) struct Opened {
    pub(super) socket: OwnedFd,
    pub(super) layout: Layout,
    pub(super) address: libc::sockaddr_ll,
    /// What leaves arrives again: once is enough.
    pub(super) once: bool,
}

fn called(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What the kernel runs on each packet: our filter, or everything; the number of bytes to keep.
pub(super) fn filter(options: &LiveOptions) -> Result<Vec<libc::sock_filter>, LiveError> {
    let keep = u32::try_from(options.snaplen).unwrap_or(u32::MAX);
    if options.filter.is_empty() {
        return Ok(vec![give(keep)]);
    }
    let program = libpcap::compile(options)?;
    // The public form of an instruction is its text; four numbers that cannot be had otherwise.
    let code = program.get_instructions().iter().map(|instruction| instruction.to_string());
    let code: Option<Vec<_>> = code.map(|text| parse(&text)).collect();
    code.ok_or_else(|| LiveError::Ring {
        interface: options.interface.clone(),
        action: "read the filter",
        source: io::Error::from(io::ErrorKind::InvalidData),
    })
}

/// An instruction as libpcap's wrapper writes it: code, jumps and operand.
fn parse(text: &str) -> Option<libc::sock_filter> {
    let mut numbers = text.split_whitespace().map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let (code, jt, jf, k) = (next()?, next()?, next()?, next()?);
    Some(libc::sock_filter {
        code: u16::try_from(code).ok()?,
        jt: u8::try_from(jt).ok()?,
        jf: u8::try_from(jf).ok()?,
        k,
    })
}

/// The instruction that ends a filter: keep so many bytes, none for no packet.
const fn give(bytes: u32) -> libc::sock_filter {
    // BPF_RET | BPF_K
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: bytes }
}

/// Sets the filter of a socket.
pub(super) fn attach(socket: BorrowedFd<'_>, filter: &[libc::sock_filter]) -> io::Result<()> {
    socket::set_program(socket, (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER), filter)
}

/// A socket for packets of an interface, set up but for its ring; nothing passes its filter.
pub(super) fn socket(options: &LiveOptions) -> Result<Opened, Refused> {
    // Without a protocol nothing comes before the socket is bound.
    // SAFETY: no memory is involved.
    let number = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if number < 0 {
        return Err(("open a socket", io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just given this descriptor to us and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    let at = |action| move |error| (action, error);
    let index = interface_index(&options.interface).map_err(at("find the interface"))?;
    let kind = hardware(&options.interface).map_err(at("find the kind of interface"))?;
    let layout = layout(kind).ok_or_else(|| {
        ("read this kind of interface", io::Error::from(io::ErrorKind::Unsupported))
    })?;
    let packet = |name, value: i32| socket::set(socket.as_fd(), (libc::SOL_PACKET, name), &value);
    let version = libc::tpacket_versions::TPACKET_V3 as i32;
    packet(libc::PACKET_VERSION, version).map_err(at("choose its version"))?;
    packet(libc::PACKET_RESERVE, i32::try_from(TAG).unwrap_or(4)).map_err(at("reserve room"))?;
    let once = kind == libc::ARPHRD_LOOPBACK;
    if once {
        packet(libc::PACKET_IGNORE_OUTGOING, 1).map_err(at("leave out copies"))?;
    }
    attach(socket.as_fd(), &[give(0)]).map_err(at("set a filter"))?;
    if options.promiscuous {
        let request = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or(1),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        let option = (libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP);
        socket::set(socket.as_fd(), option, &request).map_err(at("see packets for others"))?;
    }
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or(17),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).unwrap_or(3).to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    Ok(Opened { socket, layout, address, once })
}

fn interface_index(name: &str) -> io::Result<i32> {
    let name = CString::new(name).map_err(io::Error::other)?;
    // SAFETY: a string with its end, which lives across the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(index).map_err(io::Error::other)
}

/// The kind of an interface (`ARPHRD_`).
fn hardware(interface: &str) -> io::Result<u16> {
    let text = std::fs::read_to_string(format!("/sys/class/net/{interface}/type"))?;
    text.trim().parse().map_err(io::Error::other)
}

/// What its frames look like; `None` for what is left to libpcap.
fn layout(hardware: u16) -> Option<Layout> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Layout { link: 1, ethernet: true }),
        // Tunnels that carry IP as it is.
        libc::ARPHRD_NONE
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | libc::ARPHRD_IPGRE => Some(Layout { link: 101, ethernet: false }),
        _ => None,
    }
}

/// Gives a socket its ring, of about so many bytes.
pub(super) fn ring(socket: BorrowedFd<'_>, bytes: i32) -> Result<Map, Refused> {
    let bytes = usize::try_from(bytes).unwrap_or(0);
    let size = if bytes < 8 * BLOCK { SMALL_BLOCK } else { BLOCK };
    let blocks = (bytes / size).max(2);
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let request = libc::tpacket_req3 {
        tp_block_size: narrow(size),
        tp_block_nr: narrow(blocks),
        tp_frame_size: FRAME,
        tp_frame_nr: narrow(blocks * size) / FRAME,
        tp_retire_blk_tov: RETIRE,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    socket::set(socket, (libc::SOL_PACKET, libc::PACKET_RX_RING), &request)
        .map_err(|error| ("have memory", error))?;
    Map::new(socket, blocks, size).map_err(|error| ("map memory", error))
}

/// Binds a socket to its interface: from now on packets come.
pub(super) fn bind(socket: BorrowedFd<'_>, address: &libc::sockaddr_ll) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of_val(address)).map_err(io::Error::other)?;
    let address = std::ptr::from_ref(address).cast();
    // SAFETY: the address lives across the call, and `size` is its size.
    called(unsafe { libc::bind(socket.as_raw_fd(), address, size) })
}

fn get<T: Copy>(socket: BorrowedFd<'_>, (level, name): (i32, i32), into: &mut T) -> io::Result<()> {
    let mut size = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    let value = std::ptr::from_mut(into).cast();
    // SAFETY: the kernel writes no more than `size` bytes, all of `into`; only types of plain numbers
    // are asked for.
    called(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, value, &raw mut size) })
}

/// Packets and drops since this was asked for the last time.
pub(super) fn counters(socket: BorrowedFd<'_>) -> io::Result<libc::tpacket_stats_v3> {
    let mut counters = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
    get(socket, (libc::SOL_PACKET, libc::PACKET_STATISTICS), &mut counters)?;
    Ok(counters)
}

/// What is wrong with a socket.
pub(super) fn error(socket: BorrowedFd<'_>) -> io::Result<io::Error> {
    let mut code: libc::c_int = 0;
    get(socket, (libc::SOL_SOCKET, libc::SO_ERROR), &mut code)?;
    Ok(io::Error::from_raw_os_error(code))
}
