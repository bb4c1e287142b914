//! Rotation at full speed beside the tailer: a thread writes, renames, copies, truncates and compresses
//! while the tailer is begun anew again and again. `PIKETT_STORM_SECONDS` sets for how long (2).

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::tests::Collected;
use super::*;

/// A log that rotates itself, so that no line falls between a copy and a truncation.
struct Program {
    log: PathBuf,
    file: File,
    written: u32,
}

impl Program {
    fn open(log: &Path) -> File {
        fs::OpenOptions::new().create(true).append(true).open(log).unwrap()
    }

    fn numbered(&self, number: u32) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.log.display()))
    }

    fn lines(&mut self, count: u32) {
        let mut text = String::new();
        for _ in 0..count {
            text.push_str(&format!("line {} of a log that is rotated often\n", self.written));
            self.written += 1;
        }
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn rotate(&mut self, round: u32) {
        for number in (1..1000).rev() {
            for ending in ["", ".gz"] {
                let from = PathBuf::from(format!("{}{ending}", self.numbered(number).display()));
                if from.exists() {
                    let to = format!("{}{ending}", self.numbered(number + 1).display());
                    fs::rename(from, to).unwrap();
                }
            }
        }
        if round % 3 == 2 {
            // In steps, as a large one.
            let bytes = fs::read(&self.log).unwrap();
            let mut copy = File::create(self.numbered(1)).unwrap();
            for piece in bytes.chunks(bytes.len() / 20 + 1) {
                copy.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(u64::from(round % 30)));
            }
            self.file.set_len(0).unwrap();
        } else {
            fs::rename(&self.log, self.numbered(1)).unwrap();
            self.lines(3);
            self.file = Self::open(&self.log);
        }
        let older = self.numbered(2);
        if older.exists() {
            let gzip = std::process::Command::new("gzip").arg(older).status().unwrap();
            assert!(gzip.success());
        }
    }

    fn run(mut self, end: &AtomicBool) -> u32 {
        let mut round = 0;
        while !end.load(Ordering::SeqCst) {
            for _ in 0..10 {
                self.lines(500);
                std::thread::sleep(Duration::from_millis(5));
            }
            self.rotate(round);
            round += 1;
        }
        self.written
    }
}

#[test]
fn rotation_beside_a_tailer_that_begins_anew_repeats_and_loses_nothing() {
    let seconds = std::env::var("PIKETT_STORM_SECONDS").map_or(2, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    let end = Arc::new(AtomicBool::new(false));
    let program = Program { file: Program::open(&log), log, written: 0 };
    let thread = {
        let end = Arc::clone(&end);
        std::thread::spawn(move || program.run(&end))
    };
    let paths = vec![format!("{}/app.log*", folder.path().display())];
    let config = [FileConfig { paths, ..FileConfig::default() }];
    let clock = Clock::system();
    let (mut sink, began) = (Collected::default(), clock.monotonic());
    let mut kills = Vec::new();
    let mut more = true;
    while more || !thread.is_finished() {
        let positions = serde_json::to_string(&sink.positions).unwrap();
        let positions = serde_json::from_str(&positions).unwrap();
        let mut tailer = Tailer::new(&config, positions, clock.clone()).unwrap();
        let over = clock.monotonic().saturating_sub(began) > Duration::from_secs(seconds);
        end.store(over, Ordering::SeqCst);
        let begun = clock.monotonic();
        // The last one reads everything to its end.
        let life = if over { 4_000 } else { 20 + u64::try_from(kills.len()).unwrap() * 7919 % 700 };
        more = !over || !thread.is_finished();
        while clock.monotonic().saturating_sub(begun) < Duration::from_millis(life) {
            if !tailer.poll(&mut sink) {
                tailer.wait(Duration::from_millis(20));
            }
        }
        kills.push(sink.messages.len());
    }
    let written = thread.join().unwrap();
    let number = |text: &String| text.split(' ').nth(1)?.parse::<u32>().ok();
    let mut seen = BTreeMap::<u32, Vec<usize>>::new();
    for (at, text) in sink.messages.iter().enumerate() {
        seen.entry(number(text).unwrap()).or_default().push(at);
    }
    let lost: Vec<u32> = (0..written).filter(|number| !seen.contains_key(number)).collect();
    seen.retain(|_, places| places.len() > 1);
    let places = |(number, at): (&u32, &Vec<usize>)| {
        let from = |at: &usize| sink.events[*at].fields["log"].to_string();
        (*number, at.iter().map(|at| (*at, from(at))).collect::<Vec<_>>())
    };
    let ends = (seen.first_key_value().map(places), seen.last_key_value().map(places));
    assert!(
        seen.is_empty() && lost.is_empty(),
        "{} of {written} repeated {ends:?}, {} lost {:?}\nbegun anew at {kills:?}\n{:#?}",
        seen.len(),
        lost.len(),
        lost.first(),
        sink.notes
    );
}
