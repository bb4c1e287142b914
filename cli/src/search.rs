//! `pikett search`: events, tables of stages, exports; with what is missing from them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use api::client::ClientError;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::export;
use crate::remote::{Remote, encode, say, summary};
use crate::sealing::Sealing;
use crate::terminal::plain;

/// Widest cell of a table that is printed, characters.
const MAX_CELL: usize = 80;

/// `pikett search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    remote: Remote,
    /// Query, such as `event_type:dns AND dns.rrname:*.example`, also with stages:
    /// `event_type:dns | stats count() by dns.rrname | sort -count | head 10`.
    #[arg(default_value = "*")]
    query: String,
    /// Earliest time: RFC 3339, or relative such as `now-1h`.
    #[arg(long, default_value = "now-24h")]
    from: String,
    /// Latest time.
    #[arg(long, default_value = "now")]
    to: String,
    /// Most events.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Which events come first.
    #[arg(long, value_enum, default_value_t = Order::Newest)]
    order: Order,
    /// One JSON document or row a line.
    #[arg(long)]
    json: bool,
    /// All events or rows there are, one JSON document a line; exit code 1 when some are missing.
    #[arg(long, conflicts_with = "limit")]
    export: bool,
    /// All events or rows there are, into a new file, sealed: `pikett open` reads it. A passphrase is
    /// asked for, unless one is kept somewhere or a key is given.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["limit", "json", "export"])]
    output: Option<PathBuf>,
    /// With `--output`: as text that whoever gets the file can read.
    #[arg(long, requires = "output", conflicts_with_all = ["passphrase", "key_file"])]
    plain: bool,
    #[command(flatten)]
    sealing: Sealing,
}

/// Which events come first.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Order {
    /// The latest.
    Newest,
    /// The earliest.
    Oldest,
}

impl From<Order> for api::EventOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Newest => Self::Newest,
            Order::Oldest => Self::Oldest,
        }
    }
}

#[expect(clippy::print_stderr, reason = "remarks do not belong to the answer")]
pub(crate) fn remark(line: &str) {
    eprintln!("{}", plain(line));
}

pub(crate) fn search(options: &Search) -> Result<ExitCode> {
    if options.output.is_none() && options.sealing.is_given() {
        anyhow::bail!("a passphrase or key is for a file: give --output PATH");
    }
    let whole = options.export || options.output.is_some();
    let done = if whole { export(options) } else { ask(options) };
    if let Err(error) = &done
        && let Some(ClientError::Refused { message, .. }) = error.downcast_ref::<ClientError>()
        && let Some(column) = column(message)
    {
        remark(&options.query);
        remark(&format!("{}^", " ".repeat(column.saturating_sub(1))));
    }
    done
}

/// The column that a refusal names, from 1.
fn column(message: &str) -> Option<usize> {
    message.strip_prefix("column ")?.split_once(':')?.0.parse().ok()
}

