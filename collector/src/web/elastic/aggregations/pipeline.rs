//! Aggregations over the buckets of the histogram they stand in: differences, running sums, moving windows,
//! arithmetic.
//!
//! They are worked out from the buckets as they are written, after the store has answered; no event is
//! looked at. `buckets_path` names a figure or another of these beside it. Not here: those over the buckets
//! of a sibling (`max_bucket` and so on), sorting and leaving out buckets, which are refused by name.
//! Source: Elasticsearch reference, Pipeline aggregations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::Wrong;
use super::super::dsl::times::width;
use super::super::read::{Keys, scalar};
use crate::search::Aggregation;
use crate::search::aggregate::{Metric, Named};

mod script;

use script::Script;

/// Most of them in one bucket.
const MAX_PIPELINES: usize = 16;
/// Widest moving window and longest lag, buckets.
const MAX_WINDOW: u64 = 256;
/// Kinds that need their buckets in a row: not below groups of values.
const SERIAL: [&str; 4] = ["derivative", "serial_diff", "cumulative_sum", "moving_fn"];

/// One of them, read.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    name: String,
    kind: Kind,
    /// Where nothing is, a zero is taken.
    zeros: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Difference to the bucket before; also by this many milliseconds.
    Derivative { path: Path, unit: Option<f64> },
    /// Difference to the bucket so many before.
    SerialDifference { path: Path, lag: usize },
    /// Sum of all so far.
    CumulativeSum { path: Path },
    /// A function of the buckets before.
    Moving { path: Path, window: usize, shift: i64, function: Function },
    /// Arithmetic within one bucket.
    Script { paths: Vec<Path>, script: Script },
}

/// A function of the figures in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Max,
    Min,
    Sum,
    Mean,
}

/// Which figure of a bucket is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Count,
    Of { name: String, part: Option<String> },
}

/// Whether a kind of aggregation is one of these.
pub(super) fn is_one(kind: &str) -> bool {
    SERIAL.contains(&kind) || kind == "bucket_script"
}

/// Reads those beside the aggregations `named`, as (name, kind, body); gives them in the order in which
/// they can be worked out.
///
/// # Errors
/// [`Wrong`] that names the place.
pub(super) fn read(
    at: &str,
    list: Vec<(String, String, Value)>,
    named: &Named,
) -> Result<Vec<Pipeline>, Wrong> {
    if list.len() > MAX_PIPELINES {
        let words = format!("[{at}] has more than {MAX_PIPELINES} aggregations over its buckets");
        return Err(Wrong::argument(words));
    }
    let names: BTreeSet<String> = list.iter().map(|(name, ..)| name.clone()).collect();
    let mut waiting = BTreeMap::new();
    for (name, kind, body) in list {
        let keys = Keys::of(&format!("{at}.{name}.{kind}"), body)?;
        let pipeline = Reader { named, names: &names, keys }.one(&name, &kind)?;
        waiting.insert(name, pipeline);
    }
    let mut ordered = Vec::with_capacity(waiting.len());
    while let Some(next) = waiting.values().find(|one| !one.needs(&waiting)) {
        let name = next.name.clone();
        ordered.extend(waiting.remove(&name));
    }
    match waiting.into_keys().next() {
        None => Ok(ordered),
        Some(name) => Err(Wrong::argument(format!("[{at}.{name}] needs itself"))),
    }
}

/// Refuses what cannot stand below an aggregation.
///
/// # Errors
/// [`Wrong`] that names it.
pub(super) fn allowed(at: &str, pipelines: &[Pipeline], parent: &Aggregation) -> Result<(), Wrong> {
    let serial = pipelines.iter().find(|one| !matches!(one.kind, Kind::Script { .. }));
    let min_count = match parent {
        Aggregation::DateHistogram { min_count, .. }
        | Aggregation::NumberHistogram { min_count, .. } => Some(*min_count),
        _ => None,
    };
    let listed = min_count.is_some() || matches!(parent, Aggregation::Terms { .. });
    match (serial, pipelines.first()) {
        (Some(one), _) if min_count != Some(0) => Err(Wrong::argument(format!(
            "[{at}.{}] must have a histogram or date_histogram with min_doc_count 0 as parent",
            one.name
        ))),
        (_, Some(one)) if !listed => Err(Wrong::argument(format!(
            "[{at}.{}] must have a histogram, date_histogram or terms as parent",
            one.name
        ))),
        _ => Ok(()),
    }
}

