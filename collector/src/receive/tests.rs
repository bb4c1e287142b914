//! Inputs of a collector in this process, over loopback and from files, with a store that fails.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::Ordering;

use logs::source::Position;

use super::*;
use crate::store::Key;
use crate::testing::Site;

fn memory(site: &Site) -> Memory {
    Memory::new(site.folder.path().to_owned(), Key::new([9; 32]))
}

fn config(text: &str) -> ReceiveConfig {
    service::config::parse("test", text).unwrap()
}

struct Running {
    receiving: Receiving,
    tcp: Option<SocketAddr>,
    udp: Option<SocketAddr>,
    thread: JoinHandle<()>,
    shutdown: Shutdown,
}

async fn start(site: &Site, text: &str, boot: u64) -> Running {
    let opened = open(&config(text), site.folder.path(), memory(site)).unwrap();
    let tcp = opened.syslog.first().map(|one| one.0.address().unwrap());
    let udp = opened.netflow.first().map(|one| one.0.address().unwrap());
    let (receiving, shutdown) = (opened.receiving(), Shutdown::new());
    let pipeline = Arc::clone(&site.app.pipeline);
    let clock = site.app.clock.clone();
    let thread = opened.start(pipeline, clock, shutdown.clone(), boot).await.unwrap();
    Running { receiving, tcp, udp, thread, shutdown }
}

impl Running {
    async fn stop(self) {
        self.shutdown.trigger();
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap().unwrap();
    }
}

