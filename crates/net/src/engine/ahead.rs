//! A look at packets that are about to come: what of memory they need is fetched while those before them
//! are worked on.
//!
//! With many flows nothing of a packet's flow is in the processor's cache, and each step to it waits for the
//! one before: index, flow, what the flow carries. Here each call takes every packet under way one step
//! further. It changes nothing and may be left out, or be wrong about what comes.

use super::{Engine, Sink};
use crate::decode::LinkType;
use crate::flow::FlowKey;
use crate::prefetch::prefetch;

/// Packets under way.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Hash of the last packet's key; its place in the index was fetched.
    hash: Option<u32>,
    /// Slot of the packet before it; its flow was fetched.
    slot: Option<u32>,
}

impl Engine {
    /// Tells of a frame that will come a few packets from now.
    pub fn look_ahead<S: Sink>(&mut self, link: LinkType, bytes: &[u8], sink: &mut S) {
        if let Some(slot) = self.ahead.slot {
            self.fetch_cold(slot);
        }
        self.ahead.slot = self.ahead.hash.and_then(|hash| self.flows.likely(hash));
        let room = self.ahead.slot.or_else(|| self.flows.next_room());
        if let Some(slot) = room {
            sink.upcoming(usize::try_from(slot).unwrap_or(usize::MAX));
        }
        let key = if link == LinkType::Ethernet { FlowKey::of_plain(bytes) } else { None };
        self.ahead.hash = key.map(|key| {
            let depth = self.config.depth_tracking.then_some(0);
            self.flows.fetch(&key.tracking(depth, self.config.vlan_tracking))
        });
    }

    /// The flow whose timer is next may have to end soon.
    pub(super) fn look_at_timers<S: Sink>(&self, sink: &mut S) {
        if let Some(slot) = self.flows.next_timer() {
            self.fetch_cold(slot);
            sink.upcoming(usize::try_from(slot).unwrap_or(usize::MAX));
        }
    }

    fn fetch_cold(&self, slot: u32) {
        if let Some(flow) = self.flows.get(slot)
            && let Some(cold) = &flow.cold
        {
            prefetch(&**cold);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Config;
    use crate::flow::Direction;
    use crate::testing::{Log, meta, udp};

    proptest! {
        /// Looking ahead changes nothing, whether what is seen there comes or not.
        #[test]
        fn a_look_ahead_changes_nothing(
            ports in prop::collection::vec((1u16..9, any::<bool>(), 0i64..20), 0..60),
            skipped in 0usize..4,
        ) {
            let frames: Vec<_> = ports
                .iter()
                .map(|(port, ahead, seconds)| {
                    (udp(Direction::ToServer, (*port, 9), b"x"), *ahead, *seconds)
                })
                .collect();
            let run = |look: bool| {
                let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
                let mut now = 0;
                for (at, (frame, _, seconds)) in frames.iter().enumerate() {
                    if let Some((later, true, _)) = frames.get(at.wrapping_add(skipped))
                        && look
                    {
                        engine.look_ahead(LinkType::Ethernet, later, &mut log);
                        engine.look_ahead(LinkType::Raw, later, &mut log);
                    }
                    now += seconds * 1_000_000;
                    engine.packet(meta(now, frame.len()), frame, &mut log);
                }
                engine.finish(&mut log);
                (log.text, log.ended, log.packets)
            };
            prop_assert_eq!(run(true), run(false));
        }
    }
}
