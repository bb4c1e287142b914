//! What lines cost: work is linear in their length, whatever they are made of, and what comes out is bounded.

use std::sync::Arc;

use event::Timestamp;

use super::{Library, MAX_FIELD, Parser, Zone, work};
use crate::config::Format;

/// Lines that are as bad as they can be for a parser, of about this length: its own literals again and again, and
/// what rooms look for.
fn worst(patterns: &[&str], length: usize) -> Vec<String> {
    const UNITS: [&str; 30] = [
        "=",
        "\"",
        "a=\"",
        "a='b ",
        "a=\"\\\" ",
        "msg=",
        "k=v ",
        ",",
        "\"\"",
        "[a@1 b=\"c\"]",
        "[a ",
        "|",
        "\\|",
        " ",
        ":",
        "[",
        "%",
        "1",
        "\t",
        "\u{e9}",
        " from 192.0.2.7 port ",
        "<a>",
        "<Data Name='a'>b</Data>",
        "&amp;",
        " a='b'",
        "<![CDATA[",
        "{\"a\":",
        "[1,",
        "\\u0041",
        ": ",
    ];
    let mut units = UNITS.map(str::to_owned).to_vec();
    for pattern in patterns {
        // Its fields filled with a word, an address, nothing.
        for filling in ["x", "192.0.2.7", ""] {
            let mut rest = pattern.replace("%[", "").replace("%]", "");
            let mut unit = String::new();
            while let Some((head, tail)) = rest.split_once("%{") {
                unit.push_str(head);
                unit.push_str(filling);
                rest = tail.split_once('}').map_or("", |(_, tail)| tail).to_owned();
            }
            units.push(unit + &rest);
        }
    }
    let repeat = |unit: String| unit.repeat(length / unit.len().max(1) + 1);
    units.into_iter().filter(|unit| !unit.is_empty()).map(repeat).collect()
}

fn cost(parser: &Parser, line: &str) -> u64 {
    work::take();
    std::hint::black_box(parser.line(line, Timestamp::EPOCH));
    work::take()
}

/// What is wrong with the cost of a short and a long line of the same kind.
fn grows(parser: &Parser, short: &str, long: &str) -> Option<String> {
    let (low, high) = (cost(parser, short), cost(parser, long));
    let grown = long.len() as u64 / short.len().max(1) as u64 + 2;
    let shown: String = short.chars().take(60).collect();
    (high > low * grown + 4_000).then(|| format!("{shown}: {low} -> {high}"))
}

/// A parser as it is configured, and as the head of a file of many columns makes it.
fn parsers(library: &Arc<Library>) -> Vec<(String, Parser, Vec<&str>)> {
    let mut all = Vec::new();
    for name in Format::NAMES.iter().copied().chain(library.names()) {
        let parser = Parser::with(library, &Format::named(name).unwrap(), Zone::utc()).unwrap();
        let patterns: Vec<&str> = library.patterns(name).map(|(_, text)| text).collect();
        if parser.wants_head() {
            let columns = "c ".repeat(1000);
            let head = format!("#separator \\x20\n#fields {columns}\n#Fields: {columns}\n");
            all.push((format!("{name} with a head"), parser.of_file(head.as_bytes()), Vec::new()));
        }
        all.push((name.to_owned(), parser, patterns));
    }
    all
}

/// All formats and all parsers of the library, so that a new one is among them. Every shape is tried on lines that are
/// short, and what costs most a byte there on lines of up to a megabyte.
#[test]
fn work_is_linear_in_the_length_of_a_line() {
    let library = Library::built_in();
    let mut wrong = Vec::new();
    for (name, parser, patterns) in parsers(&library) {
        let mut costs = Vec::new();
        let lines = worst(&patterns, 1 << 10).into_iter().zip(worst(&patterns, 1 << 12));
        for (number, (short, long)) in lines.enumerate() {
            costs.push((cost(&parser, &long) * 1000 / long.len() as u64, number));
            wrong.extend(grows(&parser, &short, &long).map(|text| format!("{name}: {text}")));
        }
        costs.sort_unstable();
        for (_, number) in costs.iter().rev().take(1) {
            let line = |length| worst(&patterns, length).into_iter().nth(*number).unwrap();
            let (small, middle, large) = (line(1 << 18), line(1 << 19), line(1 << 20));
            for (short, long) in [(&small, &middle), (&middle, &large)] {
                wrong.extend(grows(&parser, short, long).map(|text| format!("{name}: {text}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a format is found by costs no more either: the envelopes before all shapes.
#[test]
fn work_is_linear_behind_every_envelope() {
    const HEADS: [&str; 10] = [
        "",
        "<13>1 - h sshd - - ",
        "<13>1 - h sshd - - [a b=\"",
        "<13>1 - h sshd - - {\"a\":\"",
        "Nov 22 15:04:05 h sshd[1]: ",
        "Nov 22 15:04:05 h x: @cee: {\"a\":",
        "type=X msg=audit(1.1:1): ",
        "CEF:0|a|b|c|d|e|5|",
        "{\"event.a\":\"",
        "<Event><EventData>",
    ];
    let mut wrong = Vec::new();
    let parser = Parser::new(Format::Auto, Zone::utc());
    for head in HEADS {
        let lines = worst(&[], 1 << 13).into_iter().zip(worst(&[], 1 << 16));
        wrong.extend(lines.filter_map(|(short, long)| {
            grows(&parser, &format!("{head}{short}"), &format!("{head}{long}"))
        }));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines of a megabyte are kept to the limit of a field and do not become objects of their own size.
#[test]
fn what_comes_of_a_megabyte_is_bounded() {
    let names = (0..60_000).map(|at| format!("\"event.k{at}\":1")).collect::<Vec<_>>().join(",");
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let pairs =
        |between: &str| (0..100_000).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(between);
    for (line, most) in [
        (format!("{{{names}}}"), usize::MAX),
        (deep, 4),
        (format!("type=X msg=audit(1.1:1): {}", "msg=".repeat(1 << 18)), 20),
        (format!("type=X msg=audit(1.1:1): {}", pairs(" ")), 600),
        (format!("<13>1 - h a - - {}", "[a b=\"c\"]".repeat(1 << 17)), 600),
        (
            format!(
                "Nov 22 15:04:05 h sshd[1]: Failed password for {}",
                " from 192.0.2.7 port 5".repeat(1 << 16)
            ),
            20,
        ),
        (format!("date=1 logid=1 type=1 {}", pairs(" ")), 600),
        (format!("CEF:0|a|b|c|d|e|5|{}", pairs(" ")), 600),
        (format!("LEEF:1.0|a|b|c|d|{}", pairs("\t")), 600),
        (format!("1,2026/11/22 15:04:05,1,TRAFFIC{}", ",x".repeat(1 << 19)), 600),
    ] {
        let entry = Parser::new(Format::Auto, Zone::utc()).line(&line, Timestamp::EPOCH);
        let shown: String = line.chars().take(60).collect();
        let original = event::get(&entry.fields, "event.original").unwrap().as_str().unwrap();
        assert_eq!(original.len(), MAX_FIELD, "{shown}");
        let mut count = 0;
        event::flatten(&entry.fields, &mut |_, _| count += 1);
        assert!(count <= most, "{shown}: {count} fields");
    }
}
