//! What rules see of a frame: its bytes.

use net::app::frame::Frame;
use signature::{AppProto, Buffer, Direction, Inspect, View};

use super::direction;

/// A frame under inspection.
pub(crate) struct FrameView<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) protocol: AppProto,
}

impl Inspect for FrameView<'_> {
    fn protocol(&self) -> AppProto {
        self.protocol
    }

    fn id(&self) -> u64 {
        self.frame.id
    }

    fn frame(&self) -> Option<&str> {
        Some(self.frame.kind)
    }

    fn buffer(&self, buffer: Buffer, dir: Direction, instance: u32) -> View<'_> {
        let fits = buffer == Buffer::Frame && instance == 0 && direction(self.frame.dir) == dir;
        if fits { View::whole(&self.frame.bytes) } else { View::Absent }
    }

    fn is_complete(&self, _dir: Direction) -> bool {
        true
    }
}
