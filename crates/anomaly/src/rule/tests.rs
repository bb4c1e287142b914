use expect_test::{Expect, expect};

use super::*;

const HEAD: &str = "title: T\nid: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: low\n";

fn load(text: &str) -> (RuleSet, Vec<RuleError>) {
    let source = Source { name: "r.yml".into(), text: text.into() };
    RuleSet::load(&[source], &Options::default())
}

fn refused(body: &str, expected: &Expect) {
    let (set, errors) = load(&format!("{HEAD}{body}"));
    assert_eq!(set.rules().len(), 0, "{body}");
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    expected.assert_eq(&shown.join("\n"));
}

const BASE: &str = "select: {}\ntimespan: 60s\ngroup-by: [src_ip]\n";

#[test]
fn every_error_names_file_and_key() {
    let base = |more: &str| format!("{BASE}{more}\n");
    refused("select: {}\n", &expect!["r.yml: timespan: is missing"]);
    refused(
        &base("nonsense: 1\nthreshold: {count: events, gte: 1}"),
        &expect!["r.yml: nonsense: unknown key"],
    );
    refused(
        &base("threshold: {count: 3, gte: 1}"),
        &expect!["r.yml: threshold.count: counts events: write `count: events`"],
    );
    refused(
        &base("threshold: {count: events, distinct: x, gte: 1}"),
        &expect!["r.yml: threshold.count: exactly one of count, distinct, sum, bits"],
    );
    refused(&base("threshold: {count: events}"), &expect!["r.yml: threshold.gte: is missing"]);
    refused(
        &base("threshold: {count: events, gte: 0}"),
        &expect!["r.yml: threshold.gte: must be above 0"],
    );
    refused(
        &base("threshold: [{count: events, gte: 1}, {gt: 1}]"),
        &expect!["r.yml: threshold[1].count: exactly one of count, distinct, sum, bits"],
    );
    refused(
        &base("ratio: {of: {a|is: 1}, gte: 0.5}"),
        &expect!["r.yml: ratio.of.a|is: unknown key"],
    );
    refused(&base("ratio: {of: {}, gte: 50}"), &expect!["r.yml: ratio.gte: a share is at most 1"]);
    refused(&base("sequence: [{where: {}}]"), &expect!["r.yml: sequence: 2 to 8 steps"]);
    refused(
        &base("sequence: [{where: {}}, {where: {}, count: -1}]"),
        &expect!["r.yml: sequence[1].count: found -1, expected a whole number above 0"],
    );
    refused(
        &base("baseline: {model: lstm, count: events}"),
        &expect!["r.yml: baseline.model: found lstm, expected ewma, seasonal or quantile"],
    );
    refused(
        &base("baseline: {model: seasonal, count: events}"),
        &expect!["r.yml: baseline.season: hour-of-day or hour-of-week"],
    );
    refused(
        &base("baseline: {model: ewma, count: events, likelihood: 1}"),
        &expect!["r.yml: baseline.likelihood: from 0.5 to below 1"],
    );
    refused(&base("new: {}"), &expect!["r.yml: new.field: is missing"]);
    refused(
        &base("threshold: {count: events, gte: 1}\nnew: {field: x}"),
        &expect![
            "r.yml: rule: threshold, ratio and rate go together; sequence, baseline and new stand alone"
        ],
    );
    refused(BASE, &expect!["r.yml: rule: needs threshold, ratio, rate, sequence, baseline or new"]);
    refused(
        &base("threshold: {count: events, gte: 1}\nentity: dest_ip"),
        &expect!["r.yml: entity: is not in group-by"],
    );
    refused(
        &base("threshold: {count: events, gte: 1}\nrefractory: soon"),
        &expect!["r.yml: refractory: found soon, expected a period such as 60s, 5m, 1h, 7d"],
    );
    refused(
        &base("threshold: {count: events, gte: 1}\nmemory-bytes: 99999999999"),
        &expect!["r.yml: memory-bytes: above the most a rule may have"],
    );
    refused(
        "select: [1\n",
        &expect![[r#"
        r.yml: rule: not YAML: did not find expected ',' or ']' at line 5 column 1, while parsing a flow sequence at line 4 column 9"#]],
    );
}

#[test]
fn the_filter_is_checked_as_strictly() {
    let select = |text: &str| {
        format!("timespan: 60s\nthreshold: {{count: events, gte: 1}}\nselect: {{{text}}}\n")
    };
    refused(
        &select("src_ip|cidr: 10.0.0.0/40"),
        &expect![
            "r.yml: select.src_ip|cidr: found 10.0.0.0/40, expected a network such as 10.0.0.0/8"
        ],
    );
    refused(&select("a|gt: x"), &expect!["r.yml: select.a|gt: found x, expected a number"]);
    refused(
        &select("a|exists: maybe"),
        &expect!["r.yml: select.a|exists: found maybe, expected true or false"],
    );
    refused(
        &select("a|contains: ''"),
        &expect!["r.yml: select.a|contains: an empty text is in everything"],
    );
    refused(&select("a: []"), &expect!["r.yml: select.a: an empty list never holds"]);
    refused(&select("not: 3"), &expect!["r.yml: select.not: found 3, expected a mapping"]);
    refused(
        &select("any: [{a: 1}, {b|re: x}]"),
        &expect!["r.yml: select.any[1].b|re: unknown key"],
    );
    let deep = "not: {".repeat(12) + &"}".repeat(12);
    let (_, errors) = load(&format!("{HEAD}{}", select(&deep)));
    assert!(errors[0].to_string().ends_with("nested too deep"), "{errors:?}");
}

#[test]
fn identity_and_level() {
    for (text, expected) in [
        ("title: T\nid: 7\nlevel: low\n", "r.yml: id: found 7, expected a UUID"),
        ("id: 6f3c0b8e-6f5b-4d0a-9d0e-0f5b6a1c2d3e\nlevel: low\n", "r.yml: title: is missing"),
    ] {
        let (_, errors) = load(&format!("{text}{BASE}threshold: {{count: events, gte: 1}}"));
        assert_eq!(errors[0].to_string(), expected);
    }
    let (_, errors) = load(&format!("{}{BASE}new: {{field: x}}", HEAD.replace("low", "severe")));
    assert_eq!(errors[0].key, "level");
}

#[test]
fn several_documents_and_doubles() {
    let rule = format!("{HEAD}{BASE}threshold: {{count: events, gte: 1}}\n");
    let (set, errors) = load(&format!("# head\n---\n{rule}---\n{rule}---\nx: 1\n---\n# end\n"));
    assert_eq!(set.rules().len(), 1);
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    expect![[r#"
        r.yml#2: id: another rule has this id
        r.yml#3: select: is missing"#]]
    .assert_eq(&shown.join("\n"));
}

#[test]
fn defaults_and_aliases() {
    let text = format!(
        "{HEAD}tags: [attack.t1046, attack.discovery, cve.2021-1]\nselect: {{source.ip|inside: true}}\n\
         group-by: [source.ip, 'dns.question.name|registered-domain']\nentity: dns.rrname\ntimespan: 5m\n\
         threshold: {{distinct: destination.port, gte: 20}}\n"
    );
    let (set, errors) = load(&text);
    assert_eq!(errors, []);
    let rule = &set.rules()[0];
    assert_eq!(rule.group_by[0].name(), "src_ip");
    assert_eq!(
        (rule.group_by[1].name().as_str(), rule.entity),
        ("dns.rrname|registered-domain", 1)
    );
    assert_eq!(rule.contributors.as_deref(), Some("dest_port"));
    assert_eq!((rule.timespan, rule.refractory), (300_000_000, 600_000_000));
    let attack: Vec<&str> = rule.attack.iter().map(|t| t.0.as_str()).collect();
    assert_eq!(attack, ["T1046", "discovery"]);
    assert_eq!(rule.check.name(), "threshold");
}

proptest::proptest! {
    #[test]
    fn any_text_is_answered(text in "[ -~\n]{0,200}") {
        let (set, _) = load(&text);
        proptest::prop_assert!(set.rules().len() <= 1);
    }

    #[test]
    fn any_line_in_a_rule_is_answered(key in "[a-z-]{1,12}", value in "[ -~]{0,30}") {
        let (set, errors) = load(&format!("{HEAD}{BASE}new: {{field: x}}\n{key}: {value}\n"));
        proptest::prop_assert!(set.rules().len() + errors.len() >= 1);
    }
}
