//! Limits of a file: which rules they reach, what they do to alerts, and what is refused.

use crate::{
    Action, FlowState, LoadOptions, PacketView, Report, RuleSet, Scan, Scratch, Source, Tables,
    tests::packet,
};

const RULES: &str = r#"alert udp any any -> any any (content:"x"; sid:1;)
alert udp any any -> any any (content:"x"; threshold:type limit, track by_src, count 1, seconds 9; sid:2;)"#;

fn load(limits: &str) -> (RuleSet, Report) {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let options =
        LoadOptions { limits: vec![source("threshold.config", limits)], ..LoadOptions::default() };
    RuleSet::load(vec![source("a.rules", RULES)], &options)
}

/// Sids and actions of the alerts of packets, one a second.
fn alerts(limits: &str, packets: u64) -> Vec<Vec<(u32, Action)>> {
    let (rules, report) = load(limits);
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    let (tables, mut scratch) = (Tables::default(), Scratch::new(&rules));
    let mut flow = FlowState::default();
    (1..=packets)
        .map(|second| {
            let view = PacketView { time: second * 1_000_000, ..packet(b"x") };
            let mut scan = Scan::begin(&rules, &tables, &mut scratch, &view, Some(&mut flow));
            scan.packet();
            let found = scan.finish().matches.iter();
            found.map(|hit| (rules.rule(hit.rule).unwrap().sid, hit.action)).collect()
        })
        .collect()
}

fn of(sid: u32, all: &[Vec<(u32, Action)>]) -> Vec<bool> {
    all.iter().map(|one| one.iter().any(|(found, _)| *found == sid)).collect()
}

#[test]
fn suppression_looks_at_addresses() {
    let cases = [
        ("suppress gen_id 1, sig_id 1", false),
        ("suppress gen_id 0, sig_id 0", false),
        ("suppress gen_id 1, sig_id 2", true),
        ("suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.1", false),
        ("suppress gen_id 1, sig_id 1, track by_src, ip [1.1.1.1,10.0.0.0/8] # why", false),
        ("suppress gen_id 1, sig_id 1, track by_src, ip 8.8.8.8", true),
        ("suppress gen_id 1, sig_id 1, track by_dst, ip 8.8.8.8", false),
        ("suppress gen_id 1, sig_id 1, track by_dst, ip $HOME_NET", true),
        ("suppress gen_id 1, sig_id 1, track by_either, ip 8.8.8.0/24", false),
        ("suppress gen_id 1, sig_id 1, track by_either, ip 9.9.9.9", true),
    ];
    for (limit, expected) in cases {
        assert_eq!(of(1, &alerts(limit, 1)), [expected], "{limit}");
    }
}

#[test]
fn thresholds_of_the_file_give_way_to_those_of_rules() {
    let limit = "threshold gen_id 1, sig_id 0, type threshold, track by_src, count 3, seconds 60";
    let all = alerts(limit, 6);
    assert_eq!(of(1, &all), [false, false, true, false, false, true]);
    assert_eq!(of(2, &all), [true, false, false, false, false, false]);
}

#[test]
fn a_rate_changes_the_action_for_a_while() {
    let limit = "rate_filter gen_id 1, sig_id 1, track by_src, count 2, seconds 60, \
                 new_action reject, timeout 2";
    let actions: Vec<Action> = alerts(limit, 7).iter().map(|one| one[0].1).collect();
    use Action::{Alert, Reject};
    // The third match is one too many; two seconds later the other action is over.
    assert_eq!(actions, [Alert, Alert, Reject, Reject, Reject, Alert, Alert]);
}

#[test]
fn what_is_wrong_is_named() {
    for bad in [
        "suppress gen_id 1",
        "suppress gen_id 1, sig_id 77",
        "suppress gen_id 1, sig_id 1, track by_src",
        "suppress gen_id 1, sig_id 1, track by_src, ip [1.2.3.4",
        "suppress gen_id 0, sig_id 1",
        "threshold gen_id 1, sig_id 1, type any, track by_src, count 1, seconds 1",
        "threshold gen_id 1, sig_id 1, type limit, track by_src, count 0, seconds 1",
        "threshold gen_id 1, sig_id 2, type limit, track by_src, count 1, seconds 1",
        "rate_filter gen_id 1, sig_id 1, track by_src, count 1, seconds 1, timeout 1",
        "nonsense",
        "nonsense gen_id 1, sig_id 1",
    ] {
        let (_, report) = load(&format!("# a comment\n{bad}\n"));
        assert_eq!(report.rejected.len(), 1, "{bad}");
        assert_eq!(
            (report.rejected[0].line, report.rejected[0].file.as_str()),
            (2, "threshold.config")
        );
    }
}
