use super::*;
use expect_test::expect;
use proptest::prelude::*;

fn seen() -> Vec<FieldSeen> {
    [("src_ip", 10), ("own.name", 5), ("user.name", 7)]
        .map(|(name, events)| FieldSeen { name: name.into(), kinds: vec![], events })
        .to_vec()
}

/// Values by field, as a store would give them.
fn values(name: &str, prefix: &str, count: usize) -> Vec<ValueSeen> {
    let all: &[&str] = match name {
        "user.name" => &["alice", "al b", "AND", "-x", "bob"],
        _ => &[],
    };
    let found = all.iter().filter(|value| value.starts_with(prefix)).take(count);
    found.map(|value| ValueSeen { value: (*value).into(), events: 1 }).collect()
}

/// `^` stands for the place.
fn at(text: &str) -> String {
    let place = text.chars().position(|c| c == '^').unwrap();
    let found = complete(&text.replace('^', ""), place, &seen(), &values);
    let items = found.items.iter().take(5).map(|item| item.text.trim_end().to_owned());
    format!("{text} {}..{}: {}\n", found.from, found.to, items.collect::<Vec<_>>().join(" "))
}

#[test]
fn what_fits_the_place() {
    let places = [
        "src^",
        "a AND us^ b",
        "own^",
        "(NOT -user.n^",
        "user.name:al^",
        "user.name:\"al^",
        "user.name:^",
        "user.name IN (bob, a^",
        "user.name NOT IN (^",
        "user.name:(alice OR b^",
        "flow.alerted:t^",
        "a A^",
        "é | st^",
        "a | ^",
        "a | stats c^",
        "a | stats count() b^",
        "a | stats count() by us^",
        "a | stats max(us^",
        "a | stats count() as n by user.name | sort -^",
        "a | stats count() by user.name | sort u^",
        "a | top 5 us^",
        "a | head ^",
        "\"a | ^",
        "a || us^",
        "",
    ];
    let lines: String =
        places.iter().map(|text| if text.is_empty() { at("^") } else { at(text) }).collect();
    expect![[r#"
        src^ 0..3: src_ip: src_port:
        a AND us^ b 6..8: user.name: user.id: user.target.name: user_agent.original: http.http_user_agent:
        own^ 0..3: own.name:
        (NOT -user.n^ 6..12: user.name:
        user.name:al^ 10..12: alice "al b"
        user.name:"al^ 10..13: alice "al b"
        user.name:^ 10..10: alice "al b" "AND" "-x" bob
        user.name IN (bob, a^ 19..20: alice "al b"
        user.name NOT IN (^ 18..18: alice "al b" "AND" "-x" bob
        user.name:(alice OR b^ 20..21: bob
        flow.alerted:t^ 13..14: true
        a A^ 2..3: AND agent.id: agent.version: alert.action: alert.category:
        é | st^ 4..6: stats
        a | ^ 4..4: stats timechart top rare sort
        a | stats c^ 10..11: count(
        a | stats count() b^ 18..19: by
        a | stats count() by us^ 21..23: user.name user.id user.target.name user_agent.original http.http_user_agent
        a | stats max(us^ 14..16: user.name user.id user.target.name user_agent.original http.http_user_agent
        a | stats count() as n by user.name | sort -^ 44..44: user.name n
        a | stats count() by user.name | sort u^ 38..39: user.name
        a | top 5 us^ 10..12: user.name user.id user.target.name user_agent.original http.http_user_agent
        a | head ^ 9..9: 
        "a | ^ 5..5: src_ip: user.name: own.name: @timestamp: agent.id:
        a || us^ 5..7: user.name: user.id: user.target.name: user_agent.original: http.http_user_agent:
        ^ 0..0: src_ip: user.name: own.name: @timestamp: agent.id:
    "#]].assert_eq(&lines);
}

proptest! {
    #[test]
    fn any_place_of_any_text_has_an_answer(text in "[a-z:|()\"\\\\ ,é-]{0,30}", place in 0..40_usize) {
        let found = complete(&text, place, &seen(), &values);
        let length = text.chars().count();
        prop_assert!(found.from <= found.to && found.to <= length && found.items.len() <= MAX_ITEMS);
    }
}
