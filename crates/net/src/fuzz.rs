//! Entry points for fuzzers: any bytes, no panic, no unbounded work.

use crate::app::detect::Transport;
use crate::app::{AppConfig, AppContext, AppLayer, TxList};
use crate::engine::InFlow;
use crate::{Chunk, Config, Direction, EndReason, Engine, Flow, LinkType, Meta, Packet, Sink};

/// A sink that looks at everything and keeps nothing.
#[derive(Debug, Default)]
struct Looker {
    seen: usize,
}

impl Looker {
    fn look(&mut self, text: &str) {
        self.seen = self.seen.wrapping_add(text.len());
    }
}

impl Sink for Looker {
    fn chunk(&mut self, _flow: &Flow, chunk: &Chunk<'_>) {
        self.look(&format!("{chunk:?}"));
    }

    fn packet(&mut self, packet: &Packet<'_>, place: Option<InFlow<'_>>) {
        self.look(&format!("{:?}", packet.anomalies.iter().collect::<Vec<_>>()));
        if let Some(place) = place {
            for (tx, dir) in place.transactions.changed() {
                self.look(&format!("{tx:?}{dir:?}"));
            }
        }
    }

    fn flow_end(&mut self, flow: &mut Flow, transactions: &TxList, reason: EndReason) {
        self.look(&format!("{}{reason:?}{}", flow.community_id(0), transactions.iter().count()));
    }
}

/// Frames of one link type: a byte for the type, then frames with a length byte before each.
pub fn fuzz_packets(data: &[u8]) {
    let Some((kind, mut rest)) = data.split_first() else { return };
    let numbers = [1, 0, 101, 113, 276, 108, 9, 147];
    let link = numbers.get(usize::from(*kind & 7)).copied().unwrap_or(1);
    let config = Config { midstream: *kind & 8 != 0, ..Config::default() };
    let (mut engine, mut sink) = (Engine::new(config, 0), Looker::default());
    let mut number = 0;
    while let Some((len, tail)) = rest.split_first() {
        let (frame, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        number = u64::saturating_add(number, 1);
        let meta = Meta {
            ts: i64::from(*len).wrapping_mul(1_000_000),
            number,
            interface: 0,
            wire_len: u32::from(*len),
            link: LinkType::from_number(link),
        };
        engine.packet(meta, frame, &mut sink);
    }
    engine.finish(&mut sink);
}

/// Application data: pieces with a byte before each for direction, gap and length.
pub fn fuzz_app(data: &[u8]) {
    let Some((kind, mut rest)) = data.split_first() else { return };
    let transport = if *kind & 1 == 0 { Transport::Tcp } else { Transport::Udp };
    let config = AppConfig::default();
    let cx = AppContext { config: &config, transport, ports: (50_000, 53) };
    let mut app = AppLayer::default();
    while let Some((head, tail)) = rest.split_first() {
        let dir = if head & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (piece, tail) = tail.split_at(usize::from(head >> 2).saturating_mul(4).min(tail.len()));
        rest = tail;
        if head & 2 != 0 && piece.len() > 200 {
            app.gap(dir, u64::from(*head));
        } else {
            app.data(dir, piece, &cx);
        }
        app.settle();
    }
    app.finish();
    assert!(app.open().changed().count() <= 1026, "transactions are bounded");
}
