//! One packet worker: frames from a source through an engine to a sink.
//!
//! The loop is the same for files and interfaces; what differs is the [`Source`]. Everything a
//! worker touches per packet is its own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use capture::{Burst, FileError, FileReader, Frame, MAX_BURST};
use net::engine::Arrival;
use net::{Engine, LinkType, Meta};
use signature::RuleSet;
use smallvec::SmallVec;

use super::figures::Figures;
use super::report::{Output, Reporter};

/// Gives frames until there are no more.
pub(crate) trait Source {
    /// Why it cannot go on.
    type Error;

    /// The next frames, `most` at most; none when there are no more.
    ///
    /// # Errors
    /// When the source is damaged or gone.
    fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, Self::Error>;
}

impl Source for FileReader {
    type Error = FileError;

    fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, FileError> {
        Self::next_burst(self, most)
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
}

impl<O: Output> Worker<O> {
    pub(crate) fn new(config: net::Config, sink: Reporter<O>, share: Share) -> Self {
        // Flow ids of several workers must not meet.
        let first_id = share.index.wrapping_shl(48);
        let mut config = config;
        sink.ask(&mut config.app);
        let engine = Engine::new(config, first_id);
        Self { engine, sink, share, frames: 0 }
    }

    /// Takes in all frames of a source.
    ///
    /// # Errors
    /// That of the source; what came before it was taken in.
    pub(crate) fn run<F: Source>(&mut self, source: &mut F) -> Result<(), F::Error> {
        let done = catch_unwind(AssertUnwindSafe(|| self.take_in(source)));
        // Also after a panic: what came before it has its records.
        self.sink.flush();
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn take_in<F: Source>(&mut self, source: &mut F) -> Result<(), F::Error> {
        loop {
            let burst = source.next_burst(MAX_BURST)?;
            if burst.is_empty() {
                return Ok(());
            }
            let mut arrivals = SmallVec::<[Arrival<'_>; MAX_BURST]>::new();
            for frame in burst {
                self.frames = self.frames.saturating_add(1);
                let meta = Meta {
                    ts: frame.ts,
                    number: self.frames,
                    interface: frame.interface,
                    wire_len: frame.wire_len,
                    link: LinkType::from_number(frame.link),
                };
                let Share { index, count } = self.share;
                if count == 1 || net::engine::share_of(meta, frame.bytes, count) == index {
                    let Frame { bytes, checksums_pending, .. } = frame;
                    arrivals.push(Arrival { meta, bytes, checksums_pending });
                }
            }
            self.engine.burst(&arrivals, &mut self.sink);
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
            files_refused: self.sink.files_refused(),
        }
    }

    /// Ends all flows; the output and what was counted.
    pub(crate) fn finish(mut self) -> (O, Figures) {
        self.engine.finish(&mut self.sink);
        let figures = self.figures();
        (self.sink.into_output(), figures)
    }
}
