//! Tags: after a match of a rule with `tag`, further packets of the flow or of a host are to be recorded.
//!
//! What a tag counts begins with the packet that set it; that packet itself has its alert.

use crate::{PacketView, Tag, TagMetric};

/// Most tags of one flow or host.
const MAX_TAGS: usize = 50;
/// Times a tag of the same rule begins anew.
const MAX_AGAIN: u32 = 10;
const SECOND: u64 = 1_000_000;

/// A tag that runs.
#[derive(Debug, Clone, Copy)]
struct Running {
    rule: (u32, u32),
    tag: Tag,
    start: u64,
    used: u64,
    again: u32,
    /// The packet that set it has gone by.
    first: bool,
}

/// The tags of one flow or host.
#[derive(Debug, Default)]
pub(super) struct Tags(Vec<Running>);

impl Tags {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins a tag of a rule, or begins it anew; `false` when there is no room.
    pub(super) fn begin(&mut self, rule: (u32, u32), tag: Tag, now: u64) -> bool {
        if let Some(old) = self.0.iter_mut().find(|old| old.rule == rule && old.tag == tag) {
            old.again += 1;
            if old.again < MAX_AGAIN {
                (old.start, old.used) = (now, 0);
            }
            return true;
        }
        let room = self.0.len() < MAX_TAGS;
        if room {
            self.0.push(Running { rule, tag, start: now, used: 0, again: 0, first: true });
        }
        room
    }

    /// Counts a packet; `true` when it is to be recorded. Tags that are used up go.
    pub(super) fn packet(&mut self, packet: &PacketView<'_>) -> bool {
        let mut wanted = false;
        self.0.retain_mut(|tag| {
            tag.used = tag.used.saturating_add(match tag.tag.metric {
                TagMetric::Packets => 1,
                TagMetric::Bytes => u64::from(packet.wire_len),
                TagMetric::Seconds => 0,
            });
            if std::mem::take(&mut tag.first) {
                return true;
            }
            let used = match tag.tag.metric {
                TagMetric::Seconds => packet.time.saturating_sub(tag.start) / SECOND,
                _ => tag.used,
            };
            let runs = used <= u64::from(tag.tag.count);
            wanted |= runs;
            runs
        });
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::packet;

    fn recorded(count: u32, metric: TagMetric) -> Vec<bool> {
        let mut tags = Tags::default();
        let tag = Tag { host: None, count, metric };
        assert!(tags.begin((1, 1), tag, 1_000_000));
        (1..=6)
            .map(|second| {
                let view = PacketView { time: second * SECOND, wire_len: 100, ..packet(b"") };
                tags.packet(&view)
            })
            .collect()
    }

    #[test]
    fn a_tag_runs_until_it_is_used_up() {
        let first = |n: usize| (0..6).map(|at| (1..n).contains(&at)).collect::<Vec<_>>();
        assert_eq!(recorded(1, TagMetric::Packets), first(1));
        assert_eq!(recorded(3, TagMetric::Packets), first(3));
        assert_eq!(recorded(300, TagMetric::Bytes), first(3));
        assert_eq!(recorded(299, TagMetric::Bytes), first(2));
        assert_eq!(recorded(2, TagMetric::Seconds), first(3));
    }

    #[test]
    fn tags_are_bounded() {
        let mut tags = Tags::default();
        let tag = Tag { host: None, count: 1, metric: TagMetric::Packets };
        let begun = (0..1_000).filter(|sid| tags.begin((1, *sid), tag, 0)).count();
        assert_eq!(begun, MAX_TAGS);
        for _ in 0..100 {
            assert!(tags.begin((1, 0), tag, 0));
            tags.packet(&packet(b""));
        }
    }
}
