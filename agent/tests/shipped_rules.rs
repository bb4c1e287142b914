//! Every shipped rule against its cases: signatures through the real binary on packets built here,
//! Sigma rules and correlations through their engine. A rule without both kinds of case fails.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use etherparse::PacketBuilder;
use logs::config::Format;
use logs::parse::{Library, Parser, Zone};
use serde::Deserialize;
use sigma::{Correlator, Record, RuleSet, Scratch};

fn rules() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../rules"))
}

#[derive(Deserialize)]
struct Exchange {
    sid: u32,
    name: String,
    fires: bool,
    proto: String,
    src: String,
    dest: String,
    dest_port: u16,
    client: Option<String>,
    client_hex: Option<String>,
    server: Option<String>,
    server_hex: Option<String>,
}

#[derive(Deserialize)]
struct Cases<T> {
    case: Vec<T>,
}

fn cases<T: for<'a> Deserialize<'a>>(kind: &str) -> Vec<T> {
    let folder = rules().join("fixtures").join(kind);
    let files = service::files::find(&[folder], &["toml"]).unwrap();
    let texts = service::files::read(&files).unwrap();
    let parse = |(name, text): (String, String)| {
        toml::from_str::<Cases<T>>(&text).unwrap_or_else(|error| panic!("{name}: {error}")).case
    };
    texts.into_iter().flat_map(parse).collect()
}

fn bytes(text: Option<&String>, hex: Option<&String>) -> Vec<u8> {
    match (text, hex) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(hex)) => hex
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect(),
        (None, None) => Vec::new(),
    }
}

/// Packets of one exchange as a classic pcap file.
struct Capture {
    file: Vec<u8>,
    second: u32,
}

impl Capture {
    fn new() -> Self {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        Self { file, second: 1_700_000_000 }
    }

    fn push(&mut self, packet: &[u8]) {
        self.second += 1;
        let length = u32::try_from(packet.len()).unwrap();
        for word in [self.second, 0, length, length] {
            self.file.extend_from_slice(&word.to_le_bytes());
        }
        self.file.extend_from_slice(packet);
    }
}

fn ip(text: &str) -> [u8; 4] {
    text.parse::<std::net::Ipv4Addr>().unwrap().octets()
}

fn capture(case: &Exchange) -> Vec<u8> {
    let (client, server) = (ip(&case.src), ip(&case.dest));
    let request = bytes(case.client.as_ref(), case.client_hex.as_ref());
    let answer = bytes(case.server.as_ref(), case.server_hex.as_ref());
    let mut out = Capture::new();
    let mut write = |forth: bool, flags: &str, numbers: (u32, u32), payload: &[u8]| {
        let ends = [(client, 40_000), (server, case.dest_port)];
        let [(a, p), (b, q)] = if forth { ends } else { [ends[1], ends[0]] };
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(a, b, 64);
        let mut packet = Vec::new();
        if case.proto == "udp" {
            ip.udp(p, q).write(&mut packet, payload).unwrap();
        } else {
            let mut tcp = ip.tcp(p, q, numbers.0, 64_000);
            for flag in flags.chars() {
                tcp = match flag {
                    'S' => tcp.syn(),
                    'A' => tcp.ack(numbers.1),
                    'P' => tcp.psh(),
                    _ => tcp.fin(),
                };
            }
            tcp.write(&mut packet, payload).unwrap();
        }
        out.push(&packet);
    };
    if case.proto == "udp" {
        write(true, "", (0, 0), &request);
        if !answer.is_empty() {
            write(false, "", (0, 0), &answer);
        }
        return out.file;
    }
    write(true, "S", (100, 0), b"");
    write(false, "SA", (500, 101), b"");
    write(true, "A", (101, 501), b"");
    let (mut c, mut s) = (101_u32, 501_u32);
    for piece in request.chunks(1400) {
        write(true, "PA", (c, s), piece);
        c += u32::try_from(piece.len()).unwrap();
    }
    write(false, "A", (s, c), b"");
    for piece in answer.chunks(1400) {
        write(false, "PA", (s, c), piece);
        s += u32::try_from(piece.len()).unwrap();
    }
    write(true, "FA", (c, s), b"");
    write(false, "FA", (s, c + 1), b"");
    write(true, "A", (c + 1, s + 1), b"");
    out.file
}

/// Sids of the alerts in a record file.
fn sids(path: &Path) -> BTreeSet<u32> {
    let text = std::fs::read_to_string(path).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let sid = |record: serde_json::Value| record["alert"]["signature_id"].as_u64();
    records.filter_map(sid).map(|sid| u32::try_from(sid).unwrap()).collect()
}

/// Rules that lack a case that fires or one that does not.
fn incomplete(cases: &BTreeMap<String, [usize; 2]>, all: &BTreeSet<String>) -> Vec<String> {
    all.iter().filter(|id| cases.get(*id).is_none_or(|n| n.contains(&0))).cloned().collect()
}

