//! What an exception would have done: its conditions against the past detections of its rule.
//!
//! Every detection of the last days is looked at, newest first, and every detection of an alert that was
//! judged a true positive, however old. A detection belongs to the alert of its rule and entity in whose time
//! it is. Work is bounded in events and time; a test that did not get through says so, and then it is no test.

use std::collections::BTreeMap;
use std::time::Duration;

use event::{Detection, Document, Engine, Entity, Severity, Timestamp};
use serde::Serialize;
use service::Clock;
use sigma::{Condition, Conditions};

use super::ExceptionError;
use crate::alert::{Alert, Alerts, Status, Verdict};
use crate::search::{Cancel, Cursor, SearchError, SearchRequest};
use crate::store::Store;

/// Detections of one page of the store.
const PAGE: usize = 1_000;
/// Most detections looked at.
const MAX_SEEN: usize = 50_000;
/// Longest time for all of it.
const BUDGET: Duration = Duration::from_secs(20);
/// Most alerts named.
const MAX_NAMED: usize = 50;

/// Why the past could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The exception is not whole.
    #[error(transparent)]
    Exception(#[from] ExceptionError),
    /// The store does not answer.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// What is looked at: a rule, and the days back.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Engine of the rule.
    pub engine: Engine,
    /// Rule.
    pub rule_id: String,
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// Days back.
    pub days: u32,
}

/// An alert that an exception would have touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// Identity.
    pub id: String,
    /// Title.
    pub title: String,
    /// What it is about.
    pub entity: String,
    /// Severity.
    pub severity: Severity,
    /// State.
    pub status: Status,
    /// Verdict.
    pub verdict: Option<Verdict>,
    /// Its last detection.
    pub last: Timestamp,
    /// Its detections that were looked at.
    pub detections: u64,
    /// Those that would have been suppressed.
    pub suppressed: u64,
}

/// What an exception would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// In words.
    pub words: String,
    /// Days looked back.
    pub days: u32,
    /// Detections of the rule that made or joined an alert.
    pub detections: u64,
    /// Those that would have been suppressed.
    pub suppressed: u64,
    /// Detections that exceptions suppressed already.
    pub already: u64,
    /// Alerts of the rule.
    pub alerts: u64,
    /// Those that would not be there.
    pub hidden: u64,
    /// Those that would be there with fewer detections.
    pub thinned: u64,
    /// Alerts judged true positive that would have been touched, of all times. They forbid it.
    pub true_positives: Vec<Touched>,
    /// How many there are; the first 50 are named.
    pub true_positives_count: u64,
    /// Touched alerts without a verdict, or critical ones: nobody knows yet that they are harmless.
    pub doubtful: Vec<Touched>,
    /// How many there are.
    pub doubtful_count: u64,
    /// Alerts judged true positive whose events are not in the store any more: nobody can test them.
    pub untestable: Vec<String>,
    /// It did not get through: numbers are lower bounds.
    pub partial: bool,
}

/// An alert as far as it is needed here.
struct Known {
    entity: Entity,
    first: Timestamp,
    touched: Touched,
}

impl Known {
    fn of(alert: &Alert) -> Self {
        Self {
            entity: alert.entity.clone(),
            first: alert.first,
            touched: Touched {
                id: alert.id.clone(),
                title: alert.title.clone(),
                entity: alert.entity.value.clone(),
                severity: alert.severity,
                status: alert.status,
                verdict: alert.verdict,
                last: alert.last,
                detections: 0,
                suppressed: 0,
            },
        }
    }

    fn is_true(&self) -> bool {
        self.touched.verdict == Some(Verdict::TruePositive)
    }
}

/// Looks at the past. Blocks for up to 20 s.
///
/// # Errors
/// [`PreviewError`].
pub fn preview(
    store: &dyn Store,
    alerts: &Alerts,
    clock: &Clock,
    draft: &Draft,
) -> Result<Preview, PreviewError> {
    let list = std::iter::once(("draft", draft.conditions.as_slice()));
    let conditions = Conditions::new(list).map_err(ExceptionError::from)?;
    let mine = |alert: &Alert| alert.engine == draft.engine && alert.rule_id == draft.rule_id;
    let known = alerts.pick(|alert| mine(alert).then(|| Known::of(alert)));
    let now = Timestamp::from_micros(clock.now_micros());
    let from = now.plus_seconds(-i64::from(draft.days) * 86_400);
    let budget =
        Budget { clock, until: clock.now_micros().saturating_add(micros(BUDGET)), left: MAX_SEEN };
    let mut looking = Looking { draft, store, conditions, known, budget, out: Preview::default() };
    // The end is open: sensors' clocks may be ahead.
    looking.walk((from, now.plus_seconds(86_400)), &|_| true)?;
    looking.older(from)?;
    Ok(looking.finish(from))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// What may still be spent.
struct Budget<'a> {
    clock: &'a Clock,
    until: i64,
    left: usize,
}

struct Looking<'a> {
    draft: &'a Draft,
    store: &'a dyn Store,
    conditions: Conditions,
    known: Vec<Known>,
    budget: Budget<'a>,
    out: Preview,
}

