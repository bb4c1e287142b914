//! An exception proposed from an alert: its rule, and conditions from what the alert's events have in common.
//!
//! Candidates are the fields that made the rule fit (asked of the rule's own text, as it fired), what the
//! alert is about, and host, user, process and addresses. Each is offered with the values the alert's newest
//! detections have; those with few values are ticked, so that the proposal is as narrow as the alert. Every
//! condition offered holds for the newest detection. The analyst decides.

use std::collections::{BTreeMap, BTreeSet};

use event::{Detection, Document, Engine, Timestamp};
use serde::Serialize;
use sigma::{Condition, Conditions, How, Record, RuleSet, Scratch};

use super::preview::page;
use crate::alert::Alert;
use crate::search::SearchError;
use crate::store::Store;

/// Detections of the alert that are looked at.
const MAX_LOOKED: usize = 200;
/// Most values a ticked condition has.
const MAX_VALUES: usize = 8;
/// Longest value offered, bytes: a longer one is no good condition.
const MAX_VALUE: usize = 1_024;
/// Time for finding the detections, milliseconds.
const BUDGET_MS: u64 = 10_000;

/// Fields offered when the event has them: why, names, and whether they are ticked. Names of Windows events
/// stand beside our own.
const OFFERED: [(&str, &[&str], bool); 4] = [
    ("host", &["host.name", "Computer"], true),
    ("user", &["user.name", "TargetUserName", "SubjectUserName", "User"], true),
    (
        "process",
        &["process.executable", "process.name", "process.parent.name", "Image", "ParentImage"],
        true,
    ),
    (
        "network",
        &[
            "src_ip",
            "dest_ip",
            "dest_port",
            "proto",
            "app_proto",
            "http.hostname",
            "tls.sni",
            "dns.rrname",
            "http.url",
            "http.http_user_agent",
        ],
        false,
    ),
];

/// Network fields that are ticked for signatures: their alert is about a flow.
const OF_FLOW: [&str; 3] = ["src_ip", "dest_ip", "dest_port"];

/// A condition that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// Field.
    pub field: String,
    /// Values, the newest first.
    pub values: Vec<String>,
    /// Why it is offered: `matched`, `entity`, `host`, `user`, `process`, `network`.
    pub because: &'static str,
    /// Whether it is a part of the proposal.
    pub ticked: bool,
    /// Different values in the detections looked at; more than `values` has when there are many.
    pub distinct: usize,
}

/// A proposed exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Alert it is made from.
    pub alert: String,
    /// Engine of the rule.
    pub engine: Engine,
    /// Rule.
    pub rule_id: String,
    /// Title.
    pub title: String,
    /// Conditions, those that made the rule fit first.
    pub offers: Vec<Offer>,
    /// Detections of the alert that were looked at.
    pub looked: usize,
    /// Days it holds unless it is said.
    pub days: u32,
    /// Most days.
    pub max_days: u32,
}

