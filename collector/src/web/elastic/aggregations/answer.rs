//! Results of aggregations as clients of Elasticsearch read them.

use event::Timestamp;
use serde_json::{Map, Value, json};

use super::super::dsl::times::{Format, Times};
use super::super::hits::iso;
use super::{Form, Shape, Shapes, pipeline};
use crate::search::Aggregated;
use crate::search::aggregate::{NamedBucket, Results, Squares, TermBucket, ValueKind};
use crate::search::calendar::{self, Zone};

/// Writes the results of aggregations that were read with these shapes.
pub(in crate::web::elastic) fn answer(results: &Results, shapes: &Shapes) -> Map<String, Value> {
    let one = |(name, result): (&String, &Aggregated)| {
        let shape = shapes.get(name)?;
        Some((name.clone(), written(result, shape)))
    };
    results.iter().filter_map(one).collect()
}

fn bucket(head: Value, below: &Results, shape: &Shape) -> Value {
    let mut all = match head {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    all.extend(answer(below, &shape.below));
    Value::Object(all)
}

fn written(result: &Aggregated, shape: &Shape) -> Value {
    match result {
        Aggregated::Histogram { .. } => Value::Null,
        Aggregated::Terms { buckets, other, error, .. } => {
            let mut buckets: Vec<Value> = buckets.iter().map(|one| term(one, shape)).collect();
            pipeline::run(&shape.pipelines, &mut buckets);
            json!({
                "doc_count_error_upper_bound": error, "sum_other_doc_count": other,
                "buckets": buckets,
            })
        }
        Aggregated::DateHistogram { buckets, .. } => {
            let times =
                if let Form::Dates(times) = &shape.form { times.clone() } else { Times::default() };
            let one = |start: Timestamp, count: u64, below: &Results| {
                let millis = start.micros().div_euclid(1000);
                let text = written_time(start, &times);
                let head = json!({"key_as_string": text, "key": millis, "doc_count": count});
                bucket(head, below, shape)
            };
            let all = buckets.iter().map(|b| one(b.start, b.count, &b.aggregations));
            spans(all.collect(), shape)
        }
        Aggregated::NumberHistogram { buckets, .. } => {
            let one = |start: f64, count: u64, below: &Results| {
                bucket(json!({"key": start, "doc_count": count}), below, shape)
            };
            let all = buckets.iter().map(|b| one(b.start, b.count, &b.aggregations));
            spans(all.collect(), shape)
        }
        Aggregated::Ranges { buckets, .. } => ranges(buckets, shape),
        Aggregated::Filters { buckets } => filters(buckets, shape),
        Aggregated::Value { value, time, error, .. } => match (time, error) {
            (Some(time), _) => json!({"value": value, "value_as_string": iso(*time, 3)}),
            // Not a key of Elasticsearch, whose number is an estimate as well.
            (None, Some(error)) => json!({"value": value, "relative_standard_error": error}),
            (None, None) => json!({"value": value}),
        },
        Aggregated::Stats { count, sum, min, max, average, squares, .. } => {
            let mut out =
                json!({"count": count, "min": min, "max": max, "avg": average, "sum": sum});
            if let (Some(squares), Form::Deviations { sigma }) = (squares, &shape.form) {
                deviations(&mut out, (*average, squares), *sigma);
            }
            out
        }
        Aggregated::Percentiles { values, .. } => {
            if matches!(shape.form, Form::Percentiles { keyed: false }) {
                let all = values.iter().map(|one| json!({"key": one.percent, "value": one.value}));
                return json!({"values": all.collect::<Vec<Value>>()});
            }
            // The names are written with a fraction, as 50.0.
            let all = values.iter().map(|one| (format!("{:?}", one.percent), json!(one.value)));
            json!({"values": all.collect::<Map<String, Value>>()})
        }
    }
}

/// Buckets of a histogram, with what is worked out over them.
fn spans(mut buckets: Vec<Value>, shape: &Shape) -> Value {
    pipeline::run(&shape.pipelines, &mut buckets);
    json!({"buckets": buckets})
}

/// What `extended_stats` has beside `stats`.
fn deviations(out: &mut Value, (average, squares): (Option<f64>, &Squares), sigma: f64) {
    let root = |variance: Option<f64>| variance.map(|one| one.max(0.0).sqrt());
    let (whole, sample) = (root(squares.variance), root(squares.variance_sampling));
    let bound = |deviation: Option<f64>, sign: f64| {
        average.zip(deviation).map(|(average, deviation)| average + sign * sigma * deviation)
    };
    out["sum_of_squares"] = json!(squares.sum);
    for (name, value) in [
        ("variance", squares.variance),
        ("variance_population", squares.variance),
        ("variance_sampling", squares.variance_sampling),
        ("std_deviation", whole),
        ("std_deviation_population", whole),
        ("std_deviation_sampling", sample),
    ] {
        out[name] = json!(value);
    }
    out["std_deviation_bounds"] = json!({
        "upper": bound(whole, 1.0), "lower": bound(whole, -1.0),
        "upper_population": bound(whole, 1.0), "lower_population": bound(whole, -1.0),
        "upper_sampling": bound(sample, 1.0), "lower_sampling": bound(sample, -1.0),
    });
}

/// A time with the offset of a zone; in UTC with a `Z`.
fn local(time: Timestamp, zone: &Zone) -> String {
    let (shown, ahead) = calendar::written(zone, time);
    let text = iso(shown, 3);
    if ahead == 0 {
        return text;
    }
    let sign = if ahead < 0 { '-' } else { '+' };
    let minutes = ahead.unsigned_abs() / 60;
    format!("{}{sign}{:02}:{:02}", text.trim_end_matches('Z'), minutes / 60, minutes % 60)
}

fn written_time(time: Timestamp, times: &Times) -> String {
    match times.format {
        Format::Text => local(time, &times.zone),
        Format::Millis => time.micros().div_euclid(1000).to_string(),
        Format::Seconds => time.seconds().to_string(),
    }
}

fn term(one: &TermBucket, shape: &Shape) -> Value {
    let head = match one.kind {
        ValueKind::Text => json!({"key": one.value, "doc_count": one.count}),
        ValueKind::Bool => json!({
            "key": u8::from(one.value == "true"), "key_as_string": one.value,
            "doc_count": one.count,
        }),
        ValueKind::Number => {
            let number: Option<serde_json::Number> = serde_json::from_str(&one.value).ok();
            let key = number.map_or_else(|| json!(one.value), Value::Number);
            json!({"key": key, "doc_count": one.count})
        }
    };
    bucket(head, &one.aggregations, shape)
}

fn ranges(buckets: &[NamedBucket], shape: &Shape) -> Value {
    let Form::Ranges { ends, keyed, dates } = &shape.form else { return Value::Null };
    let one = |(found, (from, to)): (&NamedBucket, &(Option<f64>, Option<f64>))| {
        let mut head = Map::new();
        if !keyed {
            head.insert("key".to_owned(), json!(found.name));
        }
        for (name, end) in [("from", from), ("to", to)] {
            let Some(end) = end else { continue };
            head.insert(name.to_owned(), json!(end));
            if *dates {
                #[expect(clippy::cast_possible_truncation, reason = "it was an integer before")]
                let time = Timestamp::from_micros((*end as i64).saturating_mul(1000));
                head.insert(format!("{name}_as_string"), json!(iso(time, 3)));
            }
        }
        head.insert("doc_count".to_owned(), json!(found.count));
        (found.name.clone(), bucket(Value::Object(head), &found.aggregations, shape))
    };
    let all = buckets.iter().zip(ends).map(one);
    listed(all.collect(), *keyed)
}

fn filters(buckets: &[NamedBucket], shape: &Shape) -> Value {
    let one = |found: &NamedBucket| {
        let head = json!({"doc_count": found.count});
        (found.name.clone(), bucket(head, &found.aggregations, shape))
    };
    let all: Vec<(String, Value)> = buckets.iter().map(one).collect();
    match shape.form {
        Form::Filters { keyed } => listed(all, keyed),
        _ => all.into_iter().next().map_or(Value::Null, |(_, bucket)| bucket),
    }
}

fn listed(all: Vec<(String, Value)>, keyed: bool) -> Value {
    if keyed {
        return json!({"buckets": all.into_iter().collect::<Map<String, Value>>()});
    }
    json!({"buckets": all.into_iter().map(|(_, bucket)| bucket).collect::<Vec<Value>>()})
}
