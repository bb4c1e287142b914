//! The pager: turns open alerts into pages, delivers them, goes on until somebody answers.
//!
//! One task runs [`Pager::run`]. Its decisions are made by [`Pager::tick`] from the alerts, the
//! schedule and the clock alone, so that they can be tested without waiting; deliveries run beside
//! it and come back through a channel. Pages survive a restart: what was pending is tried again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use event::Timestamp;
use service::{Clock, Shutdown, Telemetry};
use tokio::sync::mpsc;

use super::deliver::mail::Mailer;
use super::deliver::webhook::Webhook;
use super::deliver::{DeliveryError, Message, compose};
use super::link::Signer;
use super::{Attempt, Channel, Escalation, Page, PageStatus, Schedule, ScheduleProblem};
use crate::alert::{Action, Alert, AlertError, Alerts, PRODUCT, Status};
use crate::auth::{Auth, sha256};
use crate::state::{State, StateError};

#[cfg(test)]
mod tests;

/// Waits between attempts to deliver one page, seconds; after the last it has failed.
const RETRIES: [i64; 5] = [1, 3, 10, 30, 60];
/// Alerts for one person at one moment that get pages of their own; more share one.
const SEPARATE: usize = 5;
/// Pages kept.
const MAX_PAGES: usize = 10_000;
/// Longest time between two looks.
const TICK: Duration = Duration::from_millis(500);

/// The channels that are configured.
#[derive(Debug, Default)]
pub struct Channels {
    /// Mail.
    pub mail: Option<Mailer>,
    /// Webhook.
    pub webhook: Option<Webhook>,
}

impl Channels {
    async fn send(&self, channel: Channel, message: Message) -> Result<(), DeliveryError> {
        let missing = DeliveryError::NotConfigured { channel: channel.as_str() };
        match channel {
            Channel::Mail => self.mail.as_ref().ok_or(missing)?.send(&message).await,
            Channel::Webhook => {
                let webhook = self.webhook.clone().ok_or(missing)?;
                let sent = tokio::task::spawn_blocking(move || webhook.send(&message)).await;
                sent.unwrap_or_else(|error| {
                    Err(DeliveryError::Failed { reason: error.to_string() })
                })
            }
        }
    }
}

#[derive(Default)]
struct Known {
    schedule: Option<Schedule>,
    pages: BTreeMap<String, Page>,
    escalations: BTreeMap<String, Escalation>,
    /// Pages being delivered at this moment.
    flying: Vec<String>,
    /// Pages made since the start, for their identities.
    made: u64,
}

/// The pager. Cheap to clone.
#[derive(Clone)]
pub struct Pager {
    state: Arc<State>,
    clock: Clock,
    alerts: Alerts,
    auth: Auth,
    channels: Arc<Channels>,
    signer: Arc<Signer>,
    telemetry: Telemetry,
    /// Address of the console, for links, without a final slash.
    console: Arc<str>,
    known: Arc<Mutex<Known>>,
}

impl std::fmt::Debug for Pager {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Pager(..)")
    }
}

/// What a pager is made of.
#[derive(Debug)]
pub struct Parts {
    /// State database.
    pub state: Arc<State>,
    /// Clock.
    pub clock: Clock,
    /// Alerts.
    pub alerts: Alerts,
    /// Users.
    pub auth: Auth,
    /// Channels.
    pub channels: Channels,
    /// Signer of links.
    pub signer: Signer,
    /// Metrics.
    pub telemetry: Telemetry,
    /// Address of the console.
    pub console: String,
}