/// Waits until `query` finds `count` events.
async fn wait(site: &Site, query: &str, count: usize) -> Vec<event::Document> {
    for _ in 0..400 {
        let found = site.find(query).await;
        if found.len() >= count {
            assert_eq!(found.len(), count, "{query}");
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{query} finds {} instead of {count}", site.find(query).await.len());
}

const LISTEN: &str = "[[syslog]]\nlisten = \"127.0.0.1:0\"\ntransport = \"tcp\"\n\
    [[netflow]]\nlisten = \"127.0.0.1:0\"\nfrom = [\"127.0.0.0/8\"]\n";

/// NetFlow 5 with one flow.
fn netflow() -> Vec<u8> {
    let mut out = vec![0, 5, 0, 1];
    out.resize(24 + 48, 0);
    out[24 + 38] = 17;
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_and_flows_are_found_under_who_sent_them() {
    let site = Site::new();
    let running = start(&site, LISTEN, 1).await;
    let mut stream = TcpStream::connect(running.tcp.unwrap()).unwrap();
    stream.write_all(b"<38>Nov 22 15:04:05 web1 sshd[8]: hello\n<13>no header at all\n").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&netflow(), running.udp.unwrap()).unwrap();
    wait(&site, "host.name:web1 AND message:hello", 1).await;
    // Who says no name is known by its address.
    wait(&site, "host.name:127.0.0.1 AND message:header", 1).await;
    wait(&site, "event_type:netflow AND host.name:127.0.0.1 AND proto:UDP", 1).await;
    let figures = running.receiving.figures();
    assert_eq!((figures.ledger.seen, figures.ledger.residue()), (3, 0));
    let lines: Vec<u64> = figures.sources.iter().map(|source| source.lines).collect();
    assert_eq!(lines, [2, 1]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_inputs_wait_and_nothing_is_lost() {
    let site = Site::new();
    let running = start(&site, LISTEN, 1).await;
    site.store.full.store(true, Ordering::SeqCst);
    let mut stream = TcpStream::connect(running.tcp.unwrap()).unwrap();
    for number in 0..50 {
        stream.write_all(format!("<13>Nov 22 15:04:05 h a: n{number}\n").as_bytes()).unwrap();
    }
    for _ in 0..400 {
        if running.receiving.figures().ledger.seen == 50 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(site.find("host.name:h").await.len(), 0);
    site.store.full.store(false, Ordering::SeqCst);
    wait(&site, "host.name:h", 50).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_once_over_a_restart() {
    let site = Site::new();
    let path = site.folder.path().join("eve.json");
    let mut file = std::fs::File::create(&path).unwrap();
    let mut write =
        |number: u32| writeln!(file, "{{\"event_type\":\"dns\",\"n\":{number}}}").unwrap();
    let text = format!("[[files]]\npaths = [\"{}\"]\nformat = \"json\"\n", path.display());
    (0..5).for_each(&mut write);
    let running = start(&site, &text, 1).await;
    wait(&site, "n:[0 TO 9]", 5).await;
    running.stop().await;
    (5..8).for_each(&mut write);
    let running = start(&site, &text, 2).await;
    wait(&site, "n:[0 TO 9]", 8).await;
    running.stop().await;
}

fn position(offset: u64) -> Position {
    Position::File {
        path: "/x".into(),
        offset,
        head: 0,
        head_length: 0,
        line: None,
        tail: None,
        time: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_and_behind_the_store_is_told_apart() {
    let site = Site::new();
    let (path, key) = (site.folder.path().join("b"), Key::new([9; 32]));
    let agent = AgentId::new(NAME).unwrap();
    let store = site.app.pipeline.store();
    let open = async |boot| {
        let book = Book::open(path.clone(), key.clone(), (agent.clone(), boot));
        book.recover(store.as_ref()).await.unwrap()
    };
    let moved = |to: Option<u64>| Moves::from([("file:1:2".into(), to.map(position))]);
    let origin = crate::testing::origin(NAME);
    let put = async |book: &mut Book, to: Option<u64>, stored: bool| {
        let mut events = vec![Site::message(0), Site::message(0)];
        let boot = book.number(&mut events);
        book.intend(&moved(to)).unwrap();
        if stored {
            site.app.pipeline.take(&origin, boot, events).await.unwrap();
        }
    };
    let at = |book: &Book| book.positions().get("file:1:2").cloned();

    let mut book = open(1).await;
    assert_eq!(at(&book), None);
    put(&mut book, Some(10), true).await;
    let mut book = open(2).await;
    assert_eq!(at(&book), Some(position(10)), "killed behind it");
    put(&mut book, Some(20), false).await;
    let mut book = open(3).await;
    assert_eq!(at(&book), Some(position(10)), "killed before it");
    put(&mut book, Some(20), true).await;
    book.done(moved(Some(20)));
    put(&mut book, Some(30), false).await;
    let mut book = open(4).await;
    assert_eq!(at(&book), Some(position(20)), "the second batch of a run");
    put(&mut book, None, true).await;
    assert_eq!(at(&open(5).await), None, "a position that is forgotten");

    std::fs::write(&path, b"damaged").unwrap();
    assert_eq!(at(&open(6).await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_kept() {
    let site = Site::new();
    let running = start(&site, LISTEN, 1).await;
    // A template of NetFlow 9 with one field, the source's address.
    let mut datagram = vec![0, 9, 0, 1];
    datagram.resize(20, 0);
    datagram.extend([0, 0, 0, 12, 1, 0, 0, 1, 0, 8, 0, 4]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&datagram, running.udp.unwrap()).unwrap();
    // What comes behind it tells that it was taken.
    socket.send_to(&netflow(), running.udp.unwrap()).unwrap();
    wait(&site, "event_type:netflow", 1).await;
    running.stop().await;

    let running = start(&site, LISTEN, 2).await;
    let mut datagram = vec![0, 9, 0, 1];
    datagram.resize(20, 0);
    datagram.extend([1, 0, 0, 8, 192, 0, 2, 77]);
    socket.send_to(&datagram, running.udp.unwrap()).unwrap();
    wait(&site, "src_ip:192.0.2.77", 1).await;
    running.stop().await;
}

#[test]
fn mistakes_are_named() {
    let error = service::config::parse::<ReceiveConfig>("c", "[[netflow]]\nlisten = \"x\"\n");
    assert_eq!(error.unwrap_err().to_string(), "c:1: netflow[0].from: is required and missing");
    let folder = tempfile::tempdir().unwrap();
    let memory = Memory::new(folder.path().to_owned(), Key::new([9; 32]));
    let config = config("[[syslog]]\nlisten = \"127.0.0.1:0\"\ntransport = \"tls\"\n");
    let error = open(&config, folder.path(), memory).unwrap_err();
    assert!(format!("{error:#}").contains("server.pem"), "{error:#}");
}
