//! The engine against a slow evaluator of its own: random contents over a small alphabet, on packets, buffers and
//! pieces of streams.

use proptest::prelude::*;

use crate::{
    AppProto, Buffer, Direction, FlowView, PacketView,
    tests::{Bench, Fixed, naive, packet, segment},
};

/// One content as the documentation describes it.
#[derive(Debug, Clone)]
struct Model {
    pattern: String,
    nocase: bool,
    negated: bool,
    place: Place,
    ends: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Anywhere,
    Starts,
    Absolute { offset: Option<i64>, depth: Option<i64> },
    Relative { distance: Option<i64>, within: Option<i64> },
}

impl Model {
    fn rule(&self) -> String {
        let mut out =
            format!("content:{}\"{}\";", if self.negated { "!" } else { "" }, self.pattern);
        let mut add = |name: &str, value: Option<i64>| {
            if let Some(value) = value {
                out.push_str(&format!(" {name}:{value};"));
            }
        };
        match self.place {
            Place::Anywhere => {}
            Place::Starts => out.push_str(" startswith;"),
            Place::Absolute { offset, depth } => {
                add("offset", offset);
                add("depth", depth);
            }
            Place::Relative { distance, within } => {
                add("distance", distance);
                add("within", within);
            }
        }
        if self.ends {
            out.push_str(" endswith;");
        }
        if self.nocase {
            out.push_str(" nocase;");
        }
        out
    }

    const fn is_relative(&self) -> bool {
        matches!(self.place, Place::Relative { .. })
    }

    /// Every end of a match, in the order in which they are tried.
    fn ends_of_matches(&self, data: &[u8], shift: i64, cursor: i64) -> Vec<i64> {
        let len = i64::try_from(self.pattern.len()).unwrap();
        let total = i64::try_from(data.len()).unwrap();
        (0..=total - len)
            .filter(|at| {
                let there =
                    &data[usize::try_from(*at).unwrap()..usize::try_from(at + len).unwrap()];
                let same = if self.nocase {
                    there.eq_ignore_ascii_case(self.pattern.as_bytes())
                } else {
                    there == self.pattern.as_bytes()
                };
                let (absolute, end) = (at + shift, at + len);
                let placed = match self.place {
                    Place::Anywhere => true,
                    Place::Starts => absolute == 0,
                    Place::Absolute { offset, depth } => {
                        let offset = offset.unwrap_or(0);
                        absolute >= offset
                            && depth.is_none_or(|depth| absolute + len <= offset + depth)
                    }
                    Place::Relative { distance, within } => {
                        let distance = distance.unwrap_or(0);
                        *at >= cursor + distance
                            && within.is_none_or(|within| end <= cursor + distance + within)
                    }
                };
                same && placed && (!self.ends || end == total)
            })
            .map(|at| at + len)
            .collect()
    }
}

fn holds(items: &[Model], data: &[u8], shift: i64, cursor: i64) -> bool {
    let Some((item, rest)) = items.split_first() else { return true };
    let ends = item.ends_of_matches(data, shift, cursor);
    if item.negated {
        return ends.is_empty() && holds(rest, data, shift, cursor);
    }
    // Only what directly follows and is relative can ask for another start.
    let tries = if rest.first().is_some_and(Model::is_relative) { ends.len() } else { 1 };
    ends.into_iter().take(tries).any(|end| holds(rest, data, shift, end))
}

fn content() -> impl Strategy<Value = Model> {
    let number = |range: std::ops::Range<i64>| proptest::option::of(range);
    let place = prop_oneof![
        2 => Just(Place::Anywhere),
        1 => Just(Place::Starts),
        2 => (number(0..6), number(0..8)).prop_map(|(offset, depth)| Place::Absolute { offset, depth }),
        4 => (number(-5..5), number(0..8)).prop_map(|(distance, within)| match (distance, within) {
            (None, None) => Place::Relative { distance: Some(0), within: None },
            _ => Place::Relative { distance, within },
        }),
    ];
    (
        "[abA]{1,5}",
        any::<bool>(),
        proptest::bool::weighted(0.2),
        place,
        proptest::bool::weighted(0.15),
    )
        .prop_map(|(pattern, nocase, negated, mut place, ends)| {
            // A window smaller than its pattern is refused when the rule is read.
            let len = i64::try_from(pattern.len()).unwrap();
            match &mut place {
                Place::Absolute { depth: Some(room), .. }
                | Place::Relative { within: Some(room), .. } => *room += len,
                _ => {}
            }
            Model { pattern, nocase, negated, place, ends }
        })
}

fn rule(header: &str, buffer: &str, items: &[Model]) -> String {
    let contents: Vec<String> = items.iter().map(Model::rule).collect();
    format!("alert {header} any any -> any any ({buffer} {} sid:1;)", contents.join(" "))
}

