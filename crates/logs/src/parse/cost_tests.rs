//! What lines cost: work is linear in their length, whatever they are made of, and what comes out is bounded.

use event::Timestamp;

use super::{Library, MAX_FIELD, Parser, Zone, work};
use crate::config::Format;

/// Lines that are as bad as they can be for a parser, of about this length: its own literals again and again, and
/// what rooms look for.
fn worst(patterns: &[&str], length: usize) -> Vec<String> {
    const UNITS: [&str; 21] = [
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
    (high > low * grown + 20_000).then(|| format!("{shown}: {low} -> {high}"))
}

#[test]
fn work_is_linear_in_the_length_of_a_line() {
    const HEADS: [&str; 6] = [
        "",
        "<13>1 - h sshd - - ",
        "Nov 22 15:04:05 h sshd[1]: ",
        "type=X msg=audit(1.1:1): ",
        "CEF:0|a|b|c|d|e|5|",
        "{\"event.a\":\"",
    ];
    let library = Library::built_in();
    let mut wrong = Vec::new();
    for name in Format::NAMES.iter().copied().chain(library.names()) {
        let parser = Parser::with(&library, &Format::named(name).unwrap(), Zone::utc()).unwrap();
        let patterns: Vec<&str> = library.patterns(name).map(|(_, text)| text).collect();
        let lines = worst(&patterns, 1 << 12).into_iter().zip(worst(&patterns, 1 << 14));
        wrong.extend(lines.filter_map(|(short, long)| {
            Some(format!("{name}: {}", grows(&parser, &short, &long)?))
        }));
    }
    let parser = Parser::new(Format::Auto, Zone::utc());
    for head in HEADS {
        let lines = worst(&[], 1 << 18).into_iter().zip(worst(&[], 1 << 20));
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
