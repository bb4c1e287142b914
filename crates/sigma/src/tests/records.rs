//! The flat view of events of every shape.

use serde_json::{Value, json};

use super::object;
use crate::{Record, Scalar};

fn shown(value: Value) -> String {
    let object = object(value);
    let record = Record::new(&object);
    let entries = record.entries().iter().map(|entry| {
        let value = entry.value.text().map_or_else(|| format!("{:?}", entry.value), Into::into);
        format!("{}={value}", entry.name)
    });
    entries.collect::<Vec<_>>().join(" ")
}

#[test]
fn plain_events_keep_dotted_names() {
    assert_eq!(
        shown(json!({"a": {"b": 1, "c": [true, "x"]}, "d.e": 1.5, "n": null, "l": [], "o": {}})),
        "a.b=1 a.c=true a.c=x a=Composite d.e=1.5 n=Null l=Composite o=Composite"
    );
    assert_eq!(
        shown(json!({"a": [{"b": 1}, {"b": 2}], "big": u64::MAX})),
        "a.b=1 a=Composite a.b=2 a=Composite big=18446744073709551615"
    );
}

#[test]
fn windows_records_get_the_names_of_rules() {
    let event = json!({"Event": {"#attributes": {"xmlns": "x"}, "System": {
        "Provider": {"#attributes": {"Name": "P", "Guid": "G"}},
        "EventID": {"#attributes": {"Qualifiers": 7}, "#text": 104},
        "TimeCreated": {"#attributes": {"SystemTime": "2020-01-02T03:04:05Z"}},
        "Correlation": {"#attributes": {"ActivityID": "no"}},
        "Execution": {"#attributes": {"ProcessID": 5}},
        "Channel": "System", "Computer": "pc", "Security": null, "EventRecordID": 9},
        "UserData": {"LogFileCleared": {"#attributes": {"x": 1}, "SubjectUserName": "u", "Channel": "Other"}},
        "EventData": {"Data": {"#text": ["a", "b"]}, "Binary": null, "Threat Name": "t"}}});
    assert_eq!(
        shown(event.clone()),
        "Provider_Name=P Provider_Guid=G EventID=104 \
        SystemTime=2020-01-02T03:04:05Z Execution_ProcessID=5 Channel=System Computer=pc \
        EventRecordID=9 Data=a Data=b Binary=Null Threat Name=t SubjectUserName=u"
    );
    let object = object(event);
    let record = Record::new(&object);
    assert!(record.is_windows());
    assert_eq!(record.time().unwrap().to_string(), "2020-01-02T03:04:05.000000+0000");
    assert_eq!(record.id().as_deref(), Some("9"));
}

#[test]
fn winlogbeat_records_get_them_too() {
    let event =
        object(json!({"@timestamp": "2020-01-02T03:04:05Z", "winlog": {"channel": "Security",
        "event_id": "4688", "event_data": {"NewProcessName": "x"}}, "host": {"name": "h"}}));
    let record = Record::new(&event);
    assert!(record.is_windows());
    assert_eq!(record.get("EventID"), Some(&Scalar::Integer(4688)));
    assert_eq!(record.text("NewProcessName").as_deref(), Some("x"));
    assert_eq!(record.text("host.name").as_deref(), Some("h"));
    assert!(record.time().is_some(), "the other convention's name of the time");
    let sources = crate::sources(&record);
    assert_eq!(sources[0].category, "process_creation");
}

#[test]
fn names_are_found_by_either_convention() {
    let event = object(json!({"source": {"ip": "1.1.1.1"}, "dest_ip": "2.2.2.2"}));
    let record = Record::new(&event);
    assert_eq!(record.text("src_ip").as_deref(), Some("1.1.1.1"));
    assert_eq!(record.text("destination.ip").as_deref(), Some("2.2.2.2"));
    assert_eq!(record.get("src_ip"), None);
}

#[test]
fn a_record_without_a_time_or_identity_has_none() {
    let event = object(json!({"timestamp": "yesterday"}));
    let record = Record::new(&event);
    assert_eq!((record.time(), record.id()), (None, None));
}
