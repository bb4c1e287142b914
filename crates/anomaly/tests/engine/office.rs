//! Normal days of an office under all shipped rules: nothing may fire.
//!
//! A generator makes the traffic: browsing, mail, name look-ups with a few that fail, file shares,
//! backups at night, NTP, printers, monitoring by ping, users with typing errors, cron jobs.

use super::*;

struct Office {
    state: u64,
    events: Vec<(f64, Value)>,
}

impl Office {
    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn flow(&mut self, second: f64, ends: (&str, &str), port: u64, bytes: u64) {
        let age = self.random(60);
        self.events.push((second, json!({
            "event_type": "flow", "src_ip": ends.0, "dest_ip": ends.1, "dest_port": port, "proto": "TCP",
            "flow": {"pkts_toserver": 12, "pkts_toclient": 15, "bytes_toserver": bytes, "bytes_toclient": bytes * 9,
                "age": age, "state": "closed"},
        })));
    }

    fn name(&mut self, second: f64, host: &str, name: &str, rcode: &str) {
        let queries = json!([{"rrname": name, "rrtype": "A"}]);
        self.events.push((
            second,
            json!({
                "event_type": "dns", "src_ip": host, "dest_ip": "10.0.0.1",
                "dns": {"type": "request", "rcode": "NOERROR", "queries": queries},
            }),
        ));
        self.events.push((
            second,
            json!({
                "event_type": "dns", "src_ip": "10.0.0.1", "dest_ip": host,
                "dns": {"type": "response", "rcode": rcode, "queries": queries},
            }),
        ));
    }

    fn page(&mut self, second: f64, host: &str) {
        let site = self.random(300);
        for part in 0..4 {
            let name = format!("s{part}.site{site}.example{}.com", site % 40);
            self.name(second, host, &name, "NOERROR");
            let bytes = 500 + self.random(3_000);
            self.flow(second + 1.0, (host, &format!("93.184.{}.{}", site % 200, part)), 443, bytes);
        }
        if self.random(20) == 0 {
            let dead = format!("gone{}.example.net", self.random(30));
            self.name(second, host, &dead, "NXDOMAIN");
        }
    }

    fn login(&mut self, second: f64, user: u64, outcome: &str) {
        self.events.push((second, json!({
            "event_type": "log", "host": {"name": "files"}, "user": {"name": format!("user{user}")},
            "src_ip": format!("10.0.0.{}", 20 + user),
            "event": {"action": "ssh_login", "outcome": outcome, "category": "authentication"},
        })));
    }

    /// The working day of one host.
    fn host(&mut self, day: f64, number: u64) {
        let host = format!("10.0.0.{}", 20 + number);
        for _ in 0..60 {
            let second = day + 8.0 * 3_600.0 + self.random(9 * 3_600) as f64;
            self.page(second, &host);
        }
        for _ in 0..20 {
            let second = day + 8.0 * 3_600.0 + self.random(9 * 3_600) as f64;
            self.flow(second, (&host, "10.0.0.2"), 445, 20_000);
            self.flow(second, (&host, "10.0.0.3"), 993, 2_000);
        }
        if self.random(3) == 0 {
            let second = day + 30_000.0 + self.random(9_000) as f64;
            (0..=self.random(2))
                .for_each(|n| self.login(second + n as f64 * 8.0, number, "failure"));
            self.login(second + 30.0, number, "success");
        }
    }

    fn day(&mut self, number: u32) {
        let day = f64::from(number) * 86_400.0;
        (0..12).for_each(|host| self.host(day, host));
        for minute in 0..1_440 {
            let second = day + f64::from(minute) * 60.0;
            // Monitoring pings three servers; logs of a server; time.
            for server in 1..=3 {
                self.events.push((second, json!({
                    "event_type": "flow", "src_ip": "10.0.0.9", "dest_ip": format!("10.0.0.{server}"), "proto": "ICMP",
                    "icmp_type": 8, "flow": {"pkts_toserver": 1, "pkts_toclient": 1, "state": "established", "age": 0},
                })));
            }
            for n in 0..(1 + self.random(2)) {
                let record =
                    json!({"event_type": "log", "host": {"name": "files"}, "message": "cron ran"});
                self.events.push((second + n as f64, record));
            }
        }
        // The nightly backup: one target, much data, inside.
        for n in 0..10 {
            self.flow(
                day + 7_200.0 + f64::from(n) * 60.0,
                ("10.0.0.2", "10.0.0.8"),
                22,
                3_000_000_000,
            );
        }
    }
}

fn shipped() -> RuleSet {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/anomaly");
    let sources: Vec<Source> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            Source {
                name: path.display().to_string(),
                text: std::fs::read_to_string(path).unwrap(),
            }
        })
        .collect();
    let (rules, errors) = RuleSet::load(&sources, &Options::default());
    assert!(errors.is_empty(), "{errors:?}");
    rules
}

fn findings_of(events: &[(f64, Value)]) -> Vec<Finding> {
    let mut engine = Engine::new(&shipped());
    let mut found = Vec::new();
    for (second, fields) in events {
        let fields = object(fields.clone());
        let kind = fields["event_type"].as_str().unwrap().to_owned();
        let time = Timestamp::from_micros((second * 1e6) as i64);
        engine.observe(&EventView { time, kind: &kind, id: None, fields: &fields }, &mut found);
    }
    found
}

#[test]
fn normal_days_are_silent_and_an_attack_among_them_is_not() {
    let mut office = Office { state: 7, events: Vec::new() };
    (0..3).for_each(|day| office.day(day));
    office.events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let found = findings_of(&office.events);
    let said: Vec<String> =
        found.iter().map(|f| format!("{}: {}", f.rule.title, f.explanation)).collect();
    assert!(said.is_empty(), "{said:#?}");
    assert!(office.events.len() > 40_000);

    // The same days with one scan in the middle of the second.
    let mut scan = Office { state: 9, events: Vec::new() };
    for n in 0..60 {
        scan.flow(
            86_400.0 + 40_000.0 + f64::from(n),
            ("10.0.0.25", &format!("10.0.0.{}", 100 + n)),
            445,
            60,
        );
    }
    office.events.extend(scan.events);
    office.events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let found = findings_of(&office.events);
    assert!(
        !found.is_empty() && found.iter().all(|f| f.entity().value == "10.0.0.25"),
        "{}",
        brief(&found)
    );
}
