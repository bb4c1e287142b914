//! What queries mean for a document: tables per kind of field, and the parts against independent
//! models (addresses against their networks, numbers against arithmetic, times against a calendar).

use super::timespan::{point, span};
use super::value::{Number, TIME_BOUNDS, clamp};
use super::{Matcher, SearchError};
use event::{Document, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn now() -> Timestamp {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

fn document(fields: Value) -> Document {
    let Value::Object(document) = fields else { panic!("an object") };
    document
}

fn matches(query: &str, fields: &Value) -> bool {
    let matcher = Matcher::new(query, now()).unwrap_or_else(|error| panic!("{query}: {error}"));
    let document = document(fields.clone());
    let found = matcher.matches(&document);
    let negated = Matcher::new(&format!("NOT ({query})"), now()).unwrap().matches(&document);
    assert_ne!(found, negated, "{query} and its negation");
    found
}

/// Each query with what it finds and what it does not.
fn table(rows: &[(&str, &[Value], &[Value])]) {
    for (query, yes, no) in rows {
        for fields in *yes {
            assert!(matches(query, fields), "{query} should find {fields}");
        }
        for fields in *no {
            assert!(!matches(query, fields), "{query} should not find {fields}");
        }
    }
}

fn message(text: &str) -> Value {
    json!({ "message": text })
}

#[test]
fn text_and_phrases() {
    table(&[
        (
            "message:root",
            &[message("root"), message("for ROOT:"), message("a/root/b")],
            &[message("roots"), message("")],
        ),
        (
            "message:\"failed password\"",
            &[message("Failed password for x"), message("x failed-password")],
            &[message("password failed"), message("failed the password")],
        ),
        (
            "message:\"a b c\"",
            &[message("x a b c y"), message("a a b c")],
            &[message("a b b c"), message("a c b")],
        ),
        ("message:pass*", &[message("my password"), message("PASS")], &[message("bypass word")]),
        ("message:p?ss", &[message("pass"), message("PUSS")], &[message("ps"), message("paass")]),
        ("message:*word", &[message("password"), message("a word")], &[message("words")]),
        ("message:*", &[message(""), message("x")], &[json!({"other": 1})]),
        (
            "message:(root AND failed)",
            &[message("failed root")],
            &[message("root"), message("failed")],
        ),
        ("message:(root -failed)", &[message("root")], &[message("failed root")]),
        ("message:müller", &[message("Herr MÜLLER")], &[message("Mueller")]),
    ]);
}

#[test]
fn keywords_keep_their_letters_and_wildcards_cover_the_whole() {
    let name = |text: &str| json!({ "user": { "name": text } });
    table(&[
        ("user.name:Alice", &[name("Alice")], &[name("alice"), name("Alice "), name("xAlice")]),
        ("user.name:\"CORP\\\\bob\"", &[name("CORP\\bob")], &[name("CORPbob")]),
        ("user.name:CORP\\\\*", &[name("CORP\\bob"), name("CORP\\")], &[name("CORP")]),
        ("user.name:a\\*b", &[name("a*b")], &[name("axb")]),
        ("user.name:\"a*b\"", &[name("a*b")], &[name("axb")]),
        ("user.name:a?c", &[name("abc"), name("a東c")], &[name("ac"), name("abbc")]),
        (
            "user.name:*",
            &[name(""), name("x")],
            &[json!({"user": {"id": 1}}), json!({"user": {"name": null}})],
        ),
        ("user.name:[a TO c]", &[name("a"), name("bb"), name("c")], &[name("cc"), name("B")]),
        ("user.name:{a TO c}", &[name("b")], &[name("a"), name("c")]),
        ("user.name:>m", &[name("n"), name("ma")], &[name("m"), name("l")]),
        ("user.name:(alice OR bob)", &[name("alice"), name("bob")], &[name("carol")]),
        (
            "own.list:b",
            &[json!({"own": {"list": ["a", "b"]}}), json!({"own.list": "b"})],
            &[json!({"own": {"list": ["a", "bb"]}}), json!({"own": {"list": []}})],
        ),
    ]);
}

#[test]
fn regular_expressions_and_lists() {
    let name = |text: &str| json!({ "user": { "name": text } });
    table(&[
        (
            "user.name:/adm.*[0-9]/",
            &[name("admin1"), name("adm/9")],
            &[name("Admin1"), name("admin1 "), name("xadmin1")],
        ),
        ("user.name:/ADMIN/i", &[name("admin"), name("AdMiN")], &[name("admins")]),
        (
            "message:/fail(ed|ure)/",
            &[message("login FAILED"), message("failure!")],
            &[message("fail"), message("failedly")],
        ),
        (
            "/ev.l.*/",
            &[message("an evilness"), json!({"own": "EVIL.example"})],
            &[message("devil")],
        ),
        ("/a\\/b/", &[json!({"own": "a/b"})], &[json!({"own": "ab"}), message("a b c")]),
        (
            "user.name IN (alice, \"b o b\", c*)",
            &[name("alice"), name("b o b"), name("carol")],
            &[name("bob"), name("Alice")],
        ),
        ("user.name NOT IN (alice, bob)", &[name("carol"), json!({})], &[name("bob")]),
        (
            "dest_port IN (80, 443)",
            &[json!({"dest_port": 443}), json!({"destination": {"port": "80"}})],
            &[json!({"dest_port": 8080})],
        ),
    ]);
    for (query, words) in [
        ("a user.name:/a(b/", "column 15: user.name: unclosed group"),
        ("src_ip:/10.*/", "column 1: src_ip: \"/10.*/\" is no address"),
        ("dest_port:/4.*/", "takes no regular expression"),
        ("/a{1000}{1000}/", "column 2: any field: regular expression becomes too large"),
    ] {
        let error = Matcher::new(query, now()).unwrap_err().to_string();
        assert!(error.contains(words), "{query}: {error}");
    }
    let many = "/a/ ".repeat(9);
    assert!(Matcher::new(&many, now()).unwrap_err().to_string().contains("too many regular"));
}

#[test]
fn numbers_ports_and_truth() {
    let port = |value: Value| json!({ "dest_port": value });
    table(&[
        (
            "dest_port:443",
            &[port(json!(443)), port(json!("443")), port(json!(443.0))],
            &[port(json!(4430)), port(json!("https"))],
        ),
        ("dest_port:https", &[port(json!("https"))], &[port(json!(443))]),
        (
            "dest_port:[80 TO 443]",
            &[port(json!(80)), port(json!(443))],
            &[port(json!(79)), port(json!(444)), port(json!("http"))],
        ),
        (
            "dest_port:{80 TO 443}",
            &[port(json!(81)), port(json!(442))],
            &[port(json!(80)), port(json!(443))],
        ),
        ("dest_port:>=1024", &[port(json!(1024)), port(json!(65535))], &[port(json!(1023))]),
        (
            "dest_port<1024",
            &[port(json!(1023)), port(json!(0)), port(json!(-1))],
            &[port(json!(1024))],
        ),
        (
            "destination.port:443",
            &[port(json!(443)), json!({"destination": {"port": 443}})],
            &[json!({"source": {"port": 443}})],
        ),
        (
            "flow.alerted:true",
            &[json!({"flow": {"alerted": true}}), json!({"flow": {"alerted": "true"}})],
            &[json!({"flow": {"alerted": false}}), json!({"flow": {"alerted": 1}})],
        ),
        ("own:-0.5", &[json!({"own": -0.5})], &[json!({"own": 0.5}), json!({"own": 0})]),
        (
            "own:>-1",
            &[json!({"own": -0.5}), json!({"own": u64::MAX})],
            &[json!({"own": -1}), json!({"own": "x"})],
        ),
    ]);
}

#[test]
fn addresses_and_networks() {
    let ip = |text: &str| json!({ "src_ip": text });
    table(&[
        (
            "src_ip:10.0.0.0/8",
            &[ip("10.0.0.0"), ip("10.255.255.255"), ip("::ffff:10.1.2.3")],
            &[ip("9.255.255.255"), ip("11.0.0.0"), ip("not an address")],
        ),
        (
            "src_ip:10.1.2.3/31",
            &[ip("10.1.2.2"), ip("10.1.2.3")],
            &[ip("10.1.2.1"), ip("10.1.2.4")],
        ),
        ("src_ip:0.0.0.0/0", &[ip("0.0.0.0"), ip("255.255.255.255")], &[ip("::1"), ip("fe80::1")]),
        ("src_ip:fe80::/10", &[ip("fe80::1"), ip("febf:ffff::")], &[ip("fec0::"), ip("10.0.0.1")]),
        (
            "src_ip:10.1.*",
            &[ip("10.1.0.0"), ip("10.1.255.255")],
            &[ip("10.11.0.1"), ip("10.0.255.255")],
        ),
        ("src_ip:[10.0.0.1 TO 10.0.0.3}", &[ip("10.0.0.1"), ip("10.0.0.2")], &[ip("10.0.0.3")]),
        ("NOT src_ip:10.0.0.0/8", &[ip("192.0.2.1"), json!({})], &[ip("10.0.0.1")]),
        (
            "source.ip:192.0.2.1",
            &[ip("192.0.2.1"), json!({"source": {"ip": "192.0.2.1"}})],
            &[json!({"dest_ip": "192.0.2.1"})],
        ),
        ("192.0.2.1", &[ip("192.0.2.1"), json!({"dest_ip": "192.0.2.1"})], &[ip("192.0.2.10")]),
        ("192.0.2.0/24", &[json!({"dest_ip": "192.0.2.77"})], &[json!({"message": "192.0.2.77"})]),
    ]);
}

#[test]
fn bare_terms_look_everywhere_but_at_identities() {
    table(&[
        (
            "evil.example",
            &[json!({"dns": {"rrname": "evil.example"}}), json!({"tls": {"sni": "Evil.Example"}})],
            &[json!({"dns": {"rrname": "evil.example.org"}})],
        ),
        (
            "evil",
            &[json!({"dns": {"rrname": "evil.example"}}), message("EVIL!")],
            &[message("devil")],
        ),
        ("ev*", &[message("an event"), json!({"own": "evil"})], &[message("never")]),
        (
            "\"two words\"",
            &[message("two words"), json!({"own": "Two Words"})],
            &[message("words two")],
        ),
        ("42", &[message("42"), json!({"own": "42"})], &[json!({"own": 42})]),
        ("secretid", &[json!({"own": "secretid"})], &[json!({"event": {"id": "secretid/1/1"}})]),
    ]);
}

#[test]
fn times_of_events_and_other_times() {
    let at = |text: &str| json!({ "timestamp": text });
    table(&[
        (
            "timestamp:2026-11-22",
            &[
                at("2026-11-22T00:00:00Z"),
                at("2026-11-22T23:59:59.999999Z"),
                at("2026-11-23T00:30:00+01:00"),
            ],
            &[at("2026-11-21T23:59:59Z"), at("2026-11-23T00:00:00Z")],
        ),
        ("timestamp:>2026-11-22", &[at("2026-11-23T00:00:00Z")], &[at("2026-11-22T12:00:00Z")]),
        ("timestamp:>=2026-11-22", &[at("2026-11-22T00:00:00Z")], &[at("2026-11-21T23:59:59Z")]),
        ("timestamp:<2026-11-22", &[at("2026-11-21T23:59:59Z")], &[at("2026-11-22T00:00:00Z")]),
        ("timestamp:<=2026-11-22", &[at("2026-11-22T23:59:59Z")], &[at("2026-11-23T00:00:00Z")]),
        (
            "timestamp:[now-1h TO now]",
            &[at("2026-11-22T14:00:00Z"), at("2026-11-22T15:00:00Z")],
            &[at("2026-11-22T13:59:59Z"), at("2026-11-22T15:00:01Z")],
        ),
        ("@timestamp:>now-1m", &[at("2026-11-22T14:59:30Z")], &[at("2026-11-22T14:58:00Z")]),
        (
            "flow.start:\"2026-11-22T10:00:00+02:00\"",
            &[json!({"flow": {"start": "2026-11-22T08:00:00Z"}})],
            &[json!({"flow": {"start": "2026-11-22T10:00:00Z"}})],
        ),
    ]);
}

#[test]
fn times_as_people_write_them() {
    let check = |text: &str, expected: &str| {
        let micros = point(text, now()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Timestamp::from_micros(micros).to_string(), expected, "{text}");
    };
    check(" now ", "2026-11-22T15:00:00.000000+0000");
    check("now+1d", "2026-11-23T15:00:00.000000+0000");
    check("now-1h-30m", "2026-11-22T13:30:00.000000+0000");
    check("now/d", "2026-11-22T00:00:00.000000+0000");
    check("now/d+8h", "2026-11-22T08:00:00.000000+0000");
    check("now-0s", "2026-11-22T15:00:00.000000+0000");
    // Weeks begin on Mondays.
    check("now/w", "2026-11-16T00:00:00.000000+0000");
    check("2024-02-29", "2024-02-29T00:00:00.000000+0000");
    check("2026-03-29T02:30:00+01:00", "2026-03-29T01:30:00.000000+0000");
    check("1969-12-31", "1969-12-31T00:00:00.000000+0000");
    for text in [
        "2026-02-29",
        "2026-13-01",
        "2026-1-2",
        "now--1d",
        "now1d",
        "now-1dd",
        "now/",
        "now/é",
        "Now",
        "today",
        "now-d",
    ] {
        let error = point(text, now()).unwrap_err().to_string();
        assert!(error.starts_with("not a time:") && error.contains("now-15m"), "{text}: {error}");
    }
    let long = point(&"x".repeat(500), now()).unwrap_err().to_string();
    assert!(long.len() < 250, "what was written is not repeated at any length");
    let far = point("now+9999999w", now()).unwrap();
    assert_eq!(far, TIME_BOUNDS.1, "clamped to what can be stored");
}

#[test]
fn refusals_say_where_and_how() {
    for (query, words) in [
        ("a AND src_ip:10.0.0", "column 7: src_ip: \"10.0.0\" is no address"),
        ("src_ip:10.0.0.1/33", "is no address"),
        ("src_ip:*.1", "is no address"),
        ("dest_port:4*", "takes no wildcards"),
        ("dest_port:[a TO 5]", "bounds must be numbers"),
        ("timestamp:[yesterday TO now]", "not a time: \"yesterday\""),
        ("flow.alerted:maybe", "write true or false"),
        ("flow.alerted:[a TO b]", "has no order"),
        ("message:>5", "has no order"),
        ("message:\"!!\"", "has no words"),
    ] {
        let error = Matcher::new(query, now()).unwrap_err();
        assert!(matches!(error, SearchError::Plan(_)), "{query}");
        assert!(error.to_string().contains(words), "{query}: {error}");
    }
}

proptest! {
    #[test]
    fn networks_hold_what_their_mask_says(address: u32, other: u32, bits in 0..=32_u32, near: bool) {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        // A random address is hardly ever in a narrow network: half of them are made to be.
        let other = if near { (address & mask) | (other & !mask) } else { other };
        let query = format!("src_ip:{}/{bits}", Ipv4Addr::from(address));
        let found = matches(&query, &json!({ "src_ip": Ipv4Addr::from(other).to_string() }));
        prop_assert_eq!(found, address & mask == other & mask);
    }

    #[test]
    fn wide_networks_too(address: u128, other: u128, bits in 0..=128_u32, near: bool) {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        let other = if near { (address & mask) | (other & !mask) } else { other };
        let query = format!("src_ip:\"{}/{bits}\"", Ipv6Addr::from(address));
        let found = matches(&query, &json!({ "src_ip": Ipv6Addr::from(other).to_string() }));
        prop_assert_eq!(found, address & mask == other & mask);
    }

    #[test]
    fn ranges_of_addresses_are_ranges_of_numbers(low: u32, width in 0..1_000_u32, at in 0..3_000_u32) {
        let (low, high) = (low, low.saturating_add(width));
        let at = low.saturating_sub(1_000).saturating_add(at);
        let text = |n: u32| IpAddr::from(Ipv4Addr::from(n)).to_string();
        let fields = json!({ "src_ip": text(at) });
        let query = |open, close| format!("src_ip:{open}{} TO {}{close}", text(low), text(high));
        prop_assert_eq!(matches(&query('[', ']'), &fields), (low..=high).contains(&at));
        prop_assert_eq!(matches(&query('{', '}'), &fields), at > low && at < high);
        prop_assert_eq!(matches(&query('[', '}'), &fields), at >= low && at < high);
    }

    #[test]
    fn whole_numbers_compare_without_loss(one: i64, two in prop_oneof![any::<i64>(), -5..5_i64], step in -2..3_i64) {
        let near = one.saturating_add(step);
        for other in [two, near] {
            let fields = json!({ "own": one });
            prop_assert_eq!(matches(&format!("own:{other}"), &fields), one == other);
            prop_assert_eq!(matches(&format!("own:>{other}"), &fields), one > other);
            prop_assert_eq!(matches(&format!("own:<={other}"), &fields), one <= other);
        }
    }

    #[test]
    fn numbers_are_in_one_order(values in proptest::collection::vec(prop_oneof![
        any::<i64>().prop_map(Number::Int),
        (i64::MAX as u64 + 1..=u64::MAX).prop_map(Number::Big),
        (-1e6..1e6_f64).prop_filter("a fraction", |f| f.fract() != 0.0).prop_map(Number::Float),
    ], 3)) {
        let [a, b, c] = values[..] else { panic!("three") };
        let order = |x: Number, y: Number| x.partial_cmp(&y).unwrap();
        prop_assert_eq!(order(a, b), order(b, a).reverse());
        if order(a, b).is_lt() && order(b, c).is_lt() {
            prop_assert!(order(a, c).is_lt());
        }
    }

    #[test]
    fn relative_times_are_sums(seconds in 0..10_000_000_i64, minutes in 0..100_000_i64) {
        let text = format!("now-{seconds}s+{minutes}m");
        let expected = now().micros() - seconds * 1_000_000 + minutes * 60_000_000;
        prop_assert_eq!(point(&text, now()), Ok(clamp(expected)));
        let (low, high) = span(&text, now()).unwrap();
        prop_assert_eq!((low, high), (expected, expected));
    }

    #[test]
    fn rounding_goes_down_to_a_whole_unit(at in -4_000_000_000_i64..8_000_000_000, unit in 0..5_usize) {
        let (letter, width) = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)][unit];
        let rounded = point(&format!("now/{letter}"), Timestamp::from_seconds(at)).unwrap() / 1_000_000;
        // The first Monday came 4 days after the epoch.
        let begins = if letter == 'w' { 4 * 86_400 } else { 0 };
        prop_assert!(rounded <= at && at - rounded < width && (rounded - begins) % width == 0);
    }
}
