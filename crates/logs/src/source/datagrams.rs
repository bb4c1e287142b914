//! Datagrams: as many as are there at a time, and what the kernel says it dropped; for every listener
//! over UDP.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::UdpSocket;

use super::{Intake, Stopped};

/// Largest datagram.
const MAX_DATAGRAM: usize = 65_536;
/// Most datagrams taken before others have a turn.
const BURST: usize = 256;
/// Wait for room in the queue.
const PATIENCE: Duration = Duration::from_millis(2);
/// Time between two looks at what the kernel dropped.
const LOOK: Duration = Duration::from_millis(500);
/// Where the kernel lists its UDP sockets.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

/// A socket with as large a receive buffer as can be had: a burst waits there while the reader is behind.
///
/// # Errors
/// When it cannot be bound.
pub(super) fn open(listen: &str, receive_megabytes: usize) -> io::Result<StdSocket> {
    let socket = StdSocket::bind(listen)?;
    socket.set_nonblocking(true)?;
    let bytes = receive_megabytes.saturating_mul(1024 * 1024);
    // More than net.core.rmem_max needs a privilege; without it the kernel gives what it may.
    if setsockopt(&socket, sockopt::RcvBufForce, &bytes).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &bytes)?;
    }
    Ok(socket)
}

/// Gives each datagram to `take`, until that says that nobody takes it any more.
///
/// # Errors
/// When the socket fails.
pub(super) async fn serve(
    socket: StdSocket,
    intake: &Intake,
    mut take: impl FnMut(&[u8], SocketAddr) -> Result<(), Stopped>,
) -> io::Result<()> {
    let inode = nix::sys::stat::fstat(&socket)?.st_ino;
    let socket = UdpSocket::from_std(socket)?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            ready = socket.readable() => ready?,
            _ = look.tick() => {
                intake.source().set_dropped(dropped(inode));
                continue;
            }
        }
        // While there is no room datagrams wait in the kernel's buffer, and the kernel counts what finds none.
        if !intake.has_room() {
            tokio::time::sleep(PATIENCE).await;
            continue;
        }
        for _ in 0..BURST {
            if !intake.has_room() {
                break;
            }
            let (length, peer) = match socket.try_recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    intake.source().count_error();
                    tracing::warn!(%error, "datagram could not be received");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    break;
                }
            };
            if take(buffer.get(..length).unwrap_or_default(), peer).is_err() {
                return Ok(());
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Datagrams that the kernel dropped at the socket of this inode since it was opened.
fn dropped(inode: u64) -> u64 {
    let read = |path: &&str| std::fs::read_to_string(path).unwrap_or_default();
    TABLES.iter().map(read).find_map(|table| drops_in(&table, inode)).unwrap_or(0)
}

/// `sl local remote st tx:rx tr:when retrnsmt uid timeout inode ref pointer drops` (proc(5)).
fn drops_in(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let here = fields.nth(9)?.parse::<u64>().ok()? == inode;
        here.then(|| fields.nth(2)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_read() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            \x20 204: 0100007F:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 21432 2 0000000000000000 0\n\
            \x20 205: 00000000:0202 00000000:0000 07 00000000:00002340 00:00000000 00000000     0        0 21433 2 0000000000000000 4711\n";
        assert_eq!(drops_in(table, 21433), Some(4711));
        assert_eq!(drops_in(table, 21432), Some(0));
        assert_eq!(drops_in(table, 1), None);
        assert_eq!(drops_in("", 1), None);
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        let inode = nix::sys::stat::fstat(&socket).unwrap().st_ino;
        let table = std::fs::read_to_string(TABLES[0]).unwrap();
        assert_eq!(drops_in(&table, inode), Some(0), "{table}");
    }
}
