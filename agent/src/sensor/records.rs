//! Records of packet workers on their way to the outbox, many at a time.
//!
//! A worker writes lines of text and hands on a buffer of them: objects would cost it more than looking at the
//! packets, and memory that another thread gives back costs both. Objects are made where they are
//! looked at. Alerts are objects from the beginning: they are few, and what they say is made of their fields.

use crossbeam_channel::{Receiver, Sender, TrySendError};
use event::{Event, Kind, Object, Timestamp};
use serde_json::Value;

use super::eve::fields::Line;

/// Most records handed on together.
pub(crate) const MOST: usize = 64;
/// Bytes of lines after which they are handed on.
const ENOUGH: usize = 1 << 15;
/// Parcels that may wait: with lines of common length 5 MB, at worst four times that.
const WAITING: usize = 256;

/// Records in the order they were made.
#[derive(Debug)]
pub(crate) struct Records {
    lines: Box<[u8]>,
    each: Vec<Record>,
    seen: Timestamp,
}

#[derive(Debug)]
enum Record {
    /// The next line up to this place.
    Line {
        end: usize,
        /// Microseconds since the epoch.
        ts: i64,
        kind: Kind,
    },
    Alert(Box<Event>),
}

impl Records {
    /// What each tells of.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.each.iter().map(|record| match record {
            Record::Line { kind, .. } => kind,
            Record::Alert(alert) => &alert.kind,
        })
    }

    /// Each as an event.
    pub(crate) fn into_events(self) -> impl Iterator<Item = Event> {
        let Self { lines, each, seen } = self;
        let mut begin = 0;
        each.into_iter().map(move |record| match record {
            Record::Line { end, ts, kind } => {
                let line = lines.get(begin..end).unwrap_or_default();
                begin = end;
                Event { seq: 0, time: Timestamp::from_micros(ts), seen, kind, fields: object(line) }
            }
            Record::Alert(event) => *event,
        })
    }
}

/// A line as the object that it says.
fn object(line: &[u8]) -> Object {
    serde_json::from_slice(line).unwrap_or_else(|error| {
        // Cannot be, as lines are written by us; if it is, nothing of it is lost.
        let message = String::from_utf8_lossy(line).into_owned();
        tracing::error!(%error, message, "a record cannot be read");
        Object::from_iter([("message".to_owned(), Value::from(message))])
    })
}

/// A queue for records: both of its ends.
pub(crate) fn queue() -> (Sender<Records>, Receiver<Records>) {
    crossbeam_channel::bounded(WAITING)
}

/// What one worker hands on next.
#[derive(Debug)]
pub(super) struct Parcel {
    lines: Line,
    each: Vec<Record>,
}

impl Default for Parcel {
    fn default() -> Self {
        let lines = Line::without_heads(ENOUGH + (1 << 13));
        Self { lines, each: Vec::with_capacity(MOST) }
    }
}

impl Parcel {
    /// A record to be filled.
    pub(super) fn begin(&mut self) -> &mut Line {
        self.lines.again()
    }

    /// The record that was begun.
    pub(super) fn under_way(&mut self) -> &mut Line {
        &mut self.lines
    }

    /// What the record under way says, which is not kept as a line.
    pub(super) fn take(&mut self) -> Object {
        object(self.lines.take())
    }

    /// Keeps the record under way.
    pub(super) fn line(&mut self, ts: i64, kind: Kind) {
        self.lines.finish();
        self.each.push(Record::Line { end: self.lines.len(), ts, kind });
    }

    pub(super) fn alert(&mut self, alert: Event) {
        self.each.push(Record::Alert(Box::new(alert)));
    }

    /// Whether it is time to hand it on.
    pub(super) fn is_full(&self) -> bool {
        self.each.len() >= MOST || self.lines.len() >= ENOUGH
    }

    /// How many records it has.
    pub(super) fn len(&self) -> u64 {
        number(self.each.len())
    }

