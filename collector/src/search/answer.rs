//! Answering a question as it was typed: a query, or a query with stages.
//!
//! A query alone goes to the store as it is, and so does a first stage that orders by time. Stages that
//! the store's groupings answer go there too; others take the events page by page, in the order of the
//! request, within bounds of time and number. Whatever a
//! bound cut off is said in [`Answer::missing`], and then the answer is `partial`.

use event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::notes::{Note, notes, wants_names};
use super::pipe::cell::Cell;
use super::pipe::check::{Column, Shape};
use super::pipe::push::{Pushed, push};
use super::pipe::run::{LeftOut, Row, Run};
use super::pipe::{self, MAX_ROWS, Pipeline, Verb};
use super::{
    Aggregated, Aggregation, Cancel, HitOrder, Pages, PartitionFailure, SearchError, SearchRequest,
    SearchResponse, timespan,
};
use crate::store::Store;

/// Most events that stages look at one by one.
pub const MAX_SCANNED: u64 = 1_000_000;
/// Events of one page.
const PAGE: usize = 5_000;
/// Width of spans when nothing tells a better one, seconds.
const USUAL_SPAN: u64 = 60;

/// Rows and columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What each place of a row is.
    pub columns: Vec<Column>,
    /// Text, numbers, truths, lists, null.
    pub rows: Vec<Vec<Json>>,
}

/// Why something is missing from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The time allowed was over.
    Time,
    /// There were more events than stages may look at.
    Events,
    /// There were more groups than one stage may have.
    Groups,
    /// There were more rows than an answer or an order may have.
    Rows,
    /// The memory allowed was used up.
    Memory,
    /// Counts of groups that are less than they should be.
    Counts,
    /// Parts of the store could not be read.
    Partitions,
}

/// What is missing from an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Why.
    pub reason: Reason,
    /// How many events, rows or partitions at most, as far as known.
    pub count: Option<u64>,
    /// In words, with what to do.
    pub words: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Events, their number, groupings.
    #[serde(flatten)]
    pub found: SearchResponse,
    /// Rows, when stages give some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// Remarks on the query: what was hardly meant so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What is missing; nothing when the answer is not partial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// Whether there are events or rows beyond the number asked for.
    #[serde(skip)]
    pub more: bool,
}

impl Answer {
    fn miss(&mut self, reason: Reason, count: Option<u64>, words: &str) {
        self.found.partial = true;
        if !self.missing.iter().any(|one| one.reason == reason) {
            self.missing.push(Missing { reason, count, words: words.to_owned() });
        }
    }

    fn left_out(&mut self, left_out: &LeftOut) {
        let LeftOut { groups, rows, memory, counts } = *left_out;
        if groups > 0 {
            let words = format!(
                "more than {} groups: {groups} rows of further ones are not counted; narrow the query or group by less",
                pipe::MAX_GROUPS
            );
            self.miss(Reason::Groups, Some(groups), &words);
        }
        if rows > 0 {
            let words = format!("{rows} rows are left out; sort and head choose which are shown");
            self.miss(Reason::Rows, Some(rows), &words);
        }
        if counts > 0 {
            let words = format!(
                "a count may be up to {counts} too low, because there are very many groups"
            );
            self.miss(Reason::Counts, Some(counts), &words);
        }
        if memory > 0 {
            let words = format!(
                "the memory of one query is used up: {memory} values are not counted; narrow the query or group by less"
            );
            self.miss(Reason::Memory, Some(memory), &words);
        }
    }

    fn failures(&mut self) {
        if let Some(Missing { reason, count, words }) = unreadable(&self.found.failures) {
            self.miss(reason, count, &words);
        }
    }
}

/// What is missing because partitions could not be read.
pub(super) fn unreadable(failures: &[PartitionFailure]) -> Option<Missing> {
    let count = u64::try_from(failures.len()).unwrap_or(u64::MAX);
    let words = format!("{count} partitions could not be read; their events are missing");
    (count > 0).then_some(Missing { reason: Reason::Partitions, count: Some(count), words })
}

/// Answers a request whose query may have stages. Blocks.
///
/// # Errors
/// [`SearchError`].
pub fn answer(
    store: &dyn Store,
    request: &SearchRequest,
    cancel: &Cancel,
    now: Timestamp,
) -> Result<Answer, SearchError> {
    let mut pipeline = pipe::compile(&request.query, now)?;
    let mut request = fixed(request, now)?;
    if let Some(order) = pipeline.take_order() {
        request.order = order;
        request.query.clone_from(&pipeline.query);
    }
    let mut answer = if pipeline.stages.is_empty() {
        let found = store.search(&request, cancel)?;
        Answer { more: found.next.is_some(), found, ..Answer::default() }
    } else {
        // Groupings and places are of queries alone.
        let (query, aggregations) = (pipeline.query.clone(), Vec::new());
        let asked = SearchRequest { query, aggregations, after: None, ..request };
        Asker { store, request: asked, cancel, now, pipeline: &pipeline }.stages()?
    };
    if answer.found.partial {
        let words = "the search ran out of time: numbers are lower bounds; narrow the time range or the query";
        answer.miss(Reason::Time, None, words);
    }
    answer.failures();
    answer.found.partial = !answer.missing.is_empty();
    let names = if wants_names(&pipeline.expr) { store.fields()? } else { Vec::new() };
    let names: Vec<&str> = names.iter().map(|seen| seen.name.as_str()).collect();
    answer.notes.extend(notes(&pipeline.expr, &names));
    Ok(answer)
}

