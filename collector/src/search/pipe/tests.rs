//! Stages: grammar, what they refuse and where, what each does, and the whole against a plain model.

use super::cell::Cell;
use super::check::Shape;
use super::run::{LeftOut, Row, Run};
use super::*;
use crate::search::{Cursor, Hit, Matcher};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn now() -> Timestamp {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

fn compiled(text: &str) -> Result<Pipeline, SearchError> {
    compile(text, now())
}

fn columns(pipeline: &Pipeline) -> Vec<String> {
    match pipeline.shapes.last() {
        Some(Shape::Table(columns)) => columns.iter().map(|column| column.name.clone()).collect(),
        _ => vec!["events".to_owned()],
    }
}

#[test]
fn what_columns_come_out() {
    let check = |queries: &[&str], expected: &Expect| {
        let line = |query: &&str| match compiled(query) {
            Ok(pipeline) => format!("{query} => {}\n", columns(&pipeline).join(", ")),
            Err(error) => format!("{query} => {error}\n"),
        };
        expected.assert_eq(&queries.iter().map(line).collect::<String>());
    };
    check(
        &[
            "a | stats count() by src_ip",
            "a|stats count",
            "| stats count, sum(flow.bytes_toserver) as up avg(own) by source.ip, \"own name\"",
            "* | stats p95(own) percentile(own, 99.9), median(own) dc(user.name)",
            "a | timechart span=5m count() by event_type",
            "a | TIMECHART Span = 1h max(own)",
            "a | top 5 src_ip, dest_ip",
            "a | rare limit=3 user.name",
            "a | sort -timestamp, host.name desc user.name asc",
            "a | dedup src_ip dest_ip | head 3",
            "a | fields src_ip, user.name | fields - src_ip",
            "a | fields - message",
            "a | stats count() by b | sort -count | head 5 | fields count, b",
            "a \\| b",
            "\"a | b\" | head",
            "/a|b/ | head",
        ],
        &expect![[r#"
            a | stats count() by src_ip => src_ip, count
            a|stats count => count
            | stats count, sum(flow.bytes_toserver) as up avg(own) by source.ip, "own name" => source.ip, own name, count, up, avg(own)
            * | stats p95(own) percentile(own, 99.9), median(own) dc(user.name) => p95(own), p99.9(own), p50(own), dc(user.name)
            a | timechart span=5m count() by event_type => timestamp, event_type, count
            a | TIMECHART Span = 1h max(own) => timestamp, max(own)
            a | top 5 src_ip, dest_ip => src_ip, dest_ip, count, percent
            a | rare limit=3 user.name => user.name, count, percent
            a | sort -timestamp, host.name desc user.name asc => events
            a | dedup src_ip dest_ip | head 3 => events
            a | fields src_ip, user.name | fields - src_ip => user.name
            a | fields - message => events
            a | stats count() by b | sort -count | head 5 | fields count, b => count, b
            a \| b => events
            "a | b" | head => events
            /a|b/ | head => events
        "#]],
    );
}

#[test]
fn refusals_point_at_the_character_and_suggest() {
    let lines: Vec<String> = [
        "a |",
        "a | stast count()",
        "a | where b > 5",
        "é a | stats",
        "a | stats avg()",
        "a | stats cuont() by b",
        "a | stats count( by b",
        "a | stats sum(user.name)",
        "a | stats count() by b | sort -cuont",
        "a | stats count() by b | head 5 | timechart count()",
        "a | stats count(), count()",
        "a | stats max(b) by max(b)",
        "a | head 0",
        "a | head 99999999999999999999",
        "a | head x",
        "a | timechart span=5 count()",
        "a | timechart count() by b, c",
        "a | top 5",
        "a | sort",
        "a | fields a..b",
        "a | stats p101(b)",
        "a | stats percentile(b, x)",
        "a | fields a, a",
    ]
    .iter()
    .map(|query| {
        let SearchError::Parse(error) = compiled(query).unwrap_err() else { panic!("{query}") };
        format!("{query}\n{}^ {}; {}", " ".repeat(error.column - 1), error.what, error.hint)
    })
    .collect();
    expect![[r#"
        a |
           ^ a stage is missing; write stats, timechart, top, rare, sort, dedup, fields or head behind |, or \| for the character
        a | stast count()
            ^ there is no stage stast; did you mean stats
        a | where b > 5
            ^ there is no stage where; write the condition before the first |
        é a | stats
                   ^ a function is missing; write count() or avg(field)
        a | stats avg()
                  ^ avg of what; write avg(field)
        a | stats cuont() by b
                  ^ there is no function cuont; did you mean count
        a | stats count( by b
                            ^ count is not closed; add )
        a | stats sum(user.name)
                      ^ user.name holds no numbers; count(field), dc(field), min(field) and max(field) take any
        a | stats count() by b | sort -cuont
                                       ^ there is no column cuont; did you mean count
        a | stats count() by b | head 5 | timechart count()
                                          ^ timechart wants events; put it before the stage that makes a table
        a | stats count(), count()
                           ^ column count is there already; leave one out, or name it: count() as total
        a | stats max(b) by max(b)
                               ^ a field was expected, found '('; write a field such as src_ip, or "a name with blanks"
        a | head 0
                 ^ 0 rows; write a number from 1 to 10000
        a | head 99999999999999999999
                 ^ 99999999999999999999 rows; write a number from 1 to 10000
        a | head x
                 ^ unexpected "x" in head; write head 10
        a | timechart span=5 count()
                           ^ "5" is no span of time; write a span such as 30s, 5m, 1h or 1d
        a | timechart count() by b, c
                                    ^ timechart takes one field behind by; leave out the others, or write stats with several
        a | top 5
                 ^ a field was expected, found the end; write a field such as src_ip, or "a name with blanks"
        a | sort
                ^ a field was expected, found the end; write a field such as src_ip, or "a name with blanks"
        a | fields a..b
                   ^ "a..b" is no field name; names are dotted words such as src_ip or dns.rrname
        a | stats p101(b)
                  ^ there is no function p101; functions are count, sum, avg, min, max, dc, percentile, p50 to p99.9
        a | stats percentile(b, x)
                                ^ "" is no percentage; write a percentage between 0 and 100, such as 99.9
        a | fields a, a
                      ^ column a is there already; leave one out, or name it: count() as total"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn stages_and_names_have_limits() {
    let error = |text: String| compiled(&text).unwrap_err().to_string();
    assert!(error(format!("a {}", "| head ".repeat(17))).contains("too many stages"));
    assert!(
        error(format!("a | fields {}", "b".to_owned() + &", c".repeat(16)))
            .contains("too many names")
    );
    let many: String = (0..17).map(|n| format!("max(f{n}) ")).collect();
    assert!(error(format!("a | stats {many}")).contains("too many names"));
}

fn hit(at: i64, fields: Value) -> Hit {
    let Value::Object(document) = fields else { panic!("an object") };
    let time = now().plus_seconds(-at).micros();
    Hit { id: format!("a/1/{at}"), cursor: Cursor { time, tie: 0 }, document }
}

/// Runs stages over events, newest first.
fn run(text: &str, hits: &[Hit]) -> (Vec<Value>, LeftOut) {
    let pipeline = compiled(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let matcher = Matcher::new(&pipeline.query, now()).unwrap();
    let mut run = Run::new(&pipeline, 0, 60, 10_000);
    for hit in hits.iter().filter(|hit| matcher.matches(&hit.document)) {
        run.push(Row::Event(Box::new(hit.clone())));
    }
    let (rows, left_out) = run.finish();
    let json = |row: Row| match row {
        Row::Event(hit) => Value::Object(hit.document),
        Row::Cells(cells) => cells.iter().map(Cell::json).collect(),
    };
    (rows.into_iter().map(json).collect(), left_out)
}

fn events() -> Vec<Hit> {
    [
        json!({"src_ip": "10.0.0.2", "n": 1, "user": {"name": "bob"}}),
        json!({"src_ip": "10.0.0.1", "n": 2.5, "tags": ["x", "y", "x"]}),
        json!({"src_ip": "10.0.0.2", "n": "none", "user": {"name": "alice"}}),
        json!({"source": {"ip": "10.0.0.10"}, "n": 4, "tags": "x"}),
        json!({"src_ip": "not an address", "n": -1, "user": {"name": "bob"}}),
    ]
    .into_iter()
    .zip(1..)
    .map(|(fields, n)| hit(n * 50, fields))
    .collect()
}

/// Each query with the rows it gives.
fn given(queries: &[&str], expected: &Expect) {
    let each = queries.iter().map(|query| {
        let (rows, left_out) = run(query, &events());
        assert_eq!(left_out, LeftOut::default(), "{query}");
        let rows: Vec<String> = rows.iter().map(|row| format!("  {row}\n")).collect();
        format!("{query}\n{}", rows.concat())
    });
    expected.assert_eq(&each.collect::<String>());
}

#[test]
fn what_stats_gives() {
    given(
        &[
            "* | stats count(), count(user.name), sum(n), avg(n), min(n), max(n), dc(src_ip)",
            "* | stats count() sum(n) by src_ip",
            "* | stats count() by tags",
            "* | stats count() by src_ip, user.name | sort -user.name",
            "user.name:nobody | stats count(), sum(n), min(n)",
            "user.name:nobody | stats count() by src_ip",
            "* | stats min(user.name) max(timestamp) p50(n)",
            "* | stats count() by src_ip | stats sum(count) as all, max(src_ip)",
            "* | stats count() as n by src_ip | top 1 n | fields - percent",
        ],
        &expect![[r#"
            * | stats count(), count(user.name), sum(n), avg(n), min(n), max(n), dc(src_ip)
              [5,3,6.5,1.625,-1,4,3]
            * | stats count() sum(n) by src_ip
              ["10.0.0.1",1,2.5]
              ["10.0.0.2",2,1]
              ["10.0.0.10",1,4]
            * | stats count() by tags
              ["x",2]
              ["y",1]
            * | stats count() by src_ip, user.name | sort -user.name
              ["10.0.0.2","bob",1]
              ["10.0.0.2","alice",1]
            user.name:nobody | stats count(), sum(n), min(n)
              [0,null,null]
            user.name:nobody | stats count() by src_ip
            * | stats min(user.name) max(timestamp) p50(n)
              ["alice",null,1.01]
            * | stats count() by src_ip | stats sum(count) as all, max(src_ip)
              [4,"10.0.0.10"]
            * | stats count() as n by src_ip | top 1 n | fields - percent
              [1,2]
        "#]],
    );
}

#[test]
fn what_the_other_stages_give() {
    given(
        &[
            "* | timechart span=1m count() max(n)",
            "* | timechart span=1m count() by user.name",
            "* | top 2 src_ip",
            "* | rare 1 user.name",
            "* | sort src_ip | fields src_ip, n",
            "* | sort -n | head 2 | fields n",
            "* | dedup user.name | fields user.name, n",
            "* | dedup src_ip | head 2 | fields source.ip, tags",
            "* | fields - n, user.name | head 2",
        ],
        &expect![[r#"
            * | timechart span=1m count() max(n)
              ["2026-11-22T14:55:00.000000+0000",1,-1]
              ["2026-11-22T14:56:00.000000+0000",1,4]
              ["2026-11-22T14:57:00.000000+0000",1,null]
              ["2026-11-22T14:58:00.000000+0000",1,2.5]
              ["2026-11-22T14:59:00.000000+0000",1,1]
            * | timechart span=1m count() by user.name
              ["2026-11-22T14:55:00.000000+0000","bob",1]
              ["2026-11-22T14:57:00.000000+0000","alice",1]
              ["2026-11-22T14:59:00.000000+0000","bob",1]
            * | top 2 src_ip
              ["10.0.0.2",2,50]
              ["10.0.0.1",1,25]
            * | rare 1 user.name
              ["alice",1,33.33]
            * | sort src_ip | fields src_ip, n
              ["10.0.0.1",2.5]
              ["10.0.0.2",1]
              ["10.0.0.2","none"]
              ["10.0.0.10",4]
              [null,-1]
            * | sort -n | head 2 | fields n
              ["none"]
              [4]
            * | dedup user.name | fields user.name, n
              ["bob",1]
              ["alice","none"]
            * | dedup src_ip | head 2 | fields source.ip, tags
              ["10.0.0.2",null]
              ["10.0.0.1",["x","y","x"]]
            * | fields - n, user.name | head 2
              {"src_ip":"10.0.0.2","user":{}}
              {"src_ip":"10.0.0.1","tags":["x","y","x"]}
        "#]],
    );
}

#[test]
fn bounds_leave_out_and_say_so() {
    let many: Vec<Hit> = (0..10_050).map(|n| hit(n, json!({"n": n, "t": "x"}))).collect();
    let (rows, left_out) = run("* | stats count() by n", &many);
    assert_eq!((rows.len(), left_out.groups), (MAX_GROUPS, 50));
    let (rows, left_out) = run("* | sort n | stats count()", &many);
    assert_eq!((rows, left_out.rows), (vec![json!([10_000])], 50));
    let (rows, left_out) = run("* | sort -n | head 1", &many);
    assert_eq!((rows.len(), left_out), (1, LeftOut::default()));
    assert_eq!(rows[0]["n"], 10_049);
    // Spans between a first and a last event that are far apart are not filled.
    let far = [hit(0, json!({})), hit(10_000_000, json!({}))];
    let (rows, left_out) = run("* | timechart span=1s count()", &far);
    assert_eq!((rows.len(), left_out.rows), (2, 1));
    // One event with many values in several fields does not multiply without end.
    let list: Vec<u32> = (0..60).collect();
    let wide = [hit(0, json!({"a": list, "b": list}))];
    let (rows, left_out) = run("* | stats count() by a, b", &wide);
    assert_eq!((rows.len(), left_out.groups), (0, 1));
}

#[test]
fn head_ends_the_reading() {
    let pipeline = compiled("* | dedup n | head 2 | fields n").unwrap();
    let mut run = Run::new(&pipeline, 0, 60, 10);
    assert!(!run.gathers());
    for n in [1, 1, 2] {
        assert!(!run.done());
        run.push(Row::Event(Box::new(hit(n, json!({ "n": n })))));
    }
    assert!(run.done());
    let gathering = compiled("* | stats count() by n | head 2").unwrap();
    let run = Run::new(&gathering, 0, 60, 10);
    assert!(run.gathers() && !run.done());
}

/// A plain model of `stats`: every event is put into every group, groups are worked out one by one.
fn model(hits: &[Hit], by: &[&str]) -> Vec<Value> {
    let values = |hit: &Hit, name: &str| match hit.document.get(name) {
        None => vec![],
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
    };
    let mut groups: BTreeMap<Vec<String>, (Vec<Value>, Vec<&Hit>)> = BTreeMap::new();
    for hit in hits {
        let mut keys: BTreeSet<Vec<String>> = BTreeSet::from([vec![]]);
        for name in by {
            let found = values(hit, name);
            keys = keys
                .into_iter()
                .flat_map(|key| {
                    found.iter().map(move |value| [key.clone(), vec![value.to_string()]].concat())
                })
                .collect();
        }
        for key in keys {
            let row = key.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            groups.entry(key).or_insert_with(|| (row, vec![])).1.push(hit);
        }
    }
    if by.is_empty() {
        groups.entry(vec![]).or_default();
    }
    let rows = groups.into_values().map(|(mut row, members)| {
        let all: Vec<Value> = members.iter().flat_map(|hit| values(hit, "n")).collect();
        let numbers: Vec<i64> = all.iter().filter_map(Value::as_i64).collect();
        let sum: i64 = numbers.iter().sum();
        row.push(json!(members.len()));
        row.push(json!(members.iter().filter(|hit| !values(hit, "n").is_empty()).count()));
        row.push(if numbers.is_empty() { Value::Null } else { json!(sum) });
        row.push(json!(numbers.iter().max()));
        row.push(json!(all.iter().map(Value::to_string).collect::<BTreeSet<_>>().len()));
        Value::Array(row)
    });
    rows.collect()
}

fn some_event() -> impl Strategy<Value = Value> {
    let value = prop_oneof![(0..4_i64).prop_map(|n| json!(n)), "[ab]".prop_map(|t| json!(t))];
    let values =
        prop_oneof![value.clone(), proptest::collection::vec(value, 0..4).prop_map(Value::Array),];
    let field = proptest::option::of(values);
    (field.clone(), field.clone(), field).prop_map(|(a, b, n)| {
        let mut document = serde_json::Map::new();
        for (name, value) in [("a", a), ("b", b), ("n", n)] {
            value.map(|value| document.insert(name.to_owned(), value));
        }
        Value::Object(document)
    })
}

fn sorted(mut rows: Vec<Value>) -> Vec<String> {
    let mut rows: Vec<String> = rows.drain(..).map(|row| row.to_string()).collect();
    rows.sort();
    rows
}

#[test]
fn the_rank_of_a_percentile_is_exact() {
    let hits: Vec<Hit> = (0..=100_i64).map(|n| hit(n, json!({ "n": 1_i64 << (n / 2) }))).collect();
    for share in 1..100_i64 {
        let (rows, _) = run(&format!("* | stats percentile(n, {share})"), &hits);
        let (found, exact) = (rows[0][0].as_f64().unwrap(), (1_i64 << (share / 2)) as f64);
        assert!((found / exact - 1.0).abs() < 0.011, "p{share} is {found}, not {exact}");
    }
}

proptest! {
    #[test]
    fn stats_agree_with_a_plain_model(documents in proptest::collection::vec(some_event(), 0..12), by in 0..4_usize) {
        let by: &[&str] = [&[][..], &["a"], &["b"], &["a", "b"]][by];
        let hits: Vec<Hit> = documents.into_iter().zip(0..).map(|(fields, at)| hit(at, fields)).collect();
        let behind = if by.is_empty() { String::new() } else { format!("by {}", by.join(", ")) };
        let (rows, _) = run(&format!("* | stats count() count(n) sum(n) max(n) dc(n) {behind}"), &hits);
        let expected = model(&hits, by);
        prop_assert_eq!(sorted(rows), sorted(expected));
    }

    #[test]
    fn percentiles_are_within_a_hundredth(mut numbers in proptest::collection::vec(1..1_000_000_i64, 1..200), share in 1..100_usize) {
        let hits: Vec<Hit> = numbers.iter().zip(0..).map(|(n, at)| hit(at, json!({ "n": n }))).collect();
        let (rows, _) = run(&format!("* | stats percentile(n, {share})"), &hits);
        let found = rows[0][0].as_f64().unwrap();
        numbers.sort_unstable();
        let rank = share * (numbers.len() - 1) / 100;
        let near = [rank, (rank + 1).min(numbers.len() - 1)].map(|at| numbers[at] as f64);
        prop_assert!(found >= near[0] * 0.98 && found <= near[1] * 1.02, "{} {:?}", found, near);
    }

    #[test]
    fn any_stages_end(parts in proptest::collection::vec(proptest::sample::select(vec![
        "| ", "stats ", "count() ", "by ", "src_ip ", ", ", "timechart ", "span=5m ", "top ", "10 ", "sort ", "- ", "head ",
        "fields ", "dedup ", "(", ")", "\"", "as ", "p95(", "é ", "| stats count() by n ", "| head 3 "]), 0..20)) {
        let text = parts.concat();
        match compiled(&text) {
            Ok(_) => drop(run(&text, &events())),
            Err(SearchError::Parse(error)) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}: {}", text, error);
            }
            Err(_) => {}
        }
    }
}
