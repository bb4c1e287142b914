//! Measures the embedded store with generated events: events per CPU second of appending and
//! indexing, and bytes on disk per byte taken in.
//!
//! `cargo run --release -p pikett-collector --example store_figures -- DIRECTORY [EVENTS]`
//! CPU time is the process's own, from `/proc/self/stat` (hundredths of a second).
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;

use anyhow::{Context as _, Result};
use event::{AgentId, Document, EventId, Timestamp};
use pikett_collector::store::{Append, Config, Embedded, Key, SourceKey, Store as _};
use serde_json::json;

const BATCH: u64 = 500;

fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').context("an unknown form of /proc/self/stat")?;
    let ticks: u32 =
        rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u32>().ok()).sum();
    Ok(f64::from(ticks) / 100.0)
}

/// A flow or DNS record with values that look random but are the same in every run.
fn document(source: &SourceKey, seq: u64) -> Document {
    let random = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    let id = EventId { agent: source.agent.clone(), boot: source.boot, seq };
    let time =
        Timestamp::from_seconds(1_795_359_845).plus_micros(i64::try_from(seq * 431).unwrap_or(0));
    let (a, b, port) = (random % 250, random / 251 % 250, 1024 + random / 7 % 60_000);
    let mut out: Document =
        [("timestamp".to_owned(), json!(time.to_string()))].into_iter().collect();
    for (name, value) in [
        ("event.id", json!(id.to_string())),
        ("src_ip", json!(format!("10.{}.{a}.{b}", seq % 4))),
        ("dest_ip", json!(format!("198.51.{b}.{a}"))),
        ("src_port", json!(port)),
        ("dest_port", json!([53, 80, 443, 22][usize::try_from(seq % 4).unwrap_or(0)])),
        ("proto", json!("TCP")),
        ("flow_id", json!(random >> 12)),
        ("community_id", json!(format!("1:{random:016x}{seq:08x}="))),
        ("host.name", json!(format!("host{}.example", seq % 40))),
        ("event_type", json!(if seq.is_multiple_of(3) { "dns" } else { "flow" })),
        ("dns.rrname", json!(format!("n{}.zone{}.example", random % 5000, seq % 30))),
        ("flow.bytes_toserver", json!(random % 90_000)),
        ("flow.bytes_toclient", json!(random % 900_000)),
        ("flow.state", json!("closed")),
        (
            "message",
            json!(format!(
                "connection {} from host{} closed after {} ms",
                seq % 977,
                seq % 40,
                random % 9000
            )),
        ),
    ] {
        event::set(&mut out, name, value);
    }
    out
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().context("usage: store_figures DIRECTORY [EVENTS]")?;
    let events: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let now = Arc::new(|| Timestamp::from_seconds(1_795_360_000));
    let store = Embedded::open(Config::new(directory.into(), Key::new([1; 32]), now))?;
    let source = SourceKey { agent: AgentId::new("bench")?, boot: 1 };
    let mut making = 0.0;
    let start = cpu_seconds()?;
    for first_seq in (1..=events).step_by(500) {
        let before = cpu_seconds()?;
        let last_seq = first_seq + BATCH - 1;
        let documents =
            Arc::new((first_seq..=last_seq).map(|seq| document(&source, seq)).collect());
        making += cpu_seconds()? - before;
        store.append_blocking(&Append {
            source: source.clone(),
            first_seq,
            last_seq,
            documents,
        })?;
    }
    store.flush()?;
    let spent = cpu_seconds()? - start;
    let figures = store.figures();
    store.close();
    println!("{}", serde_json::to_string_pretty(&figures)?);
    println!("cpu seconds {spent:.2}, of which at most {making:.2} made the events");
    Ok(())
}