#[test]
fn signatures_fire_on_their_cases_and_not_on_the_others() {
    let cases: Vec<Exchange> = cases("signatures");
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pikett-agent"));
    command.args(["replay", "--separate", "--rules"]).arg(rules().join("signatures"));
    command.arg("--out").arg(folder.path().join("out"));
    for (number, case) in cases.iter().enumerate() {
        let path = folder.path().join(format!("{number:04}.pcap"));
        std::fs::write(&path, capture(case)).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        let found = sids(&folder.path().join(format!("out/{number:04}.pcap/eve.json")));
        counts.entry(case.sid.to_string()).or_default()[usize::from(case.fires)] += 1;
        if found.contains(&case.sid) != case.fires {
            wrong.push(format!("{} {} (found {found:?})", case.sid, case.name));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    let files = service::files::find(&[rules().join("signatures")], &["rules"]).unwrap();
    let texts = service::files::read(&files).unwrap();
    let all: BTreeSet<String> = texts
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.split("sid:").nth(1)?.split(';').next().map(str::to_owned))
        .collect();
    assert!(all.len() >= 40, "{} signatures", all.len());
    assert_eq!(incomplete(&counts, &all), [""; 0]);
}

#[derive(Deserialize)]
struct Single {
    rule: String,
    name: String,
    fires: bool,
    event: Option<String>,
    line: Option<String>,
    format: Option<String>,
}

/// An event as it is written, or as our own parsers make it of a line.
fn document(event: Option<&str>, line: Option<&str>, format: Option<&str>) -> event::Object {
    let Some(line) = line else { return object(event.unwrap()) };
    let format = Format::named(format.unwrap_or("auto")).unwrap();
    let parser = Parser::with(&Library::built_in(), &format, Zone::utc()).unwrap();
    let now = event::Timestamp::from_seconds(1_795_359_845);
    let (event, parsed) = parser.event(line.as_bytes(), now);
    assert!(parsed, "not understood: {line}");
    let mut fields = event.fields;
    fields.insert("event_type".to_owned(), event.kind.as_str().into());
    fields
}

fn load(folders: &[&str]) -> (RuleSet, BTreeSet<String>) {
    let paths: Vec<PathBuf> = folders.iter().map(|name| rules().join(name)).collect();
    let files = service::files::find(&paths, &["yml"]).unwrap();
    let texts = service::files::read(&files).unwrap();
    let last = format!("/{}/", folders.last().unwrap());
    let ids = texts
        .iter()
        .filter(|(name, _)| name.contains(&last))
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.strip_prefix("id: ").map(|id| id.trim().to_owned()))
        .collect();
    let (rules, report) = RuleSet::load(texts.into_iter(), &sigma::Options::default());
    assert!(report.rejected.is_empty() && report.inert.is_empty(), "{report:?}");
    (rules, ids)
}

fn object(text: &str) -> event::Object {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn sigma_rules_fire_on_their_cases_and_not_on_the_others() {
    let (rules, all) = load(&["sigma"]);
    assert!(all.len() >= 120, "{} Sigma rules", all.len());
    let mut scratch = Scratch::new();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for case in cases::<Single>("sigma") {
        let (event, line) = (case.event.as_deref(), case.line.as_deref());
        let document = document(event, line, case.format.as_deref());
        let record = Record::new(&document);
        let matched = rules.evaluate(&record, &mut scratch).to_vec();
        let fired = matched.iter().any(|rule| rules.meta(*rule).unwrap().id == case.rule);
        counts.entry(case.rule.clone()).or_default()[usize::from(case.fires)] += 1;
        if fired != case.fires {
            wrong.push(format!("{} {} expected {}", case.rule, case.name, case.fires));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(incomplete(&counts, &all), [""; 0]);
}

#[derive(Deserialize)]
struct Series {
    after: f64,
    repeat: u32,
    every: f64,
    event: Option<String>,
    line: Option<String>,
    format: Option<String>,
}

#[derive(Deserialize)]
struct Sequence {
    rule: String,
    name: String,
    fires: bool,
    series: Vec<Series>,
}

#[test]
fn correlations_fire_on_their_cases_and_not_on_the_others() {
    let (rules, all) = load(&["sigma", "correlation"]);
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for case in cases::<Sequence>("correlation") {
        let mut events = Vec::new();
        for series in &case.series {
            for n in 0..series.repeat {
                let at = series.after + series.every * f64::from(n);
                let number = |text: &String| text.replace("{n}", &n.to_string());
                let (event, line) =
                    (series.event.as_ref().map(number), series.line.as_ref().map(number));
                let made = document(event.as_deref(), line.as_deref(), series.format.as_deref());
                events.push((at, made));
            }
        }
        events.sort_by(|left, right| left.0.total_cmp(&right.0));
        let mut correlator = Correlator::new(&rules);
        let mut scratch = Scratch::new();
        let mut fired = false;
        for (at, mut document) in events {
            #[expect(clippy::cast_possible_truncation, reason = "seconds of a case are small")]
            let micros = (at * 1e6) as i64;
            let time = event::Timestamp::from_seconds(1_700_000_000).plus_micros(micros);
            document.insert("timestamp".into(), time.to_string().into());
            let record = Record::new(&document);
            let matched = rules.evaluate(&record, &mut scratch).to_vec();
            let found = correlator.observe(&record, &matched);
            fired |= found.iter().any(|one| one.rule_id == case.rule);
        }
        if fired != case.fires {
            wrong.push(format!("{} {} expected {}", case.rule, case.name, case.fires));
        }
        assert!(all.contains(&case.rule), "no rule {}", case.rule);
        counts.entry(case.rule.clone()).or_default()[usize::from(case.fires)] += 1;
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts.len() >= 25, "{} correlations", counts.len());
    let complete = counts.keys().cloned().collect();
    assert_eq!(incomplete(&counts, &complete), [""; 0]);
}
