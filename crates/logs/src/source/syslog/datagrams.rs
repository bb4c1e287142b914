//! Datagrams: as many as are there at a time, and what the kernel says it dropped.

use std::io;
use std::net::UdpSocket as StdSocket;
use std::time::Duration;

use event::Timestamp;
use service::Clock;
use tokio::net::UdpSocket;

use super::peers::Peers;
use crate::source::Intake;

/// Largest datagram.
const MAX_DATAGRAM: usize = 65_536;
/// Most datagrams taken before others have a turn.
const BURST: usize = 256;
/// Time between two looks at what the kernel dropped.
const LOOK: Duration = Duration::from_millis(500);
/// Where the kernel lists its UDP sockets.
const TABLES: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];

pub(super) async fn serve(
    socket: StdSocket,
    peers: &Peers,
    intake: &Intake,
    clock: &Clock,
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
        for _ in 0..BURST {
            let (length, peer) = match socket.try_recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    intake.source().count_error();
                    tracing::warn!(%error, "syslog datagram could not be received");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    break;
                }
            };
            let now = Timestamp::from_micros(clock.now_micros());
            let bytes = buffer.get(..length).unwrap_or_default();
            let (item, parsed) = peers.item(bytes, 0, peer, now);
            if intake.offer(item, parsed, length).is_err() {
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
