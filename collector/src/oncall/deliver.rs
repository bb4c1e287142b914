//! Delivery of pages: what is said, and the channels that say it.

use crate::alert::Alert;

pub mod mail;
pub mod webhook;

/// What a page says, ready for any channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Address of the person: a mail address.
    pub to: String,
    /// Name of the person.
    pub who: String,
    /// One line.
    pub subject: String,
    /// Text.
    pub body: String,
    /// Link that acknowledges.
    pub link: String,
    /// Identity of the page.
    pub page: String,
    /// Identities of its alerts.
    pub alerts: Vec<String>,
    /// Worst severity.
    pub severity: String,
}

/// Why a channel did not take a message.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The channel is not configured.
    #[error("{channel} is not configured")]
    NotConfigured {
        /// Which.
        channel: &'static str,
    },
    /// An address is none.
    #[error("{address:?} is no mail address")]
    Address {
        /// As given.
        address: String,
    },
    /// It did not work this time.
    #[error("{reason}")]
    Failed {
        /// Why, as the other side says.
        reason: String,
    },
}

impl DeliveryError {
    /// Whether trying again cannot help before somebody changes the configuration or an address.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::NotConfigured { .. } | Self::Address { .. })
    }
}

/// Characters that turn or break a line without being controls (Unicode Bidi_Control, Zl, Zp).
const fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line without controls, at most `most` characters: what an attacker wrote must not break a
/// header, a terminal or a line.
#[must_use]
pub fn plain(text: &str, most: usize) -> String {
    let mut out: String =
        text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).take(most).collect();
    if text.chars().count() > most {
        out.push('…');
    }
    out
}

/// Subject and body for these alerts, worst first.
#[must_use]
pub fn compose(alerts: &[Alert], link: &str, console: &str) -> (String, String) {
    let Some(first) = alerts.first() else { return (String::new(), String::new()) };
    let level = first.severity.as_str().to_uppercase();
    let more = alerts.len().saturating_sub(1);
    let tail = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let subject = format!(
        "[Pikett] {level}: {} - {}{tail}",
        plain(&first.title, 80),
        plain(&first.entity.value, 60)
    );
    let mut body = String::new();
    for alert in alerts.iter().take(20) {
        body.push_str(&describe(alert, console));
        body.push('\n');
    }
    if alerts.len() > 20 {
        body.push_str(&format!("... and {} more in the console.\n\n", alerts.len() - 20));
    }
    body.push_str(&format!("I am on it: {link}\n"));
    (subject, body)
}

fn describe(alert: &Alert, console: &str) -> String {
    let mut out = format!(
        "{}: {}\n  about     {} = {}\n  detections {}, first {}, last {}\n  why       {}\n",
        alert.severity.as_str().to_uppercase(),
        plain(&alert.title, 200),
        plain(&alert.entity.field, 60),
        plain(&alert.entity.value, 200),
        alert.count,
        alert.first,
        alert.last,
        plain(&alert.explanation, 600),
    );
    if !alert.advice.is_empty() {
        out.push_str(&format!("  do        {}\n", plain(&alert.advice, 600)));
    }
    out.push_str(&format!("  console   {console}/#/alerts/{}\n", alert.id));
    out
}

#[cfg(test)]
mod tests;
