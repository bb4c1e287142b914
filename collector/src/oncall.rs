//! On-call: who is called for an alert, when the next one is, and what became of each page.
//!
//! One team with a weekly rotation and escalation steps. An open alert of sufficient severity
//! starts an escalation; acknowledging or closing it ends it. Every page and every attempt to
//! deliver it is recorded. One task owns this ([`pager::Pager::run`]); others read.

use event::{Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::state::Record;

pub mod deliver;
pub mod link;
pub mod pager;

/// Ways to reach somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Mail to the person's address.
    Mail,
    /// The configured webhook.
    Webhook,
}

impl Channel {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

/// Whom a step calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Who is on call this week.
    OnCall,
    /// Who is on call next week.
    Next,
    /// The whole team.
    Everyone,
}

/// One step of the escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Whom it calls.
    pub target: Target,
    /// How.
    pub channels: Vec<Channel>,
    /// Seconds to wait for an acknowledgement before the next step.
    pub wait_seconds: i64,
}

/// The team's schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Members by user name, in order of the rotation.
    pub members: Vec<String>,
    /// When the first member's first week began.
    pub start: Timestamp,
    /// Alerts of this severity and above call somebody.
    pub severity: Severity,
    /// Steps, in order.
    pub steps: Vec<Step>,
    /// How often the steps are gone through before giving up.
    pub rounds: u32,
}

impl Record for Schedule {
    const KIND: &'static str = "schedule";
    fn id(&self) -> &'static str {
        "team"
    }
}

/// Seconds of a week.
const WEEK: i64 = 7 * 24 * 3600;

/// What is wrong with a schedule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleProblem {
    /// Nobody is in it.
    #[error("the team has no members: nobody would be called")]
    NoMembers,
    /// There are no steps or a step has no channel.
    #[error("every schedule needs a step and every step a channel")]
    NoSteps,
    /// Waits are 10 s to a day, rounds 1 to 100, at most 20 steps and 200 members.
    #[error("waits must be 10 s to 24 h, rounds 1 to 100, steps at most 20, members at most 200")]
    Bounds,
    /// A member is no user or has no address.
    #[error("{member:?} is no user with a mail address")]
    Member {
        /// Name.
        member: String,
    },
}

impl Schedule {
    /// A schedule with one member: mail at once, again after five minutes, then everybody.
    #[must_use]
    pub fn first(member: &str, start: Timestamp) -> Self {
        let step = |target| Step { target, channels: vec![Channel::Mail], wait_seconds: 300 };
        Self {
            members: vec![member.to_owned()],
            start,
            severity: Severity::High,
            steps: vec![step(Target::OnCall), step(Target::OnCall), step(Target::Everyone)],
            rounds: 3,
        }
    }

    /// Checks what can be checked without knowing the users.
    ///
    /// # Errors
    /// [`ScheduleProblem`].
    pub fn check(&self) -> Result<(), ScheduleProblem> {
        if self.members.is_empty() {
            return Err(ScheduleProblem::NoMembers);
        }
        if self.steps.is_empty() || self.steps.iter().any(|step| step.channels.is_empty()) {
            return Err(ScheduleProblem::NoSteps);
        }
        let waits = self.steps.iter().all(|step| (10..=86_400).contains(&step.wait_seconds));
        let sizes = self.steps.len() <= 20 && self.members.len() <= 200;
        if waits && sizes && (1..=100).contains(&self.rounds) {
            Ok(())
        } else {
            Err(ScheduleProblem::Bounds)
        }
    }

    /// Who is on call `ahead` weeks after `now`.
    #[must_use]
    pub fn on_call(&self, now: Timestamp, ahead: i64) -> Option<&str> {
        let weeks = (now.seconds() - self.start.seconds()).div_euclid(WEEK).saturating_add(ahead);
        let count = i64::try_from(self.members.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(weeks.rem_euclid(count)).ok()?;
        self.members.get(index).map(String::as_str)
    }

    /// When the present week ends.
    #[must_use]
    pub fn handover(&self, now: Timestamp) -> Timestamp {
        let into = (now.seconds() - self.start.seconds()).rem_euclid(WEEK);
        Timestamp::from_seconds(now.seconds() - into + WEEK)
    }

    /// Whom a step calls at `now`.
    #[must_use]
    pub fn people(&self, target: Target, now: Timestamp) -> Vec<String> {
        match target {
            Target::OnCall => self.on_call(now, 0).into_iter().map(str::to_owned).collect(),
            Target::Next => self.on_call(now, 1).into_iter().map(str::to_owned).collect(),
            Target::Everyone => self.members.clone(),
        }
    }
}

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PageStatus {
    /// To be delivered, or being delivered.
    Pending,
    /// Taken by the mail server or webhook.
    Sent,
    /// Given up after several attempts.
    Failed,
}

/// One attempt to deliver a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub time: Timestamp,
    /// `sent`, or why not.
    pub outcome: String,
}

/// One call to one person over one channel, for one or several alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Identity.
    pub id: String,
    /// Alerts it is about.
    pub alerts: Vec<String>,
    /// Who is called.
    pub who: String,
    /// How.
    pub channel: Channel,
    /// Step of the escalation, from 1.
    pub step: usize,
    /// Round through the steps, from 1.
    pub round: u32,
    /// When it was decided.
    pub created: Timestamp,
    /// Not before this time is it tried (again).
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: Vec<Attempt>,
    /// What became of it.
    pub status: PageStatus,
    /// Who acknowledged through it, and when.
    #[serde(default)]
    pub acknowledged: Option<(String, Timestamp)>,
}

impl Record for Page {
    const KIND: &'static str = "page";
    fn id(&self) -> &str {
        &self.id
    }
}

/// How far the escalation of one alert has gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// The alert.
    pub alert: String,
    /// Next step, from 0.
    pub step: usize,
    /// Round, from 1.
    pub round: u32,
    /// When the next step is due.
    pub due: Timestamp,
    /// Severity when it began; a worse one begins anew.
    pub severity: Severity,
    /// Gone through all rounds without an answer.
    pub exhausted: bool,
    /// How often the alert had been reopened when it began; once more begins anew.
    #[serde(default)]
    pub reopened: u32,
}

impl Record for Escalation {
    const KIND: &'static str = "escalation";
    fn id(&self) -> &str {
        &self.alert
    }
}

#[cfg(test)]
mod tests;