/// A request with times that do not move while it is answered.
pub(super) fn fixed(request: &SearchRequest, now: Timestamp) -> Result<SearchRequest, SearchError> {
    let fix = |which, text: &Option<String>| {
        let point = text.as_ref().map(|text| timespan::point(text, now)).transpose();
        let point = point.map_err(|source| SearchError::Time { which, source })?;
        Ok::<_, SearchError>(point.map(|micros| Timestamp::from_micros(micros).to_string()))
    };
    Ok(SearchRequest {
        from: fix("from", &request.from)?,
        to: fix("to", &request.to)?,
        ..request.clone()
    })
}

struct Asker<'a> {
    store: &'a dyn Store,
    request: SearchRequest,
    cancel: &'a Cancel,
    now: Timestamp,
    pipeline: &'a Pipeline,
}

impl Asker<'_> {
    fn stages(&self) -> Result<Answer, SearchError> {
        let span = self.span()?;
        let pushed = self.pipeline.stages.first().and_then(|stage| push(stage, span));
        match pushed.map(|pushed| self.grouped(&pushed, span)) {
            // What has no column or too many groups is worked out from the events, within bounds.
            Some(Err(
                SearchError::Ungroupable { .. }
                | SearchError::Limit { .. }
                | SearchError::TooCostly { .. },
            ))
            | None => {}
            Some(done) => return done,
        }
        let mut answer = Answer::default();
        let mut run = Run::new(self.pipeline, 0, span, MAX_ROWS);
        let gathers = run.gathers();
        if !self.table() || !gathers {
            run.limit(self.request.limit);
        }
        self.scan(&mut run, &mut answer)?;
        Ok(self.finish(run, answer, gathers))
    }

    /// Lets the store answer the first stage, and goes on with the rows it gives.
    fn grouped(&self, pushed: &Pushed<'_>, span: u64) -> Result<Answer, SearchError> {
        let aggregations = pushed.aggregations.clone();
        let asked = SearchRequest { limit: 0, aggregations, ..self.request.clone() };
        let mut found = self.store.search(&asked, self.cancel)?;
        let (rows, left_out) = pushed.rows(&found);
        found.aggregations.clear();
        let mut answer = Answer { found, ..Answer::default() };
        answer.left_out(&left_out);
        answer.notes = pushed.notes();
        let mut run = Run::new(self.pipeline, 1, span, MAX_ROWS);
        rows.into_iter().for_each(|row| run.push(row));
        Ok(self.finish(run, answer, true))
    }

    /// Whether a table comes out.
    fn table(&self) -> bool {
        matches!(self.pipeline.shapes.last(), Some(Shape::Table(_)))
    }

    /// Puts what came out of the stages into the answer; `all` of it was asked for.
    fn finish(&self, run: Run, mut answer: Answer, all: bool) -> Answer {
        let (rows, mut left_out) = run.finish();
        if !self.table() || !all {
            // More events than were asked for are no loss.
            answer.more |= left_out.rows > 0;
            left_out.rows = 0;
        }
        answer.left_out(&left_out);
        let Some(Shape::Table(columns)) = self.pipeline.shapes.last() else {
            let hits = rows.into_iter().filter_map(|row| match row {
                Row::Event(hit) => Some(*hit),
                Row::Cells(_) => None,
            });
            answer.found.hits = hits.collect();
            return answer;
        };
        let rows = rows.into_iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells.iter().map(Cell::json).collect()),
            Row::Event(_) => None,
        });
        answer.table = Some(Table { columns: columns.clone(), rows: rows.collect() });
        answer
    }

    /// Width of a timechart's spans when it names none, seconds.
    fn span(&self) -> Result<u64, SearchError> {
        let open = |verb: &Verb| matches!(verb, Verb::Timechart { span: None, .. });
        if !self.pipeline.stages.iter().any(|stage| open(&stage.verb)) {
            return Ok(USUAL_SPAN);
        }
        let aggregations = vec![Aggregation::Histogram { interval_seconds: None }];
        let asked = SearchRequest { limit: 0, aggregations, ..self.request.clone() };
        let found = self.store.search(&asked, self.cancel)?;
        Ok(match found.aggregations.first() {
            Some(Aggregated::Histogram { interval_seconds, .. }) => *interval_seconds,
            _ => USUAL_SPAN,
        })
    }

    /// Pushes events through the stages, in the order of the request.
    fn scan(&self, run: &mut Run, answer: &mut Answer) -> Result<(), SearchError> {
        let timer = crossbeam_channel::after(self.request.budget());
        let wanted = if run.gathers() { PAGE } else { self.request.limit.clamp(1, PAGE) };
        let page = SearchRequest { limit: wanted, ..self.request.clone() };
        let mut pages = Pages::new(self.store, &page, self.cancel, self.now)?;
        let mut cut = None;
        while let Some(hits) = pages.page()? {
            hits.into_iter().for_each(|hit| run.push(Row::Event(Box::new(hit))));
            let enough = !run.gathers() && run.rows() >= self.request.limit;
            if pages.over() || run.done() || enough {
                answer.more |= enough && !pages.over();
                break;
            }
            if pages.given >= MAX_SCANNED {
                cut = Some((Reason::Events, ""));
                break;
            }
            if timer.try_recv().is_ok() {
                cut = Some((Reason::Time, "the time allowed is over: "));
                break;
            }
        }
        answer.found.total = pages.total;
        answer.found.partitions = pages.partitions;
        answer.found.skipped = pages.skipped;
        answer.missing = pages.missing();
        if let Some((reason, why)) = cut {
            let (given, total) = (pages.given, pages.total);
            let which = match self.request.order {
                HitOrder::Newest => "newest",
                HitOrder::Oldest => "oldest",
            };
            let words = format!(
                "{why}only the {which} {given} of {total} events were looked at; narrow the time range or the query"
            );
            answer.miss(reason, Some(total.saturating_sub(given)), &words);
        }
        answer.found.failures = pages.failures;
        Ok(())
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
