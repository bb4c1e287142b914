//! How soon an acknowledged event is found, at a steady rate.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use pikett_collector::search::{Cancel, SearchRequest};
use pikett_collector::store::{Append, Store as _};
use serde_json::json;

use super::{ingest, make, peak_bytes, process_seconds, store};

/// Batches a second.
const PACE: u64 = 20;

#[expect(clippy::disallowed_methods, reason = "this measures real time")]
fn now() -> Instant {
    Instant::now()
}

pub(crate) fn run(directory: &Path, rate: u64, seconds: u64) -> Result<()> {
    let store = Arc::new(store(directory)?);
    let source = ingest::source()?;
    let (told, acknowledged) = crossbeam_channel::bounded(100_000);
    let appending = {
        let store = Arc::clone(&store);
        std::thread::Builder::new().name("append".to_owned()).spawn(move || -> Result<()> {
            let begun = now();
            for turn in 0..seconds * PACE {
                let due = begun + Duration::from_micros(turn * 1_000_000 / PACE);
                std::thread::sleep(due.saturating_duration_since(now()));
                let (first_seq, last_seq) = (turn * rate / PACE + 1, (turn + 1) * rate / PACE);
                let documents = (first_seq..=last_seq).map(make::document).collect();
                let documents = Arc::new(documents);
                let source = source.clone();
                store.append_blocking(&Append { source, first_seq, last_seq, documents })?;
                told.send((last_seq, now()))?;
            }
            Ok(())
        })?
    };
    let (mut waits, mut waiting): (Vec<f64>, VecDeque<(u64, Instant)>) = Default::default();
    loop {
        let more = acknowledged.recv_timeout(Duration::from_millis(5));
        let ended = more == Err(crossbeam_channel::RecvTimeoutError::Disconnected);
        waiting.extend(more.ok());
        waiting.extend(acknowledged.try_iter());
        if ended && waiting.is_empty() {
            break;
        }
        let request = SearchRequest { limit: 0, ..SearchRequest::default() };
        let found = store.search(&request, &Cancel::default())?.total;
        let at = now();
        while waiting.front().is_some_and(|(seq, _)| *seq <= found) {
            if let Some((_, acknowledged)) = waiting.pop_front() {
                waits.push(at.saturating_duration_since(acknowledged).as_secs_f64() * 1e3);
            }
        }
    }
    appending.join().map_err(|_| anyhow::anyhow!("the appender panicked"))??;
    waits.sort_by(f64::total_cmp);
    let rank = |percent: usize| waits.get(waits.len() * percent / 100).copied();
    println!(
        "{}",
        json!({
            "events": rate * seconds, "batches": waits.len(), "p50_ms": rank(50), "p90_ms": rank(90),
            "p99_ms": rank(99), "max_ms": waits.last(), "cpu_seconds": process_seconds()?,
            "commits": store.figures().commits, "peak_bytes": peak_bytes()?,
        })
    );
    Ok(())
}
