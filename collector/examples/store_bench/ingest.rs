//! Events per CPU second, bytes on disk, memory.

use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, bounded};
use event::{AgentId, Document};
use pikett_collector::store::{Append, SourceKey, Store as _};
use serde_json::json;

use super::{Mode, bare, disk_bytes, make, peak_bytes, process_seconds, store, thread_millis};

/// Events of one batch.
const BATCH: u64 = 500;

/// Lines of a batch, one after the other, and where each lies.
pub(crate) struct Lines {
    pub(crate) json: Vec<u8>,
    pub(crate) ranges: Vec<(u64, Range<usize>)>,
}

impl Lines {
    /// The lines as documents.
    pub(crate) fn parse(&self) -> Result<Vec<Document>> {
        let line = |(_, range): &(u64, Range<usize>)| {
            Ok(serde_json::from_slice(self.json.get(range.clone()).unwrap_or_default())?)
        };
        self.ranges.iter().map(line).collect()
    }
}

/// The documents of the batch that begins with `first`.
fn batch(documents: impl Iterator<Item = Result<(u64, Document)>>) -> Result<Lines> {
    let mut lines = Lines { json: Vec::new(), ranges: Vec::new() };
    for document in documents {
        let (seq, document) = document?;
        let start = lines.json.len();
        serde_json::to_writer(&mut lines.json, &document)?;
        lines.ranges.push((seq, start..lines.json.len()));
    }
    Ok(lines)
}

/// Makes batches in a thread of its own; gives them and, at the end, the thread's CPU seconds.
pub(crate) fn batches(
    events: u64,
    input: Option<PathBuf>,
) -> Result<(Receiver<Lines>, std::thread::JoinHandle<Result<f64>>)> {
    let (sender, receiver) = bounded(8);
    let thread = std::thread::Builder::new().name("make".to_owned()).spawn(move || {
        let mut source: Box<dyn Iterator<Item = Result<(u64, Document)>>> = match input {
            None => Box::new((1..=events).map(|seq| Ok((seq, make::document(seq))))),
            Some(path) => {
                let file = std::fs::File::open(&path)
                    .with_context(|| format!("cannot open {}", path.display()))?;
                Box::new((1..=events).zip(BufReader::new(file).lines()).map(|(seq, line)| {
                    let mut document: Document = serde_json::from_str(&line?)?;
                    event::set(&mut document, "event.id", json!(format!("bench/1/{seq}")));
                    Ok((seq, document))
                }))
            }
        };
        loop {
            let lines = batch(source.by_ref().take(usize::try_from(BATCH)?))?;
            if lines.ranges.is_empty() || sender.send(lines).is_err() {
                return Ok(thread_millis()? / 1e3);
            }
        }
    })?;
    Ok((receiver, thread))
}

/// Where the events come from.
pub(crate) fn source() -> Result<SourceKey> {
    Ok(SourceKey { agent: AgentId::new("bench")?, boot: 1 })
}

/// Takes in the events; with `ahead`, no more than so many of them wait for the index.
pub(crate) fn run(
    mode: Mode,
    directory: &Path,
    (events, ahead): (u64, Option<u64>),
    input: Option<PathBuf>,
) -> Result<()> {
    let (batches, thread) = batches(events, input)?;
    let (mut taken, mut bytes, mut commits) = (0_u64, 0_u64, 1_u64);
    let mut each = |lines: &Lines| {
        taken = taken.saturating_add(u64::try_from(lines.ranges.len()).unwrap_or(0));
        bytes = bytes.saturating_add(u64::try_from(lines.json.len()).unwrap_or(0));
    };
    if mode == Mode::Store {
        commits = into_store(directory, (&batches, ahead), &mut each)?;
    } else {
        let source = source()?;
        let mut writer = bare::Writer::new(&bare::open(mode, directory)?)?;
        for lines in batches {
            each(&lines);
            let documents = lines.parse()?;
            writer.add(&source, documents, lines.json, lines.ranges)?;
        }
        writer.finish()?;
    }
    let making = thread.join().map_err(|_| anyhow::anyhow!("the maker panicked"))??;
    let cpu = process_seconds()? - making;
    let index = disk_bytes(&directory.join(match mode {
        Mode::Store => "store/index",
        Mode::Bare => "bare",
        Mode::Sealed => "sealed",
    }));
    println!(
        "{}",
        json!({
            "events": taken, "input_bytes": bytes, "cpu_seconds": cpu, "making_seconds": making,
            "events_per_cpu_second": taken as f64 / cpu, "index_bytes": index,
            "index_of_input": index as f64 / bytes as f64, "peak_bytes": peak_bytes()?, "commits": commits,
        })
    );
    Ok(())
}

/// Several appends are under way at a time, as with several agents. Gives how often the index committed.
fn into_store(
    directory: &Path,
    (batches, ahead): (&Receiver<Lines>, Option<u64>),
    each: &mut dyn FnMut(&Lines),
) -> Result<u64> {
    let store = Arc::new(store(directory)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let source = source()?;
    runtime.block_on(async {
        let mut under_way = std::collections::VecDeque::new();
        for lines in batches {
            each(&lines);
            let first = lines.ranges.first().map_or(1, |(seq, _)| *seq);
            while ahead.is_some_and(|ahead| first > store.figures().index.seen + ahead) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let documents = Arc::new(lines.parse()?);
            let append = Append {
                source: source.clone(),
                first_seq: lines.ranges.first().map_or(1, |(seq, _)| *seq),
                last_seq: lines.ranges.last().map_or(1, |(seq, _)| *seq),
                documents,
            };
            let store = Arc::clone(&store);
            under_way.push_back(tokio::spawn(async move { store.append(append).await }));
            if under_way.len() >= 8
                && let Some(first) = under_way.pop_front()
            {
                first.await??;
            }
        }
        for append in under_way {
            append.await??;
        }
        anyhow::Ok(())
    })?;
    store.flush()?;
    let commits = store.figures().commits;
    Arc::into_inner(store).context("an append is still under way")?.close();
    Ok(commits)
}