impl Looking<'_> {
    /// Looks at the rule's detections of a time whose entity is `wanted`.
    fn walk(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        wanted: &dyn Fn(&Entity) -> bool,
    ) -> Result<(), SearchError> {
        let mut after = None;
        loop {
            let left = self.budget.until.saturating_sub(self.budget.clock.now_micros());
            if left <= 0 || self.budget.left == 0 {
                self.out.partial = true;
                return Ok(());
            }
            let budget_ms = u64::try_from(left / 1_000).unwrap_or_default().max(1);
            let rule = (self.draft.engine, self.draft.rule_id.as_str());
            let page = page(self.store, rule, (from, to), (after, budget_ms))?;
            self.out.partial |= page.partial;
            self.budget.left = self.budget.left.saturating_sub(page.documents.len());
            for document in &page.documents {
                if let Some(detection) = Detection::from_document(document)
                    && wanted(&detection.entity)
                {
                    self.look(document, &detection);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn look(&mut self, document: &Document, detection: &Detection) {
        if event::get(document, "suppressed.exception").is_some() {
            self.out.already = self.out.already.saturating_add(1);
            return;
        }
        let holds = !self.conditions.holding(&sigma::Record::new(document)).is_empty();
        self.out.detections = self.out.detections.saturating_add(1);
        self.out.suppressed = self.out.suppressed.saturating_add(u64::from(holds));
        let time = event::get(document, "timestamp").and_then(|value| value.as_str());
        let Some(time) = time.and_then(|text| text.parse::<Timestamp>().ok()) else { return };
        let fits = |one: &&mut Known| {
            one.entity == detection.entity && one.first <= time && time <= one.touched.last
        };
        // Of several that fit, the newest: what is reopened is joined no more.
        let alert = self.known.iter_mut().filter(fits).max_by_key(|one| one.touched.last);
        if let Some(alert) = alert {
            alert.touched.detections = alert.touched.detections.saturating_add(1);
            let suppressed = alert.touched.suppressed.saturating_add(u64::from(holds));
            alert.touched.suppressed = suppressed;
        }
    }

    /// Looks at the true positives that began before `from`, of which the walk saw nothing or a part.
    fn older(&mut self, from: Timestamp) -> Result<(), SearchError> {
        let before = |one: &&Known| one.is_true() && one.first < from;
        let old: Vec<(Entity, Timestamp, Timestamp)> = self
            .known
            .iter()
            .filter(before)
            .map(|one| (one.entity.clone(), one.first, one.touched.last))
            .collect();
        let counted = (self.out.detections, self.out.suppressed, self.out.already);
        for (entity, first, last) in old {
            let end = last.min(from.plus_micros(-1));
            self.walk((first, end.plus_micros(1)), &|one| *one == entity)?;
        }
        // What is older than the days asked for is no part of their numbers.
        (self.out.detections, self.out.suppressed, self.out.already) = counted;
        Ok(())
    }

    fn finish(self, from: Timestamp) -> Preview {
        let mut out = self.out;
        out.days = self.draft.days;
        for one in self.known {
            let is_true = one.is_true();
            let Touched { detections, suppressed, status, severity, .. } = one.touched;
            if one.touched.last >= from && detections > 0 {
                out.alerts = out.alerts.saturating_add(1);
                let whole = suppressed == detections;
                out.hidden = out.hidden.saturating_add(u64::from(whole));
                out.thinned = out.thinned.saturating_add(u64::from(!whole && suppressed > 0));
            }
            if is_true && detections == 0 {
                out.untestable.push(one.touched.id);
            } else if suppressed > 0 && is_true {
                name(&mut out.true_positives, &mut out.true_positives_count, one.touched);
            } else if suppressed > 0 && (status != Status::Closed || severity == Severity::Critical)
            {
                name(&mut out.doubtful, &mut out.doubtful_count, one.touched);
            }
        }
        out.untestable.truncate(MAX_NAMED);
        out.words = words(&out);
        out
    }
}

fn name(list: &mut Vec<Touched>, count: &mut u64, one: Touched) {
    *count = count.saturating_add(1);
    if list.len() < MAX_NAMED {
        list.push(one);
    }
}

fn words(preview: &Preview) -> String {
    let Preview { days, detections, suppressed, alerts, hidden, .. } = preview;
    let mut out = format!(
        "would have suppressed {suppressed} of {detections} detections in the last {days} days; \
         {hidden} of {alerts} alerts would not be there"
    );
    if preview.thinned > 0 {
        out += &format!(", {} would have fewer detections", preview.thinned);
    }
    if preview.true_positives_count > 0 {
        let count = preview.true_positives_count;
        out += &format!("; it would have hidden {count} true positive{}", plural(count));
    }
    if preview.partial {
        out += "; this is not all: the past could not be looked at whole";
    }
    out
}

const fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// One page of a rule's detections.
pub(super) struct Page {
    pub(super) documents: Vec<Document>,
    pub(super) next: Option<Cursor>,
    pub(super) partial: bool,
}

/// The query that finds the detections of a rule.
fn query((engine, rule): (Engine, &str)) -> String {
    let rule = rule.replace('\\', "\\\\").replace('"', "\\\"");
    format!("detection.engine:{} AND detection.rule_id:\"{rule}\"", engine.as_str())
}

/// Detections of a rule from `from` until before `to`, newest first.
pub(super) fn page(
    store: &dyn Store,
    rule: (Engine, &str),
    (from, to): (Timestamp, Timestamp),
    (after, budget_ms): (Option<Cursor>, u64),
) -> Result<Page, SearchError> {
    let request = SearchRequest {
        query: query(rule),
        from: Some(from.to_string()),
        to: Some(to.to_string()),
        limit: PAGE,
        after,
        budget_ms,
        ..SearchRequest::default()
    };
    let found = store.search(&request, &Cancel::default())?;
    Ok(Page {
        documents: found.hits.into_iter().map(|hit| hit.document).collect(),
        next: found.next,
        partial: found.partial || !found.failures.is_empty(),
    })
}

/// What an alert is refused for, by its name, unless it is put aside.
#[must_use]
pub fn refusals(preview: &Preview, put_aside: &[String]) -> BTreeMap<String, String> {
    let open = preview.true_positives.iter().filter(|one| !put_aside.contains(&one.id));
    open.map(|one| (one.id.clone(), format!("{} ({})", one.title, one.entity))).collect()
}
