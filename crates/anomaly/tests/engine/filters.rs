//! The filter language by a table.

use super::*;

#[test]
fn tests_of_fields() {
    let event = object(json!({
        "src_ip": "10.1.2.3", "dest_ip": "2001:db8::1", "out": "8.8.8.8", "port": 443, "text": "Mozilla SQLmap/1.8",
        "flag": true, "list": ["a", "b"], "user": {"name": "Root"}, "empty": "", "num": "12.5", "nil": null,
    }));
    for (filter, expected) in [
        ("{}", true),
        ("{port: 443}", true),
        ("{port: '443'}", true),
        ("{port: 443.0}", true),
        ("{port: 44}", false),
        ("{port: [80, 443]}", true),
        ("{text|contains: sqlmap}", true),
        ("{text|contains: [x, 'SQLMAP/']}", true),
        ("{text|startswith: mozilla}", true),
        ("{text|startswith: sqlmap}", false),
        ("{text|endswith: '1.8'}", true),
        ("{user.name: root}", true),
        ("{user.name: ro}", false),
        ("{list: b}", true),
        ("{list: c}", false),
        ("{list: [x, a]}", true),
        ("{src_ip|cidr: 10.0.0.0/8}", true),
        ("{src_ip|cidr: [192.168.0.0/16, 10.1.2.3]}", true),
        ("{src_ip|cidr: 11.0.0.0/8}", false),
        ("{dest_ip|cidr: 2001:db8::/32}", true),
        ("{text|cidr: 0.0.0.0/0}", false),
        ("{source.ip|inside: true}", true),
        ("{out|inside: false}", true),
        ("{out|inside: true}", false),
        ("{text|inside: false}", false),
        ("{port|gt: 443}", false),
        ("{port|gte: 443}", true),
        ("{port|lt: 444}", true),
        ("{port|lte: 442}", false),
        ("{num|gt: 12}", true),
        ("{text|gt: 0}", false),
        ("{flag: true}", true),
        ("{flag: false}", false),
        ("{empty|exists: true}", true),
        ("{nil|exists: true}", false),
        ("{nothing|exists: false}", true),
        ("{nothing: x}", false),
        ("{not: {port: 443}}", false),
        ("{not: {port: 80}}", true),
        ("{not: [{port: 80}, {port: 443}]}", false),
        ("{not: {port: 443, flag: false}}", true),
        ("{not: {nothing: x}}", true),
        ("{any: [{port: 80}, {flag: true}]}", true),
        ("{any: [{port: 80}, {flag: false}]}", false),
        ("{port: 443, any: [{flag: true}], not: {list: z}}", true),
        ("{port: 443, flag: false}", false),
        ("{event_type: log}", true),
        ("{event_type: [flow, dns]}", false),
    ] {
        let rules = load(&format!(
            "select: {filter}\ntimespan: 60s\nthreshold: {{count: events, gte: 1}}\n"
        ));
        let view = EventView { time: Timestamp::EPOCH, kind: "log", id: None, fields: &event };
        assert_eq!(rules.rules()[0].select.matches(&view), expected, "{filter}");
        // The index by event type must agree with the filter itself.
        let mut found = Vec::new();
        Engine::new(&rules).observe(&view, &mut found);
        assert_eq!(!found.is_empty(), expected, "{filter} by the engine");
    }
}

#[test]
fn home_networks_are_an_option() {
    let text = "title: T\nid: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: low\nselect: {a|inside: true}\n\
                timespan: 60s\nthreshold: {count: events, gte: 1}\n";
    let options = Options { home: vec!["198.51.100.0/24".parse().unwrap()] };
    let (rules, _) = RuleSet::load(&[Source { name: "x".into(), text: text.into() }], &options);
    for (address, inside) in
        [("198.51.100.7", true), ("::ffff:198.51.100.7", true), ("10.0.0.1", false)]
    {
        let fields = object(json!({"a": address}));
        let view = EventView { time: Timestamp::EPOCH, kind: "log", id: None, fields: &fields };
        assert_eq!(rules.rules()[0].select.matches(&view), inside, "{address}");
    }
}

#[test]
fn views_of_events_and_documents() {
    let document = object(json!({
        "timestamp": "2026-11-22T15:04:05.000000+0000", "event_type": "dns", "event": {"id": "a/0/1"},
    }));
    let view = EventView::of_document(&document).unwrap();
    assert_eq!((view.kind, view.id, view.time.seconds()), ("dns", Some("a/0/1"), 1_795_359_845));
    for broken in [
        json!({}),
        json!({"timestamp": "x", "event_type": "dns"}),
        json!({"timestamp": 1, "event_type": "dns"}),
    ] {
        assert!(EventView::of_document(&object(broken)).is_none());
    }
    let event = event::Event {
        seq: 1,
        time: Timestamp::from_seconds(3),
        seen: Timestamp::EPOCH,
        kind: event::Kind::Flow,
        fields: document,
    };
    let view = EventView::of(&event);
    assert_eq!((view.kind, view.id, view.time.seconds()), ("flow", None, 3));
}