fn ask(options: &Search) -> Result<ExitCode> {
    let request = api::Search {
        query: options.query.clone(),
        from: Some(options.from.clone()),
        to: Some(options.to.clone()),
        limit: Some(options.limit),
        order: Some(options.order.into()),
        ..api::Search::default()
    };
    let answer: Value = options.remote.client()?.post("/api/v1/search", &request)?;
    match answer.get("table") {
        Some(table) if options.json => {
            rows(table).into_iter().for_each(|row| say(&Value::Object(row).to_string()));
        }
        Some(table) => printed(table).iter().for_each(|line| say(line)),
        None => events(&answer, options.json),
    }
    remarks(&answer).iter().for_each(|line| remark(line));
    Ok(ExitCode::SUCCESS)
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn events(answer: &Value, json: bool) {
    let hits = list(answer, "hits");
    for hit in hits {
        let Some(Value::Object(document)) = hit.get("document") else { continue };
        say(&if json { json!(document).to_string() } else { summary(document) });
    }
    if !json {
        let total = answer.get("total").and_then(Value::as_u64).unwrap_or(0);
        say(&format!("{} of {total} events", hits.len()));
    }
}

fn names(table: &Value) -> Vec<String> {
    let name = |column: &Value| column.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
    list(table, "columns").iter().map(name).collect()
}

/// Rows as objects by the names of their columns.
fn rows(table: &Value) -> Vec<Map<String, Value>> {
    let names = names(table);
    let row = |row: &Value| {
        let cells = row.as_array().cloned().unwrap_or_default();
        names.iter().cloned().zip(cells).collect()
    };
    list(table, "rows").iter().map(row).collect()
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    if text.chars().count() <= MAX_CELL {
        return text;
    }
    let cut: String = text.chars().take(MAX_CELL - 1).collect();
    format!("{cut}…")
}

/// A table as lines: numbers to the right, text to the left.
fn printed(table: &Value) -> Vec<String> {
    let names: Vec<String> = names(table).iter().map(|name| plain(name)).collect();
    let rows: Vec<Vec<(String, bool)>> = list(table, "rows")
        .iter()
        .map(|row| {
            let cells = row.as_array().map_or(&[][..], Vec::as_slice);
            cells.iter().map(|value| (cell(value), value.is_number())).collect()
        })
        .collect();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|(text, _)| text.chars().count());
        cells.chain(names.get(at).map(|name| name.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |cells: &[(String, bool)]| {
        let each = cells.iter().zip(&widths).map(|((text, right), width)| {
            let gap = " ".repeat(width.saturating_sub(text.chars().count()));
            if *right { format!("{gap}{text}") } else { format!("{text}{gap}") }
        });
        each.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let heads: Vec<(String, bool)> = names.iter().map(|name| (name.clone(), false)).collect();
    std::iter::once(line(&heads)).chain(rows.iter().map(|row| line(row))).collect()
}

/// What is to be known of an answer besides its events or rows.
pub(crate) fn remarks(answer: &Value) -> Vec<String> {
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let mut out: Vec<String> =
        list(answer, "notes").iter().map(|note| text(note, "words")).collect();
    out.extend(
        list(answer, "missing").iter().map(|one| format!("partial: {}", text(one, "words"))),
    );
    if let Some(completeness) = answer.get("completeness") {
        let state = text(completeness, "state");
        for reason in list(completeness, "reasons") {
            out.push(format!("{state}: {}", text(reason, "words")));
        }
        let more = completeness.get("more").and_then(Value::as_u64).unwrap_or(0);
        if more > 0 {
            out.push(format!("{state}: {more} further reasons; see the agents page"));
        }
    }
    out
}

fn export(options: &Search) -> Result<ExitCode> {
    let path = format!(
        "/api/v1/export?query={}&from={}&to={}&order={}",
        encode(&options.query),
        encode(&options.from),
        encode(&options.to),
        api::EventOrder::from(options.order).name()
    );
    let client = options.remote.client()?;
    match &options.output {
        Some(target) => {
            let sealing = (!options.plain).then_some(&options.sealing);
            export::save(&client, &path, target, sealing)
        }
        None => export::print(&client, &path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Value {
        json!({
            "columns": [{"name": "user.name", "role": "group"}, {"name": "count", "role": "value"},
                        {"name": "tags", "role": "group"}],
            "rows": [["alice", 12, ["a", "b"]], ["x\u{1b}[2J\u{202e}", 3, null], ["é".repeat(100), 1, true]],
        })
    }

    #[test]
    fn tables_are_aligned_and_harmless() {
        expect_test::expect![[r#"
            user.name                                                                         count  tags
            alice                                                                                12  a, b
            x�[2J�                                                                                3
            ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…      1  true"#]]
        .assert_eq(&printed(&table()).join("\n"));
        assert_eq!(printed(&json!({"columns": [], "rows": [[1]]})), ["", ""]);
    }

    #[test]
    fn rows_are_objects_by_name() {
        let first = &rows(&table())[0];
        assert_eq!(json!(first), json!({"user.name": "alice", "count": 12, "tags": ["a", "b"]}));
    }

    #[test]
    fn what_is_missing_is_told() {
        let answer = json!({
            "notes": [{"column": 1, "words": "did you mean src_ip"}],
            "missing": [{"reason": "time", "count": null, "words": "time is over"}],
            "completeness": {"state": "incomplete", "more": 2, "reasons": [
                {"kind": "agent_silent", "subject": "web1", "words": "web1 is silent", "link": "#/agents"}]},
        });
        assert_eq!(
            remarks(&answer),
            [
                "did you mean src_ip",
                "partial: time is over",
                "incomplete: web1 is silent",
                "incomplete: 2 further reasons; see the agents page",
            ]
        );
        assert_eq!(
            remarks(&json!({"completeness": {"state": "complete", "reasons": []}})),
            [""; 0]
        );
    }

    #[test]
    fn refusals_point_into_the_query() {
        assert_eq!(column("column 12: there is no stage x; did you mean y"), Some(12));
        assert_eq!(column("from: not a time"), None);
        assert_eq!(column("column x: y"), None);
    }
}