struct Reader<'a> {
    named: &'a Named,
    names: &'a BTreeSet<String>,
    keys: Keys,
}

impl Reader<'_> {
    fn one(mut self, name: &str, kind: &str) -> Result<Pipeline, Wrong> {
        let zeros = match self.keys.text("gap_policy")?.as_deref() {
            None | Some("skip") => false,
            Some("insert_zeros") => true,
            Some(_) => return Err(self.wrong("supports [gap_policy] skip and insert_zeros")),
        };
        // As text beside the number, which is what is asked for.
        self.keys.text("format")?;
        let kind = match kind {
            "derivative" => Kind::Derivative { path: self.path()?, unit: self.unit()? },
            "serial_diff" => {
                let lag = self.bounded("lag", Some(1))?;
                Kind::SerialDifference { path: self.path()?, lag }
            }
            "cumulative_sum" => Kind::CumulativeSum { path: self.path()? },
            "moving_fn" => self.moving()?,
            _ => self.script()?,
        };
        // A running sum goes on over what is not there.
        let zeros = zeros || matches!(kind, Kind::CumulativeSum { .. });
        self.keys.finish()?;
        Ok(Pipeline { name: name.to_owned(), kind, zeros })
    }

    fn wrong(&self, words: &str) -> Wrong {
        Wrong::argument(format!("[{}] {words}", self.keys.at()))
    }

    fn path(&mut self) -> Result<Path, Wrong> {
        let given = match self.keys.take("buckets_path") {
            // A list of one is the same.
            Some(Value::Array(list)) if list.len() == 1 => list.into_iter().next(),
            given => given,
        };
        let text = given.as_ref().and_then(scalar);
        let text = self.keys.must("buckets_path", text)?;
        self.resolved(&text)
    }

    /// The figure that a path names; it must be there.
    fn resolved(&self, text: &str) -> Result<Path, Wrong> {
        if text == "_count" {
            return Ok(Path::Count);
        }
        let shown: String = text.chars().take(64).collect();
        if text.contains('>') {
            return Err(self.wrong(&format!("supports [buckets_path] without >, not [{shown}]")));
        }
        let is_known = |name: &str| self.named.contains_key(name) || self.names.contains(name);
        let (name, part) = if is_known(text) {
            (text, None)
        } else if let Some((name, part)) = text.split_once('[') {
            (name, part.strip_suffix(']'))
        } else {
            text.split_once('.').map_or((text, None), |(name, part)| (name, Some(part)))
        };
        let part = part.filter(|part| *part != "value").map(str::to_owned);
        let single = match self.named.get(name) {
            None if self.names.contains(name) => true,
            None => {
                return Err(self.wrong(&format!("no aggregation found for path [{shown}]")));
            }
            Some(Aggregation::Metric { metric, .. }) => {
                !matches!(metric, Metric::Stats | Metric::ExtendedStats | Metric::Percentiles(_))
            }
            Some(_) => return Err(self.wrong(&format!("[{shown}] is no figure"))),
        };
        if single != part.is_none() {
            let words = format!("[{shown}] must name one figure, such as 1 or 1[95.0]");
            return Err(self.wrong(&words));
        }
        Ok(Path::Of { name: name.to_owned(), part })
    }

    fn unit(&mut self) -> Result<Option<f64>, Wrong> {
        let Some(text) = self.keys.text("unit")? else { return Ok(None) };
        let text = match text.as_str() {
            "second" => "1s",
            "minute" => "1m",
            "hour" => "1h",
            "day" => "1d",
            other => other,
        };
        let millis = width(text).filter(|millis| *millis > 0);
        let millis = millis.ok_or_else(|| self.wrong("[unit] must be a width such as 1s"))?;
        #[expect(clippy::cast_precision_loss, reason = "widths are below 2^53")]
        Ok(Some(millis as f64))
    }

    fn bounded(&mut self, key: &str, default: Option<u64>) -> Result<usize, Wrong> {
        let given = self.keys.number(key)?.or(default);
        let number = self.keys.must(key, given)?;
        if !(1..=MAX_WINDOW).contains(&number) {
            return Err(self.wrong(&format!("[{key}] must be from 1 to {MAX_WINDOW}")));
        }
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn moving(&mut self) -> Result<Kind, Wrong> {
        let path = self.path()?;
        let window = self.bounded("window", None)?;
        let shift = match self.keys.scalar("shift")? {
            None => 0,
            Some(text) => text
                .parse::<i64>()
                .ok()
                .filter(|shift| shift.unsigned_abs() <= MAX_WINDOW)
                .ok_or_else(|| self.wrong("[shift] must be a small whole number"))?,
        };
        let text = script::text(&mut self.keys)?;
        let bare: String = text.chars().filter(|one| !one.is_whitespace()).collect();
        let function = match bare.trim_start_matches("return").trim_end_matches(';') {
            "MovingFunctions.max(values)" => Function::Max,
            "MovingFunctions.min(values)" => Function::Min,
            "MovingFunctions.sum(values)" => Function::Sum,
            "MovingFunctions.unweightedAvg(values)" => Function::Mean,
            _ => {
                let words =
                    "supports [script] as MovingFunctions.max, min, sum or unweightedAvg of values";
                return Err(self.wrong(words));
            }
        };
        Ok(Kind::Moving { path, window, shift, function })
    }

    fn script(&mut self) -> Result<Kind, Wrong> {
        let given = self.keys.take("buckets_path");
        let given = self.keys.must("buckets_path", given)?;
        let at = format!("{}.buckets_path", self.keys.at());
        let (mut names, mut paths) = (Vec::new(), Vec::new());
        for (name, path) in Keys::of(&at, given)?.entries() {
            let path = scalar(&path).ok_or_else(|| self.wrong("[buckets_path] must be names"))?;
            paths.push(self.resolved(&path)?);
            names.push(name);
        }
        let text = script::text(&mut self.keys)?;
        let script = Script::read(&text, &names).map_err(|why| self.wrong(&why))?;
        Ok(Kind::Script { paths, script })
    }
}

