//! The flat view of events of every shape.

use serde_json::{Value, json};

use super::object;
use crate::{Record, Scalar, Tape};

fn shown(value: Value) -> String {
    let object = object(value);
    let record = Record::new(&object);
    let mut tape = Tape::new();
    tape.read(json!({"before": [1]}).to_string().as_bytes()).unwrap();
    tape.read(&serde_json::to_vec(&object).unwrap()).unwrap();
    assert_eq!(Record::of(&tape), record, "as text and as a map");
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

#[test]
fn a_tape_refuses_what_is_no_object_and_keeps_what_stands_twice() {
    let mut tape = Tape::new();
    for wrong in ["", "1", "[]", "{\"a\":}", "{} x", "{\"a\":1", "{\"a\":\"\\ud800\"}"] {
        let expected = serde_json::from_str::<event::Object>(wrong).unwrap_err().to_string();
        assert_eq!(tape.read(wrong.as_bytes()).unwrap_err().to_string(), expected, "{wrong}");
    }
    assert!(tape.read(b"{\"a\":\"\xff\"}").is_err(), "no UTF-8");
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    assert!(tape.read(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
    tape.read("{\"a\":1,\"b\":{\"c\":\"\\n\u{e4}\"},\"a\":-2.5}".as_bytes()).unwrap();
    let record = Record::of(&tape);
    let names: Vec<&str> = record.entries().iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["a", "b.c", "b", "a"]);
    assert_eq!(record.text("b.c").as_deref(), Some("\n\u{e4}"));
    assert_eq!(record.entries()[3].value, Scalar::Float(-2.5));
}
