//! The configuration file: what it takes, and that every mistake is told at once with its line.

use super::*;

#[test]
fn a_small_file_is_enough_and_mistakes_are_named() {
    let text = "data = \"/x\"\nconsole_url = \"https://c\"\nlink_names = [\"c:8444\"]\n";
    let config: Config = service::config::parse("c", text).unwrap();
    assert_eq!((config.retention.days, config.web.port()), (90, 8443));
    let text = format!("{text}web = \"nonsense\"\n[retention]\ndays = 0\n[mail]\nhost = \"x\"\n");
    let error = service::config::parse::<Config>("collector.toml", &text).unwrap_err();
    expect_test::expect![[r#"
        collector.toml:6: retention.days: must be at least 1
        collector.toml:7: mail.from: is required and missing"#]]
    .assert_eq(&error.to_string());
}

use expect_test::expect;

const SMALL: &str = "data = \"/x\"\nconsole_url = \"https://c\"\nlink_names = [\"c:8444\"]\n";

fn errors(text: &str) -> String {
    match service::config::parse::<Config>("collector.toml", text) {
        Ok(_) => "good".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn defaults_are_those_of_the_manual() {
    let config: Config = service::config::parse("c", SMALL).unwrap();
    assert_eq!(config.web.to_string(), "0.0.0.0:8443");
    assert_eq!(config.link.to_string(), "0.0.0.0:8444");
    assert_eq!((config.retention.days, config.retention.gigabytes), (90, 100));
    assert_eq!(config.log, "info");
    assert!(config.mail.is_none() && config.webhook.is_none());
    assert!(config.rules.sigma.is_empty() && config.rules.anomaly.is_empty());
}

#[test]
fn the_example_of_the_manual_is_good() {
    let manual = include_str!("../../../docs/operate.md");
    let (_, rest) = manual.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let config: Config = service::config::parse("operate.md", example).unwrap();
    assert!(config.mail.is_some() && config.webhook.is_some());
    assert_eq!(config.rules.sigma.len(), 2);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    expect![[r#"
        collector.toml:1: data: is required and missing
        collector.toml:1: console_url: is required and missing
        collector.toml:1: link_names: is required and missing"#]]
    .assert_eq(&errors(""));
    let text = format!(
        "{SMALL}retenton = 5\n[retention]\ndays = -1\ngigabytes = 0\nyears = 2\n[rules]\nsigma = \"x\"\n[webhook]\n"
    );
    expect![[r#"
        collector.toml:4: retenton: unknown key, did you mean "retention"?
        collector.toml:6: retention.days: must be at least 1
        collector.toml:7: retention.gigabytes: must be at least 1
        collector.toml:8: retention.years: unknown key
        collector.toml:10: rules.sigma: expected array, found string
        collector.toml:11: webhook.url: is required and missing"#]]
    .assert_eq(&errors(&text));
}

#[test]
fn wrong_types_and_wrong_toml() {
    for (line, words) in [
        ("web = 8443\n", "web"),
        ("web = \"localhost\"\n", "socket address"),
        ("log_format = \"xml\"\n", "log_format"),
        ("[mail]\nhost = \"m\"\nfrom = \"a@b\"\nsecurity = \"maybe\"\n", "security"),
        ("[mail]\nhost = \"m\"\nfrom = \"a@b\"\nport = 70000\n", "port"),
        ("[mail]\nhost = \"m\"\nfrom = \"a@b\"\npassword = \"in clear\"\n", "password"),
        ("data = \"twice\"\n", "duplicate key"),
        ("[retention\n", "unclosed table"),
    ] {
        let told = errors(&format!("{SMALL}{line}"));
        assert!(told.starts_with("collector.toml:"), "{line}: {told}");
        assert!(told.contains(words), "{line}: {told}");
        assert!(!told.contains("in clear"), "a secret is not repeated: {told}");
    }
}

#[test]
fn classes_of_data() {
    let class = |name: &str, select: &str| {
        format!("[[retention.class]]\nname = \"{name}\"\ndays = 7\nselect = {{ {select} }}\n")
    };
    let flows = class("flows", "event_type = [\"flow\"]");
    let config: Config = service::config::parse("c", &format!("{SMALL}{flows}")).unwrap();
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    let policy = config.retention.policy(now);
    let limits = policy.limits(config.retention.class[0].name);
    assert_eq!(limits.older_than, Some("2026-11-15T00:00:00Z".parse().unwrap()));
    assert_eq!(limits.max_bytes, None, "no limit of size unless it is given");
    assert_eq!(policy.max_bytes, Some(100 << 30));
    for (text, words) in [
        (class("Flows", "zone = [\"a\"]"), "\"Flows\" is no name of a class"),
        (flows.repeat(2), "class \"flows\" is there twice"),
        (class("a", ""), "class \"a\" selects nothing"),
        (class("a", "message = [\"x\"]"), "retention.class[0].select.message: unknown key"),
        (flows.replace("days = 7", "days = 0"), "retention.class[0].days: must be at least 1"),
        (flows.replace("days = 7\n", ""), "days: is required and missing"),
        ("[storage]\npartition_events = 5\n".to_owned(), "must be at least 100000"),
    ] {
        let told = errors(&format!("{SMALL}{text}"));
        assert!(told.starts_with("collector.toml:") && told.contains(words), "{text}: {told}");
    }
}

#[test]
fn the_classes_of_the_manual_are_good() {
    let manual = include_str!("../../../docs/operate.md");
    let (_, rest) = manual.split_once("### How long events are kept").unwrap();
    let (_, rest) = rest.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let text = format!("{SMALL}{example}");
    let config: Config = service::config::parse("operate.md", &text).unwrap();
    let days: Vec<_> =
        config.retention.class.iter().map(|one| (one.name.as_str(), one.days)).collect();
    assert_eq!(days, [("alerts", 365), ("audit", 1095), ("flows", 7)]);
}