impl Pipeline {
    /// Its name in the answer.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it looks at one that is not worked out yet.
    fn needs(&self, waiting: &BTreeMap<String, Self>) -> bool {
        let paths = match &self.kind {
            Kind::Script { paths, .. } => paths.as_slice(),
            Kind::Derivative { path, .. }
            | Kind::SerialDifference { path, .. }
            | Kind::CumulativeSum { path }
            | Kind::Moving { path, .. } => std::slice::from_ref(path),
        };
        paths.iter().any(|path| match path {
            Path::Count => false,
            Path::Of { name, .. } => waiting.contains_key(name),
        })
    }

    /// The figure of a bucket; `None` where nothing is.
    fn figure(&self, bucket: &Value, path: &Path) -> Option<f64> {
        let count = bucket.get("doc_count").and_then(Value::as_f64).unwrap_or(0.0);
        let found = match path {
            Path::Count => Some(count),
            Path::Of { .. } if count == 0.0 => None,
            Path::Of { name, part: None } => bucket.get(name)?.get("value")?.as_f64(),
            Path::Of { name, part: Some(part) } => part_of(bucket.get(name)?, part),
        };
        found.or_else(|| self.zeros.then_some(0.0))
    }

    fn run(&self, buckets: &mut [Value]) {
        let of = |path: &Path| -> Vec<Option<f64>> {
            buckets.iter().map(|bucket| self.figure(bucket, path)).collect()
        };
        let results = match &self.kind {
            Kind::Derivative { path, unit } => derivative(buckets, &of(path), *unit),
            Kind::SerialDifference { path, lag } => {
                let values = of(path);
                let before = |at: usize| values.get(at.checked_sub(*lag)?).copied().flatten();
                let one = |(at, value): (usize, &Option<f64>)| Some((*value)? - before(at)?);
                values.iter().enumerate().map(one).map(|one| one.map(plain)).collect()
            }
            Kind::CumulativeSum { path } => {
                let sums = of(path).into_iter().scan(0.0, |sum, value| {
                    *sum += value.unwrap_or(0.0);
                    Some(Some(plain(*sum)))
                });
                sums.collect()
            }
            Kind::Moving { path, window, shift, function } => {
                moving(&of(path), (*window, *shift), *function)
            }
            Kind::Script { paths, script } => {
                let one = |bucket: &Value| {
                    let values = paths.iter().map(|path| self.figure(bucket, path));
                    Some(plain(script.run(&values.collect::<Option<Vec<f64>>>()?)))
                };
                buckets.iter().map(one).collect::<Vec<Option<Value>>>()
            }
        };
        for (bucket, result) in buckets.iter_mut().zip(results) {
            if let (Value::Object(bucket), Some(result)) = (bucket, result) {
                bucket.insert(self.name.clone(), result);
            }
        }
    }
}

