//! Capture files dropped into a folder are played through the sensor as if they were happening.
//!
//! Times are moved so that the last packet of a file is now; intervals stay. For demonstrations and
//! for looking at a capture with everything the collector offers. A file is renamed to `*.played`
//! or `*.failed` when it was read, so that it is played once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use capture::{Burst, FileError, FileReader};

use super::detect::Detector;
use super::live::{Interface, Shared, ToQueue};
use super::report::Reporter;
use super::worker::{Share, Source, Worker};

/// Endings of files that are played.
const ENDINGS: [&str; 5] = ["pcap", "pcapng", "cap", "gz", "zst"];

/// A capture file whose times are moved.
struct Moved {
    reader: FileReader,
    shift: i64,
}

impl Source for Moved {
    type Error = FileError;

    fn next_burst(&mut self, most: usize) -> Result<Burst<'_>, FileError> {
        let mut burst = self.reader.next_burst(most)?;
        for frame in &mut burst {
            frame.ts = frame.ts.saturating_add(self.shift);
        }
        Ok(burst)
    }
}

/// Starts the thread that plays what appears in `folder`.
///
/// # Errors
/// When the folder cannot be made or no thread started.
pub(crate) fn start(folder: PathBuf, shared: Shared) -> std::io::Result<JoinHandle<()>> {
    std::fs::create_dir_all(&folder)?;
    std::thread::Builder::new().name("playback".to_owned()).spawn(move || {
        let mut number = 0_u64;
        while !shared.shutdown.is_triggered() {
            for path in waiting(&folder) {
                number = number.wrapping_add(1);
                conclude(&path, play(&path, number, &shared));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

/// Files to be played, by name.
fn waiting(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        path.extension().and_then(|ending| ending.to_str()).is_some_and(|e| ENDINGS.contains(&e))
    });
    files.sort();
    files
}

/// Time of the last packet that can be read.
fn last_time(path: &Path) -> Result<i64, FileError> {
    let mut reader = FileReader::open(path)?;
    let mut last = 0;
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => last = frame.ts.max(last),
            // What is damaged is reported when it is played.
            Ok(None) | Err(_) => return Ok(last),
        }
    }
}

fn play(path: &Path, number: u64, shared: &Shared) -> Result<(), FileError> {
    let shift = shared.clock.now_micros().saturating_sub(last_time(path)?);
    let mut source = Moved { reader: FileReader::open(path)?, shift };
    let interface = Arc::new(Interface::playback());
    let rules = shared.signatures.current();
    let output = ToQueue::new(interface, shared.clone(), rules.as_ref());
    let detector = rules.map(|rules| Detector::new(rules, Arc::clone(&shared.tables)));
    let reporter = Reporter::new(shared.settings.clone(), output, detector);
    // Flow ids of files do not meet those of interfaces, which count from zero.
    let share = Share { index: 0x8000_u64.wrapping_add(number), count: 1 };
    let mut engine = shared.settings.engine.clone();
    engine.decode.checksums = false;
    let mut worker = Worker::new(engine, reporter, share);
    let outcome = worker.run(&mut source);
    let (_, figures) = worker.finish();
    shared.counters.played(&figures);
    tracing::info!(path = %path.display(), packets = figures.net.packets, "capture played");
    outcome
}

fn conclude(path: &Path, outcome: Result<(), FileError>) {
    let ending = match outcome {
        Ok(()) => "played",
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "capture not read to its end");
            "failed"
        }
    };
    let mut done = path.as_os_str().to_owned();
    done.push(".");
    done.push(ending);
    if let Err(error) = std::fs::rename(path, &done).or_else(|_| std::fs::remove_file(path)) {
        tracing::error!(path = %path.display(), %error, "played file cannot be moved away");
        // Else it would be played for ever.
        std::thread::sleep(Duration::from_secs(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::live::Counters;
    use crate::sensor::records::Records;
    use service::{Clock, Shutdown};
    use signature::Tables;

    /// A classic pcap file with one UDP packet (a DNS query for a.example) at second 1000.
    fn capture() -> Vec<u8> {
        let mut dns = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 7];
        dns.extend_from_slice(b"example\0\0\x01\0\x01");
        let builder = etherparse::PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 53], 64)
            .udp(5353, 53);
        let mut packet = Vec::new();
        builder.write(&mut packet, &dns).unwrap();
        let mut out = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        let length = u32::try_from(packet.len()).unwrap();
        for word in [1000, 0, length, length] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&packet);
        out
    }

    #[test]
    fn a_dropped_file_happens_now_and_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("one.pcap"), capture()).unwrap();
        std::fs::write(folder.path().join("bad.pcap"), b"garbage").unwrap();
        std::fs::write(folder.path().join("note.txt"), b"not mine").unwrap();
        let (queue, _) = crossbeam_channel::bounded(1);
        let (records, taken) = crate::sensor::records::queue();
        let shutdown = Shutdown::new();
        let shared = Shared {
            settings: crate::sensor::settings::Settings::default(),
            signatures: Arc::default(),
            tables: Arc::new(Tables::default()),
            records,
            queue,
            counters: Arc::new(Counters::default()),
            clock: Clock::manual(5_000_000_000),
            shutdown: shutdown.clone(),
        };
        let thread = start(folder.path().to_owned(), shared).unwrap();
        let mut events = taken.recv_timeout(Duration::from_secs(20)).unwrap().into_events();
        let first = events.next().unwrap();
        while folder.path().join("one.pcap").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        shutdown.trigger();
        thread.join().unwrap();
        assert_eq!((first.kind.as_str(), first.time.seconds()), ("dns", 5_000));
        assert_eq!(first.fields["in_iface"], "playback");
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["bad.pcap.failed", "note.txt", "one.pcap.played"]);
        let mut rest = events.chain(taken.try_iter().flat_map(Records::into_events));
        assert!(rest.all(|event| event.kind.as_str() == "flow"));
    }
}