/// Proposes an exception for an alert; `None` when none of its events is in the store. Blocks.
///
/// # Errors
/// [`SearchError`].
pub fn propose(
    store: &dyn Store,
    alert: &Alert,
    options: &sigma::Options,
) -> Result<Option<Proposal>, SearchError> {
    let documents = detections(store, alert)?;
    let Some(newest) = documents.first() else { return Ok(None) };
    let mut wanted: Vec<(String, &'static str, bool)> =
        matched(alert, newest, options).into_iter().map(|field| (field, "matched", true)).collect();
    wanted.push((entity_field(alert, newest), "entity", true));
    for (because, names, ticked) in OFFERED {
        for name in names {
            let flow = alert.engine == Engine::Signature && OF_FLOW.contains(name);
            wanted.push(((*name).to_owned(), because, ticked || flow));
        }
    }
    let mut offers: Vec<Offer> = Vec::new();
    for (field, because, ticked) in wanted {
        let known = |one: &Offer| canonical(&one.field) == canonical(&field);
        if offers.iter().any(known) || own(alert, newest, &field) {
            continue;
        }
        offers.extend(offer(&documents, (field, because, ticked)));
    }
    Ok(Some(Proposal {
        alert: alert.id.clone(),
        engine: alert.engine,
        rule_id: alert.rule_id.clone(),
        title: alert.title.clone(),
        offers,
        looked: documents.len(),
        days: super::USUAL_DAYS,
        max_days: super::MAX_DAYS,
    }))
}

/// What the collector's own findings have from the collector alone says nothing about them.
fn own(alert: &Alert, document: &Document, field: &str) -> bool {
    alert.engine == Engine::Correlation
        && field == "host.name"
        && event::get(document, "host.name") == event::get(document, "agent.id")
}

fn canonical(field: &str) -> &str {
    event::by_name(field).map_or(field, |known| known.name)
}

/// The newest detections of an alert.
fn detections(store: &dyn Store, alert: &Alert) -> Result<Vec<Document>, SearchError> {
    let mut out = Vec::new();
    let (mut to, rule) = (alert.last, (alert.engine, alert.rule_id.as_str()));
    to = Timestamp::from_micros(to.micros().saturating_add(1));
    let mut after = None;
    // A few pages: another entity of the same rule may be busier.
    for _ in 0..10 {
        let page = page(store, rule, (alert.first, to), (after, BUDGET_MS))?;
        let mine = |document: &Document| {
            Detection::from_document(document).is_some_and(|one| one.entity == alert.entity)
        };
        out.extend(page.documents.into_iter().filter(mine));
        out.truncate(MAX_LOOKED);
        after = page.next;
        if out.len() == MAX_LOOKED || after.is_none() {
            break;
        }
    }
    Ok(out)
}

/// Fields that made the rule fit, by the rule's own text. Nothing when it is no Sigma rule, or its text was
/// cut.
fn matched(alert: &Alert, document: &Document, options: &sigma::Options) -> Vec<String> {
    if alert.engine != Engine::Sigma {
        return Vec::new();
    }
    let sources = std::iter::once(("rule", alert.rule_text.as_str()));
    let (rules, _) = RuleSet::load(sources, options);
    let record = Record::new(document);
    let mut scratch = Scratch::new();
    let found = rules.evaluate_all(&record, &mut scratch).to_vec();
    let described = found.first().and_then(|rule| rules.describe(*rule, &record, &mut scratch));
    let mut seen = BTreeSet::new();
    let fields = described.map(|one| one.fields).unwrap_or_default().into_iter();
    // A detection is of another type than the event it was made from.
    let kept = |field: &String| field != "event_type" && seen.insert(field.clone());
    fields.map(|(field, _)| field).filter(kept).collect()
}

/// The field an alert is about, as its events have it.
fn entity_field(alert: &Alert, document: &Document) -> String {
    let record = Record::new(document);
    let has = record.text(&alert.entity.field).is_some_and(|text| text == alert.entity.value);
    if has { alert.entity.field.clone() } else { "detection.entity.value".to_owned() }
}

/// A field as a condition that holds for the newest detection.
fn offer(
    documents: &[Document],
    (field, because, ticked): (String, &'static str, bool),
) -> Option<Offer> {
    let text = |document: &Document| {
        let text = Record::new(document).text(&field).map(std::borrow::Cow::into_owned);
        text.filter(|text| !text.is_empty() && text.len() <= MAX_VALUE)
    };
    let newest = text(documents.first()?)?;
    // In the order of their first sight, the newest detection first.
    let mut values: Vec<String> = vec![newest];
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut absent = false;
    for document in documents {
        let Some(value) = text(document) else {
            absent = true;
            continue;
        };
        let count = counts.entry(value.clone()).or_default();
        *count = count.saturating_add(1);
        if *count == 1 && !values.contains(&value) {
            values.push(value);
        }
    }
    let distinct = counts.len();
    if distinct > MAX_VALUES {
        values.truncate(1);
    }
    let ticked = ticked && !absent && distinct <= MAX_VALUES;
    let condition = Condition { field: field.clone(), how: How::Is, values: values.clone() };
    let list = std::slice::from_ref(&condition);
    let mut holds = Conditions::new(std::iter::once(("offer", list))).ok()?;
    let newest = documents.first()?;
    (!holds.holding(&Record::new(newest)).is_empty()).then_some(Offer {
        field,
        values,
        because,
        ticked,
        distinct,
    })
}