/// Works them out, one after the other, and puts the results into the buckets.
pub(super) fn run(pipelines: &[Pipeline], buckets: &mut [Value]) {
    pipelines.iter().for_each(|one| one.run(buckets));
}

/// One of the figures of a metric that has several.
fn part_of(metric: &Value, part: &str) -> Option<f64> {
    if let Some(value) = metric.get(part) {
        return value.as_f64();
    }
    let values = metric.get("values")?;
    if let Some(list) = values.as_array() {
        let wanted: f64 = part.parse().ok()?;
        let is_wanted = |one: &&Value| one.get("key").and_then(Value::as_f64) == Some(wanted);
        return list.iter().find(is_wanted)?.get("value")?.as_f64();
    }
    // Percentiles are written with a fraction, as 50.0.
    let written = || part.parse::<f64>().ok().map(|number| format!("{number:?}"));
    values.get(part).or_else(|| values.get(written()?))?.as_f64()
}

/// A number, or null where it is none.
fn plain(number: f64) -> Value {
    json!({"value": finite(number)})
}

fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

/// Differences to the bucket before. Beside one without a figure stands null.
fn derivative(buckets: &[Value], values: &[Option<f64>], unit: Option<f64>) -> Vec<Option<Value>> {
    let key = |at: usize| buckets.get(at).and_then(|one| one.get("key")?.as_f64());
    let one = |(at, value): (usize, &Option<f64>)| {
        let (value, last) = ((*value)?, at.checked_sub(1)?);
        let rise = values.get(last).copied().flatten().map_or(f64::NAN, |before| value - before);
        let mut out = plain(rise);
        if let (Some(unit), Some(from), Some(to)) = (unit, key(last), key(at)) {
            out["normalized_value"] = json!(finite(rise / ((to - from) / unit)));
        }
        Some(out)
    };
    values.iter().enumerate().map(one).collect()
}

/// A function of those before each one; those without a figure are as if they were not there.
fn moving(
    values: &[Option<f64>],
    (window, shift): (usize, i64),
    function: Function,
) -> Vec<Option<Value>> {
    let there: Vec<f64> = values.iter().copied().flatten().collect();
    let (length, window) = (signed(there.len()), signed(window));
    let mut number = 0_i64;
    let one = |value: &Option<f64>| {
        (*value)?;
        let place = |at: i64| usize::try_from(at.clamp(0, length)).unwrap_or(0);
        let end = number.saturating_add(shift);
        let seen = there.get(place(end.saturating_sub(window))..place(end)).unwrap_or_default();
        number = number.saturating_add(1);
        Some(plain(function.of(seen)))
    };
    values.iter().map(one).collect()
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Function {
    /// Of nothing it is no number, but for the sum.
    fn of(self, values: &[f64]) -> f64 {
        let sum = || values.iter().sum::<f64>();
        match self {
            Self::Max => values.iter().copied().fold(f64::NAN, f64::max),
            Self::Min => values.iter().copied().fold(f64::NAN, f64::min),
            Self::Sum => sum(),
            #[expect(clippy::cast_precision_loss, reason = "a window has few buckets")]
            Self::Mean => sum() / values.len() as f64,
        }
    }
}
