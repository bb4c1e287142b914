//! One packet worker: frames from a source through an engine to a sink.
//!
//! The loop is the same for files and interfaces; what differs is the [`Source`]. Everything a
//! worker touches per packet is its own.

use std::sync::Arc;

use capture::{FileError, FileReader, Frame};
use net::{Engine, LinkType, Meta};
use signature::RuleSet;

use super::figures::Figures;
use super::report::{Output, Reporter};

/// Gives frames until there are no more.
pub(crate) trait Source {
    /// Why it cannot go on.
    type Error;

    /// The next frame.
    ///
    /// # Errors
    /// When the source is damaged or gone.
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Self::Error>;

    /// Link type and bytes of a frame that will come soon, each once; sources that do not know have none.
    fn look_ahead(&mut self) -> Option<(u16, &[u8])> {
        None
    }
}

impl Source for FileReader {
    type Error = FileError;

    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        Self::next_frame(self)
    }

    fn look_ahead(&mut self) -> Option<(u16, &[u8])> {
        Self::look_ahead(self)
    }
}

/// A share of the traffic, by flow: `index` of `count`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

/// An engine, its sink and its packet counter.
#[derive(Debug)]
pub(crate) struct Worker<O> {
    engine: Engine,
    sink: Reporter<O>,
    share: Share,
    frames: u64,
    /// Checksums are verified where they are there.
    checksums: bool,
    /// Those of the last frame were not there yet.
    pending: bool,
}

impl<O: Output> Worker<O> {
    pub(crate) fn new(config: net::Config, sink: Reporter<O>, share: Share) -> Self {
        // Flow ids of several workers must not meet.
        let first_id = share.index.wrapping_shl(48);
        let mut config = config;
        sink.ask(&mut config.app);
        let checksums = config.decode.checksums;
        let engine = Engine::new(config, first_id);
        Self { engine, sink, share, frames: 0, checksums, pending: false }
    }

    /// Takes in all frames of a source.
    ///
    /// # Errors
    /// That of the source; what came before it was taken in.
    pub(crate) fn run<F: Source>(&mut self, source: &mut F) -> Result<(), F::Error> {
        let done = self.take_in(source);
        self.sink.flush();
        done
    }

    fn take_in<F: Source>(&mut self, source: &mut F) -> Result<(), F::Error> {
        loop {
            self.look_ahead(source);
            let Some(frame) = source.next_frame()? else { return Ok(()) };
            self.frames = self.frames.saturating_add(1);
            let meta = Meta {
                ts: frame.ts,
                number: self.frames,
                interface: frame.interface,
                wire_len: frame.wire_len,
                link: LinkType::from_number(frame.link),
            };
            if self.share.count > 1
                && net::engine::share_of(meta, frame.bytes, self.share.count) != self.share.index
            {
                continue;
            }
            if frame.checksums_pending != self.pending {
                self.pending = frame.checksums_pending;
                self.engine.verify_checksums(self.checksums && !self.pending);
            }
            self.engine.packet(meta, frame.bytes, &mut self.sink);
        }
    }

    /// Has fetched what the next frames need; most of them are of other workers where there are several.
    fn look_ahead<F: Source>(&mut self, source: &mut F) {
        if self.share.count > 1 {
            return;
        }
        while let Some((link, bytes)) = source.look_ahead() {
            self.engine.look_ahead(LinkType::from_number(link), bytes, &mut self.sink);
        }
    }

    /// The rules it goes by.
    pub(crate) fn rules(&self) -> Option<&RuleSet> {
        self.sink.rules()
    }

    /// Goes on with other rules from the next packet on; flows stay.
    pub(crate) fn renew(&mut self, rules: Arc<RuleSet>) {
        self.sink.renew(rules);
        self.sink.ask(self.engine.app());
    }

    /// Lets time pass while no packet comes; `ts` in microseconds since the epoch.
    pub(crate) fn tick(&mut self, ts: i64) {
        self.engine.tick(ts, &mut self.sink);
        self.sink.flush();
    }

    /// What was counted so far.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            net: self.engine.stats(),
            scan: self.sink.scan_figures(),
            apps: self.sink.app_figures(),
        }
    }

    /// Ends all flows; the output and what was counted.
    pub(crate) fn finish(mut self) -> (O, Figures) {
        self.engine.finish(&mut self.sink);
        let figures = self.figures();
        (self.sink.into_output(), figures)
    }
}
