//! Frames that have come together: each step is done for all of them while its code is in the processor's cache, and
//! what one will need of memory is fetched while those before it are worked on.
//!
//! With many flows nothing of a packet's flow is in a cache either, and each step to it waits for the one before:
//! index, flow, what the flow carries. Here each is asked for before the one after it is needed.

use smallvec::SmallVec;

use super::{Engine, Meta, Sink};
use crate::decode::{DecodeOptions, Packet};
use crate::flow::FlowKey;
use crate::prefetch::prefetch;

/// Frames that are decoded before the first of them is worked on.
const TOGETHER: usize = 16;

/// A frame as it comes from its source.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Where and when it was seen.
    pub meta: Meta,
    /// Captured bytes.
    pub bytes: &'a [u8],
    /// Its checksums are not there yet and not to be verified.
    pub checksums_pending: bool,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belonging {
    pub(super) key: FlowKey,
    /// It comes from the low end of the key.
    pub(super) source_is_low: bool,
    pub(super) hash: u32,
}

impl Engine {
    /// Takes in one frame.
    pub fn packet<S: Sink>(&mut self, meta: Meta, bytes: &[u8], sink: &mut S) {
        self.burst(&[Arrival { meta, bytes, checksums_pending: false }], sink);
    }

    /// Takes in frames, in order.
    pub fn burst<S: Sink>(&mut self, frames: &[Arrival<'_>], sink: &mut S) {
        for frames in frames.chunks(TOGETHER) {
            let mut packets = SmallVec::<[Packet<'_>; TOGETHER]>::new();
            let mut belongings = SmallVec::<[Option<Belonging>; TOGETHER]>::new();
            for Arrival { meta, bytes, checksums_pending } in frames {
                let checksums = self.config.decode.checksums && !checksums_pending;
                let options = DecodeOptions { checksums, ..self.config.decode };
                packets.push(Packet::decode(*meta, bytes, options));
                let belonging = packets.last().and_then(|packet| self.belonging(packet));
                if let Some(belonging) = &belonging {
                    self.flows.fetch(belonging.hash);
                }
                belongings.push(belonging);
            }
            let slots: SmallVec<[_; TOGETHER]> =
                belongings.iter().map(|one| self.coming(one.as_ref(), sink)).collect();
            for (at, packet) in packets.iter_mut().enumerate() {
                if let Some(slot) = slots.get(at.saturating_add(2)).copied().flatten() {
                    self.fetch_cold(slot);
                }
                let meta = packet.meta;
                self.stats.packets = self.stats.packets.saturating_add(1);
                self.stats.bytes = self.stats.bytes.saturating_add(u64::from(meta.wire_len));
                self.stats.longest = self.stats.longest.max(meta.wire_len);
                self.expire(meta.ts, sink);
                self.decoded(packet, belongings.get(at).copied().flatten(), sink);
            }
        }
    }

    /// Where a packet belongs that stands alone.
    #[inline]
    pub(super) fn belonging(&self, packet: &Packet<'_>) -> Option<Belonging> {
        if packet.invalid || packet.fragment.is_some() {
            return None;
        }
        let (key, source_is_low) = FlowKey::of(packet)?;
        let key = self.tracked(key, packet);
        Some(Belonging { key, source_is_low, hash: self.flows.hash(&key) })
    }

    /// The slot that a packet will likely need, which is fetched.
    fn coming<S: Sink>(&self, belonging: Option<&Belonging>, sink: &mut S) -> Option<u32> {
        let known = self.flows.likely(belonging?.hash);
        let slot = known.or_else(|| self.flows.next_room())?;
        sink.upcoming(usize::try_from(slot).unwrap_or(usize::MAX));
        known
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
        /// How many frames come together changes nothing.
        #[test]
        fn bursts_of_any_length_are_the_same(
            ports in prop::collection::vec((1u16..9, any::<bool>(), 0i64..20), 0..60),
            lengths in prop::collection::vec(1usize..40, 60),
        ) {
            let mut now = 0;
            let frames: Vec<_> = ports
                .iter()
                .map(|(port, back, seconds)| {
                    let dir = if *back { Direction::ToClient } else { Direction::ToServer };
                    now += seconds * 1_000_000;
                    (now, udp(dir, (*port, 9), b"x"))
                })
                .collect();
            let arrivals: Vec<_> = frames
                .iter()
                .map(|(ts, bytes)| {
                    Arrival { meta: meta(*ts, bytes.len()), bytes, checksums_pending: false }
                })
                .collect();
            let run = |lengths: &mut dyn Iterator<Item = usize>| {
                let (mut engine, mut log) = (Engine::new(Config::default(), 0), Log::default());
                let mut rest = arrivals.as_slice();
                while let Some(length) = lengths.next().filter(|_| !rest.is_empty()) {
                    let (some, later) = rest.split_at(length.min(rest.len()));
                    engine.burst(some, &mut log);
                    rest = later;
                }
                engine.finish(&mut log);
                (log.text, log.ended, log.packets)
            };
            let alone = run(&mut std::iter::repeat(1));
            prop_assert_eq!(&run(&mut lengths.into_iter()), &alone);
            prop_assert_eq!(&run(&mut std::iter::repeat(60)), &alone);
        }
    }
}