#[test]
fn the_model_knows_the_documented_cases() {
    let item = |pattern: &str, place: Place| Model {
        pattern: pattern.to_owned(),
        nocase: false,
        negated: false,
        place,
        ends: false,
    };
    let near = Place::Relative { distance: None, within: Some(2) };
    let chain = [item("a", Place::Anywhere), item("b", near)];
    assert!(
        holds(&chain, b"a--ab", 0, 0)
            && holds(&chain, b"a-b", 0, 0)
            && !holds(&chain, b"a--b", 0, 0)
    );
    let placed = [item("a", Place::Absolute { offset: Some(2), depth: Some(1) })];
    assert!(
        holds(&placed, b"--a", 0, 0) && holds(&placed, b"-a", 1, 0) && !holds(&placed, b"-a", 0, 0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn packets_and_buffers(items in proptest::collection::vec(content(), 1..5), data in "[abA]{0,20}") {
        let expected = holds(&items, data.as_bytes(), 0, 0);
        let text = rule("udp", "", &items);
        let mut bench = Bench::new(&text);
        let found = bench.packet(&packet(data.as_bytes())) == [1];
        prop_assume!(bench.scratch.cut_short() == (0, 0));
        prop_assert_eq!(found, expected, "{} on {}", &text, &data);
        let without = Bench::with(naive(&text)).packet(&packet(data.as_bytes())) == [1];
        prop_assert_eq!(without, expected, "without prefilter: {} on {}", &text, &data);
        let text = rule("http", "http.uri;", &items);
        let tx = Fixed::new(AppProto::Http, &[(Buffer::HttpUri, &data)]);
        let found = Bench::new(&text).tx(&tx, Direction::ToServer) == [1];
        prop_assert_eq!(found, expected, "{} on {}", text, data);
    }

    /// However a stream is cut: a piece is judged by its bytes and by where they stand in the stream.
    #[test]
    fn pieces_of_streams(
        items in proptest::collection::vec(content(), 1..4),
        data in "[abA]{0,20}",
        cuts in proptest::collection::vec(0..20_usize, 2),
    ) {
        let (low, high) = (cuts[0].min(cuts[1]).min(data.len()), cuts[0].max(cuts[1]).min(data.len()));
        let piece = &data.as_bytes()[low..high];
        let text = rule("tcp-stream", "", &items);
        let mut bench = Bench::new(&text);
        let found = bench.stream(Direction::ToServer, low as u64, piece) == [1];
        prop_assume!(bench.scratch.cut_short() == (0, 0));
        // Nothing came: nothing is looked at.
        let expected = !piece.is_empty() && holds(&items, piece, i64::try_from(low).unwrap(), 0);
        prop_assert_eq!(found, expected || (piece.is_empty() && items.iter().all(|item| item.negated)), "{} on {:?} at {}", text, piece, low);
    }

    /// Many rules at once find what each finds alone, in the same order, whatever else is loaded.
    #[test]
    fn rules_do_not_disturb_each_other(
        rules in proptest::collection::vec(proptest::collection::vec(content(), 1..3), 1..25),
        data in "[abA]{0,24}",
    ) {
        let text: String = (1..).zip(&rules).map(|(sid, items)| {
            rule("udp", "", items).replace("sid:1;", &format!("sid:{sid};")) + "\n"
        }).collect();
        let alone: Vec<u32> = (1..).zip(&rules)
            .filter(|(_, items)| holds(items, data.as_bytes(), 0, 0))
            .map(|(sid, _)| sid)
            .take(15)
            .collect();
        let mut bench = Bench::new(&text);
        let found = bench.packet(&packet(data.as_bytes()));
        prop_assume!(bench.scratch.cut_short() == (0, 0));
        prop_assert_eq!(found, alone);
    }

    /// In long packets rules are looked for by other contents, ports and protocols than in short ones.
    #[test]
    fn long_packets_as_without_prefilter(
        rules in proptest::collection::vec((0..HEADERS.len(), proptest::collection::vec(content(), 1..4)), 1..25),
        (before, behind) in ("[abA]{0,12}", "[abA]{0,12}"),
        fill in prop_oneof![Just(0_usize), 290..340_usize, Just(700)],
        is_tcp: bool,
        app in 0..APPS.len(),
    ) {
        let text: String = (1..).zip(&rules).map(|(sid, (header, items))| {
            let items: Vec<String> = items.iter().map(Model::rule).collect();
            format!("alert {} ({} sid:{sid};)\n", HEADERS[*header], items.join(" "))
        }).collect();
        let data = [before.as_bytes(), &b"c".repeat(fill), behind.as_bytes()].concat();
        let of_flow = FlowView { established: true, app: APPS[app], ..FlowView::default() };
        let whole = if is_tcp { segment(0x10, &data) } else { packet(&data) };
        let whole = PacketView { flow: Some(of_flow), in_stream: is_tcp, ..whole };
        let mut bench = Bench::new(&text);
        let found = bench.packet(&whole);
        prop_assume!(bench.scratch.cut_short() == (0, 0));
        prop_assert_eq!(found, Bench::with(naive(&text)).packet(&whole), "{} on {} bytes", text, data.len());
    }
}

/// Headers of rules that a long packet to port 80 may or may not be about.
const HEADERS: [&str; 8] = [
    "udp any any -> any any",
    "tcp any any -> any any",
    "tcp-pkt any any -> any [80,81]",
    "tcp-pkt any 40000 -> any 8080",
    "ip any any -> any any",
    "dns any any -> any any",
    "http any any -> any any",
    "ssh any any -> any 80",
];

const APPS: [AppProto; 4] = [AppProto::Unknown, AppProto::Dns, AppProto::Http, AppProto::Ssh];
