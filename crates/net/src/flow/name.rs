//! What a flow is called: its number and its ends.

use std::net::IpAddr;

use super::{Direction, FlowId, FlowKey, community};

/// Enough for the head of a record, and it may outlive the flow.
#[derive(Clone, Copy, Debug)]
pub struct FlowName {
    pub(super) id: FlowId,
    pub(super) key: FlowKey,
    pub(super) client_is_low: bool,
}

impl FlowName {
    /// Unique number of the flow.
    #[must_use]
    pub fn id(&self) -> FlowId {
        self.id
    }

    /// The flow's symmetric key.
    #[must_use]
    pub fn key(&self) -> FlowKey {
        self.key
    }

    /// Sender and receiver for a direction, addresses with ports; of ICMP with types.
    #[must_use]
    pub fn endpoints(&self, dir: Direction) -> ((IpAddr, u16), (IpAddr, u16)) {
        let (low, high) = (self.key.low(), self.key.high());
        if self.client_is_low == (dir == Direction::ToServer) { (low, high) } else { (high, low) }
    }

    /// Community ID version 1 with seed 0 unless another is given.
    #[must_use]
    pub fn community_id(&self, seed: u16) -> String {
        let (client, server) = self.endpoints(Direction::ToServer);
        let ends = if self.key.is_one_way(client.1) {
            (client, server)
        } else {
            (self.key.low(), self.key.high())
        };
        community::community_id(self.key.proto(), ends, seed)
    }
}
