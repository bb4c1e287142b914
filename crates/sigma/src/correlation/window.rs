//! Judging a window: the value of each correlation type, and its condition.

use std::{
    collections::{HashSet, VecDeque},
    ops::Range,
};

use rsigma_parser::{ConditionExpr, ConditionOperator, CorrelationType, Quantifier};

use super::{
    plan::{Amount, Plan},
    state::{Group, Item},
};

impl Group {
    /// Judges the windows an event at `time` is part of: those that end at it or at an event after it
    /// (when it was late). The first that holds counts; the group is then quiet for one time span.
    pub(super) fn judge(&mut self, plan: &Plan, time: i64) -> Option<(f64, Vec<&Item>)> {
        let quiet = |end: i64, fired: Option<i64>| {
            fired.is_some_and(|at| {
                end < at.saturating_add(plan.span) && at < end.saturating_add(plan.span)
            })
        };
        let mut found = None;
        let mut last = None;
        let from = self.items.partition_point(|item| item.time < time);
        for item in self.items.range(from..) {
            let end = item.time;
            if end >= time.saturating_add(plan.span) {
                break;
            }
            if last.replace(end) == Some(end) || quiet(end, self.fired) {
                continue;
            }
            if let Some(value) = value(plan, &Window::new(&self.items, plan.span, end)) {
                found = Some((value, end));
                break;
            }
        }
        let (value, end) = found?;
        self.fired = Some(end);
        Some((value, Window::new(&self.items, plan.span, end).iter().collect()))
    }
}

/// Events after `end - span` up to `end`.
struct Window<'a> {
    items: &'a VecDeque<Item>,
    range: Range<usize>,
}

impl<'a> Window<'a> {
    fn new(items: &'a VecDeque<Item>, span: i64, end: i64) -> Self {
        let start = end.saturating_sub(span);
        let from = items.partition_point(|item| item.time <= start);
        let to = items.partition_point(|item| item.time <= end);
        Self { items, range: from..to.max(from) }
    }

    fn iter(&self) -> impl Iterator<Item = &'a Item> + use<'a> {
        self.items.range(self.range.clone())
    }

    fn numbers(&self) -> Vec<f64> {
        let number = |item: &Item| match item.value {
            Amount::Number(number) => Some(number),
            Amount::One | Amount::Text(_) => None,
        };
        self.iter().filter_map(number).collect()
    }

    /// How many different texts there are.
    fn texts(&self) -> usize {
        let text = |item: &'a Item| match &item.value {
            Amount::Text(text) => Some(text.as_str()),
            Amount::One | Amount::Number(_) => None,
        };
        self.iter().filter_map(text).collect::<HashSet<&str>>().len()
    }
}

/// The value of a window when its condition holds.
fn value(plan: &Plan, window: &Window<'_>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts below the most items of a group")]
    let count = |count: usize| count as f64;
    let value = match plan.kind {
        CorrelationType::EventCount => count(window.range.len()),
        CorrelationType::ValueCount => count(window.texts()),
        CorrelationType::ValueSum => window.numbers().iter().sum(),
        CorrelationType::ValueAvg => {
            let numbers = window.numbers();
            numbers.iter().sum::<f64>() / count(numbers.len().max(1))
        }
        CorrelationType::ValueMedian => percentile(window.numbers(), 50)?,
        CorrelationType::ValuePercentile => percentile(window.numbers(), plan.percentile)?,
        CorrelationType::Temporal => {
            let mut here = vec![false; plan.targets.len()];
            for item in window.iter() {
                if let Some(target) = here.get_mut(usize::from(item.target)) {
                    *target = true;
                }
            }
            let seen = |reference: &str| {
                let mut targets = plan.targets.iter().zip(&here);
                targets.any(|(target, here)| *here && target.reference == reference)
            };
            let number = plan.targets.iter().filter(|target| seen(&target.reference)).count();
            let holds = plan.extended.as_ref().map_or(number == plan.targets.len(), |expression| {
                extended(expression, plan, &seen)
            });
            return holds.then(|| count(number));
        }
        CorrelationType::TemporalOrdered => {
            let mut next = 0;
            for item in window.iter() {
                next += usize::from(usize::from(item.target) == next);
            }
            return (next == plan.targets.len()).then(|| count(next));
        }
    };
    plan.limits.iter().all(|(order, limit)| holds(*order, value, *limit)).then_some(value)
}

#[expect(clippy::float_cmp, reason = "rules name whole numbers")]
fn holds(order: ConditionOperator, value: f64, limit: u64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "limits of rules are small")]
    let limit = limit as f64;
    match order {
        ConditionOperator::Lt => value < limit,
        ConditionOperator::Lte => value <= limit,
        ConditionOperator::Gt => value > limit,
        ConditionOperator::Gte => value >= limit,
        ConditionOperator::Eq => value == limit,
        ConditionOperator::Neq => value != limit,
    }
}

/// Linear interpolation between the two nearest ranks.
fn percentile(mut numbers: Vec<f64>, rank: u64) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let most = numbers.len().checked_sub(1)?;
    // In hundredths of a place, so that no fraction is rounded.
    let place = most.checked_mul(usize::try_from(rank).ok()?)?;
    let (below, part) = (place / 100, place % 100);
    let low = *numbers.get(below)?;
    let high = numbers.get(below + 1).copied().unwrap_or(low);
    let part = f64::from(u8::try_from(part).ok()?) / 100.0;
    Some((high - low).mul_add(part, low))
}

fn extended(expression: &ConditionExpr, plan: &Plan, seen: &dyn Fn(&str) -> bool) -> bool {
    match expression {
        ConditionExpr::And(parts) => parts.iter().all(|part| extended(part, plan, seen)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| extended(part, plan, seen)),
        ConditionExpr::Not(part) => !extended(part, plan, seen),
        ConditionExpr::Identifier(name) => seen(name),
        ConditionExpr::Selector { quantifier, pattern } => {
            let mut matching =
                plan.targets.iter().filter(|t| pattern.matches_detection_name(&t.reference));
            match quantifier {
                Quantifier::Any => matching.any(|target| seen(&target.reference)),
                Quantifier::All => matching.all(|target| seen(&target.reference)),
                Quantifier::Count(wanted) => {
                    let count = matching.filter(|target| seen(&target.reference)).count();
                    u64::try_from(count).is_ok_and(|count| count >= *wanted)
                }
            }
        }
    }
}