    /// Hands on what there is: how many records were taken and how many shed, as there was no room for them.
    /// Alerts go into the next parcel then, unless it would be full of them.
    pub(super) fn send(&mut self, to: &Sender<Records>, seen: Timestamp) -> (u64, u64) {
        let each = std::mem::replace(&mut self.each, Vec::with_capacity(MOST));
        let records = Records { lines: self.lines.lines().into(), each, seen };
        self.lines.forget(usize::MAX, 1);
        let count = number(records.each.len());
        let shed = match to.try_send(records) {
            Ok(()) => return (count, 0),
            Err(TrySendError::Full(records) | TrySendError::Disconnected(records)) => records,
        };
        let alerts = shed.each.into_iter().filter(|record| matches!(record, Record::Alert(_)));
        self.each.extend(alerts.take(MOST.saturating_sub(1)));
        (0, count.saturating_sub(self.len()))
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::eve::fields::{Brief as _, Fields as _};

    fn fill(parcel: &mut Parcel, name: &str) {
        let line = parcel.begin();
        line.head(1, "dns");
        line.brief(|few| few.head(1, "dns"));
        line.text("name", name);
        line.number("length", name.len() as u64);
    }

    fn alert(parcel: &mut Parcel, name: &str) {
        fill(parcel, name);
        let (time, seen) = (Timestamp::from_micros(5), Timestamp::from_micros(6));
        let fields = parcel.take();
        parcel.alert(Event { seq: 0, time, seen, kind: Kind::Alert, fields });
    }

    fn line(parcel: &mut Parcel, name: &str) {
        fill(parcel, name);
        parcel.line(5, Kind::Dns);
    }

    fn names(records: Records) -> Vec<String> {
        let events = records.into_events();
        events.map(|event| event.fields["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let (to, from) = crossbeam_channel::bounded(1);
        let mut parcel = Parcel::default();
        line(&mut parcel, "a \"b\"\n");
        alert(&mut parcel, "bad");
        // One that is begun and not kept is none.
        fill(&mut parcel, "never");
        line(&mut parcel, "");
        assert_eq!(parcel.send(&to, Timestamp::from_micros(9)), (3, 0));
        let records = from.recv().unwrap();
        let kinds: Vec<&str> = records.kinds().map(Kind::as_str).collect();
        assert_eq!(kinds, ["dns", "alert", "dns"]);
        let events: Vec<Event> = records.into_events().collect();
        let wanted = serde_json::json!({"name": "a \"b\"\n", "length": 6});
        assert_eq!(Value::from(events[0].fields.clone()), wanted);
        assert_eq!((events[0].time.micros(), events[0].seen.micros()), (5, 9));
        assert_eq!((events[1].fields["name"].as_str(), events[1].seen.micros()), (Some("bad"), 6));
        assert_eq!(events[2].fields["name"], "");
    }

    #[test]
    fn alerts_wait_for_room_and_are_shed_only_when_they_are_many() {
        let (to, from) = crossbeam_channel::bounded(1);
        let mut parcel = Parcel::default();
        let now = Timestamp::EPOCH;
        line(&mut parcel, "first");
        assert_eq!(parcel.send(&to, now), (1, 0));
        for n in 0..3 {
            line(&mut parcel, "dns");
            alert(&mut parcel, &n.to_string());
        }
        assert_eq!(parcel.send(&to, now), (0, 3), "its lines are shed");
        assert_eq!(names(from.recv().unwrap()), ["first"]);
        line(&mut parcel, "last");
        assert_eq!(parcel.send(&to, now), (4, 0));
        // Many alerts and nobody who takes them: what waits is bounded, what is shed counted.
        let mut shed = 0;
        for n in 0..1000 {
            alert(&mut parcel, &n.to_string());
            if parcel.is_full() {
                shed += parcel.send(&to, now).1;
            }
        }
        assert_eq!(shed + parcel.len(), 1000);
        assert!(parcel.len() < MOST as u64);
        assert_eq!(names(from.recv().unwrap()), ["0", "1", "2", "last"]);
    }

    #[test]
    fn a_parcel_is_full_of_records_or_of_bytes() {
        let mut parcel = Parcel::default();
        for n in 1..=MOST {
            assert!(!parcel.is_full(), "{n}");
            line(&mut parcel, "x");
        }
        assert!(parcel.is_full());
        let mut parcel = Parcel::default();
        line(&mut parcel, &"x".repeat(ENOUGH));
        assert!(parcel.is_full());
    }
}
