//! Rules that change on disk while they are in force.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::ReputationConfig;

const RULE: &str = "alert tcp any any -> any any (content:\"x\"; sid:1;)\n";
const BROKEN: &str = "alert tcp any any -> any any (no_such_keyword; sid:2;)\n";

struct Case {
    folder: tempfile::TempDir,
    signatures: Arc<Signatures>,
    items: Receiver<Item>,
    shutdown: Shutdown,
    renewal: Renewal,
}

fn case(watch_seconds: u64) -> Case {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.rules"), RULE).unwrap();
    let config = RulesConfig {
        signatures: vec![folder.path().to_owned()],
        watch_seconds,
        ..RulesConfig::default()
    };
    let (rules, report) = read(&config, &Names::default(), None).unwrap();
    let signatures = Arc::new(Signatures::new(Some(Arc::new(rules)), refused(&report)));
    let (queue, items) = crossbeam_channel::bounded(16);
    let shutdown = Shutdown::new();
    let renewal = Renewal {
        signatures: Arc::clone(&signatures),
        config,
        queue,
        clock: Clock::manual(7),
        shutdown: shutdown.clone(),
    };
    Case { folder, signatures, items, shutdown, renewal }
}

/// What an event says: loaded, refused, refused by name, version, whether it failed.
fn told(items: &Receiver<Item>) -> (u64, u64, usize, u64, bool) {
    let event = items.try_recv().unwrap().events.remove(0);
    assert_eq!(event.kind, Kind::Health);
    let rules = &event.fields["health"]["rules_renewed"];
    let number = |name: &str| rules[name].as_u64().unwrap();
    let named = rules["refused_rules"].as_array().unwrap().len();
    (number("loaded"), number("refused"), named, number("version"), !rules["failure"].is_null())
}

#[test]
fn newer_files_are_in_force_and_what_is_refused_is_named() {
    let case = case(0);
    let old = case.signatures.current().unwrap();
    assert!(case.signatures.newer_than(&old).is_none());
    fs::write(case.folder.path().join("b.rules"), format!("{}{BROKEN}", RULE.replace(":1", ":3")))
        .unwrap();
    let weak = Arc::downgrade(&old);
    drop(old);
    case.renewal.renew("test");
    assert!(weak.upgrade().is_none(), "the old set is freed");
    assert_eq!(told(&case.items), (2, 1, 1, 2, false));
    assert_eq!((case.signatures.figures(), case.signatures.problem()), ((2, 1), None));
    assert_eq!(case.signatures.current().unwrap().len(), 2);
}

#[test]
fn what_cannot_be_used_leaves_the_old_rules_and_is_told() {
    type Break = fn(&Path);
    let breaks: [(Break, &str); 2] = [
        (|folder| fs::write(folder.join("a.rules"), BROKEN).unwrap(), "not one rule"),
        (|folder| fs::remove_dir_all(folder).unwrap(), ""),
    ];
    for (spoil, words) in breaks {
        let case = case(0);
        let before = case.signatures.current().unwrap();
        spoil(case.folder.path());
        case.renewal.renew("test");
        assert!(Arc::ptr_eq(&before, &case.signatures.current().unwrap()));
        assert_eq!(told(&case.items), (1, 0, 0, 1, true));
        let problem = case.signatures.problem().unwrap();
        assert!(problem.contains("not in force") && problem.contains(words), "{problem}");
        fs::create_dir_all(case.folder.path()).unwrap();
        fs::write(case.folder.path().join("a.rules"), RULE).unwrap();
        drop(before);
        case.renewal.renew("test");
        assert_eq!((told(&case.items), case.signatures.problem()), ((1, 0, 0, 2, false), None));
    }
}

#[test]
fn files_that_change_are_found_and_a_request_is_heard() {
    let Case { folder, signatures, items, shutdown, renewal } = case(1);
    let (ask, asked) = crossbeam_channel::bounded(1);
    let thread = renewal.start(asked).unwrap();
    let second = RULE.replace(":1", ":2");
    fs::write(folder.path().join("b.rules"), &second).unwrap();
    let event = items.recv_timeout(Duration::from_secs(20)).unwrap().events.remove(0);
    assert_eq!(event.fields["health"]["rules_renewed"]["loaded"], 2);
    ask.send(()).unwrap();
    let event = items.recv_timeout(Duration::from_secs(20)).unwrap().events.remove(0);
    assert_eq!(event.fields["health"]["rules_renewed"]["version"], 3);
    shutdown.trigger();
    thread.join().unwrap();
    assert_eq!(signatures.figures(), (2, 0));
}

#[test]
fn files_about_addresses_are_watched_and_read_with_the_rules() {
    let mut case = case(0);
    let path = |name: &str| case.folder.path().join(name);
    let rule = "alert ip any any -> any any (iprep:src,CnC,isset; sid:2;)\n";
    fs::write(path("b.rules"), rule).unwrap();
    fs::write(path("categories.txt"), "1,CnC,\n").unwrap();
    fs::write(path("hosts.list"), "192.0.2.1,1,1\n").unwrap();
    fs::write(path("c.mmdb"), "no database\n").unwrap();
    let (hosts, database) = (path("hosts.list"), path("c.mmdb"));
    case.renewal.config.reputation =
        ReputationConfig { categories: Some(path("categories.txt")), files: vec![hosts.clone()] };
    case.renewal.renew("test");
    assert_eq!(told(&case.items), (2, 0, 0, 2, false));
    // What is wrong in them is told like a rule that is refused.
    let before = case.renewal.print();
    fs::write(&hosts, "192.0.2.1,1,1\n192.0.2.2,1,1000\n").unwrap();
    assert_ne!(case.renewal.print(), before);
    case.renewal.config.geoip_database = Some(database);
    case.renewal.renew("test");
    assert_eq!(told(&case.items), (2, 2, 2, 3, false));
    // A file that is gone leaves all as it is.
    fs::remove_file(hosts).unwrap();
    case.renewal.renew("test");
    assert_eq!(told(&case.items), (2, 2, 0, 3, true));
    assert!(case.signatures.problem().unwrap().contains("hosts.list"));
}
