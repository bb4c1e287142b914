//! The `_bulk` protocol as shippers rely on it: answers line by line, packing, repeated sending.

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn lines(body: &str) -> (Vec<String>, Vec<Event>) {
    let (items, events) = parse(body.as_bytes(), ("s", Some("logs")), NOW).unwrap();
    let shown = items.into_iter().enumerate().map(|item| show(item).to_string());
    (shown.collect(), events)
}

#[test]
fn documents_become_events() {
    let (items, events) = lines(concat!(
        "{\"index\":{}}\n{\"message\":\"hi\",\"@timestamp\":\"2026-11-22T15:04:05Z\"}\n",
        "{\"create\":{\"_index\":\"eve\",\"_id\":\"7\"}}\r\n{\"event_type\":\"dns\",\"src_ip\":\"10.0.0.1\"}\n",
    ));
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0].kind, &events[1].kind), (&Kind::Log, &Kind::Dns));
    assert_eq!(events[0].time.to_string(), "2026-11-22T15:04:05.000000+0000");
    assert_eq!((events[1].time, &events[1].fields["elastic"]["index"]), (NOW, &json!("eve")));
    assert!(items[1].contains("\"_id\":\"7\"") && items[1].contains("\"status\":201"));
}

#[test]
fn one_bad_line_does_not_stop_the_others() {
    let (items, events) = lines(concat!(
        "{\"index\":{}}\n{broken\n{\"index\":{}}\n[1]\n{\"delete\":{\"_id\":\"1\"}}\n",
        "{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n{\"index\":{}}\n{\"a\":1}\n",
    ));
    assert_eq!((items.len(), events.len()), (5, 1));
    assert_eq!(items.iter().filter(|item| item.contains("\"status\":400")).count(), 4);
}

#[test]
fn bodies_that_are_none_are_refused_with_the_line() {
    for (body, words) in [
        ("garbage\n{}\n", "line 1: expected value"),
        ("{\"index\":{}}\n", "the last action has no document"),
        ("{\"a\":{},\"b\":{}}\n{}\n", "line 1: an action is expected"),
        ("\n\n{\"steal\":{}}\n{}\n", "line 3: unknown action \"steal\""),
    ] {
        let Err(failure) = parse(body.as_bytes(), ("s", None), NOW) else { panic!("{body}") };
        assert!(failure.to_string().starts_with(words), "{failure}");
    }
}

#[test]
fn a_shipper_cannot_forge_detections_or_audit() {
    let (_, events) = lines(
        "{\"index\":{}}\n{\"event_type\":\"audit\",\"detection\":{\"engine\":\"sigma\"}}\n",
    );
    assert_eq!(events[0].kind, Kind::Log);
    assert!(!events[0].fields.contains_key("detection"));
}

#[test]
fn a_gzip_bomb_is_refused() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..65 {
        encoder.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1024 * 1024);
    assert!(unpack(&bomb.into()).unwrap_err().to_string().contains("over 64 MiB"));
    assert!(unpack(&Bytes::from_static(b"no gzip")).is_err());
}
