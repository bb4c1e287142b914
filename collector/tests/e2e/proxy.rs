//! A cable between agent and collector that can be cut: a relay of TCP connections on loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How often a relay looks whether its cable was cut.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct Cable {
    /// Connections made before the newest cut are dead.
    cuts: AtomicU64,
    /// No new connection gets through.
    open: AtomicBool,
    /// Connections live on but nothing passes, as when a router drops everything.
    silent: AtomicBool,
}

/// The relay; it ends with the test process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    cable: Arc<Cable>,
}

impl Proxy {
    /// A working cable to `target` on loopback.
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cable = Arc::new(Cable { open: AtomicBool::new(true), ..Cable::default() });
        let shared = Arc::clone(&cable);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if shared.open.load(Ordering::SeqCst)
                    && let Ok(far) = TcpStream::connect(("127.0.0.1", target))
                {
                    relay(&near, &far, &shared);
                }
            }
        });
        Self { port, cable }
    }

    /// Ends every connection in the middle of whatever it carries and lets none through.
    pub(crate) fn cut(&self) {
        self.cable.open.store(false, Ordering::SeqCst);
        self.cable.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// Swallows everything without ending a connection.
    pub(crate) fn swallow(&self) {
        self.cable.silent.store(true, Ordering::SeqCst);
    }

    /// Works again. What was swallowed is gone, so those connections are ended.
    pub(crate) fn mend(&self) {
        if self.cable.silent.swap(false, Ordering::SeqCst) {
            self.cable.cuts.fetch_add(1, Ordering::SeqCst);
        }
        self.cable.open.store(true, Ordering::SeqCst);
    }
}

fn relay(near: &TcpStream, far: &TcpStream, cable: &Arc<Cable>) {
    let born = cable.cuts.load(Ordering::SeqCst);
    for (from, to) in [(near, far), (far, near)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let cable = Arc::clone(cable);
        std::thread::spawn(move || {
            let _timeout = from.set_read_timeout(Some(LOOK));
            let mut buffer = [0_u8; 16 * 1024];
            while cable.cuts.load(Ordering::SeqCst) == born {
                let count = match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error)
                        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                    {
                        continue;
                    }
                    Err(_) => break,
                };
                // A cut may fall inside a frame: half of what was read still gets through.
                let cut = cable.cuts.load(Ordering::SeqCst) != born;
                let passed = if cut { count / 2 } else { count };
                if !cable.silent.load(Ordering::SeqCst) && to.write_all(&buffer[..passed]).is_err()
                {
                    break;
                }
            }
            let _closed = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}