impl Pager {
    /// Reads schedule, pages and escalations from the state.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(parts: Parts) -> Result<Self, StateError> {
        let mut known =
            Known { schedule: parts.state.get::<Schedule>("team")?, ..Known::default() };
        known.pages =
            parts.state.list::<Page>()?.into_iter().map(|page| (page.id.clone(), page)).collect();
        let escalations = parts.state.list::<Escalation>()?.into_iter();
        known.escalations = escalations.map(|one| (one.alert.clone(), one)).collect();
        Ok(Self {
            state: parts.state,
            clock: parts.clock,
            alerts: parts.alerts,
            auth: parts.auth,
            channels: Arc::new(parts.channels),
            signer: Arc::new(parts.signer),
            telemetry: parts.telemetry,
            console: parts.console.trim_end_matches('/').into(),
            known: Arc::new(Mutex::new(known)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// The schedule, if there is one.
    #[must_use]
    pub fn schedule(&self) -> Option<Schedule> {
        self.lock().schedule.clone()
    }

    /// Puts a schedule in force.
    ///
    /// # Errors
    /// The problem of the schedule, or that of writing it, in words.
    pub fn set_schedule(&self, schedule: Schedule) -> Result<(), SetScheduleError> {
        schedule.check()?;
        for member in &schedule.members {
            let reachable = self.auth.user(member).is_some_and(|user| !user.mail.is_empty());
            if !reachable {
                return Err(ScheduleProblem::Member { member: member.clone() }.into());
            }
        }
        self.state.put(&schedule)?;
        self.lock().schedule = Some(schedule);
        Ok(())
    }

    /// Pages, newest first, at most `limit`.
    #[must_use]
    pub fn pages(&self, limit: usize) -> Vec<Page> {
        let known = self.lock();
        let mut pages: Vec<&Page> = known.pages.values().collect();
        pages.sort_by_key(|page| std::cmp::Reverse(page.created));
        pages.into_iter().take(limit).cloned().collect()
    }

    /// The page a link's token is good for.
    #[must_use]
    pub fn page_of(&self, token: &str) -> Option<Page> {
        let page = self.lock().pages.get(Signer::page(token)).cloned()?;
        self.signer.verify(token, &page.who, self.now()).then_some(page)
    }

    /// Acknowledges the alerts of a page through its link. Those no longer open stay as they are.
    ///
    /// # Errors
    /// [`StateError`] when the page cannot be kept.
    pub fn acknowledge(&self, token: &str) -> Result<Option<Page>, StateError> {
        let Some(mut page) = self.page_of(token) else { return Ok(None) };
        for alert in &page.alerts {
            let how = format!("by {} link", page.channel.as_str());
            match self.alerts.act(alert, Action::Acknowledge, &page.who, &how) {
                Ok(_) => {}
                Err(error) => tracing::info!(%error, alert, "page acknowledged, alert unchanged"),
            }
        }
        page.acknowledged = Some((page.who.clone(), self.now()));
        self.state.put(&page)?;
        self.lock().pages.insert(page.id.clone(), page.clone());
        Ok(Some(page))
    }

    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let (results, mut outcomes) = mpsc::channel::<(String, Result<(), DeliveryError>)>(256);
        loop {
            if let Err(error) = self.tick() {
                tracing::error!(%error, "pager cannot keep its state, trying again");
            }
            for page in self.due() {
                let (this, results) = (self.clone(), results.clone());
                tokio::spawn(async move {
                    let outcome = this.deliver(&page).await;
                    if results.send((page.id, outcome)).await.is_err() {
                        tracing::debug!("pager stopped while a page was being delivered");
                    }
                });
            }
            tokio::select! {
                Some((page, outcome)) = outcomes.recv() => {
                    if let Err(error) = self.settle(&page, &outcome) {
                        tracing::error!(%error, page, "outcome of a page could not be kept");
                    }
                }
                () = self.alerts.changed() => {}
                () = tokio::time::sleep(TICK) => {}
                () = shutdown.wait() => return,
            }
        }
    }

    /// Decides what is due now: begins, moves on and ends escalations, makes pages.
    ///
    /// # Errors
    /// [`StateError`]; then nothing was decided.
    pub fn tick(&self) -> Result<(), StateError> {
        let now = self.now();
        let mut known = self.lock();
        let Some(schedule) = known.schedule.clone() else { return Ok(()) };
        let (open, _) = self.alerts.list(
            |alert| alert.status == Status::Open && alert.severity >= schedule.severity,
            usize::MAX,
        );
        let mut escalations = BTreeMap::new();
        let mut calls: BTreeMap<(String, Channel, usize, u32), Vec<Alert>> = BTreeMap::new();
        for alert in open {
            let old = known.escalations.get(&alert.id);
            let mut escalation = match old
                .filter(|one| one.severity >= alert.severity && one.reopened == alert.reopened)
            {
                Some(escalation) => escalation.clone(),
                None => Escalation {
                    alert: alert.id.clone(),
                    step: 0,
                    round: 1,
                    due: now,
                    severity: alert.severity,
                    exhausted: false,
                    reopened: alert.reopened,
                },
            };
            if escalation.due <= now && !escalation.exhausted {
                self.advance(&schedule, &mut escalation, &alert, &mut calls);
            }
            escalations.insert(alert.id, escalation);
        }
        let pages = self.make(&mut known, calls, now);
        let ended: Vec<_> =
            known.escalations.keys().filter(|id| !escalations.contains_key(*id)).cloned().collect();
        let changed: Vec<_> = escalations
            .values()
            .filter(|one| known.escalations.get(&one.alert) != Some(*one))
            .collect();
        if pages.is_empty() && ended.is_empty() && changed.is_empty() {
            return Ok(());
        }
        self.state.write(|batch| {
            pages.iter().try_for_each(|page| batch.put(page))?;
            ended.iter().try_for_each(|id| batch.remove::<Escalation>(id).map(|_| ()))?;
            changed.iter().try_for_each(|one| batch.put(*one))
        })?;
        known.escalations = escalations;
        known.pages.extend(pages.into_iter().map(|page| (page.id.clone(), page)));
        self.shrink(&mut known);
        Ok(())
    }

    /// Takes the step that is due and sets when the next one is.
    fn advance(
        &self,
        schedule: &Schedule,
        escalation: &mut Escalation,
        alert: &Alert,
        calls: &mut BTreeMap<(String, Channel, usize, u32), Vec<Alert>>,
    ) {
        let now = self.now();
        if escalation.step >= schedule.steps.len() {
            escalation.step = 0;
            escalation.round = escalation.round.saturating_add(1);
        }
        if escalation.round > schedule.rounds {
            escalation.exhausted = true;
            tracing::error!(alert = alert.id, "nobody answered any page for this alert");
            self.count("pikett_escalations_exhausted", "escalations that nobody answered", "");
            noted(self.alerts.note(&alert.id, PRODUCT, "nobody answered any page"));
            return;
        }
        let Some(step) = schedule.steps.get(escalation.step) else { return };
        for who in schedule.people(step.target, now) {
            for channel in &step.channels {
                let key =
                    (who.clone(), *channel, escalation.step.saturating_add(1), escalation.round);
                calls.entry(key).or_default().push(alert.clone());
            }
        }
        escalation.step = escalation.step.saturating_add(1);
        escalation.due = now.plus_seconds(step.wait_seconds);
    }

    /// One page per alert, or one for all when they are many.
    fn make(
        &self,
        known: &mut Known,
        calls: BTreeMap<(String, Channel, usize, u32), Vec<Alert>>,
        now: Timestamp,
    ) -> Vec<Page> {
        let mut pages = Vec::new();
        for ((who, channel, step, round), mut alerts) in calls {
            alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
            let size = if alerts.len() > SEPARATE { alerts.len() } else { 1 };
            for group in alerts.chunks(size) {
                known.made = known.made.saturating_add(1);
                let ids: Vec<String> = group.iter().map(|alert| alert.id.clone()).collect();
                let seed = format!("{}\0{who}\0{}\0{}", now.micros(), known.made, ids.join(","));
                pages.push(Page {
                    id: sha256(&seed).chars().take(20).collect(),
                    alerts: ids,
                    who: who.clone(),
                    channel,
                    step,
                    round,
                    created: now,
                    due: now,
                    attempts: Vec::new(),
                    status: PageStatus::Pending,
                    acknowledged: None,
                });
            }
        }
        pages
    }

    fn shrink(&self, known: &mut Known) {
        while known.pages.len() > MAX_PAGES {
            let settled = known.pages.values().filter(|page| page.status != PageStatus::Pending);
            let Some(oldest) = settled.min_by_key(|page| page.created).map(|one| one.id.clone())
            else {
                return;
            };
            if let Err(error) = self.state.remove::<Page>(&oldest) {
                tracing::error!(%error, "an old page could not be removed");
            }
            known.pages.remove(&oldest);
        }
    }

    /// Pages to be tried now; they count as being delivered from here on.
    fn due(&self) -> Vec<Page> {
        let now = self.now();
        let mut known = self.lock();
        let due = |page: &&Page| page.status == PageStatus::Pending && page.due <= now;
        let pages: Vec<Page> = known
            .pages
            .values()
            .filter(due)
            .filter(|page| !known.flying.contains(&page.id))
            .cloned()
            .collect();
        known.flying.extend(pages.iter().map(|page| page.id.clone()));
        pages
    }

    async fn deliver(&self, page: &Page) -> Result<(), DeliveryError> {
        let user = self.auth.user(&page.who);
        let to = user.map(|user| user.mail).unwrap_or_default();
        let alerts: Vec<Alert> = page.alerts.iter().filter_map(|id| self.alerts.get(id)).collect();
        let token = self.signer.sign(&page.id, &page.who, self.now());
        let link = format!("{}/ack/{token}", self.console);
        let (subject, body) = compose(&alerts, &link, &self.console);
        let severity = alerts.first().map_or("", |alert| alert.severity.as_str()).to_owned();
        let message = Message {
            to,
            who: page.who.clone(),
            subject,
            body,
            link,
            page: page.id.clone(),
            alerts: page.alerts.clone(),
            severity,
        };
        self.channels.send(page.channel, message).await
    }

    /// Records the outcome of an attempt. What trying again cannot help has failed with the first.
    /// When none of a step's pages can arrive, the next step of the round is due at once.
    fn settle(&self, id: &str, outcome: &Result<(), DeliveryError>) -> Result<(), StateError> {
        let now = self.now();
        let mut known = self.lock();
        known.flying.retain(|flying| flying != id);
        let Some(mut page) = known.pages.get(id).cloned() else { return Ok(()) };
        let text = outcome.as_ref().err().map_or_else(|| "sent".to_owned(), ToString::to_string);
        page.attempts.push(Attempt { time: now, outcome: text.clone() });
        let channel = page.channel.as_str();
        page.status = match outcome {
            Ok(()) => PageStatus::Sent,
            Err(error) if error.is_permanent() => PageStatus::Failed,
            Err(_) => match RETRIES.get(page.attempts.len().saturating_sub(1)) {
                Some(wait) => {
                    page.due = now.plus_seconds(*wait);
                    PageStatus::Pending
                }
                None => PageStatus::Failed,
            },
        };
        match page.status {
            PageStatus::Sent => self.count("pikett_pages_sent", "pages delivered", channel),
            PageStatus::Pending => {
                tracing::warn!(
                    page = id,
                    channel,
                    reason = text,
                    "page not delivered, again later"
                );
                self.count("pikett_page_retries", "attempts that did not deliver", channel);
            }
            PageStatus::Failed => {
                tracing::error!(page = id, channel, reason = text, "page could not be delivered");
                self.count("pikett_pages_failed", "pages given up", channel);
                self.hurry(&mut known, &page, now)?;
            }
        }
        if page.status != PageStatus::Pending {
            let what = format!("page to {} by {channel}: {text}", page.who);
            let told = |alert: &String| match page.status {
                PageStatus::Failed => self.alerts.note_once(alert, &what),
                _ => self.alerts.note(alert, PRODUCT, &what),
            };
            page.alerts.iter().for_each(|alert| noted(told(alert)));
        }
        self.state.put(&page)?;
        known.pages.insert(page.id.clone(), page);
        Ok(())
    }

    /// Makes the next step due now for the alerts that no other page of this step can tell of. The
    /// first step of a new round keeps its time: who cannot be reached now may be later.
    fn hurry(&self, known: &mut Known, page: &Page, now: Timestamp) -> Result<(), StateError> {
        let Some(schedule) = &known.schedule else { return Ok(()) };
        let steps = schedule.steps.len();
        let other = |alert: &String| {
            known.pages.values().any(|one| {
                one.id != page.id
                    && (one.created, one.step, one.round) == (page.created, page.step, page.round)
                    && one.status != PageStatus::Failed
                    && one.alerts.contains(alert)
            })
        };
        let alone: Vec<String> =
            page.alerts.iter().filter(|alert| !other(alert)).cloned().collect();
        for alert in alone {
            if let Some(escalation) = known.escalations.get_mut(&alert)
                && (escalation.step, escalation.round) == (page.step, page.round)
                && escalation.step < steps
            {
                escalation.due = now;
                self.state.put(&*escalation)?;
            }
        }
        Ok(())
    }

    fn count(&self, name: &'static str, help: &'static str, channel: &str) {
        self.telemetry.count(name, help, &[("channel", channel)], 1);
    }
}

fn noted(outcome: Result<(), AlertError>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "a page could not be noted on its alert");
    }
}

/// Why a schedule was not put in force.
#[derive(Debug, thiserror::Error)]
pub enum SetScheduleError {
    /// It is wrong.
    #[error(transparent)]
    Problem(#[from] ScheduleProblem),
    /// It could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
}
